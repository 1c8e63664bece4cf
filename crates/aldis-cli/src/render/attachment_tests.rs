//! Files of messages on the screen.

use serde_json::{Value, json};

use super::golden_tests::{PAGE, assert_fits, assert_shown, merge, row, view};
use super::*;

fn file(changes: Value) -> Value {
    let mut fields = json!({
        "number": 1, "name": "samples.7z", "media_type": "application/x-7z-compressed", "digest": "ab".repeat(32),
        "size": 5_242_880, "state": "held",
    });
    merge(&mut fields, changes);
    fields
}

#[test]
fn the_inbox_says_how_many_files_are_here_until_all_are() {
    let arriving = file(json!({ "number": 2, "state": "arriving", "bytes": 1_048_576 }));
    let some = row("cert.br/cert.cl/P17", json!({ "attachments": [file(json!({})), arriving] }));
    let shown = inbox(&[some], PAGE);
    assert!(shown.contains("stored files 1/2"), "{shown}");
    assert_fits(&shown);
    let all = row("cert.br/cert.cl/P17", json!({ "attachments": [file(json!({}))] }));
    assert!(!inbox(&[all], PAGE).contains("files"));
    let ours =
        row("cert.cl/cert.br/P1", json!({ "direction": "out", "attachments": [file(json!({"state": "waiting"}))] }));
    assert!(!outbox(&[ours], PAGE).contains("files"));
}

#[test]
fn a_message_lists_its_files_with_where_they_are() {
    let arriving = json!({ "number": 2, "name": "a\u{202e}b\n\u{1b}[2J", "state": "arriving", "bytes": 1_048_576 });
    let lost = json!({ "number": 3, "size": 7, "state": "lost", "reason": "the peer does not hold it" });
    let files = json!({ "attachments": [file(json!({})), file(arriving), file(lost)] });
    let shown = message(&view(files), PAGE);
    assert_fits(&shown);
    for part in [
        "File 1        samples.7z  5.0 MiB (5242880 bytes)",
        "held, verified",
        "arriving: 1.0 MiB of 5.0 MiB",
        "a\\u{202e}b\\n\\u{1b}[2J",
        "LOST: the peer does not hold it",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn a_file_that_is_held_says_how_to_have_it_and_one_that_is_not_does_not() {
    let held: aldis_control::AttachmentView = serde_json::from_value(file(json!({}))).unwrap();
    let expected = "\
File          1 of cert.br/P17
Name          samples.7z
Type          application/x-7z-compressed (as its sender says)
Size          5.0 MiB (5242880 bytes)
SHA-256       abababababababababababababababababababababababababababababababab
State         held, verified
Save it       `aldis attachment cert.br/P17 1 --save FILE`
              It is untrusted: open it only where malware can do no harm.
";
    assert_shown(&attachment("cert.br/P17", &held, PAGE), expected);
    let arriving = serde_json::from_value(file(json!({ "state": "arriving" }))).unwrap();
    assert!(!attachment("cert.br/P17", &arriving, PAGE).contains("--save"));
}
