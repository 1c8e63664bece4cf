"""Encoding, plain types, hashes and signatures: sections 1 to 3 of docs/protocol.md."""

import hashlib
import sys

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError as missing:
    print(f"{missing}: install the package python3-cryptography", file=sys.stderr)
    sys.exit(2)


class Refused(Exception):
    """The bytes are not good; the argument is the outcome's word."""


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

    def flag(self):
        there = self.u8()
        need(there in (0, 1), "malformed")
        return there == 1

    def optional(self, read):
        return read() if self.flag() else None

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
    check_signed_bytes(key, context.encode() + b"\0" + payload, signature)


def check_signed_bytes(key, signed, signature):
    r, s = signature[:32], signature[32:]
    need(int.from_bytes(s, "little") < L, "signature")
    need(is_canonical_point(r) and r not in SMALL_ORDER, "signature")
    try:
        # Without the cofactor: the library compares the bytes of R.
        Ed25519PublicKey.from_public_bytes(key).verify(signature, signed)
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
