#!/usr/bin/env python3
"""Checks evidence files with a second program.

Written from docs/evidence.md and docs/protocol.md alone. Needs Python 3.11 and the package `cryptography`; the standard
library does the rest.

    python3 tests/verifier/verify_evidence.py FILE...

Prints one JSON object a line, in the order of the files: the same verdict that `aldis-verify --json` prints, but for the
words about what does not verify. Exits with 6 if any file does not verify, with 2 if it cannot run.
"""

import json
import sys
from pathlib import Path

# Nothing is left beside the sources.
sys.dont_write_bytecode = True

from codec import (  # noqa: E402
    Refused,
    check_signature,
    check_signed_bytes,
    key_id,
    leaf_hash,
    need,
    root_of_path,
    sha256,
    split_signed,
)
from evidence_file import (  # noqa: E402
    Evidence,
    all_keys,
    id_of,
    read_checkpoint,
    read_pair,
    tlp,
    unpack,
)
from kinds import json_time  # noqa: E402
from verify_vectors import header as read_header  # noqa: E402
from verify_vectors import key_of_place, proof as check_proof  # noqa: E402


# --- What it proves ------------------------------------------------------------------------------------------------------


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
