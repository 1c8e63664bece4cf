//! What administrators see, to the letter, at 80 columns and without colour.

use aldis_control::{OwnKeys, PeerAct, PeerActResponse, PeerPhrases, PeerView, PendingRequest};
use serde_json::{Value, json};

use super::golden_tests::{PAGE, assert_fits, assert_shown, merge, summary};
use super::*;

const OURS: &str = "
   1-5  TISSUE      DISRUPTIVE  SNAPSHOT    VAGABOND    TEMPEST

  6-10  HIDEAWAY    AIMLESS     ATMOSPHERE  AHEAD       APPLICANT

";

const THEIRS: &str = "
   1-5  ABSURD      ADVISER     AARDVARK    BODYGUARD   ACME

  6-10  BOOKSELLER  ADRIFT      BOTTOMLESS  ADULT       BRADBURY

";

const CALL: &str = "\
They must type them at their node. Call a number that you had before the card
came, and speak with somebody you know.

";

fn words(changes: Value) -> PeerPhrases {
    let mut fields = json!({
        "id": "cert.cl",
        "ours": "tissue disruptive snapshot vagabond tempest\nhideaway aimless atmosphere ahead applicant",
        "theirs": "absurd adviser aardvark bodyguard acme\nbookseller adrift bottomless adult bradbury",
        "key": "mfrggzdfmztwq2lk", "is_next_key": false, "is_vouched": false,
    });
    merge(&mut fields, changes);
    serde_json::from_value(fields).unwrap()
}

fn pending(changes: Value) -> PendingRequest {
    let mut fields = json!({
        "request": 12, "act": "verify", "peer": "cert.cl", "key": "mfrggzdfmztwq2lk", "by": "ana (uid 1001)",
        "why": "called Rui on the number from last year's list", "at": "2026-11-22T02:00:00.000Z",
        "expires_at": "2026-11-23T02:00:00.000Z",
    });
    merge(&mut fields, changes);
    serde_json::from_value(fields).unwrap()
}

fn own_keys(changes: Value) -> OwnKeys {
    let mut fields = json!({
        "identities": [{ "key": "newkey", "signs_for": [] }, { "key": "oldkey", "signs_for": ["cert.cl", "cert.ar"] }],
        "tls_certificate": "ab".repeat(32), "tls_valid_until": "2029-11-22T00:00:00.000Z", "tls_successor_waits": true,
        "card_valid_until": "2027-11-22T00:00:00.000Z", "card_is_known": false,
    });
    merge(&mut fields, changes);
    serde_json::from_value(fields).unwrap()
}

fn response(state: &str, request: Option<u64>) -> PeerActResponse {
    PeerActResponse { peer: summary(json!({ "state": state })), request }
}

#[test]
fn words_to_read_out_stand_large_and_five_to_a_line() {
    let expected = format!("OUR words. Read them to the administrator of cert.cl:\n{OURS}{CALL}");
    assert_shown(&words_to_read_out(&words(json!({})), PAGE), &expected);
}

#[test]
fn both_phrases_are_shown_with_the_key() {
    let expected = format!(
        "OUR words, which the administrator of cert.cl types:\n{OURS}\
         THEIR words, which the administrator of cert.cl reads out:\n{THEIRS}\
         Their key     mfrggzdfmztwq2lk\n"
    );
    assert_shown(&phrases(&words(json!({})), PAGE), &expected);
}

#[test]
fn the_words_for_a_key_that_nobody_vouches_for_must_come_from_the_telephone() {
    let expected = format!(
        "\
Next key      mfrggzdfmztwq2lk
Vouched for   by NOBODY: the card was brought by hand. Only the voice of
              somebody you know can tell whose key it is
OUR words. Read them to the administrator of cert.cl:
{OURS}{CALL}"
    );
    assert_shown(&next_key(&words(json!({ "is_next_key": true })), PAGE), &expected);
    let vouched = next_key(&words(json!({ "is_next_key": true, "is_vouched": true })), PAGE);
    assert_fits(&vouched);
    assert!(vouched.contains("ABSURD") && vouched.contains("by the key before"), "{vouched}");
}

#[test]
fn requests_stand_in_a_table() {
    let expected = "\
REQUEST  ACT         PEER     BY              RUNS OUT  WHY
     12  verify      cert.cl  ana (uid 1001)  in 23h    called Rui on the numbe…
    345  accept-key  cert.cl  ana (uid 1001)  in 23h    called Rui on the numbe…
Another Unix user looks and decides with: aldis approve REQUEST
";
    let waiting = [pending(json!({})), pending(json!({ "request": 345, "act": "accept-key" }))];
    assert_shown(&requests(&waiting, PAGE), expected);
    assert_shown(&requests(&[], PAGE), "Nothing waits for a second administrator.\n");
}

#[test]
fn a_request_is_shown_with_the_words_of_its_key_only() {
    let expected = format!(
        "\
Request 12: verify cert.cl
Asked by      ana (uid 1001)
Why           called Rui on the number from last year's list
At            2026-11-22 02:00:00Z (1h ago)
Until         2026-11-23 02:00:00Z (in 23h)
Key           mfrggzdfmztwq2lk

THEIR words; compare them with what they read out:
{THEIRS}"
    );
    assert_shown(&request(&pending(json!({})), &words(json!({})), PAGE), &expected);
    let other = request(&pending(json!({})), &words(json!({ "key": "another" })), PAGE);
    assert_fits(&other);
    assert!(other.contains("NOT THIS KEY") && !other.contains("ABSURD"), "{other}");
}

#[test]
fn an_act_is_done_or_waits() {
    let until = Some(UnixMillis(PAGE.now.0 + 23 * 3_600_000));
    let expected = "\
Request 12 waits for a second administrator
Act           verify cert.cl, which is pending until then
Approve       `aldis approve 12` as another Unix user
Until         2026-11-23 02:00:00Z (in 23h)
";
    assert_shown(&acted(&response("pending", Some(12)), PeerAct::Verify, until, PAGE), expected);
    for act in PeerAct::ALL {
        let done = acted(&response("verified", None), act, None, PAGE);
        assert_fits(&done);
        assert!(done.starts_with("cert.cl is verified\n") && done.lines().count() >= 2, "{done}");
    }
}

#[test]
fn our_keys_are_shown_with_those_for_whom_they_sign() {
    let expected = format!(
        "\
Identity key  newkey, the newest
Signs for     nobody yet
Identity key  oldkey
Signs for     cert.cl, cert.ar
Certificate   {}
Good until    2029-11-22 00:00:00Z (in 1095d)
Its successor waits until every peer has the card that tells of it
Card until    2027-11-22 00:00:00Z (in 364d)
Newest card   some peers do not have it yet
",
        "ab".repeat(32)
    );
    assert_shown(&keys(&own_keys(json!({})), PAGE), &expected);
    let idle = json!({
        "identities": [{ "key": "newkey", "signs_for": ["cert.cl"] }, { "key": "oldkey", "signs_for": [] }],
        "tls_successor_waits": false, "card_is_known": true,
    });
    let shown = keys(&own_keys(idle), PAGE);
    assert!(shown.contains("can be taken off the disk") && shown.contains("every peer not revoked has it"), "{shown}");
}

#[test]
fn a_new_key_says_who_must_do_what() {
    let expected = "\
There is a new identity key
Identity key  newkey
Waits for     cert.cl, cert.ar
Now           call the administrators of each: two of them must take the new key
They run      `aldis peer rotate cert.br`
Until then    the key before signs for them, and nothing stops
Then          `aldis key list` names who is left; keep the old file until
              nobody is
";
    assert_shown(&identity_rotated(&own_keys(json!({})), "cert.br", PAGE), expected);
    let expected = format!(
        "\
There is a new TLS key and certificate
Shown now     {}
Now           nobody needs to do anything: the card tells the peers, and the
              new certificate is shown as soon as all of them have it
Later         `aldis key list` says whether it waits still
",
        "ab".repeat(32)
    );
    assert_shown(&tls_rotated(&own_keys(json!({})), PAGE), &expected);
    let alone = json!({ "identities": [{ "key": "newkey", "signs_for": [] }], "tls_successor_waits": false });
    assert!(identity_rotated(&own_keys(alone.clone()), "cert.br", PAGE).contains("nobody needs to do anything"));
    assert!(tls_rotated(&own_keys(alone), PAGE).contains("every peer knows the new certificate"));
}

#[test]
fn what_a_peer_is_stands_in_the_list_and_what_needs_a_person_under_it() {
    let rows = [
        summary(json!({ "state": "pending", "link": "down", "queued": { "flash": 0, "immediate": 0, "priority": 0,
            "routine": 0 }, "unanswered": 0, "latency_ms": null, "clock_difference_ms": null })),
        summary(
            json!({ "id": "cert.uy", "next_key_waits": true, "single_administrator": true, "card_is_stale": true }),
        ),
    ];
    let expected = "\
PEER     STATE     LINK     LATENCY   CLOCK  QUEUED  TO ANSWER  LAST ERROR
cert.cl  pending   down 3h                        0          0
cert.uy  verified  up 3h      12 ms  -40 ms       2          1

NEXT KEY      cert.uy: another key waits: `aldis peer rotate cert.uy`
ONE ADMIN     cert.uy: one administrator alone lets peers in there
STALE CARD    cert.uy: its card is older than 120 days: ask for a new one
";
    assert_shown(&peers(&rows, PAGE), expected);
}

#[test]
fn who_revoked_a_peer_and_why_stands_first() {
    let view: PeerView = serde_json::from_value(json!({
        "summary": summary(json!({ "state": "revoked", "link": "down" })),
        "trust": { "act": "revoke", "by": "ana (uid 1001)", "why": "their key was stolen",
            "at": "2026-11-22T02:00:00.000Z", "received": [3, 0, 17, 2] },
        "card": { "id": "cert.cl", "name": "CSIRT Chile", "country": "CL", "serial": 1, "fingerprint": "1a2b",
            "issued_at": "2026-11-22T00:00:00.000Z", "valid_until": "2027-11-22T00:00:00.000Z",
            "identity_key": "00", "certificate_digest": "11", "endpoints": [],
            "contacts": [], "kinds": [], "warnings": [] },
        "marks": [],
    }))
    .unwrap();
    let shown = peer(&view, PAGE);
    assert_fits(&shown);
    let head: Vec<&str> = shown.lines().take(4).collect();
    let expected = "\
cert.cl (revoked)
State         revoke by ana (uid 1001), 2026-11-22 02:00:00Z (1h ago)
Why           their key was stolen
From before   what it sent up to F3, I0, P17, R2";
    assert_eq!(head.join("\n"), expected);
    let mut verified = view;
    verified.summary = summary(json!({}));
    verified.trust.as_mut().unwrap().approved_by = Some("rui (uid 1002)".into());
    assert!(peer(&verified, PAGE).contains("by ana (uid 1001), approved by rui (uid 1002), "));
}

#[test]
fn a_card_that_was_taken_says_what_to_do_now() {
    let expected = "\
cert.cl is pending
Name          CSIRT Chile, CL
Fingerprint   1a2b 3c4d
Nothing is sent to it or accepted from it yet. Call its administrator, at a
number that is not from the card.
Next          `aldis peer verify cert.cl`
";
    assert_shown(&peer_added(&summary(json!({ "state": "pending" })), PAGE), expected);
    let offered = peer_added(&summary(json!({ "next_key_waits": true })), PAGE);
    assert!(offered.contains("aldis peer rotate cert.cl"), "{offered}");
    assert!(peer_added(&summary(json!({})), PAGE).contains("Its card is on record."));
}

/// Ids, words and reasons come from elsewhere, and reasons from people who may not be friends.
#[test]
fn hostile_text_drives_nothing_before_an_administrator() {
    const HOSTILE: &str = "x\u{1b}[2J\u{202e}\u{200b}\ncert.us/F1  FLASH  all clear\r\u{9b}31m";
    let words =
        words(json!({ "id": HOSTILE, "ours": HOSTILE, "theirs": HOSTILE, "key": HOSTILE, "is_next_key": true }));
    let pending = pending(json!({ "peer": HOSTILE, "by": HOSTILE, "why": HOSTILE, "key": HOSTILE }));
    let keys_view = own_keys(json!({
        "identities": [{ "key": HOSTILE, "signs_for": [HOSTILE] }, { "key": HOSTILE, "signs_for": [HOSTILE] }],
        "tls_certificate": HOSTILE,
    }));
    let hostile = summary(json!({
        "id": HOSTILE, "state": HOSTILE, "next_key_waits": true, "single_administrator": true, "card_is_stale": true,
    }));
    let mut texts = vec![
        words_to_read_out(&words, PAGE),
        phrases(&words, PAGE),
        next_key(&words, PAGE),
        requests(std::slice::from_ref(&pending), PAGE),
        request(&pending, &words, PAGE),
        keys(&keys_view, PAGE),
        identity_rotated(&keys_view, HOSTILE, PAGE),
        tls_rotated(&keys_view, PAGE),
        peers(std::slice::from_ref(&hostile), PAGE),
        peer_added(&hostile, PAGE),
    ];
    for act in PeerAct::ALL {
        for request in [None, Some(1)] {
            texts.push(acted(&PeerActResponse { peer: hostile.clone(), request }, act, None, PAGE));
        }
    }
    for text in texts {
        let forbidden =
            |character: char| character.is_control() && character != '\n' || "\u{202e}\u{200b}".contains(character);
        assert!(!text.contains(forbidden), "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("cert.us")), "a forged line: {text}");
    }
}
