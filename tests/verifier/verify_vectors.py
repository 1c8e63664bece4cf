#!/usr/bin/env python3
"""Checks every test vector of the Aldis protocol with a second program.

Written from docs/protocol.md alone, so that the specification is proven and not only the node. Section numbers below are
that document's. Needs Python 3.11 and the package `cryptography`; the standard library does the rest.
Spoken phrases need that package at version 44 or later and are skipped without it.

    python3 tests/verifier/verify_vectors.py [DIRECTORY]

Prints each disagreement and the count; exits with 1 if there is any, with 2 if it cannot run.
"""

import base64
import binascii
import hashlib
import json
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError as missing:
    print(f"{missing}: install the package python3-cryptography", file=sys.stderr)
    sys.exit(2)

sys.dont_write_bytecode = True  # nothing is left beside the sources
import spoken_phrase


class Refused(Exception):
    """The bytes are not good; the argument is the outcome's word."""


class Skipped(Exception):
    """The check cannot be made here; the argument is why."""


def need(holds, word):
    if not holds:
        raise Refused(word)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


# --- 1 Encoding ----------------------------------------------------------------------------------------------------------

WIDTHS = {0xFB: 2, 0xFC: 4, 0xFD: 8}


class Reader:
    """Reads a structure from the front of some bytes. Every method refuses what section 1 refuses."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def fixed(self, count):
        need(count <= len(self.data) - self.at, "malformed")
        self.at += count
        return self.data[self.at - count : self.at]

    def u8(self):
        return self.fixed(1)[0]

    def varint(self, bits):
        marker = self.u8()
        if marker < 0xFB:
            return marker
        width = WIDTHS.get(marker)
        need(width is not None and width * 8 <= bits, "malformed")
        number = int.from_bytes(self.fixed(width), "big")
        least = {2: 251, 4: 1 << 16, 8: 1 << 32}[width]
        need(number >= least, "not-canonical")
        return number

    def u16(self):
        return self.varint(16)

    def u32(self):
        return self.varint(32)

    def u64(self):
        return self.varint(64)

    def blob(self, most):
        length = self.u64()
        need(length <= most, "malformed")
        return self.fixed(length)

    def text(self, most):
        try:
            return self.blob(most).decode("utf-8", "strict")
        except UnicodeDecodeError:
            raise Refused("malformed") from None

    def list(self, read, most):
        count = self.u64()
        need(count <= most, "malformed")
        return [read() for _ in range(count)]

    def optional(self, read):
        there = self.u8()
        need(there in (0, 1), "malformed")
        return read() if there else None

    def end(self, word="trailing"):
        need(self.at == len(self.data), word)

    # --- 2 Plain types

    def node_id(self):
        text = self.text(63)
        need(is_node_id(text), "malformed")
        return text

    def lane(self):
        lane = self.u8()
        need(lane < 4, "malformed")
        return lane

    def seq(self):
        seq = self.u64()
        need(1 <= seq < 1 << 63, "malformed")
        return seq

    def time(self):
        time = self.u64()
        need(time <= 253_402_128_000_000, "malformed")
        return time

    def hex(self, count):
        return self.fixed(count).hex()

    def code(self):
        text = self.text(64)
        need(text != "" and all(c.isascii() and (c.isalnum() or c in "+-._") for c in text), "malformed")
        return text

    def mark(self):
        return [self.lane(), self.seq(), self.hex(32)]

    def marks(self):
        marks = self.list(self.mark, 4)
        need(ascending([mark[0] for mark in marks]), "malformed")
        return marks

    def extensions(self):
        extensions = self.list(lambda: [self.u16(), self.blob(1024).hex()], 8)
        need(ascending([extension[0] for extension in extensions]), "malformed")
        return extensions

    def message_id(self):
        sender, recipient, lane, seq = self.node_id(), self.node_id(), self.lane(), self.seq()
        return message_id(sender, recipient, lane, seq)


def is_node_id(text):
    allowed = set("abcdefghijklmnopqrstuvwxyz0123456789-")
    labels = text.split(".")
    return len(text.encode()) <= 63 and all(
        label and set(label) <= allowed and label[0] != "-" and label[-1] != "-" for label in labels
    )


def ascending(numbers):
    return all(one < next_one for one, next_one in zip(numbers, numbers[1:]))


def message_id(sender, recipient, lane, seq):
    return f"{sender}/{recipient}/{'FIPR'[lane]}{seq}"


def whole(data, read):
    """Reads one structure from all of the bytes. Above the codec every way to be wrong is `malformed`."""
    reader = Reader(data)
    try:
        value = read(reader)
    except Refused as refused:
        raise Refused("malformed" if refused.args[0] == "not-canonical" else refused.args[0]) from None
    reader.end("malformed")
    return value


# --- 3 Hashes and signatures ---------------------------------------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SMALL_ORDER = {
    bytes.fromhex(point)
    for point in (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    )
}


def is_canonical_point(encoded):
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number & ((1 << 255) - 1)
    if y >= P:
        return False
    # x^2 = (y^2 - 1) / (d y^2 + 1); the denominator is never 0.
    x_squared = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    if x_squared == 0:
        return sign == 0
    return pow(x_squared, (P - 1) // 2, P) == 1


def check_key(key):
    need(len(key) == 32, "malformed")
    need(is_canonical_point(key), "not-a-key")
    need(key not in SMALL_ORDER, "weak-key")


def check_signature(key, context, payload, signature):
    r, s = signature[:32], signature[32:]
    need(int.from_bytes(s, "little") < L, "signature")
    need(is_canonical_point(r) and r not in SMALL_ORDER, "signature")
    try:
        # Without the cofactor: the library compares the bytes of R.
        Ed25519PublicKey.from_public_bytes(key).verify(signature, context.encode() + b"\0" + payload)
    except InvalidSignature:
        raise Refused("signature") from None


def key_id(key):
    return sha256(key)[:16].hex()


def split_signed(data, most):
    """A signed structure: the exact bytes, and the signature over them."""
    return whole(data, lambda r: (r.blob(most), r.fixed(64)))


def leaf_hash(leaf):
    return sha256(b"\0", leaf)


def root_of_path(leaf, index, size, path):
    need(index < size, "path")
    fn, sn, found = index, size - 1, leaf
    for sibling in path:
        need(sn != 0, "path")
        if fn % 2 == 1 or fn == sn:
            found = sha256(b"\1", sibling, found)
            while fn % 2 == 0 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            found = sha256(b"\1", found, sibling)
        fn, sn = fn >> 1, sn >> 1
    need(sn == 0, "path")
    return found


# --- 4 The header --------------------------------------------------------------------------------------------------------


def read_header(r):
    return {
        "version": r.u16(),
        "key_id": r.hex(16),
        "incarnation": r.u64(),
        "from": r.node_id(),
        "to": r.node_id(),
        "also_to": r.list(r.node_id, 255),
        "desk": r.u16(),
        "lane": r.lane(),
        "seq": r.seq(),
        "previous": r.hex(32),
        "received": r.optional(r.mark),
        "sent_at": r.time(),
        "expires_at": r.time(),
        "case": base64.b32encode(r.fixed(16)).decode().rstrip("=").lower(),
        "references": r.list(lambda: [r.u16(), r.message_id(), r.hex(32)], 8),
        "author": r.text(128),
        "released_by": r.optional(lambda: r.text(128)),
        "on_behalf_of": r.optional(lambda: r.text(128)),
        "tlp": r.u16(),
        "exercise": r.optional(lambda: r.text(64)),
        "kind": r.code(),
        "kind_version": r.u16(),
        "body_length": r.u32(),
        "body_commitment": r.hex(32),
        "extensions": r.extensions(),
    }


def header(data):
    need(len(data) <= 8192, "too-long")
    h = whole(data, read_header)
    need(h["version"] == 1, "version")
    rules = (
        h["from"] != h["to"],
        h["to"] not in h["also_to"],
        (h["previous"] == "00" * 32) == (h["seq"] == 1),
        h["incarnation"] != 0,
        h["kind_version"] != 0,
        h["tlp"] != 0,
        h["body_length"] <= 49_152,
        h["author"] != "",
        h["exercise"] != "",
    )
    need(all(rules), "contradiction")
    h["digest"] = leaf_hash(data).hex()
    return h


# --- 5 The proof, 6 the envelope -----------------------------------------------------------------------------------------


def read_proof(r):
    return r.u32(), r.u32(), r.list(lambda: r.fixed(32), 20), r.fixed(64)


def proof(data, digest, key):
    size, index, path, signature = whole(data, read_proof)
    need(size <= 1 << 20, "path")
    root = root_of_path(digest, index, size, path)
    check_signature(key, "aldis/v1/envelope", size.to_bytes(4, "big") + root, signature)
    return {"size": size, "index": index, "header": digest.hex()}


def envelope(data, sender, recipient, key):
    # The header's own bound is checked with the header, so that it has its own word.
    def parts(r):
        return r.blob(65_536), r.u16(), r.fixed(16), r.blob(49_152), r.blob(1024)

    header_bytes, withheld, salt, body, proof_bytes = whole(data, parts)
    if withheld:
        need(salt == bytes(16) and body == b"", "malformed")
    h = header(header_bytes)
    need(h["from"] == sender and h["to"] == recipient, "misrouted")
    need(h["key_id"] == key_id(key), "unknown-key")
    proof(proof_bytes, leaf_hash(header_bytes), key)
    if not withheld:
        need(len(body) == h["body_length"], "body")
        need(sha256(salt, body).hex() == h["body_commitment"], "body")
    return {
        "id": message_id(h["from"], h["to"], h["lane"], h["seq"]),
        "digest": h["digest"],
        "withheld": withheld,
        "salt": "" if withheld else salt.hex(),
        "body": body.hex(),
    }


# --- 7 The receipt, 8 the Hello, 9 the card ------------------------------------------------------------------------------


def read_receipt(r):
    return {
        "version": r.u16(),
        "key_id": r.hex(16),
        "incarnation": r.u64(),
        "from": r.node_id(),
        "to": r.node_id(),
        "stored": r.marks(),
        "sent": r.marks(),
        "stored_at": r.time(),
        "commitment": r.hex(32),
        "extensions": r.extensions(),
    }


def receipt(data, sender, recipient, key):
    inner, signature = split_signed(data, 16_384)
    check_signature(key, "aldis/v1/receipt", inner, signature)
    found = whole(inner, read_receipt)
    need(found["version"] == 1, "not-ours")
    need(found["from"] == sender and found["to"] == recipient, "not-ours")
    need(found["key_id"] == key_id(key) and found["incarnation"] != 0, "not-ours")
    return found


def read_hello(r):
    return {
        "versions": r.list(r.u16, 16),
        "role": r.u16(),
        "from": r.node_id(),
        "to": r.node_id(),
        "exporter": r.hex(32),
        "key_id": r.hex(16),
        "incarnation": r.u64(),
        "card": r.hex(32),
        "peer_card": r.hex(32),
        "received": r.marks(),
        "sent": r.marks(),
        "sent_at": r.time(),
        "extensions": r.extensions(),
    }


def hello(data, sender, recipient, key, role, exporter):
    inner, signature = split_signed(data, 16_384)
    check_signature(key, "aldis/v1/hello", inner, signature)
    found = whole(inner, read_hello)
    expected = {
        "role": {"dialler": 1, "listener": 2}[role],
        "from": sender,
        "to": recipient,
        "exporter": exporter.hex(),
        "key_id": key_id(key),
    }
    need(all(found[name] == value for name, value in expected.items()), "not-this-link")
    need(found["incarnation"] != 0 and ascending(found["versions"]), "not-this-link")
    need(1 in found["versions"], "no-common-version")
    return found


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


# --- 10 Frames -----------------------------------------------------------------------------------------------------------

GOODBYES = (
    "stopping replaced protocol-error does-not-verify lane-blocked silent no-credit not-admitted records-disagree not-served"
).split()


def read_goodbye(r):
    code = r.u16()
    name = GOODBYES[code - 1] if 1 <= code <= len(GOODBYES) else "unknown-code"
    return {"code": code, "name": name, "lane": r.optional(r.lane), "text": r.text(200)}


FRAMES = [
    ("hello", None),
    ("envelope", None),
    ("receipt", None),
    ("credit", lambda r: {"lane": r.lane(), "total": r.u64()}),
    ("ping", lambda r: {"nonce": r.u64()}),
    ("pong", lambda r: {"nonce": r.u64(), "at": r.time()}),
    ("goodbye", read_goodbye),
    (
        "chunk",
        lambda r: {"lane": r.lane(), "attachment": r.hex(32), "offset": r.u64(), "bytes": r.blob(61_440).hex()},
    ),
    ("want", lambda r: {"attachment": r.hex(32), "offset": r.u64()}),
    ("fetch", lambda r: {"from": r.node_id(), "lane": r.lane(), "first": r.u64(), "last": r.u64()}),
    (
        "history",
        lambda r: {
            "from": r.node_id(),
            "lane": r.lane(),
            "seq": r.u64(),
            "bytes": r.blob(61_440).hex(),
            "extensions": r.extensions(),
        },
    ),
]


def frame(data):
    length = int.from_bytes(data[:4], "big")
    need(1 <= length <= 65_536, "length")
    if len(data) != 4 + length:
        raise ValueError("the vector does not hold the whole frame")
    kind, payload = data[4], data[5:]
    need(kind < len(FRAMES), "unknown-type")
    name, read = FRAMES[kind]
    shown = {"payload": payload.hex()} if read is None else whole(payload, read)
    return {"frame": name, **shown}


# --- 15 Kinds ------------------------------------------------------------------------------------------------------------

WHITE_SPACE = {0x20, 0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}
WHITE_SPACE |= set(range(0x09, 0x0E)) | set(range(0x2000, 0x200B))

RSIT = {
    "abusive-content": "spam harmful-speech violence",
    "malicious-code": "infected-system c2-server malware-distribution malware-configuration",
    "information-gathering": "scanner sniffing social-engineering",
    "intrusion-attempts": "ids-alert brute-force exploit",
    "intrusions": "privileged-account-compromise unprivileged-account-compromise application-compromise "
    "system-compromise burglary",
    "availability": "dos ddos misconfiguration sabotage outage",
    "information-content-security": "unauthorised-information-access unauthorised-information-modification data-loss "
    "data-leak",
    "fraud": "unauthorised-use-of-resources copyright masquerade phishing",
    "vulnerable": "weak-crypto ddos-amplifier potentially-unwanted-accessible information-disclosure vulnerable-system",
    "other": "other undetermined",
    "test": "test",
}
RSIT = {name: set(types.split()) for name, types in RSIT.items()}


def json_time(milliseconds):
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=milliseconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03}Z".rjust(24, "0")


def json_form(fields):
    """The JSON form: fields whose name ends with `?` are left out when absent or empty."""
    shown = {}
    for name, value in fields.items():
        bare = name.rstrip("?")
        if bare == name or (value is not None and value != []):
            shown[bare] = value
    return shown


def extensions_json(r):
    return [{"tag": tag, "hex": data} for tag, data in r.extensions()]


def optional_time(r):
    time = r.optional(r.time)
    return None if time is None else json_time(time)


def read_incident(r):
    fields = {
        "subject": r.text(200),
        "class": r.code(),
        "type?": r.optional(r.code),
        "other_classifications?": r.list(lambda: {"scheme": r.code(), "code": r.code()}, 8),
        "severity": r.code(),
        "stage": r.code(),
        "suspected_malicious": r.code(),
        "cross_border": r.code(),
        "sectors?": r.list(r.code, 18),
    }
    started = r.optional(r.time)
    fields["started_at?"] = None if started is None else json_time(started)
    fields["detected_at?"] = optional_time(r)
    fields["aware_at?"] = optional_time(r)
    ended = r.optional(r.time)
    fields["ended_at?"] = None if ended is None else json_time(ended)

    def asset():
        return json_form(
            {"name": r.text(256), "kind": r.code(), "sector?": r.optional(r.code), "comment": r.text(256)}
        )

    fields |= {
        "assets?": r.list(asset, 64),
        "indicators?": r.list(lambda: {"kind": r.code(), "value": r.text(1024), "comment": r.text(256)}, 256),
        "expected_action": r.code(),
        "reply_by?": optional_time(r),
        "source_reliability": r.code(),
        "information_credibility": r.code(),
        "likelihood": r.code(),
        "intent": r.code(),
        "attribution?": r.optional(lambda: {"text": r.text(500), "confidence": r.code()}),
        "narrative": r.text(32_768),
        "language": r.text(35),
        "extensions?": extensions_json(r),
    }
    need(any(ord(c) not in WHITE_SPACE for c in fields["subject"]), "malformed")
    need(started is None or ended is None or started <= ended, "malformed")
    types, listed = RSIT.get(fields["class"]), set().union(*RSIT.values())
    need(types is None or fields["type?"] not in listed or fields["type?"] in types, "malformed")
    return json_form(fields)


def read_acknowledgement(r):
    fields = {
        "state": r.code(),
        "status?": r.optional(r.code),
        "justification?": r.optional(r.code),
        "until?": optional_time(r),
        "text": r.text(4000),
        "extensions?": extensions_json(r),
    }
    has_status = fields["status?"] is not None
    need(fields["state"] != "decided" or has_status, "malformed")
    need(fields["state"] not in ("seen", "acknowledged") or not has_status, "malformed")
    return json_form(fields)


def read_refusal(r):
    return json_form({"code": r.code(), "text": r.text(500), "extensions?": extensions_json(r)})


KINDS = {"incident": {1: read_incident}, "acknowledgement": {1: read_acknowledgement}, "refusal": {1: read_refusal}}


def body(data, kind, version):
    need(kind in KINDS, "unknown-kind")
    need(version in KINDS[kind], "unknown-version")
    return whole(data, KINDS[kind][version])


# --- 20 The vectors ------------------------------------------------------------------------------------------------------

TYPES = {
    "u8": lambda r: r.u8(),
    "u16": lambda r: r.u16(),
    "u32": lambda r: r.u32(),
    "u64": lambda r: r.u64(),
    "bytes(8)": lambda r: r.blob(8).hex(),
    "text(8)": lambda r: r.text(8),
    "list(u16, 4)": lambda r: r.list(r.u16, 4),
    "optional(u16)": lambda r: r.optional(r.u16),
    "node-id": lambda r: r.node_id(),
    "lane": lambda r: r.lane(),
    "seq": lambda r: r.seq(),
    "time": lambda r: r.time(),
    "code": lambda r: r.code(),
    "marks": lambda r: r.marks(),
    "extensions": lambda r: r.extensions(),
}


def codec(data, name):
    reader = Reader(data)
    value = TYPES[name](reader)
    reader.end()
    return value


def key(data):
    check_key(data)
    return {"key_id": key_id(data)}


def judge(inputs, data):
    """What the bytes say, or Refused."""
    check = inputs["check"]

    def raw(name):
        return bytes.fromhex(inputs[name])

    def ends():
        public = raw("key")
        check_key(public)
        return inputs["from"], inputs["to"], public

    if check == "codec":
        return codec(data, inputs["type"])
    if check == "key":
        return key(data)
    if check == "signature":
        check_key(raw("key"))
        check_signature(raw("key"), inputs["context"], raw("payload"), data)
        return {}
    if check == "header":
        return header(data)
    if check == "proof":
        return proof(data, leaf_hash(raw("header")), raw("key"))
    if check == "envelope":
        return envelope(data, *ends())
    if check == "receipt":
        return receipt(data, *ends())
    if check == "hello":
        return hello(data, *ends(), inputs["role"], raw("exporter"))
    if check == "card":
        return card(data)
    if check == "card-text":
        return card_text(data)
    if check == "frame":
        return frame(data)
    if check == "body":
        return body(data, inputs["kind"], int(inputs["kind-version"]))
    if check == "commitment":
        opened = sha256(raw("salt"), int(inputs["size"]).to_bytes(8, "big"), raw("root"))
        need(opened == data, "commitment")
        return {}
    if check == "phrase":
        check_key(raw("key"))
        stretched = spoken_phrase.stretched(inputs["id"], raw("key"))
        if stretched is None:
            raise Skipped("the package cryptography has Argon2id from version 44 on")
        need(stretched == data, "phrase")
        return {"words": spoken_phrase.words(data)}
    raise ValueError(f"no check `{check}`")


def read_vector(path):
    inputs = {}
    # The file's own line ends are kept, so that an armoured text is what it is.
    rest = path.read_bytes().decode("utf-8")
    while True:
        line, _, rest = rest.partition("\n")
        if line == "bytes:":
            return inputs, bytes.fromhex("".join(rest.split()))
        if line == "text:":
            return inputs, rest
        name, colon, value = line.partition(": ")
        if not colon:
            raise ValueError(f"a line that is none: {line!r}")
        inputs[name] = value


def check_file(path):
    """None if this program agrees with the vector, else in what it differs."""
    inputs, data = read_vector(path)
    try:
        shown, outcome = judge(inputs, data), "ok"
    except Refused as refused:
        shown, outcome = None, refused.args[0]
    if outcome != inputs["outcome"]:
        return f"{outcome}, where the vector says {inputs['outcome']} ({inputs['what']})"
    if outcome == "ok":
        expected = json.loads(inputs["shows"])
        if shown != expected:
            return f"shows {json.dumps(shown, sort_keys=True)}\nwhere the vector says {inputs['shows']}"
    return None


def main():
    default = Path(__file__).resolve().parent.parent / "vectors"
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    passed = failed = skipped = 0
    for path in sorted(directory.glob("*.txt")):
        try:
            difference = check_file(path)
        except Skipped as reason:
            skipped += 1
            print(f"{path.name}: skipped, {reason}")
            continue
        except Exception as error:  # a fault of this program or of the vector is a failure of that vector
            difference = f"{type(error).__name__}: {error}"
        if difference is None:
            passed += 1
        else:
            failed += 1
            print(f"{path.name}: {difference}")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
