//! What this node and a peer have agreed on: both sides' terms, and what went each way in the hours and days they limit.
//! A message is within the agreement if it is within the terms of both sides, whichever way it goes. A side without
//! terms sets no limit.

mod difference;
mod traffic;

pub use difference::{Difference, difference};
pub use traffic::{REMEMBERED_HOURS, Traffic};

use aldis_wire::attachment::ATTACHMENT_MAX_BYTES;
use aldis_wire::codec::{Decode, Encode};
use aldis_wire::codes::{Code, Tlp};
use aldis_wire::header::ExactHeader;
use aldis_wire::ids::{Seq, UnixMillis};
use aldis_wire::kinds::{RefusalCode, Terms};
use aldis_wire::lane::Lane;

/// The agreement with one peer.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Agreement {
    /// Our terms, as our administrators set them.
    pub ours: Option<Terms>,
    /// The peer's terms, as it sent them.
    pub theirs: Option<Terms>,
    /// Where our terms are in the lanes towards the peer; `None` while they have to be sent.
    pub(crate) told: Option<(Lane, Seq)>,
    /// What we signed for the peer.
    pub sent: Traffic,
    /// What came from it.
    pub received: Traffic,
}

/// What of some terms a message breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    /// They have run out.
    #[error("they ran out at {0}; nothing but answers goes until there are new ones")]
    Expired(UnixMillis),
    /// The kind is not among those agreed.
    #[error("kind `{0}` is not agreed")]
    Kind(Code),
    /// The label is more restrictive than agreed.
    #[error("{0} is more than {1}, the highest agreed")]
    Label(Tlp, Tlp),
    /// No FLASH is agreed.
    #[error("FLASH is not agreed")]
    NoFlash,
    /// The day's FLASH messages are used up.
    #[error("{0} FLASH messages a day are agreed; the next day begins at {1}")]
    Flash(u32, UnixMillis),
    /// The hour's messages are used up.
    #[error("{0} messages an hour are agreed; the next hour begins at {1}")]
    Messages(u32, UnixMillis),
    /// The hour's bytes are used up.
    #[error("{0} bytes an hour are agreed; the next hour begins at {1}")]
    Bytes(u64, UnixMillis),
    /// An attachment is larger than agreed.
    #[error("an attachment has {0} bytes, and at most {1} are agreed")]
    Attachment(u64, u64),
}

impl Breach {
    /// The code a refusal names it by.
    pub fn code(&self) -> RefusalCode {
        match self {
            Self::Expired(_) | Self::Kind(_) | Self::Label(..) | Self::NoFlash => RefusalCode::NotAgreed,
            Self::Attachment(..) => RefusalCode::AttachmentTooLarge,
            Self::Flash(..) | Self::Messages(..) | Self::Bytes(..) => RefusalCode::OverRate,
        }
    }
}

impl Agreement {
    /// When the first of the terms of both sides runs out.
    pub fn ends_at(&self) -> Option<UnixMillis> {
        self.both().map(|terms| terms.expires_at).min()
    }

    /// The largest attachment within the terms of both sides, in bytes. A side without terms sets no limit of its own.
    pub fn attachment_max_bytes(&self) -> u64 {
        self.both().map(Terms::attachment_max_bytes).min().unwrap_or(ATTACHMENT_MAX_BYTES)
    }

    /// The terms of both sides, ours first, as far as there are any.
    pub fn both(&self) -> impl Iterator<Item = &Terms> {
        self.ours.iter().chain(&self.theirs)
    }
}

/// What of `terms` a message breaks at `now`, with `before` what already went its way; `None` if it is within them.
pub fn breach(terms: &Terms, before: &Traffic, header: &ExactHeader, now: UnixMillis) -> Option<Breach> {
    if !Terms::concern(&header.kind) {
        return None;
    }
    if terms.expires_at <= now {
        return Some(Breach::Expired(terms.expires_at));
    }
    if !terms.allow_kind(&header.kind) {
        return Some(Breach::Kind(header.kind.clone()));
    }
    if !terms.allow_label(header.tlp) {
        return Some(Breach::Label(header.tlp, terms.highest_tlp));
    }
    if header.lane == Lane::Flash && terms.flash_per_day == 0 {
        return Some(Breach::NoFlash);
    }
    before.breach(terms, header, now)
}
