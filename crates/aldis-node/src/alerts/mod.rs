//! Alerts: what the core's ladder decides is brought to people here, through the channels an administrator configures.
//!
//! The loop hands an alert over without waiting, or is told at once that there is no place. Each alert is brought to all its
//! people through all their channels at the same time, and what became of it goes back to the core before the ladder gives
//! the alert up, whatever the channels do. A channel that fails, for a person or when it is probed, is an alarm.
//!
//! No body of a message leaves here; see `message.rs` for what does.

mod channel;
mod command;
mod health;
mod hours;
mod message;
mod places;
mod probe;
mod secret;
mod smtp;
mod starttls;
mod watch;
mod webhook;

pub use channel::{Channel, TIMEOUT_MAX_S, WATCH, Way};
pub use command::{Command, CommandError};
pub use health::{ChannelHealth, Health};
pub use secret::FileError;
pub use smtp::{Address, Smtp, SmtpError, TlsBegins};
pub use starttls::StartError;
pub use watch::{Bell, NobodyWatches};
pub use webhook::{Url, Webhook, WebhookError};

pub(crate) use message::{next_step, title};

use crate::clock::Clock;
use crate::event_loop::LoopHandle;
use crate::log::LogHandle;
use aldis_core::input::Input;
use aldis_core::ladder::{Alert, AlertOutcome, Ladder};
use aldis_wire::codec::Text;
use aldis_wire::ids::NodeId;
use channel::{DeliveryError, Line, Means};
use message::Telling;
use places::{Place, Places};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How many alerts are under way at once, waiting ones included, and how many more if they are urgent.
const ALERTS_MAX: usize = 128;
const URGENT_ALERTS_MAX: usize = 128;
/// How long before the ladder gives an alert up its outcome is told, at most; a quarter of that time if that is less.
const MARGIN: Duration = Duration::from_secs(5);

/// What is configured, beside the ladder.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The channels, without `watch`, which is always there.
    pub channels: Vec<Channel>,
    /// The addresses of people on the ladder who have one.
    pub addresses: BTreeMap<Text<64>, Address>,
    /// The longest wait before the first probe of a run; a minute without one.
    pub first_probe: Option<Duration>,
}

/// The loop's way to hand alerts over.
pub struct Alerts {
    places: Places,
    queue: mpsc::Sender<(Box<Alert>, Place)>,
}

/// Alerts that were handed over.
pub struct HandedOver(mpsc::Receiver<(Box<Alert>, Place)>);

/// Brings alerts to people.
pub struct Carrier {
    lines: BTreeMap<Text<32>, Line>,
    means: Arc<Means>,
    health: Health,
    node: LoopHandle,
    log: LogHandle,
    ladder: Arc<Ladder>,
    first_probe: Duration,
}

impl Alerts {
    /// Both ends.
    pub fn new() -> (Self, HandedOver) {
        let (queue, handed_over) = mpsc::channel(ALERTS_MAX + URGENT_ALERTS_MAX);
        (Self { places: Places::new(ALERTS_MAX, URGENT_ALERTS_MAX), queue }, HandedOver(handed_over))
    }

    /// Hands an alert over, or says what became of it if there is no place for it. Never waits.
    pub(crate) fn bring(&self, alert: Box<Alert>) -> Result<(), AlertOutcome> {
        let Some(place) = self.places.try_take(message::is_urgent(&alert)) else {
            return Err(all_failed(&alert, "as many alerts as are allowed are under way"));
        };
        // It cannot be full: it is as long as there are places. It is closed when the node stops; then no outcome is told,
        // so that the next start repeats the alert.
        let _ended = self.queue.try_send((alert, place));
        Ok(())
    }
}

impl Carrier {
    /// What brings alerts of `node_id` to people, and tells `node` what became of them.
    pub fn new(settings: Settings, ladder: Arc<Ladder>, at: Surroundings) -> Self {
        let channels = || settings.channels.iter();
        let health = Health::new(channels().map(|channel| channel.name.clone()));
        let watch = Channel::watch();
        let lines = channels().chain([&watch]).map(|channel| (channel.name.clone(), Line::new(channel.clone())));
        let lines = lines.collect();
        let means = Means { node: at.id, clock: at.clock, bell: at.bell, addresses: settings.addresses };
        let first_probe = settings.first_probe.unwrap_or(probe::FIRST_PROBE);
        Self { lines, means: Arc::new(means), health, node: at.node, log: at.log, ladder, first_probe }
    }

    /// How the channels are.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Brings a test to everybody who has the channel on the ladder, or to one of them, and tells what became of it within
    /// the limit. It is marked as an exercise, says that it is a test, and touches no other channel.
    pub async fn test(&self, channel: &str, person: Option<&str>, limit: Duration) -> Result<AlertOutcome, TestError> {
        let Some((name, _)) = self.lines.iter().find(|(name, _)| name.as_str() == channel) else {
            return Err(TestError::NoChannel(Text::<32>::cut(channel).escape_debug().to_string()));
        };
        let on_ladder = self.ladder.steps.iter().flat_map(|step| &step.people);
        let with_it = on_ladder.filter(|on_call| on_call.channels.contains(name));
        let named = with_it.filter(|on_call| person.is_none_or(|person| on_call.name.as_str() == person));
        let people: BTreeSet<Text<64>> = named.map(|on_call| on_call.name.clone()).collect();
        if people.is_empty() {
            return Err(TestError::Nobody(name.to_string()));
        }
        let people = people.into_iter().map(|person| (person, vec![name.clone()])).collect();
        let alert = message::test_alert(&self.means.node, self.means.clock.wall(), people);
        Ok(self.outcome(&alert, Instant::now() + limit).await)
    }

    /// Brings alerts to people and probes the channels until the node stops. Ending it ends everything under way.
    pub async fn run(self: Arc<Self>, mut alerts: HandedOver) {
        let mut tasks = JoinSet::new();
        for line in self.lines.values().filter(|line| !matches!(line.channel().way, Way::Watch)) {
            let (means, health) = (Arc::clone(&self.means), self.health.clone());
            tasks.spawn(probe::probe(line.clone(), means, health, self.first_probe));
        }
        tasks.spawn(self.health.clone().alarm(self.node.clone()));
        tasks.spawn(hours::watch(Arc::clone(&self.ladder), self.means.clock.clone(), self.node.clone()));
        let carrier = self;
        loop {
            tokio::select! {
                handed_over = alerts.0.recv() => {
                    let Some((alert, place)) = handed_over else { return };
                    let until = Instant::now() + carrier.time_limit();
                    tasks.spawn(Arc::clone(&carrier).carry(alert, until, place));
                }
                Some(_ended) = tasks.join_next() => {}
            }
        }
    }

    /// How long an alert may take here.
    fn time_limit(&self) -> Duration {
        let wait = Duration::from_millis(self.ladder.alert_wait_ms);
        wait.saturating_sub(MARGIN.min(wait / 4))
    }

    async fn carry(self: Arc<Self>, alert: Box<Alert>, until: Instant, place: Place) {
        let outcome = self.outcome(&alert, until).await;
        for (person, channel, why) in &outcome.failed {
            tracing::warn!(alert = %alert.id, person = person.as_str(), channel = channel.as_str(), why = why.as_str(), "not alerted");
        }
        tracing::info!(alert = %alert.id, reached = outcome.reached.len(), failed = outcome.failed.len(), "alerted");
        drop(place);
        // A loop that has ended repeats the alert at its next start.
        let _ended = self.node.input(Input::Alerted { alert: alert.id, outcome: Box::new(outcome) }).await;
    }

    /// All channels of all people at the same time.
    async fn outcome(&self, alert: &Alert, until: Instant) -> AlertOutcome {
        let mut wanted: BTreeSet<(Text<64>, Text<32>)> = pairs(alert).collect();
        let telling = Arc::new(Telling::of(alert.clone(), &self.means.node, &self.log, self.time_limit()).await);
        let mut outcome = AlertOutcome::default();
        let mut deliveries = JoinSet::new();
        for (people, channel) in self.deliveries(&wanted) {
            let Some(line) = self.lines.get(&channel).cloned() else {
                note(&mut outcome, &mut wanted, people, &channel, Some("there is no such channel any more"));
                continue;
            };
            let (means, telling) = (Arc::clone(&self.means), Arc::clone(&telling));
            deliveries.spawn(async move {
                let result = line.deliver(&means, &telling, &people, until).await;
                (people, channel, result.err())
            });
        }
        while let Some(ended) = deliveries.join_next().await {
            if let Ok((people, channel, failure)) = ended {
                // Those that it is busy with say whether it works.
                if !matches!(failure, Some(DeliveryError::Busy)) {
                    let why = failure.as_ref().map(ToString::to_string);
                    self.health.note(&channel, self.means.clock.wall(), why.as_deref());
                }
                let why = failure.map(|failure| failure.to_string());
                note(&mut outcome, &mut wanted, people, &channel, why.as_deref());
            }
        }
        // What has no result broke off.
        for (person, channel) in std::mem::take(&mut wanted) {
            let why = "the delivery broke off; see the daemon's reports";
            self.health.note(&channel, self.means.clock.wall(), Some(why));
            note(&mut outcome, &mut wanted, vec![person], &channel, Some(why));
        }
        outcome
    }

    /// The deliveries that bring all the pairs about: one per channel, or one per person.
    fn deliveries(&self, pairs: &BTreeSet<(Text<64>, Text<32>)>) -> Vec<(Vec<Text<64>>, Text<32>)> {
        let mut together: BTreeMap<Text<32>, Vec<Text<64>>> = BTreeMap::new();
        for (person, channel) in pairs {
            together.entry(channel.clone()).or_default().push(person.clone());
        }
        let alone = |channel: &Text<32>| self.lines.get(channel).is_some_and(Line::is_per_person);
        let deliveries = together.into_iter().flat_map(|(channel, people)| {
            let groups = if alone(&channel) { people.into_iter().map(|one| vec![one]).collect() } else { vec![people] };
            groups.into_iter().map(move |people| (people, channel.clone()))
        });
        deliveries.collect()
    }
}

impl std::fmt::Debug for Carrier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Carrier").field("channels", &self.lines.keys()).finish_non_exhaustive()
    }
}

/// Why nobody was told of a test. Whoever asked named the wrong thing, or the configuration lacks it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TestError {
    /// No such channel.
    #[error("there is no channel `{0}`")]
    NoChannel(String),
    /// Nobody to tell.
    #[error("nobody of that name on the ladder has the channel `{0}`")]
    Nobody(String),
}

/// What a carrier works with.
pub struct Surroundings {
    /// The node that tells.
    pub id: NodeId,
    /// Its clock.
    pub clock: Clock,
    /// Its event stream.
    pub bell: Bell,
    /// Its message log, for subjects and cases.
    pub log: LogHandle,
    /// Its loop.
    pub node: LoopHandle,
}

/// Each person with each of their channels, once.
fn pairs(alert: &Alert) -> impl Iterator<Item = (Text<64>, Text<32>)> {
    let people = alert.people.iter();
    people.flat_map(|(person, channels)| channels.iter().map(|channel| (person.clone(), channel.clone())))
}

fn note(
    outcome: &mut AlertOutcome,
    wanted: &mut BTreeSet<(Text<64>, Text<32>)>,
    people: Vec<Text<64>>,
    channel: &Text<32>,
    failure: Option<&str>,
) {
    for person in people {
        wanted.remove(&(person.clone(), channel.clone()));
        match failure {
            None => outcome.reached.push((person, channel.clone())),
            Some(why) => outcome.failed.push((person, channel.clone(), Text::cut(why))),
        }
    }
}

fn all_failed(alert: &Alert, why: &str) -> AlertOutcome {
    let failed = pairs(alert).map(|(person, channel)| (person, channel, Text::cut(why)));
    AlertOutcome { reached: Vec::new(), failed: failed.collect() }
}

#[cfg(test)]
mod tests;
