//! kill -9 of a real daemon at each step of its ladder: the next alarm still comes at its time, counted from the alarm
//! before and not from the restart, every step comes in its order, and none is lost (I8). What reached people is read from
//! the file that the alert command writes.
//!
//! `ALDIS_LADDER_KILLS` sets the number of kills (24, four to a climb), `ALDIS_KILL_SEED` repeats a run.

mod chance;

use aldis_control::{AnswerRequest, AnswerState, AnswerStatus, Client, MessageId, Precedence, SendRequest, Tlp};
use aldis_node::demo::process::{self, Process};
use chance::{Random, setting};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The steps of the ladder below, with the alert at arrival.
const STEPS: u64 = 4;
/// How long after its time, or after the daemon is ready again, an alarm may come: a shell, a file and a busy machine.
const LATE: Duration = Duration::from_secs(2);
/// Longer than that, so that a daemon which begins a step's wait anew when it starts is late after most kills.
const STEP_WAIT: Duration = Duration::from_secs(3);
/// How soon a daemon is killed behind the last alarm of a climb, in milliseconds, at most: before or after it has on record
/// that the alarm reached somebody.
const SOON_MS: u64 = 60;

/// A ladder of seconds: acknowledged within three, three steps, three seconds each.
const LADDER: &str = r#"
[deadlines]
receipt_s = [60, 60, 60, 60]
acknowledge = ["3s", "3s", "3s", "3s"]
attend_s = [3600, 3600, 3600, 3600]
on_arrival = ["flash"]

[[ladder]]
name = "duty officer"
wait_s = [3, 3, 3, 3]
people = [{ name = "duty officer", channels = ["pager"] }]
[[ladder]]
name = "deputy"
wait_s = [3, 3, 3, 3]
people = [{ name = "deputy", channels = ["pager"] }]
[[ladder]]
name = "head"
wait_s = [3, 3, 3, 3]
people = [{ name = "head", channels = ["pager"] }]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn i8_a_kill_at_any_step_of_the_ladder_delays_no_alarm_and_loses_none() {
    let rounds: u64 = setting("ALDIS_LADDER_KILLS").unwrap_or(24_u64).div_ceil(STEPS);
    let seed = setting("ALDIS_KILL_SEED").unwrap_or_else(|| u64::from(std::process::id()) ^ 0x1add_e200);
    println!("seed {seed}, {} kills", rounds * STEPS);
    let dir = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_aldisd"));
    let mut sender = Process::init(program, dir.path(), "cert.br", "sender", "BR").await.unwrap();
    let mut receiver = Process::init(program, dir.path(), "cert.cl", "receiver", "CL").await.unwrap();
    let pager = Pager::new(dir.path(), &receiver);
    sender.start().await.unwrap();
    receiver.start().await.unwrap();
    process::introduce(&sender.client(), &receiver.client()).await.unwrap();
    let mut random = Random(seed);
    let mut latest = Duration::ZERO;
    for round in 0..rounds {
        let sent = sender.client().send(&flash(&receiver.id)).await.unwrap().messages[0].id.clone();
        let mut due = Instant::now();
        for step in 0..STEPS {
            let came = pager.rings(&sent, step, due + LATE).await;
            let late = came.saturating_duration_since(due);
            assert!(late < LATE, "seed {seed}, round {round}: step {step} came {late:?} late");
            latest = latest.max(late);
            // Anywhere in the wait for the next alarm; behind the last one, soon.
            let within = if step + 1 < STEPS { u64::try_from(STEP_WAIT.as_millis()).unwrap() } else { SOON_MS };
            let kill_at = came + Duration::from_millis(random.below(within));
            tokio::time::timeout_at(kill_at.into(), std::future::pending::<()>()).await.unwrap_err();
            receiver.kill().await.unwrap();
            receiver.start().await.unwrap();
            // The alarm before counts, not the restart, unless nobody was there to ring.
            due = Instant::now().max(came + STEP_WAIT);
        }
        pager.check(&sent, seed, round);
        answered(&receiver.client(), &sent).await;
    }
    println!("{} kills; the latest alarm came {latest:?} after its time", rounds * STEPS);
}

/// The command that alerts people, and what it was given.
struct Pager {
    rung: PathBuf,
}

impl Pager {
    /// Gives a node the ladder and a command that writes down what it was told.
    fn new(dir: &Path, node: &Process) -> Self {
        let rung = dir.join("rung");
        let script = dir.join("pager.sh");
        // One write per alert, so that a kill leaves no half line.
        std::fs::write(
            &script,
            format!("#!/bin/sh\nalert=$(cat)\nprintf '%s\\n' \"$alert\" >> '{}'\n", rung.display()),
        )
        .unwrap();
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
        let config = std::fs::read_to_string(node.config()).unwrap();
        let without = config.replacen("\n[deadlines]\n", "\n", 1);
        assert_ne!(config, without, "the configuration has the table");
        let channel = format!(
            "[[alerts]]\nname = \"pager\"\ntype = \"command\"\ntimeout_s = 10\ncommand = [\"{}\"]\n",
            script.display()
        );
        std::fs::write(node.config(), format!("{without}\n{LADDER}\n{channel}")).unwrap();
        Self { rung }
    }

    /// The alerts about a message: their steps, their names, and whether they came again.
    fn alerts(&self, message: &MessageId) -> Vec<(u64, String, bool)> {
        let text = std::fs::read_to_string(&self.rung).unwrap_or_default();
        let alerts = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let about =
            |alert: &Value| alert["messages"].as_array().is_some_and(|ids| ids.contains(&json!(message.to_string())));
        let fields = |alert: Value| {
            let (step, again) = (alert["step"].as_u64().unwrap(), alert["again"].as_bool().unwrap());
            (step, alert["alert"].as_str().unwrap().to_owned(), again)
        };
        alerts.filter(about).map(fields).collect()
    }

    /// Waits until the alert of a step has come, and a good while longer than it may take.
    async fn rings(&self, message: &MessageId, step: u64, at_latest: Instant) -> Instant {
        let given_up = at_latest + 5 * STEP_WAIT;
        let mut pause = tokio::time::interval(Duration::from_millis(5));
        while !self.alerts(message).iter().any(|(rung, ..)| *rung == step) {
            assert!(Instant::now() < given_up, "{message}: step {step} never came: {:?}", self.alerts(message));
            pause.tick().await;
        }
        Instant::now()
    }

    /// Every step came, in order; one that came again did so under its name, and says so.
    fn check(&self, message: &MessageId, seed: u64, round: u64) {
        let alerts = self.alerts(message);
        assert!(alerts.is_sorted_by_key(|(step, ..)| *step), "seed {seed}, round {round}: {alerts:?}");
        for step in 0..STEPS {
            let of_step: Vec<_> = alerts.iter().filter(|(rung, ..)| *rung == step).collect();
            assert!(!of_step.is_empty(), "seed {seed}, round {round}: step {step} is missing: {alerts:?}");
            let one_name = of_step.iter().all(|(_, name, _)| *name == of_step[0].1);
            let again = of_step.iter().skip(1).all(|(.., again)| *again);
            assert!(one_name && again, "seed {seed}, round {round}: step {step} was repeated: {alerts:?}");
        }
    }
}

async fn answered(client: &Client, message: &MessageId) {
    let request = AnswerRequest {
        id: message.to_string(),
        state: AnswerState::Decided,
        status: Some(AnswerStatus::Approved),
        justification: None,
        until: None,
        text: None,
        author: None,
    };
    // The message log opens behind a daemon that has just started.
    let begun = Instant::now();
    let mut pause = tokio::time::interval(Duration::from_millis(20));
    while let Err(error) = client.answer(&request).await {
        assert!(begun.elapsed() < 10 * LATE, "{message}: {error}");
        pause.tick().await;
    }
}

fn flash(to: &str) -> SendRequest {
    let body = json!({ "subject": "nobody answers", "class": "test", "type": "test" });
    SendRequest::new(&[to], "incident", Precedence::Flash, Tlp::Green, body)
}
