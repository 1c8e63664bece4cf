//! Watches what runs out: certificates and cards, ours and the peers'. Ours are renewed by themselves in time; people here
//! are warned 60, 30, 7 and 1 days ahead of anything that still runs out, but never in the first half of its life, so that
//! nothing alarms on the day it is made. It only looks and tells: what a warning means
//! for messages is nobody's decision here.

use crate::clock::Clock;
use crate::directory::Directory;
use crate::event_loop::{LoopHandle, NodeView, RequestError};
use crate::own::Own;
use crate::rotation::KeyMaker;
use crate::tls::Certificate;
use aldis_core::input::Input;
use aldis_wire::card::Card;
use aldis_wire::codec::Text;
use aldis_wire::codes::Code;
use aldis_wire::ids::{NodeId, UnixMillis};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const DAY_MS: u64 = 86_400_000;

/// How many days ahead people are warned, and warned again.
pub const WARNED_AHEAD_DAYS: [i64; 4] = [1, 7, 30, 60];
/// Our certificate is replaced when it is good for less than this, in days: after the first warning, long before the end;
/// one that was made for less than twice this, in the second half of its life.
pub const RENEWED_AHEAD_DAYS: i64 = 45;
/// Our certificate's successor is shown, whether every peer knows it or not, when the one that is shown is good for less than
/// this, in days: those that do not know it yet lose the link now instead of then, and all others keep theirs.
pub const SHOWN_AHEAD_DAYS: i64 = 7;
/// Our card is signed anew when it is older than this, in days, so that no peer ever calls it stale.
pub const CARD_RENEWED_AFTER_DAYS: u64 = 100;
/// A card older than this is stale: its addresses and telephone numbers may not hold any more, in days.
pub const CARD_STALE_AFTER_DAYS: u64 = 120;

/// What runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    OwnCertificate,
    OwnCard,
    PeerCertificate,
    PeerCard,
    StaleCard,
}

/// What is looked at, and what renews it.
pub struct Watch {
    pub(crate) own: Own,
    pub(crate) directory: Directory,
    pub(crate) clock: Clock,
    pub(crate) node: LoopHandle,
    pub(crate) key_maker: Option<Arc<KeyMaker>>,
    /// How often to look.
    pub(crate) interval: Duration,
}

/// The warning of one thing at a time: days ahead, and in words.
type Warnings = BTreeMap<(Thing, Option<NodeId>), (i64, String)>;

impl Watch {
    /// Looks now and at every interval, until the node stops.
    pub(crate) async fn run(self) {
        let mut told = Warnings::new();
        loop {
            if self.look(&mut told).await.is_err() {
                return;
            }
            tokio::time::sleep(self.interval).await;
        }
    }

    async fn look(&self, told: &mut Warnings) -> Result<(), RequestError> {
        self.renew().await;
        let view = self.node.view().await?;
        let found = self.warnings(&view);
        let gone: Vec<_> = told.keys().filter(|about| !found.contains_key(about)).cloned().collect();
        for about in gone {
            self.tell(&about, None).await?;
            told.remove(&about);
        }
        for (about, (step_days, text)) in found {
            if told.get(&about).is_none_or(|(known_days, _)| *known_days != step_days) {
                // An alarm that lasts is not raised again: it ends first, so that the nearer warning is news.
                self.tell(&about, None).await?;
                self.tell(&about, Some(&text)).await?;
                told.insert(about, (step_days, text));
            }
        }
        Ok(())
    }

    async fn tell(&self, about: &(Thing, Option<NodeId>), text: Option<&str>) -> Result<(), RequestError> {
        let (thing, peer) = about;
        let text = text.map(Text::cut);
        self.node.input(Input::NodeAlarm { code: Code::known(thing.code()), peer: peer.clone(), text }).await
    }

    /// Replaces our certificate and card in time. What cannot be renewed goes on until it runs out, with its warnings.
    async fn renew(&self) {
        let Some(maker) = &self.key_maker else { return };
        let card = self.own.card();
        let by = || Text::cut("the node, in time");
        let ends_soon = Certificate::from_der(&card.card().tls_certificate).is_ok_and(|newest| {
            newest.remaining_days(self.clock.system_time()) < RENEWED_AHEAD_DAYS.min(newest.life_days() / 2)
        });
        // Where an authority issues it, the next one is the authority's to make, and people's to ask for.
        let is_ours = card.card().tls_name.is_none();
        if is_ours
            && ends_soon
            && let Err(error) = maker.rotate_tls(by()).await
        {
            tracing::error!(%error, "our certificate cannot be renewed");
        }
        let card = self.own.card();
        if self.directory.shown().remaining_days(self.clock.system_time()) < SHOWN_AHEAD_DAYS {
            match self.directory.show(card.card()) {
                Ok(true) => tracing::warn!("the next certificate is shown, though not every peer is known to have it"),
                Ok(false) => {}
                Err(error) => tracing::error!(%error, "the next certificate cannot be shown"),
            }
        }
        let is_old = card.card().issued_at.plus_ms(CARD_RENEWED_AFTER_DAYS * DAY_MS) < self.clock.wall();
        if is_old && let Err(error) = maker.renew_card(by()).await {
            tracing::error!(%error, "our card cannot be renewed");
        }
    }

    fn warnings(&self, view: &NodeView) -> Warnings {
        let (now, system_now) = (self.clock.wall(), self.clock.system_time());
        let mut warnings = Warnings::new();
        let mut warn = |thing, peer: Option<&NodeId>, days: i64, life_days: i64, text: String| {
            if let Some(step_days) = step(days, life_days) {
                warnings.insert((thing, peer.cloned()), (step_days, text));
            }
        };
        let shown = self.directory.shown();
        let (first, has_authority) = (shown.first_to_expire(), shown.card_name().is_some());
        let days = first.remaining_days(system_now);
        warn(Thing::OwnCertificate, None, days, first.life_days(), own_certificate_text(days, has_authority));
        let card = self.own.card();
        let days = days_left(card.card(), now);
        warn(Thing::OwnCard, None, days, life_days(card.card()), own_card_text(days));
        for peer in &view.peers {
            let card = peer.card.card();
            let days = days_left(card, now);
            let text = format!("the card of {} {}; ask for a new one, then `aldis peer add FILE`", card.id, ends(days));
            warn(Thing::PeerCard, Some(&card.id), days, life_days(card), text);
            if let Ok(certificate) = Certificate::from_der(&card.tls_certificate) {
                let days = certificate.remaining_days(system_now);
                let text = peer_certificate_text(card, days);
                warn(Thing::PeerCertificate, Some(&card.id), days, certificate.life_days(), text);
            }
        }
        for card in view.peers.iter().map(|peer| peer.card.card()).filter(|card| is_stale(card, now)) {
            let text = format!(
                "the card of {} is older than {CARD_STALE_AFTER_DAYS} days; its addresses and telephone numbers may be too",
                card.id
            );
            warnings.insert((Thing::StaleCard, Some(card.id.clone())), (0, text));
        }
        warnings
    }
}

/// Whether a card is so old that what it says may not hold any more.
pub fn is_stale(card: &Card, now: UnixMillis) -> bool {
    card.issued_at.plus_ms(CARD_STALE_AFTER_DAYS * DAY_MS) < now
}

/// Which warning is due for something that is good for so many days more, and was made for so many: that many days ahead, 0
/// for what has run out; none if it is too early for one.
fn step(days: i64, life_days: i64) -> Option<i64> {
    if days < 0 {
        return Some(0);
    }
    WARNED_AHEAD_DAYS.into_iter().find(|step_days| days < *step_days && 2 * step_days <= life_days)
}

fn days_left(card: &Card, now: UnixMillis) -> i64 {
    days_between(now, card.valid_until)
}

/// For how many days a card was made.
fn life_days(card: &Card) -> i64 {
    days_between(card.issued_at, card.valid_until)
}

fn days_between(from: UnixMillis, until: UnixMillis) -> i64 {
    let between_ms = i128::from(until.get()) - i128::from(from.get());
    i64::try_from(between_ms.div_euclid(i128::from(DAY_MS))).unwrap_or(i64::MAX)
}

fn peer_certificate_text(card: &Card, days: i64) -> String {
    let (whose, advice) = match card.tls_name {
        None => ("TLS certificate", "its node should renew it by itself: ask"),
        Some(_) => ("authority's certificate", "ask for its card with the next one"),
    };
    format!("the {whose} of {} {}, and then no link comes up; {advice}", card.id, ends(days))
}

fn own_card_text(days: i64) -> String {
    format!("our own card {}; see `aldis key list`", ends(days))
}

fn own_certificate_text(days: i64, has_authority: bool) -> String {
    if has_authority {
        return format!(
            "our own TLS certificate, or one above it, {}, and then no link comes up; have the authority issue the next one, \
             then reload",
            ends(days)
        );
    }
    format!(
        "our own TLS certificate {}, and then no link comes up; renew it with `aldis key rotate tls`, and if its successor \
         waits, see which peer has not been reached",
        ends(days)
    )
}

fn ends(days: i64) -> String {
    match days {
        ..0 => "has run out".to_owned(),
        0 => "runs out within a day".to_owned(),
        1 => "runs out in 1 day".to_owned(),
        days => format!("runs out in {days} days"),
    }
}

impl Thing {
    const fn code(self) -> &'static str {
        match self {
            Self::OwnCertificate => "own-certificate-expires",
            Self::OwnCard => "own-card-expires",
            Self::PeerCertificate => "peer-certificate-expires",
            Self::PeerCard => "peer-card-expires",
            Self::StaleCard => "peer-card-stale",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The warnings on the days from the making of something to three days after its end, each once.
    fn steps(life_days: i64) -> Vec<Option<i64>> {
        let mut steps: Vec<_> = (-3..=life_days).rev().map(|days| step(days, life_days)).collect();
        steps.dedup();
        steps
    }

    #[test]
    fn people_are_warned_at_60_30_7_and_1_days() {
        let due: Vec<_> = [61, 60, 59, 30, 29, 8, 7, 6, 1, 0, -5].into_iter().map(|days| step(days, 1_095)).collect();
        let expected =
            [None, None, Some(60), Some(60), Some(30), Some(30), Some(30), Some(7), Some(7), Some(1), Some(0)];
        assert_eq!(due, expected);
    }

    #[test]
    fn what_was_just_made_never_alarms_and_what_runs_out_always_does() {
        for life_days in 1..2_000 {
            assert_eq!(step(life_days, life_days), None, "made for {life_days} days");
            assert_eq!(step((life_days + 1) / 2, life_days), None, "{life_days} days: half of it is left");
            assert_eq!(step(-1, life_days), Some(0), "made for {life_days} days, and over");
        }
        assert_eq!(steps(365), [None, Some(60), Some(30), Some(7), Some(1), Some(0)]);
        assert_eq!(steps(90), [None, Some(30), Some(7), Some(1), Some(0)]);
        assert_eq!(steps(30), [None, Some(7), Some(1), Some(0)]);
        assert_eq!(steps(5), [None, Some(1), Some(0)]);
    }
}
