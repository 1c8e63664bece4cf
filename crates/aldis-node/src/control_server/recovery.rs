//! A history that was lost and comes back, as people see it.

use super::convert;
use crate::event_loop::PeerStatus;
use aldis_control::{RecoveryState, RecoveryView};
use aldis_core::record::{RecoveryEnd, RecoveryEnded, Standing};

/// How it stands with a peer; `None` where nothing was lost.
pub(super) fn view(peer: &PeerStatus) -> Option<RecoveryView> {
    let (progress, known) = (&peer.recovery, &peer.recovery.recovery);
    let lost = peer.standing == Standing::WeLostHistory;
    let state = match (known.ended.as_ref().map(|ended| &ended.end), known.confirmed.is_some()) {
        _ if peer.standing == Standing::NotCompared => RecoveryState::NotCompared,
        // All that it holds is here, and that is less than it once said.
        (Some(RecoveryEnd::Complete), _) if lost && progress.is_short && !progress.is_fetching => RecoveryState::Failed,
        (Some(RecoveryEnd::Complete), _) => RecoveryState::Complete,
        (Some(_), _) => RecoveryState::Failed,
        (None, false) if lost => RecoveryState::Unconfirmed,
        (None, true) if progress.is_fetching => RecoveryState::Fetching,
        (None, true) => RecoveryState::Waiting,
        // It held nothing more; what had not reached it is lost all the same.
        (None, false) if known.gap.is_some() => RecoveryState::Complete,
        (None, false) => return None,
    };
    let id = peer.card.card().id.as_str();
    let text = match (state, &known.ended) {
        (RecoveryState::NotCompared, _) => {
            "it has not told since the restore what it holds; wait for a link".to_owned()
        }
        (RecoveryState::Failed, Some(ended)) if ended.end == RecoveryEnd::Complete => format!(
            "{}. It said before that it holds more than that: ask {id}; `aldis peer recover {id}` once more goes on without \
             the rest",
            ended.words().trim_end_matches([' ', '.'])
        ),
        (_, Some(ended)) => ended.words(),
        (RecoveryState::Complete, None) => known.gap.map(|gap| gap.words(&peer.card.card().id)).unwrap_or_default(),
        (RecoveryState::Unconfirmed, _) => {
            format!("it holds messages that are missing here: `aldis peer recover {id}` fetches them")
        }
        (RecoveryState::Fetching, _) => "what is missing here is fetched from it".to_owned(),
        (_, _) => "it is fetched as soon as a link is up".to_owned(),
    };
    let (confirmed, ended) = (&known.confirmed, &known.ended);
    let counted = |live: u64, of: fn(&RecoveryEnded) -> u64| ended.as_ref().map_or(live, of);
    let gap = known.gap.or_else(|| ended.as_ref().and_then(|ended| ended.gap));
    let named: Vec<String> = match ended {
        Some(ended) => ended.bodiless_first.iter().map(ToString::to_string).collect(),
        None => known.bodiless_first.iter().map(ToString::to_string).collect(),
    };
    Some(RecoveryView {
        state,
        by: confirmed.as_ref().map(|confirmed| confirmed.by.to_string()),
        approved_by: confirmed.as_ref().and_then(|confirmed| confirmed.approved_by.as_ref()).map(ToString::to_string),
        done: progress.done,
        total: progress.total,
        ours: counted(known.ours, |ended| ended.ours),
        theirs: counted(known.theirs, |ended| ended.theirs),
        without_body: counted(known.bodiless, |ended| ended.bodiless),
        without_body_first: named,
        lost_after: gap.filter(|gap| gap.after.get() > 0).map(|gap| convert::time(gap.after)),
        lost_until: gap.map(|gap| convert::time(gap.until)),
        text,
    })
}
