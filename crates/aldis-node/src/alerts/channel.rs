//! One channel: how it reaches people, what it may say, how long it may take, and how many deliveries it has at once.

use super::command::Command;
use super::message::{self, Telling};
use super::places::Places;
use super::smtp::{Address, Letter, Smtp};
use super::watch::Bell;
use super::webhook::{Post, Webhook};
use crate::clock::{self, Clock};
use aldis_control::Tlp;
use aldis_wire::codec::Text;
use aldis_wire::ids::NodeId;
use data_encoding::HEXLOWER;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// The channel that every node has.
pub const WATCH: &str = "watch";

/// The longest a channel may take, in seconds: the ladder gives an alert up after a minute.
pub const TIMEOUT_MAX_S: u64 = 50;

/// How many deliveries one channel has at once, and how many more if they are urgent.
const DELIVERIES_MAX: usize = 8;
const URGENT_DELIVERIES_MAX: usize = 4;

/// A channel as it is configured.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Its name.
    pub name: Text<32>,
    /// The most restrictive label whose subject it may say.
    pub clearance: Tlp,
    /// How long a delivery or a probe may take.
    pub timeout: Duration,
    /// How often it is probed.
    pub probe_every: Duration,
    /// How it reaches people.
    pub way: Way,
}

/// How a channel reaches people.
#[derive(Clone, Debug)]
pub enum Way {
    /// Whoever has `aldis watch` open.
    Watch,
    /// A program of the administrator's.
    Command(Command),
    /// A document posted over HTTPS.
    Webhook(Webhook),
    /// A letter.
    Smtp(Box<Smtp>),
}

/// What deliveries need beside the channel.
pub(super) struct Means {
    pub(super) node: NodeId,
    pub(super) clock: Clock,
    pub(super) bell: Bell,
    /// The addresses of people who have one.
    pub(super) addresses: BTreeMap<Text<64>, Address>,
}

/// Why an alert has not reached somebody by a channel.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeliveryError {
    #[error(transparent)]
    Watch(#[from] super::watch::NobodyWatches),
    #[error(transparent)]
    Command(#[from] super::command::CommandError),
    #[error(transparent)]
    Webhook(#[from] super::webhook::WebhookError),
    #[error(transparent)]
    Smtp(#[from] super::smtp::SmtpError),
    #[error("no address: give the person `email`, or the channel `to`")]
    NoAddress,
    #[error("not done within {:.1} s", .0.as_secs_f32())]
    TimedOut(Duration),
    #[error("the channel is busy with other alerts for as long as this one may take")]
    Busy,
}

/// A channel at work. Clones share its places.
#[derive(Clone)]
pub(super) struct Line {
    channel: Channel,
    places: Places,
}

impl Channel {
    /// The channel that every node has.
    pub fn watch() -> Self {
        let name = Text::cut(WATCH);
        let hour = Duration::from_secs(3_600);
        Self { name, clearance: Tlp::Clear, timeout: Duration::from_secs(10), probe_every: hour, way: Way::Watch }
    }

    /// What makes it one that reaches nobody, with what to do; looks at the files it names.
    pub fn fault(&self) -> Option<String> {
        match &self.way {
            Way::Watch => None,
            Way::Command(command) => command.fault(),
            Way::Webhook(webhook) => webhook.fault(),
            Way::Smtp(smtp) => smtp.fault(),
        }
    }
}

impl Line {
    pub(super) fn new(channel: Channel) -> Self {
        Self { channel, places: Places::new(DELIVERIES_MAX, URGENT_DELIVERIES_MAX) }
    }

    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Whether each person needs a delivery of their own; otherwise one names them all.
    pub(super) fn is_per_person(&self) -> bool {
        matches!(self.channel.way, Way::Smtp(_))
    }

    /// Brings an alert to people, at the latest by `until`.
    pub(super) async fn deliver(
        &self,
        means: &Means,
        telling: &Telling,
        people: &[Text<64>],
        until: Instant,
    ) -> Result<(), DeliveryError> {
        let place = tokio::time::timeout_at(until, self.places.take(message::is_urgent(&telling.alert))).await;
        let _place = place.map_err(|_| DeliveryError::Busy)?;
        // What waiting for a place has left of the time may be less than the channel's own limit.
        let limit = self.channel.timeout.min(until.saturating_duration_since(Instant::now()));
        let doing = self.way(means, telling, people, limit);
        tokio::time::timeout(limit, doing).await.map_err(|_| DeliveryError::TimedOut(limit))?
    }

    async fn way(
        &self,
        means: &Means,
        telling: &Telling,
        people: &[Text<64>],
        limit: Duration,
    ) -> Result<(), DeliveryError> {
        let names: Vec<&str> = people.iter().map(Text::as_str).collect();
        let document = || telling.document(self.channel.clearance, &names);
        match &self.channel.way {
            Way::Watch => Ok(means.bell.ring(means.clock.wall(), Box::new(telling.alert.clone())).await?),
            Way::Command(command) => Ok(command.run(&document()).await?),
            Way::Webhook(webhook) => {
                let id = telling.alert.id.to_string();
                let key = format!("{}/{id}", telling.node);
                let post = Post { id, key, document: document().into() };
                Ok(webhook.post(&post, &means.clock, last_try(limit)).await?)
            }
            Way::Smtp(smtp) => {
                let address = people.first().and_then(|person| means.addresses.get(person)).or(smtp.to.as_ref());
                let to = address.ok_or(DeliveryError::NoAddress)?.clone();
                let text = telling.letter(self.channel.clearance);
                let id = format!("aldis.{}.{}", telling.alert.id, unique());
                let letter = Letter { to, subject: message::title(&telling.alert), text, id };
                Ok(smtp.send(&letter, &means.node, means.clock.system_time()).await?)
            }
        }
    }

    /// Tries the channel without alerting anybody. The channel `watch` is not tried.
    pub(super) async fn probe(&self, means: &Means) -> Result<(), DeliveryError> {
        let limit = self.channel.timeout;
        // Never a place that an alert needs: the probe waits for a common one.
        let place = tokio::time::timeout(limit, self.places.take(false)).await;
        let _place = place.map_err(|_| DeliveryError::Busy)?;
        let document = || message::probe(&means.node);
        let doing = async {
            match &self.channel.way {
                Way::Watch => Ok(()),
                Way::Command(command) => Ok(command.run(&document()).await?),
                Way::Webhook(webhook) => {
                    let key = format!("{}/probe-{}", means.node, unique());
                    let post = Post { id: "probe".to_owned(), key, document: document().into() };
                    Ok(webhook.post(&post, &means.clock, last_try(limit)).await?)
                }
                Way::Smtp(smtp) => Ok(smtp.probe(&means.node).await?),
            }
        };
        tokio::time::timeout(limit, doing).await.map_err(|_| DeliveryError::TimedOut(limit))?
    }
}

/// A moment before `limit` is over, so that what went wrong is told before that is given up.
fn last_try(limit: Duration) -> Instant {
    Instant::now() + limit - limit.min(Duration::from_secs(1)) / 10
}

fn unique() -> String {
    HEXLOWER.encode(&clock::random::<8>())
}

#[cfg(test)]
mod tests {
    use super::super::message::test_alert;
    use super::*;
    use crate::events::Events;
    use aldis_wire::ids::UnixMillis;

    #[tokio::test]
    async fn a_probe_without_a_place_says_nothing_of_the_channel_and_an_alert_names_the_time_it_had() {
        let (clock, events, node) = (Clock::system(), Events::new(), NodeId::new("cert.br").unwrap());
        let alert = test_alert(&node, UnixMillis::new(1), Vec::new());
        let telling = Telling::with_rows(alert, &node, &[]);
        let (_kept, _live) = events.listen(Some(0));
        let means = Means { node, clock, bell: Bell::new(events), addresses: BTreeMap::new() };
        let busy = Line::new(Channel { timeout: Duration::from_millis(20), ..Channel::watch() });
        let held: Vec<_> = std::iter::from_fn(|| busy.places.try_take(false)).collect();
        assert!(matches!(busy.probe(&means).await, Err(DeliveryError::Busy)));
        drop(held);
        assert!(busy.probe(&means).await.is_ok());
        // A stream is open, and takes nothing for longer than there is time.
        let had = Duration::from_millis(50);
        let slow = Line::new(Channel::watch());
        let error = slow.deliver(&means, &telling, &[], Instant::now() + had).await.unwrap_err();
        assert!(matches!(error, DeliveryError::TimedOut(limit) if limit <= had), "{error}");
    }
}
