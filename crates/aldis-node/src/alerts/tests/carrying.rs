//! From an alert of the core's to its outcome, with every sort of channel, good and bad.

use super::https_server::{Answer, HttpsServer};
use super::mail_server::{MailServer, Manner};
use super::support::{PATIENCE, alert, eventually, id, node, outcome, script, secret_file};
use crate::Node;
use crate::alerts::{
    ALERTS_MAX, Alerts, Carrier, Channel, Command, Settings, Smtp, Surroundings, TestError, TlsBegins,
    URGENT_ALERTS_MAX, Way, Webhook,
};
use crate::event_loop::{LoopHandle, Message};
use aldis_control::Tlp;
use aldis_core::effect::Happening;
use aldis_core::ladder::{Alert, AlertId, AlertOutcome, Ladder};
use aldis_core::record::RecordSeq;
use aldis_wire::codec::Text;
use aldis_wire::lane::Lane;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

pub(super) fn channel(name: &str, way: Way) -> Channel {
    let (timeout, probe_every) = (Duration::from_secs(20), Duration::from_secs(3_600));
    Channel { name: Text::cut(name), clearance: Tlp::Clear, timeout, probe_every, way }
}

pub(super) fn command(name: &str, program: PathBuf, arguments: &[&Path]) -> Channel {
    let arguments = arguments.iter().map(|path| path.to_str().unwrap().to_owned()).collect();
    channel(name, Way::Command(Command { program, arguments }))
}

/// A carrier for a node that runs, whose loop is the test.
pub(super) struct Carried {
    pub(super) alerts: Alerts,
    pub(super) messages: mpsc::Receiver<Message>,
    pub(super) node: Node,
    carrier: Arc<Carrier>,
    task: tokio::task::JoinHandle<()>,
}

impl Carried {
    pub(super) async fn new(
        dir: &Path,
        channels: Vec<Channel>,
        change: impl FnOnce(&mut Settings, &mut Ladder),
    ) -> Self {
        let node = node(dir, |_| {}).await;
        let mut settings = Settings { channels, first_probe: Some(PATIENCE * 100), ..Settings::default() };
        let mut ladder = Ladder::default();
        change(&mut settings, &mut ladder);
        let (urgent, _) = mpsc::channel(1);
        let (normal, messages) = mpsc::channel(4_096);
        let surroundings = Surroundings {
            id: id(),
            clock: node.clock.clone(),
            bell: node.bell.clone(),
            log: node.log.clone(),
            node: LoopHandle { urgent, normal },
        };
        let (alerts, handed_over) = Alerts::new();
        let carrier = Arc::new(Carrier::new(settings, Arc::new(ladder), surroundings));
        let task = tokio::spawn(Arc::clone(&carrier).run(handed_over));
        Self { alerts, messages, node, carrier, task }
    }

    async fn brought(&mut self, alert: Alert) -> AlertOutcome {
        let number = alert.id;
        self.alerts.bring(Box::new(alert)).unwrap();
        let (told, outcome) = outcome(&mut self.messages).await;
        assert_eq!(told, number);
        outcome
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn reached(outcome: &AlertOutcome) -> Vec<(&str, &str)> {
    let mut reached: Vec<_> = outcome.reached.iter().map(|(who, by)| (who.as_str(), by.as_str())).collect();
    reached.sort_unstable();
    reached
}

fn failed(outcome: &AlertOutcome) -> BTreeMap<(&str, &str), &str> {
    outcome.failed.iter().map(|(who, by, why)| ((who.as_str(), by.as_str()), why.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_every_channel_of_everybody_is_tried_and_every_outcome_told() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let (mail_dir, hook_dir) = (dir.path().join("mail"), dir.path().join("hook"));
    std::fs::create_dir(&mail_dir).unwrap();
    std::fs::create_dir(&hook_dir).unwrap();
    let mail = MailServer::new(&mail_dir, Manner::Takes, false).await;
    let hook = HttpsServer::new(&hook_dir, &[Answer::Status(200)]).await;
    let webhook = Webhook {
        url: format!("https://localhost:{}/", hook.port).parse().unwrap(),
        secret_file: secret_file(dir.path(), "long enough"),
        ca_file: hook.ca_file.clone(),
    };
    let smtp = Smtp {
        server: "localhost".to_owned(),
        port: mail.port,
        begin: TlsBegins::AtOnce,
        ca_file: mail.ca_file.clone(),
        from: "aldis@cert.example".parse().unwrap(),
        to: None,
        login: None,
    };
    let channels = vec![
        command("pager", script(dir.path(), "page", "cat >> \"$1\""), &[&out]),
        command("broken", script(dir.path(), "broken", "echo no line >&2; exit 2"), &[]),
        channel("hook", Way::Webhook(webhook)),
        channel("mail", Way::Smtp(Box::new(smtp))),
    ];
    let addresses = ["ana", "rui"].map(|name| (Text::cut(name), format!("{name}@cert.example").parse().unwrap()));
    let change = |settings: &mut Settings, _: &mut Ladder| settings.addresses = addresses.into();
    let mut carried = Carried::new(dir.path(), channels, change).await;
    let people: [(&str, &[&str]); 3] =
        [("ana", &["pager", "mail", "hook"]), ("rui", &["pager", "broken", "mail", "gone"]), ("eva", &["mail"])];
    let outcome = carried.brought(alert(0, &people)).await;
    let expected = [("ana", "hook"), ("ana", "mail"), ("ana", "pager"), ("rui", "mail"), ("rui", "pager")];
    assert_eq!(reached(&outcome), expected, "{:?}", outcome.failed);
    let failed = failed(&outcome);
    assert_eq!(failed.len(), 3, "{failed:?}");
    assert_eq!(failed[&("rui", "broken")], "exit code 2: no line");
    assert!(failed[&("rui", "gone")].contains("no such channel"));
    assert!(failed[&("eva", "mail")].contains("no address"));
    assert_eq!(hook.received().len(), 1);
    let document: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&out).unwrap()).unwrap();
    assert_eq!(document["people"], serde_json::json!(["ana", "rui"]), "the command ran once for both");
    let heard = mail.heard();
    assert!(heard.contains("RCPT TO:<ana@cert.example>") && heard.contains("RCPT TO:<rui@cert.example>"), "{heard}");
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_channels_that_hang_are_failures_before_the_ladder_gives_up() {
    let dir = tempfile::tempdir().unwrap();
    let channels = vec![
        command("hangs", script(dir.path(), "hangs", "sleep 600"), &[]),
        command("works", script(dir.path(), "works", "exit 0"), &[]),
    ];
    let quick = |_: &mut Settings, ladder: &mut Ladder| ladder.alert_wait_ms = 2_000;
    let mut carried = Carried::new(dir.path(), channels, quick).await;
    let start = std::time::Instant::now();
    // More than the channel has places, so that some of them only wait.
    for number in 0..14 {
        carried.alerts.bring(Box::new(alert(number, &[("ana", &["hangs", "works"])]))).unwrap();
    }
    for _ in 0..14 {
        let (_, outcome) = outcome(&mut carried.messages).await;
        assert_eq!(reached(&outcome), [("ana", "works")]);
        let why = failed(&outcome)[&("ana", "hangs")].to_owned();
        assert!(why.contains("not done within") || why.contains("busy with other alerts"), "{why}");
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_an_alert_without_a_place_is_a_failure_and_never_silence() {
    let dir = tempfile::tempdir().unwrap();
    let hangs = command("hangs", script(dir.path(), "hangs", "sleep 600"), &[]);
    let carried = Carried::new(dir.path(), vec![hangs], |_, _| {}).await;
    let routine = |number| {
        let mut alert = alert(number, &[("ana", &["hangs"])]);
        alert.lane = Lane::Routine;
        Box::new(alert)
    };
    for number in 0..ALERTS_MAX as u64 {
        carried.alerts.bring(routine(number)).unwrap();
    }
    let refused = carried.alerts.bring(routine(999)).unwrap_err();
    assert!(refused.reached.is_empty());
    assert_eq!(failed(&refused)[&("ana", "hangs")], "as many alerts as are allowed are under way");
    // FLASH has places of its own, and an exercise has none of them (I7, I12).
    let mut exercise = alert(1_000, &[("ana", &["hangs"])]);
    exercise.exercise = Some("x".into());
    assert!(carried.alerts.bring(Box::new(exercise)).is_err());
    for number in 0..URGENT_ALERTS_MAX as u64 {
        carried.alerts.bring(Box::new(alert(2_000 + number, &[("ana", &["hangs"])]))).unwrap();
    }
    assert!(carried.alerts.bring(Box::new(alert(9_999, &[("ana", &["hangs"])]))).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_reaches_somebody_only_when_a_stream_has_taken_the_alert() {
    let dir = tempfile::tempdir().unwrap();
    let mut carried = Carried::new(dir.path(), vec![], |_, ladder| ladder.alert_wait_ms = 4_000).await;
    let outcome_alone = carried.brought(alert(0, &[("ana", &["watch"])])).await;
    assert_eq!(failed(&outcome_alone)[&("ana", "watch")], "no operator has `aldis watch` open");
    // Somebody listens and takes it.
    let (kept, mut live) = carried.node.events.listen(Some(0));
    assert!(kept.iter().any(|told| matches!(told.happening, Happening::Alerted(_))), "it was told all the same");
    carried.alerts.bring(Box::new(alert(1, &[("ana", &["watch"])]))).unwrap();
    let heard = async {
        loop {
            if let Happening::Alerted(alert) = &live.recv().await.unwrap().happening {
                return alert.id;
            }
        }
    };
    let heard = tokio::time::timeout(PATIENCE, heard).await.unwrap();
    assert_eq!(heard, AlertId(RecordSeq(1)));
    carried.node.bell.heard(heard);
    assert_eq!(reached(&outcome(&mut carried.messages).await.1), [("ana", "watch")]);
    // Somebody listens and takes nothing.
    carried.alerts.bring(Box::new(alert(2, &[("ana", &["watch"])]))).unwrap();
    assert!(reached(&outcome(&mut carried.messages).await.1).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_for_nobody_is_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut carried = Carried::new(dir.path(), vec![], |_, _| {}).await;
    assert_eq!(carried.brought(alert(0, &[])).await, AlertOutcome::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_carrier_that_ends_takes_its_commands_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let pid = dir.path().join("pid");
    let hangs = command("hangs", script(dir.path(), "hangs", "echo $$ > \"$1\"; sleep 600"), &[&pid]);
    let carried = Carried::new(dir.path(), vec![hangs], |_, _| {}).await;
    carried.alerts.bring(Box::new(alert(0, &[("ana", &["hangs"])]))).unwrap();
    let read = || std::fs::read_to_string(&pid).unwrap_or_default();
    eventually("the command runs", || read().ends_with('\n')).await;
    let status = format!("/proc/{}/status", read().trim());
    drop(carried);
    let runs = || std::fs::read_to_string(&status).is_ok_and(|text| !text.contains("State:\tZ"));
    eventually("the command is gone", || !runs()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i12_a_test_by_hand_reaches_who_has_the_channel_and_says_that_it_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let pager = command("pager", script(dir.path(), "page", "cat >> \"$1\"; echo >> \"$1\""), &[&out]);
    let idle = command("idle", script(dir.path(), "idle", "exit 0"), &[]);
    let on_ladder =
        |_: &mut Settings, ladder: &mut Ladder| ladder.steps[0].people[0].channels = vec![Text::cut("pager")];
    let carried = Carried::new(dir.path(), vec![pager, idle], on_ladder).await;
    let outcome = carried.carrier.test("pager", None, PATIENCE).await.unwrap();
    assert_eq!(reached(&outcome), [("duty officer", "pager")]);
    let document: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&out).unwrap()).unwrap();
    assert_eq!(document["text"], "EXERCISE test of the alert channels: ROUTINE: nothing has happened");
    assert_eq!(
        (&document["exercise"], &document["next"]),
        (&"test of the alert channels".into(), &"aldis status".into())
    );
    let error = carried.carrier.test("pager", Some("eva"), PATIENCE).await.unwrap_err();
    assert_eq!(error, TestError::Nobody("pager".to_owned()));
    assert_eq!(carried.carrier.test("idle", None, PATIENCE).await.unwrap_err(), TestError::Nobody("idle".to_owned()));
    assert!(matches!(carried.carrier.test("gone", None, PATIENCE).await, Err(TestError::NoChannel(_))));
    let health = carried.carrier.health().of_all();
    assert!(health[&Text::cut("pager")].last_success.is_some() && health[&Text::cut("idle")].last_success.is_none());
}
