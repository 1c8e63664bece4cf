//! Probes, and the alarm about channels that fail.

use super::carrying::{Carried, command};
use super::support::{PATIENCE, script};
use crate::alerts::Settings;
use crate::event_loop::Message;
use aldis_core::input::Input;
use aldis_core::ladder::Ladder;
use std::fs;
use std::time::Duration;
use tokio::sync::mpsc;

/// The next text of an alarm, or its end.
async fn alarm(messages: &mut mpsc::Receiver<Message>, wanted: &str) -> Option<String> {
    loop {
        let message = tokio::time::timeout(PATIENCE, messages.recv()).await.expect("an alarm is told").unwrap();
        if let Message::Input(Input::NodeAlarm { code, text, .. }) = message
            && code.as_str() == wanted
        {
            return text.map(|text| text.to_string());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_a_channel_that_fails_its_probe_is_an_alarm_until_it_works_again() {
    let dir = tempfile::tempdir().unwrap();
    let (switch, seen) = (dir.path().join("switch"), dir.path().join("seen"));
    let lines = "cat >> \"$2\"; echo >> \"$2\"; test -e \"$1\" || { echo the modem is off >&2; exit 7; }";
    let mut pager = command("pager", script(dir.path(), "page", lines), &[&switch, &seen]);
    pager.probe_every = Duration::from_millis(20);
    let change = |settings: &mut Settings, _: &mut Ladder| settings.first_probe = Some(Duration::ZERO);
    let mut carried = Carried::new(dir.path(), vec![pager], change).await;
    assert_eq!(alarm(&mut carried.messages, "alert-channel-failed").await, None, "what lasted before ends first");
    let text = alarm(&mut carried.messages, "alert-channel-failed").await.expect("an alarm");
    assert!(
        text.contains("channel pager") && text.contains("the modem is off") && text.contains("aldisd check"),
        "{text}"
    );
    fs::write(&switch, "").unwrap();
    while alarm(&mut carried.messages, "alert-channel-failed").await.is_some() {}
    assert!(fs::read_to_string(&seen).unwrap().starts_with("{\"v\":1,\"probe\":true,\"node\":\"cert.br\"}\n"));
    fs::remove_file(&switch).unwrap();
    while alarm(&mut carried.messages, "alert-channel-failed").await.is_none() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_a_ladder_with_a_gap_is_an_alarm() {
    let dir = tempfile::tempdir().unwrap();
    let office = |_: &mut Settings, ladder: &mut Ladder| ladder.steps[0].people[0].hours = Some(0);
    let mut carried = Carried::new(dir.path(), vec![], office).await;
    let text = alarm(&mut carried.messages, "ladder-gap").await.expect("an alarm");
    assert!(text.contains("is on duty from") && text.contains("aldisd.toml"), "{text}");
    drop(carried);
    let other = tempfile::tempdir().unwrap();
    let mut carried = Carried::new(other.path(), vec![], |_, _| {}).await;
    assert_eq!(alarm(&mut carried.messages, "ladder-gap").await, None);
}
