//! The nightly scrub of a running node, by a clock that is moved.

use super::support::{Cert, eventually};
use aldis_control::{Alarm, ScrubOutcome, Status};
use std::path::PathBuf;

const HOUR_MS: i64 = 3_600_000;

async fn status(cert: &Cert) -> Status {
    cert.client.status().await.unwrap()
}

/// Moves the clock and waits for the scrub that this makes due.
async fn next_scrub(cert: &Cert, shift_ms: i64) -> ScrubOutcome {
    let before = status(cert).await.scrub.latest;
    cert.context.clock.shift(shift_ms);
    eventually("a scrub ends", async || status(cert).await.scrub.latest != before).await;
    status(cert).await.scrub.latest.unwrap()
}

async fn alarm(cert: &Cert) -> Option<Alarm> {
    status(cert).await.alarms.into_iter().find(|alarm| alarm.code == "scrub-found")
}

fn largest_segment(cert: &Cert) -> PathBuf {
    let entries = std::fs::read_dir(&cert.context.journal_dir).unwrap().map(|entry| entry.unwrap().path());
    entries.max_by_key(|path| std::fs::metadata(path).unwrap().len()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn i9_the_scrub_finds_damage_by_itself_and_takes_its_alarm_back() {
    let br = Cert::new("cert.br").await;
    eventually("its first is planned", async || status(&br).await.scrub.next_at.is_some()).await;
    let planned = status(&br).await.scrub;
    assert_eq!(planned.latest, None);
    let in_ms = planned.next_at.unwrap().0 - status(&br).await.started_at.0;
    assert!(in_ms < HOUR_MS.unsigned_abs(), "one that was missed comes within an hour, not in {in_ms} ms");
    let clean = next_scrub(&br, HOUR_MS).await;
    assert_eq!((clean.findings, clean.first, alarm(&br).await), (0, None, None));
    assert!(clean.records > 0);

    // The first card of the node itself is in its first records; a byte of it changes, and everything goes on.
    let (segment, sound) = (largest_segment(&br), std::fs::read(largest_segment(&br)).unwrap());
    let mut damaged = sound.clone();
    let at = damaged.windows(7).position(|window| window == b"cert.br").unwrap();
    damaged[at] ^= 1;
    std::fs::write(&segment, &damaged).unwrap();
    let found = next_scrub(&br, 27 * HOUR_MS).await;
    assert!(found.findings > 0 && found.first.as_ref().unwrap().contains("at byte"), "{found:?}");
    let raised = alarm(&br).await.expect("it is an alarm");
    assert!(raised.text.contains("aldis verify") && raised.text.contains("at byte"), "{}", raised.text);
    let metrics = br.raw(b"GET /v1/metrics HTTP/1.1\r\nhost: aldis\r\nconnection: close\r\n\r\n").await;
    assert!(metrics.contains(&format!("aldis_scrub_findings {}", found.findings)), "{metrics}");

    let mut healed = std::fs::read(&segment).unwrap();
    healed[at] ^= 1;
    std::fs::write(&segment, &healed).unwrap();
    assert_eq!(next_scrub(&br, 54 * HOUR_MS).await.findings, 0);
    assert_eq!(alarm(&br).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn i9_receipts_of_peers_are_checked_and_counted() {
    let (br, cl) = super::support::two().await;
    br.send_stored(super::support::notice(&["cert.cl"])).await;
    cl.send_stored(super::support::notice(&["cert.br"])).await;
    br.send_stored(super::support::notice(&["cert.cl"])).await;
    let report = super::streams::verify(&br).await;
    assert!(report.ok, "{report:?}");
    assert!(report.witnesses >= 1 && report.witness_peers == 1, "{report:?}");
}
