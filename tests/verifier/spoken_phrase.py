"""The spoken phrase, section 21 of docs/protocol.md, with the lists as they stand there."""

from pathlib import Path

try:
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
except ImportError:  # before version 44
    Argon2id = None


def stretched(node, key):
    """The ten bytes of a node's phrase, or None where this machine has no argon2id."""
    if Argon2id is None:
        return None
    # An id has at most 63 bytes, so its length is one byte.
    password = b"aldis/v1/phrase\0" + bytes([len(node)]) + node.encode() + key
    return Argon2id(salt=b"aldis/v1/phrase-salt", length=10, iterations=3, lanes=1, memory_cost=65536).derive(password)


def words(data):
    """The words that such bytes are read out as."""
    document = Path(__file__).resolve().parent.parent.parent / "docs" / "protocol.md"
    section = document.read_text("utf-8").partition("\n## 21 ")[2]
    rows = [line.split() for line in section.splitlines() if line.startswith("    ")]
    rows = [row for row in rows if len(row) == 12 and len(row[0]) == 2]
    table = {int(row[at], 16): row[at + 1 : at + 3] for row in rows for at in range(0, 12, 3)}
    return [table[byte][place % 2] for place, byte in enumerate(data)]
