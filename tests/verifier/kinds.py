"""The bodies of each kind: section 15 of docs/protocol.md."""

import base64
import re
import unicodedata
from datetime import datetime, timedelta, timezone

from cards import card
from codec import Refused, need, whole

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


MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+")


def read_attachment(r):
    file = {"digest": r.hex(32), "size": r.u64(), "name": r.text(255), "media_type": r.text(127)}
    need(1 <= file["size"] <= 1 << 32, "malformed")
    name = file["name"]
    need(any(ord(c) not in WHITE_SPACE for c in name) and name not in (".", ".."), "malformed")
    need(not any(c in "/\\" or unicodedata.category(c) == "Cc" for c in name), "malformed")
    need(MEDIA_TYPE.fullmatch(file["media_type"]), "malformed")
    return file


def read_incident_with_files(r):
    shown = read_incident(r)
    files = r.list(lambda: read_attachment(r), 16)
    need(files and len({file["digest"] for file in files}) == len(files), "malformed")
    return shown | {"attachments": files}


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


def read_carried_card(r):
    signed = r.blob(41_088)
    try:
        card(signed)
    except Refused:
        raise Refused("malformed") from None
    text = base64.b64encode(signed).decode()
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    armour = "\n".join(["-----BEGIN ALDIS CARD-----", *lines, "-----END ALDIS CARD-----", ""])
    return json_form({"card": armour, "extensions?": extensions_json(r)})


LABELS = {1: "TLP:RED", 2: "TLP:AMBER+STRICT", 3: "TLP:AMBER", 4: "TLP:GREEN", 5: "TLP:CLEAR"}


def read_agreement(r):
    fields = {
        "sequence": r.u64(),
        "kinds?": r.list(r.code, 64),
        "highest_tlp": LABELS.get(r.u16()),
        "flash_per_day": r.u32(),
        "messages_per_hour": r.u32(),
        "bytes_per_hour": r.u64(),
        "acknowledge_within_s": [r.u32() for _ in range(4)],
        "expires_at": json_time(r.time()),
        "extensions?": extensions_json(r),
    }
    need(len(set(fields["kinds?"])) == len(fields["kinds?"]), "malformed")
    need(fields["highest_tlp"] is not None, "malformed")
    need(all(fields[name] != 0 for name in ("sequence", "messages_per_hour", "bytes_per_hour")), "malformed")
    largest = [len(tag["hex"]) for tag in fields["extensions?"] if tag["tag"] == 1]
    need(largest in ([], [16]), "malformed")
    need(all(within <= 366 * 86_400 for within in fields["acknowledge_within_s"]), "malformed")
    return json_form(fields)


def read_ladder_step(r):
    fields = {
        "cause": r.code(),
        "step": r.u8(),
        "of": r.u8(),
        "name": r.text(64),
        "outcome": r.code(),
        "reached": r.u16(),
        "at": json_time(r.time()),
        "next_within_s": r.u32(),
        "extensions?": extensions_json(r),
    }
    need(fields["of"] <= 16, "malformed")
    need(fields["step"] <= fields["of"], "malformed")
    need(1 <= fields["next_within_s"] <= 366 * 86_400, "malformed")
    return json_form(fields)


def read_hotline(r):
    fields = {"subject": r.text(200), "text": r.text(1000), "extensions?": extensions_json(r)}
    need(any(ord(c) not in WHITE_SPACE for c in fields["subject"]), "malformed")
    return json_form(fields)


def read_hotline_line(r):
    def summary():
        return {
            "opened_at": json_time(r.time()),
            "closed_at": json_time(r.time()),
            "lines": [r.u32(), r.u32()],
            "reason": r.code(),
        }

    fields = {
        "part": r.code(),
        "text": r.text(4000),
        "through": r.u64(),
        "summary?": r.optional(summary),
        "extensions?": extensions_json(r),
    }
    part, through = fields["part"], fields["through"]
    if part in ("line", "read", "joined", "left", "closed"):
        need(part != "line" or fields["text"] != "", "malformed")
        need(1 <= through < 1 << 63 if part == "read" else through == 0, "malformed")
        need((part == "closed") == (fields["summary?"] is not None), "malformed")
    return json_form(fields)


def read_comm_check(r):
    def reply():
        return {name: json_time(r.time()) for name in ("received_at", "clock", "certificate_valid_until")}

    fields = {
        "part": r.code(),
        "text": r.text(200),
        "reply?": r.optional(reply),
        "extensions?": extensions_json(r),
    }
    has_reply = fields["reply?"] is not None
    need(fields["part"] != "reply" or has_reply, "malformed")
    need(fields["part"] not in ("machine", "human", "wake") or not has_reply, "malformed")
    return json_form(fields)


def read_recall(r):
    return json_form({"reason": r.code(), "text": r.text(1000), "extensions?": extensions_json(r)})


def read_tombstone(r):
    fields = {
        "erased_at": json_time(r.time()),
        "reached": r.code(),
        "exported": r.flag(),
        "text": r.text(1000),
        "extensions?": extensions_json(r),
    }
    return json_form(fields)


KINDS = {
    "incident": {1: read_incident, 2: read_incident_with_files},
    "acknowledgement": {1: read_acknowledgement},
    "refusal": {1: read_refusal},
    "card": {1: read_carried_card},
    "key-rotation": {1: read_carried_card},
    "agreement": {1: read_agreement},
    "ladder-step": {1: read_ladder_step},
    "hotline": {1: read_hotline},
    "hotline-line": {1: read_hotline_line},
    "comm-check": {1: read_comm_check},
    "recall": {1: read_recall},
    "tombstone": {1: read_tombstone},
}


def body(data, kind, version):
    need(kind in KINDS, "unknown-kind")
    need(version in KINDS[kind], "unknown-version")
    return whole(data, KINDS[kind][version])
