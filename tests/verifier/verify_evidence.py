#!/usr/bin/env python3
"""Checks evidence files with a second program.

Written from docs/evidence.md and docs/protocol.md alone. Needs Python 3.11 and the package `cryptography`; the standard
library does the rest.

    python3 tests/verifier/verify_evidence.py FILE...

Prints one JSON object a line, in the order of the files: the same verdict that `aldis-verify --json` prints, but for the
words about what does not verify. Exits with 6 if any file does not verify, with 2 if it cannot run.
"""

import base64
import io
import json
import re
import sys
import zipfile
import zlib
from datetime import datetime, timezone
from pathlib import Path

# Nothing is left beside the sources.
sys.dont_write_bytecode = True

from cards import card as read_card  # noqa: E402
from codec import (  # noqa: E402
    Refused,
    check_key,
    check_signature,
    check_signed_bytes,
    is_node_id,
    key_id,
    leaf_hash,
    need,
    root_of_path,
    sha256,
    split_signed,
    whole,
)
from kinds import json_time  # noqa: E402
from verify_vectors import header as read_header  # noqa: E402
from verify_vectors import key_of_place, proof as check_proof, read_proof, read_receipt  # noqa: E402

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


def is_consistent(first, first_root, second, second_root, path):
    """RFC 9162, section 2.1.4.2."""
    if first == 0 or first > second:
        return False
    if first == second:
        return path == [] and first_root == second_root
    if first & (first - 1) == 0:
        path = [first_root] + path
    if not path:
        return False
    fn, sn = first - 1, second - 1
    while fn % 2 == 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            return False
        if fn % 2 == 1 or fn == sn:
            fr, sr = sha256(b"\1", c, fr), sha256(b"\1", c, sr)
            while fn % 2 == 0 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = sha256(b"\1", sr, c)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == first_root and sr == second_root


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


# --- What it proves ------------------------------------------------------------------------------------------------------


class Judge:
    def __init__(self, evidence):
        self.evidence = evidence

    def facts(self):
        e = self.evidence
        checkpoint, signer = self.checkpoint()
        self.check_keys(signer)
        for place, header in e.headers.items():
            self.check_signed(header, e.proofs[place])
            if place in e.bodies:
                body = e.bodies[place]
                need(len(body) - 16 == header["body_length"], "body")
                need(sha256(body).hex() == header["body_commitment"], "body")
        for (signer_id, sender, digest), said in e.receipts.items():
            self.check_receipt(signer_id, sender, digest, said)
        for place, sides in e.contradictions.items():
            pair = read_pair(sides, place)
            for side, header in zip("12", pair):
                self.check_signed(header, sides[side, "proof"])
            if pair[0]["seq"] == pair[1]["seq"]:
                need(pair[0]["digest"] < pair[1]["digest"], "contradiction")
            else:
                need(pair[1]["previous"] != pair[0]["digest"], "contradiction")
        for place, opening in e.records.items():
            self.check_record(place, opening, checkpoint)
        for digest, opening in e.witnesses.items():
            self.check_witness(digest, opening, checkpoint)
        covers, named, witnesses = self.covers(), self.named(), self.witness_facts()
        return {
            "exporter": e.exporter,
            "exported_at": json_time(e.exported_at),
            "checkpoint": {"size": checkpoint["size"], "root": checkpoint["root"].hex(), "key": signer},
            "keys": self.key_facts(),
            "messages": [
                self.message(place, covers, named, witnesses) for place in sorted(e.headers)
            ],
            "contradictions": [self.contradiction(place) for place in sorted(e.contradictions)],
        }

    def checkpoint(self):
        e = self.evidence
        need("index.json" in e.entries and "openings/checkpoint" in e.entries, "missing")
        e.read_index()
        need(e.entries["timeline.txt"] == e.timeline().encode(), "timeline")
        found = read_checkpoint(e.entries["openings/checkpoint"])
        need(found["node"] == e.exporter, "checkpoint")
        need(found["made_for"] == sha256(e.entries["index.json"]).hex(), "checkpoint")
        for (node, _), card in sorted(e.cards.items()):
            key = bytes.fromhex(card["identity_key"])
            note_key = sha256(f"aldis/{node}\n".encode(), b"\1", key)[:4]
            if node == e.exporter and note_key == found["note_key"]:
                try:
                    check_signed_bytes(key, found["text"], found["signature"])
                    return found, key_id(key)
                except Refused:
                    continue
        raise Refused("checkpoint")

    def check_keys(self, signer):
        e = self.evidence
        used = {(e.exporter, signer)}
        on_cards = {(node, card["identity_key"]) for (node, _), card in e.cards.items()}
        for (sender, recipient), ring in e.keys.items():
            need(sender != recipient and e.exporter in (sender, recipient), "keys")
            for key in all_keys(ring):
                used.add((sender, key_id(key)))
                need((sender, key.hex()) in on_cards, "keys")
        for (node, _), card in e.cards.items():
            need((node, card["key_id"]) in used, "card")

    def check_signed(self, header, proof):
        ring = self.evidence.keys.get((header["from"], header["to"]))
        need(ring, "keys")
        key = key_of_place(header["lane"], header["seq"], *ring)
        need(header["key_id"] == key_id(key), "unknown-key")
        check_proof(proof, leaf_hash(header["bytes"]), key)

    def check_receipt(self, signer, sender, digest, said):
        ring = self.evidence.keys.get((signer, sender))
        need(ring, "keys")
        key = next((key for key in all_keys(ring) if key_id(key) == said["key_id"]), None)
        need(key, "unknown-key")
        inner, signature = split_signed(self.evidence.entries[f"receipts/{signer}/{sender}/{digest}"], 16_384)
        check_signature(key, "aldis/v1/receipt", inner, signature)
        need(said["version"] == 1 and said["incarnation"] != 0, "not-ours")
        need(all(tag != 1 or len(data) == 64 for tag, data in said["extensions"]), "witness")

    def check_record(self, place, opening, checkpoint):
        header = self.evidence.headers.get(place)
        need(header, "record")
        sort = 3 if place[0] == self.evidence.exporter else 4
        length = len(header["bytes"])
        length = bytes([length]) if length < 251 else b"\xfb" + length.to_bytes(2, "big")
        need(opening["record"].startswith(bytes([sort]) + length + header["bytes"]), "record")
        leaf = sha256(b"\0", opening["nonce"], opening["record"])
        found = root_of_path(leaf, opening["index"], checkpoint["size"], opening["path"])
        need(found == checkpoint["root"], "record")

    def check_witness(self, digest, opening, checkpoint):
        e = self.evidence
        named = [
            bytes.fromhex(data)
            for (_, to, name), said in sorted(e.receipts.items())
            if to == e.exporter and name == digest
            for tag, data in said["extensions"]
            if tag == 1
        ]
        opened = sha256(opening["salt"], opening["size"].to_bytes(8, "big"), opening["root"])
        need(named[:1] == [opened], "witness")
        need(
            is_consistent(opening["size"], opening["root"], checkpoint["size"], checkpoint["root"], opening["path"]),
            "witness",
        )

    def covers(self):
        """By place, the receipt that names it or a place above it to which headers in the file lead."""
        e, covers, marks = self.evidence, {}, []
        for (signer, sender, digest), said in e.receipts.items():
            file = f"receipts/{signer}/{sender}/{digest}"
            for lane, seq, header_digest in said["stored"]:
                marks.append((seq, said["stored_at"], file, (sender, signer, lane), header_digest, said))
        for seq, _, file, stream, expected, said in sorted(marks, key=lambda mark: mark[:4]):
            links = 0
            while seq > 0:
                place = (*stream, seq)
                header = e.headers.get(place) or e.links.get(place)
                if header is None:
                    break
                need(header["digest"] == expected, "contradiction")
                if place in covers:
                    break
                covers[place] = {
                    "file": file,
                    "key": said["key_id"],
                    "stored_at": json_time(said["stored_at"]),
                    "links": links,
                }
                seq, expected, links = seq - 1, header["previous"], links + 1
        return covers

    def named(self):
        e, named = self.evidence, {}
        by_id = {id_of(place): place for place in e.headers}
        for place in sorted(e.headers):
            header = e.headers[place]
            pointers = {(other, digest) for _, other, digest in header["references"]}
            if header["received"] is not None:
                lane, seq, digest = header["received"]
                pointers.add((id_of((place[1], place[0], lane, seq)), digest))
            for other, digest in pointers:
                known = by_id.get(other)
                if known and known[:2] == (place[1], place[0]) and e.headers[known]["digest"] == digest:
                    fact = {"id": id_of(place), "kind": header["kind"], "sent_at": json_time(header["sent_at"])}
                    named.setdefault(known, []).append(fact)
        return named

    def witness_facts(self):
        e, facts = self.evidence, []
        for (signer, sender, digest), said in e.receipts.items():
            if digest in e.witnesses:
                file = f"receipts/{signer}/{sender}/{digest}"
                facts.append((said["stored_at"], file, e.witnesses[digest]["size"]))
        return sorted(facts)

    def key_facts(self):
        facts = []
        for (node, _), card in sorted(self.evidence.cards.items()):
            fact = {"node": node, "key": card["key_id"], "fingerprint": card["fingerprint"].replace(" ", "")}
            if fact not in facts:
                facts.append(fact)
        return facts

    def message(self, place, covers, named, witnesses):
        e, header = self.evidence, self.evidence.headers[place]
        record = e.records[place]["index"] if place in e.records else None
        witness = None
        if record is not None:
            for at, file, size in witnesses:
                if size > record:
                    witness = {"file": file, "stored_at": json_time(at), "size": size}
                    break
        return {
            "id": id_of(place),
            "digest": header["digest"],
            "key": header["key_id"],
            "sent_at": json_time(header["sent_at"]),
            "kind": header["kind"],
            "tlp": tlp(header["tlp"]),
            "body": "given" if place in e.bodies else "withheld",
            "receipt": covers.get(place),
            "named_by": named.get(place, []),
            "record": record,
            "witness": witness,
        }

    def contradiction(self, place):
        sides = self.evidence.contradictions[place]
        one, two = (read_header(sides[side, "header"])["incarnation"] for side in "12")
        return {"id": id_of(place), "how": "equivocation" if one == two else "restored"}


def judge(file):
    try:
        return {"verdict": "good", "facts": Judge(Evidence(unpack(file))).facts()}
    except Refused as refused:
        return {"verdict": "bad", "problems": [refused.args[0]]}


def main():
    if len(sys.argv) < 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    is_good = True
    for path in sys.argv[1:]:
        verdict = judge(Path(path).read_bytes())
        is_good &= verdict["verdict"] == "good"
        print(json.dumps(verdict))
    return 0 if is_good else 6


if __name__ == "__main__":
    sys.exit(main())
