//! What became of each channel the last time, for a person or for a probe; and the alarm for as long as one fails.

use crate::event_loop::LoopHandle;
use aldis_core::input::Input;
use aldis_wire::codec::Text;
use aldis_wire::codes::Code;
use aldis_wire::ids::UnixMillis;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// How the channels are. Clones are the same.
#[derive(Clone, Debug)]
pub struct Health {
    channels: Arc<Mutex<BTreeMap<Text<32>, ChannelHealth>>>,
    changed: watch::Sender<()>,
}

/// How one channel is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelHealth {
    /// When it last reached somebody, or answered a probe.
    pub last_success: Option<UnixMillis>,
    /// When it last failed, and why.
    pub last_failure: Option<(UnixMillis, String)>,
    /// Why it fails since it last succeeded: the first cause.
    pub failing: Option<String>,
    /// How often it failed in this run.
    pub failures: u64,
}

impl Health {
    /// Channels of which nothing is known yet.
    pub fn new(names: impl Iterator<Item = Text<32>>) -> Self {
        let channels = names.map(|name| (name, ChannelHealth::default())).collect();
        Self { channels: Arc::new(Mutex::new(channels)), changed: watch::Sender::new(()) }
    }

    /// How each channel is.
    pub fn of_all(&self) -> BTreeMap<Text<32>, ChannelHealth> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that a channel succeeded, or why it failed.
    pub(crate) fn note(&self, name: &Text<32>, at: UnixMillis, failure: Option<&str>) {
        if let Some(known) = self.channels.lock().unwrap_or_else(PoisonError::into_inner).get_mut(name) {
            match failure {
                None => {
                    known.last_success = Some(at);
                    known.failing = None;
                }
                Some(why) => {
                    known.last_failure = Some((at, why.to_owned()));
                    known.failures += 1;
                    // The first cause stays, so that a later one does not hide it.
                    known.failing.get_or_insert_with(|| why.to_owned());
                }
            }
        }
        self.changed.send_replace(());
    }

    /// Raises the alarm about channels that fail, and ends it, until the node stops.
    pub(super) async fn alarm(self, node: LoopHandle) {
        let mut changes = self.changed.subscribe();
        let mut told = None;
        loop {
            let now = alarm_text(&self.of_all());
            if let Some(now) = now.filter(|now| told.as_ref() != Some(now)) {
                // One alarm names all channels, so it is raised anew when they change.
                for text in [None, now.clone()] {
                    let code = Code::known("alert-channel-failed");
                    if node.input(Input::NodeAlarm { code, peer: None, text }).await.is_err() {
                        return;
                    }
                }
                told = Some(now);
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

/// The text of the alarm, if there is to be one; nothing at all as long as it is not known: an alarm of the run before
/// lasts until every channel has been tried.
#[expect(clippy::option_option, reason = "an alarm, none, or not known")]
fn alarm_text(channels: &BTreeMap<Text<32>, ChannelHealth>) -> Option<Option<Text<400>>> {
    let failing: Vec<(&Text<32>, &String)> =
        channels.iter().filter_map(|(name, known)| Some((name, known.failing.as_ref()?))).collect();
    let Some((first, why)) = failing.first() else {
        let all_known = channels.values().all(|known| known.last_success.is_some());
        return all_known.then_some(None);
    };
    let others: Vec<&str> = failing.iter().skip(1).map(|(name, _)| name.as_str()).collect();
    let others = if others.is_empty() { String::new() } else { format!("; also {}", others.join(", ")) };
    // The name and the advice come before what may be cut.
    Some(Some(Text::cut(&format!(
        "nobody is alerted by channel {first}{others}: correct [[alerts]] in aldisd.toml or what it names, see `aldisd check`. \
         It says: {why}"
    ))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Text<32> {
        Text::cut(text)
    }

    #[test]
    fn i8_the_alarm_names_every_channel_that_fails_and_ends_when_none_does() {
        let health = Health::new([name("mail"), name("pager")].into_iter());
        let (at, text) = (UnixMillis::new(5), || alarm_text(&health.of_all()));
        assert_eq!(text(), None, "nothing is known yet");
        health.note(&name("mail"), at, Some("first"));
        health.note(&name("mail"), at, Some("second"));
        health.note(&name("pager"), at, Some("broken"));
        let said = text().unwrap().unwrap();
        assert!(said.contains("channel mail; also pager") && said.ends_with("first"), "{said}");
        health.note(&name("mail"), at, None);
        assert!(text().unwrap().unwrap().contains("channel pager:"));
        health.note(&name("pager"), at, None);
        assert_eq!(text(), Some(None));
        assert_eq!(health.of_all()[&name("mail")].last_failure, Some((at, "second".to_owned())));
    }
}
