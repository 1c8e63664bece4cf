//! Climbing the ladder: what happens when nobody answers.

use crate::batch::Batch;
use crate::ladder::{AlertId, AlertOutcome};
use crate::moment::Moment;
use crate::state::Core;

impl Core {
    /// What became of an alert.
    pub(super) fn alerted(&mut self, _moment: Moment, _alert: AlertId, _outcome: AlertOutcome, _batch: &mut Batch) {}
}
