#!/usr/bin/env python3
"""Checks every test vector of the Aldis protocol with a second program.

Written from docs/protocol.md alone, so that the specification is proven and not only the node. Section numbers here and
in the files beside it are that document's. Needs Python 3.11 and the package `cryptography`; the standard library does
the rest. Spoken phrases need that package at version 44 or later and are skipped without it.

    python3 tests/verifier/verify_vectors.py [DIRECTORY]

Prints each disagreement and the count; exits with 1 if there is any, with 2 if it cannot run.
"""

import base64
import json
import sys
from pathlib import Path

# Nothing is left beside the sources.
sys.dont_write_bytecode = True

from cards import card, card_text  # noqa: E402
from codec import (  # noqa: E402
    Reader,
    Refused,
    ascending,
    check_key,
    check_signature,
    key_id,
    leaf_hash,
    message_id,
    need,
    root_of_path,
    sha256,
    split_signed,
    whole,
)
from kinds import body  # noqa: E402

import spoken_phrase  # noqa: E402


class Skipped(Exception):
    """The check cannot be made here; the argument is why."""


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


def acknowledge_within(extensions):
    """What extension 1 wants; nothing unless it is a number from 1 second to a year."""
    for tag, data in extensions:
        if tag == 1:
            try:
                within = whole(bytes.fromhex(data), Reader.u32)
            except Refused:
                return None
            return within if 1 <= within <= 366 * 86_400 else None
    return None


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
    h["acknowledge_within_s"] = acknowledge_within(h["extensions"])
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


def key_of_place(lane, seq, ended, current):
    """The key that must have signed a place: the first whose last place is not before it."""
    return next((key for key, last in ended if seq <= last[lane]), current)


def envelope(data, sender, recipient, current, ended=()):
    # The header's own bound is checked with the header, so that it has its own word.
    def parts(r):
        return r.blob(65_536), r.u16(), r.fixed(16), r.blob(49_152), r.blob(1024)

    header_bytes, withheld, salt, body, proof_bytes = whole(data, parts)
    if withheld:
        need(salt == bytes(16) and body == b"", "malformed")
    h = header(header_bytes)
    need(h["from"] == sender and h["to"] == recipient, "misrouted")
    key = key_of_place(h["lane"], h["seq"], ended, current)
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


# --- 7 The receipt, 8 the Hello ------------------------------------------------------------------------------------------


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


def witness(extensions):
    for tag, data in extensions:
        if tag == 1:
            need(len(data) == 2 * 32, "malformed")
            return None if data == "00" * 32 else data
    return None


def receipt(data, sender, recipient, key):
    inner, signature = split_signed(data, 16_384)
    check_signature(key, "aldis/v1/receipt", inner, signature)
    found = whole(inner, read_receipt)
    found["witness"] = witness(found["extensions"])
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
    for tag, extension in found["extensions"]:
        if tag == 1:
            whole(bytes.fromhex(extension), lambda r: (r.fixed(16), [r.u64() for _ in range(4)]))
        if tag == 2:
            whole(bytes.fromhex(extension), lambda r: r.marks())
    need(1 in found["versions"], "no-common-version")
    return found


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
        lambda r: {"attachment": r.hex(32), "offset": r.u64(), "bytes": r.blob(61_440).hex()},
    ),
    ("want", lambda r: {"attachment": r.hex(32), "offset": r.u64(), "bytes": r.u32()}),
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


def ended_keys(text):
    """The ended keys of section 13, oldest first, each with its last place per lane."""
    ended = [one.split(" ") for one in text.split("; ") if one]
    return [(bytes.fromhex(key), [int(last) for last in places]) for key, *places in ended]


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
        return envelope(data, *ends(), ended_keys(inputs.get("ended", "")))
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
