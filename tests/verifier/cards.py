"""Cards and their armour: section 9 of docs/protocol.md."""

import base64
import binascii

from codec import Refused, check_key, check_signature, key_id, need, sha256, split_signed, whole


def read_contact(r):
    return {
        "desk": r.u16(),
        "name": r.text(128),
        "telephone": r.text(64),
        "email": r.text(254),
        "hours": r.text(128),
        "languages": r.list(lambda: r.text(35), 8),
    }


def read_card(r):
    return {
        "version": r.u16(),
        "id": r.node_id(),
        "name": r.text(200),
        "country": r.text(16),
        "identity_key": r.hex(32),
        "tls_certificate": r.blob(4096).hex(),
        "tls_name": r.optional(lambda: r.text(253)),
        "endpoints": r.list(lambda: r.text(260), 8),
        "contacts": r.list(lambda: read_contact(r), 16),
        "kinds": r.list(lambda: [r.code(), r.list(r.u16, 16)], 64),
        "issued_at": r.time(),
        "valid_until": r.time(),
        "sequence": r.u64(),
        "extensions": r.extensions(),
    }


def card(data):
    inner, signature = split_signed(data, 40_960)
    found = whole(inner, read_card)
    need(found["version"] == 1, "version")
    key = bytes.fromhex(found["identity_key"])
    check_key(key)
    check_signature(key, "aldis/v1/card", inner, signature)
    found["digest"] = sha256(inner).hex()
    found["key_id"] = key_id(key)
    spoken = sha256(b"aldis/v1/fingerprint\0", found["id"].encode(), b"\0", key).hex()
    found["fingerprint"] = " ".join(spoken[at : at + 4] for at in range(0, 64, 4))
    return found


def card_text(text):
    _, begin, rest = text.partition("-----BEGIN ALDIS CARD-----")
    inside, end, _ = rest.partition("-----END ALDIS CARD-----")
    need(begin and end, "no-armour")
    inside = "".join(c for c in inside if c not in " \t\n\f\r>")
    need(len(inside.encode()) <= 81_920, "malformed")
    try:
        data = base64.b64decode(inside, validate=True)
    except (binascii.Error, ValueError):
        raise Refused("not-base64") from None
    need(base64.b64encode(data).decode() == inside, "not-base64")
    return card(data)
