"""The evidence file: its zip, its names and its entries, as docs/evidence.md has them."""

import base64
import io
import json
import re
import zipfile
import zlib
from datetime import datetime, timezone

from cards import card as read_card
from codec import Refused, check_key, is_node_id, need, sha256, split_signed, whole
from kinds import json_time
from verify_vectors import header as read_header
from verify_vectors import read_proof, read_receipt

README_SHA256 = "20e1eb3885b109e7173bd6c21fb082735b6e91d8ae7c3ba4ac9d80dd88845423"
FORMAT = "aldis-evidence-1"
LANES = "FIPR"
FILE_MAX = 256 * 1024 * 1024
ENTRIES_MAX = 40_000


# --- The zip: one way to write it ----------------------------------------------------------------------------------------


def described(name, data):
    length = len(data).to_bytes(4, "little")
    fixed = bytes([10, 0, 0, 0, 0, 0, 0, 0, 0x21, 0])
    return fixed + zlib.crc32(data).to_bytes(4, "little") + length + length + len(name).to_bytes(2, "little") + bytes(2)


def pack(entries):
    file, directory = bytearray(), bytearray()
    for name in sorted(entries):
        data, encoded = entries[name], name.encode()
        directory += b"PK\1\2" + bytes([10, 3]) + described(encoded, data) + bytes(6)
        directory += (0o100600 << 16).to_bytes(4, "little") + len(file).to_bytes(4, "little") + encoded
        file += b"PK\3\4" + described(encoded, data) + encoded + data
    count = len(entries).to_bytes(2, "little")
    end = b"PK\5\6" + bytes(4) + count + count + len(directory).to_bytes(4, "little") + len(file).to_bytes(4, "little")
    return bytes(file + directory + end + bytes(2))


def unpack(file):
    need(len(file) <= FILE_MAX, "too-long")
    try:
        with zipfile.ZipFile(io.BytesIO(file)) as archive:
            infos = archive.infolist()
            need(len(infos) <= ENTRIES_MAX, "too-many")
            need(all(info.compress_type == zipfile.ZIP_STORED and info.flag_bits == 0 for info in infos), "not-as-written")
            entries = {info.filename: archive.read(info) for info in infos}
    except Refused:
        raise
    except Exception:  # whatever the library says about a file that is no zip
        raise Refused("not-as-written") from None
    try:
        need(pack(entries) == file, "not-as-written")
    except (OverflowError, UnicodeError):
        raise Refused("not-as-written") from None
    return entries


# --- Names ---------------------------------------------------------------------------------------------------------------

NODE = r"([a-z0-9.-]+)"
PLACE = NODE + "/" + NODE + "/([FIPR])/([1-9][0-9]*)"
NAMES = {
    "readme": r"README\.txt",
    "index": r"index\.json",
    "timeline": r"timeline\.txt",
    "checkpoint": "openings/checkpoint",
    "card": f"cards/{NODE}/(0|[1-9][0-9]*)",
    "keys": rf"keys/{NODE}/{NODE}\.txt",
    "envelope": rf"envelopes/{PLACE}\.(header|proof|body)",
    "link": rf"links/{PLACE}\.header",
    "receipt": f"receipts/{NODE}/{NODE}/([^/]*)",
    "record": f"openings/records/{PLACE}",
    "witness": "openings/witnesses/([^/]*)",
    "contradiction": rf"contradictions/{PLACE}/([12])\.(header|proof|body)",
}
NAMES = {sort: re.compile(pattern) for sort, pattern in NAMES.items()}


def parse_name(name):
    need(len(name) <= 200, "name")
    for sort, pattern in NAMES.items():
        found = pattern.fullmatch(name)
        if found:
            groups = found.groups()
            nodes = 2 if len(groups) >= 4 else {"card": 1, "keys": 2, "receipt": 2}.get(sort, 0)
            need(all(is_node_id(node) for node in groups[:nodes]), "name")
            if len(groups) >= 4:
                need(int(groups[3]) < 1 << 63, "name")
                place = (groups[0], groups[1], LANES.index(groups[2]), int(groups[3]))
                return sort, place, *groups[4:]
            if sort == "card":
                need(int(groups[1]) < 1 << 64, "name")
            return sort, *groups
    raise Refused("name")


def entry_of(place):
    return f"{place[0]}/{place[1]}/{LANES[place[2]]}/{place[3]}"


def id_of(place):
    return f"{place[0]}/{place[1]}/{LANES[place[2]]}{place[3]}"


# --- Entries -------------------------------------------------------------------------------------------------------------


def read_keys(data):
    try:
        lines = data.decode("ascii").split("\n")
    except UnicodeError:
        raise Refused("keys") from None
    need(2 <= len(lines) <= 258 and lines[-1] == "", "keys")
    ended = []
    for line in lines[:-2]:
        found = re.fullmatch(r"([0-9a-f]{64}) until F(\d{1,20}) I(\d{1,20}) P(\d{1,20}) R(\d{1,20})", line)
        need(found, "keys")
        last = [int(number) for number in found.groups()[1:]]
        need(all(number < 1 << 64 for number in last), "keys")
        need(all(str(number) == text for number, text in zip(last, found.groups()[1:])), "keys")
        ended.append((bytes.fromhex(found[1]), last))
    found = re.fullmatch(r"([0-9a-f]{64}) in force", lines[-2])
    need(found, "keys")
    current = bytes.fromhex(found[1])
    for key in [key for key, _ in ended] + [current]:
        check_key(key)
    return ended, current


def all_keys(ring):
    return [key for key, _ in ring[0]] + [ring[1]]


def read_record_opening(r):
    return {"index": r.u64(), "nonce": r.fixed(16), "record": r.blob(16_384), "path": r.list(lambda: r.fixed(32), 64)}


def read_commitment_opening(r):
    return {"salt": r.fixed(16), "size": r.u64(), "root": r.fixed(32), "path": r.list(lambda: r.fixed(32), 128)}


CHECKPOINT = re.compile(
    "(aldis/([a-z0-9.-]+)\n(0|[1-9][0-9]*)\n([A-Za-z0-9+/=]{44})\nevidence ([0-9a-f]{64})\n)"
    "\n\u2014 aldis/([a-z0-9.-]+) ([A-Za-z0-9+/=]+)\n"
)


def strict_base64(text):
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise Refused("checkpoint") from None
    need(base64.b64encode(data).decode() == text, "checkpoint")
    return data


def read_checkpoint(data):
    need(len(data) <= 1024, "checkpoint")
    try:
        found = CHECKPOINT.fullmatch(data.decode())
    except UnicodeError:
        raise Refused("checkpoint") from None
    need(found, "checkpoint")
    text, node, size, root, made_for, signer, signed = found.groups()
    signed = strict_base64(signed)
    need(node == signer and is_node_id(node) and int(size) < 1 << 64 and len(signed) == 68, "checkpoint")
    return {
        "text": text.encode(),
        "node": node,
        "size": int(size),
        "root": strict_base64(root),
        "made_for": made_for,
        "note_key": signed[:4],
        "signature": signed[4:],
    }


# --- The whole file ------------------------------------------------------------------------------------------------------


class Evidence:
    """Everything in a file, read but not yet held against keys."""

    def __init__(self, entries):
        self.entries = entries
        self.cards, self.keys, self.headers, self.proofs, self.bodies = {}, {}, {}, {}, {}
        self.links, self.receipts, self.records, self.witnesses, self.contradictions = {}, {}, {}, {}, {}
        for name in sorted(entries):
            self.add(parse_name(name), entries[name])
        need(set(self.headers) == set(self.proofs) and set(self.bodies) <= set(self.headers), "parts")
        for sides in self.contradictions.values():
            need(set(sides) == {("1", "header"), ("1", "proof"), ("2", "header"), ("2", "proof")}, "parts")
        for place, sides in self.contradictions.items():
            read_pair(sides, place)

    def add(self, name, data):
        sort, rest = name[0], name[1:]
        if sort == "card":
            found = read_card(data)
            need([found["id"], str(found["sequence"])] == list(rest), "card")
            self.cards[rest[0], int(rest[1])] = found
        elif sort == "keys":
            self.keys[rest] = read_keys(data)
        elif sort == "envelope":
            place, part = rest
            if part == "header":
                self.headers[place] = read_placed(data, place)
            elif part == "proof":
                self.proofs[place] = data
                whole(data, read_proof)
            else:
                need(16 <= len(data) <= 16 + 49_152, "body")
                self.bodies[place] = data
        elif sort == "link":
            self.links[rest[0]] = read_placed(data, rest[0])
        elif sort == "receipt":
            inner, _ = split_signed(data, 16_384)
            found = whole(inner, read_receipt)
            need((found["from"], found["to"], sha256(data).hex()[:16]) == rest, "receipt")
            self.receipts[rest] = found
        elif sort == "record":
            self.records[rest[0]] = whole(data, read_record_opening)
        elif sort == "witness":
            self.witnesses[rest[0]] = whole(data, read_commitment_opening)
        elif sort == "contradiction":
            place, side, part = rest
            need(part != "body", "name")
            if part == "proof":
                whole(data, read_proof)
            self.contradictions.setdefault(place, {})[side, part] = data
        elif sort == "readme":
            need(sha256(data).hex() == README_SHA256, "readme")

    def read_index(self):
        data = self.entries["index.json"]
        try:
            index = json.loads(data)
        except (ValueError, RecursionError):
            raise Refused("index") from None
        listed = {name: data for name, data in self.entries.items() if name not in ("index.json", "openings/checkpoint")}
        need(isinstance(index, dict) and {"README.txt", "timeline.txt"} <= set(listed), "index")
        exporter, at, program = (index.get(name) for name in ("exporter", "exported_at", "program"))
        need(all(isinstance(value, str) for value in (exporter, at, program)), "index")
        need(is_node_id(exporter) and re.fullmatch("[A-Za-z0-9 +._-]{0,64}", program), "index")
        self.exporter, self.exported_at = exporter, parse_time(at)
        expected = {
            "format": FORMAT,
            "exporter": exporter,
            "exported_at": at,
            "program": program,
            "messages": [
                {"id": id_of(place), "body": "given" if place in self.bodies else "withheld"}
                for place in sorted(self.headers)
            ],
            "files": [{"name": name, "sha256": sha256(data).hex()} for name, data in sorted(listed.items())],
        }
        need(data == (json.dumps(expected, indent=2, ensure_ascii=False) + "\n").encode(), "index")

    def timeline(self):
        lines = [(self.exported_at, f"{self.exporter} made this file")]
        for place, header in self.headers.items():
            line = f"{place[0]} signed {id_of(place)}: {header['kind']}, {tlp(header['tlp'])}"
            line += ", an exercise" if header["exercise"] is not None else ""
            for role, named, _ in header["references"]:
                words = {1: "answers", 2: "supersedes", 3: "relates to", 4: "recalls"}.get(role, "names")
                line += f", {words} {named}"
            lines.append((header["sent_at"], line))
        for (signer, sender, _), said in self.receipts.items():
            places = ", ".join(f"{LANES[lane]} up to {seq}" for lane, seq, _ in said["stored"])
            lines.append((said["stored_at"], f"{signer} has on its disk from {sender}: {places or 'nothing'}"))
        head = "Each time is of the clock of the node that is named first.\n\n"
        return head + "".join(f"{json_time(at)}  {line}\n" for at, line in sorted(lines))


def read_placed(data, place):
    found = read_header(data)
    need((found["from"], found["to"], found["lane"], found["seq"]) == place, "place")
    found["bytes"] = data
    return found


def read_pair(sides, place):
    """Two headers for one place, or one and the next."""
    one, two = (sides[side, "header"] for side in "12")
    seq = read_header(two)["seq"]
    need(seq in (place[3], place[3] + 1), "place")
    return read_placed(one, place), read_placed(two, (*place[:3], seq))


def tlp(code):
    names = {1: "RED", 2: "AMBER+STRICT", 3: "AMBER", 4: "GREEN", 5: "CLEAR"}
    return f"TLP:{names[code]}" if code in names else f"TLP:RED (unknown label {code})"


def parse_time(text):
    found = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{3})Z", text)
    need(found, "index")
    try:
        moment = datetime(*(int(number) for number in found.groups()[:6]), tzinfo=timezone.utc)
    except ValueError:
        raise Refused("index") from None
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    milliseconds = int((moment - epoch).total_seconds()) * 1000 + int(found[7])
    need(0 <= milliseconds <= 253_402_128_000_000 and json_time(milliseconds) == text, "index")
    return milliseconds
