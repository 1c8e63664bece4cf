//! The site's own rules for what is urgent or TLP:RED: what takes a second person, how long a FLASH may be, how many may
//! go. They concern what people begin, never an answer and never what the machine says.

use crate::effect::Declined;
use crate::input::Submission;
use crate::moment::Moment;
use crate::record::Long;
use crate::state::Core;
use aldis_wire::codec::Text;
use aldis_wire::header::ExactHeader;
use aldis_wire::kinds::{Bearing, Terms};
use aldis_wire::lane::Lane;

impl Core {
    /// Whether a message takes a second person. A hotline does once, when it is opened.
    pub(super) fn takes_release(&self, submission: &Submission) -> bool {
        let wanted = self.limits.discipline.wants_release(submission.lane, submission.tlp);
        wanted && matches!(submission.bearing, Bearing::Notice | Bearing::Hotline)
    }

    /// What is to be on record about the length of a message; declined if it is a FLASH and nobody said why.
    pub(super) fn check_words(
        &self,
        submission: &Submission,
        words: u32,
        why: Option<Text<200>>,
    ) -> Result<Option<Long>, Declined> {
        let allowed = self.limits.discipline.flash_words;
        if submission.lane != Lane::Flash || words <= allowed {
            return Ok(None);
        }
        match why.filter(|why| !why.trim().is_empty()) {
            Some(why) => Ok(Some(Long { words, why })),
            None => Err(Declined::TooLong { words, allowed }),
        }
    }

    /// Whether the site's own FLASH messages of the day to a peer are used up. The agreement's number is checked apart.
    pub(super) fn check_flash_per_day(&self, moment: Moment, header: &ExactHeader) -> Result<(), Declined> {
        let allowed = self.limits.discipline.flash_per_day;
        let counts = header.lane == Lane::Flash && Terms::concern(&header.kind);
        let sent = self.peers.get(&header.to).map_or(0, |peer| peer.durable.agreement.sent.flash_in_day(moment.wall));
        if counts && sent >= u64::from(allowed) {
            return Err(Declined::FlashUsedUp { peer: header.to.clone(), allowed });
        }
        Ok(())
    }
}
