//! Openings: that somebody here reads a TLP:RED message is on record before the message is shown.

use super::reply;
use crate::batch::Batch;
use crate::effect::Done;
use crate::input::Token;
use crate::moment::Moment;
use crate::record::{Opened, Record};
use crate::state::Core;
use aldis_wire::codec::Text;
use aldis_wire::ids::EnvelopeId;

impl Core {
    /// The core keeps no closed messages, so it cannot know whether there is such a one: whoever asks found it in the log.
    pub(super) fn opened(
        &mut self,
        moment: Moment,
        token: Token,
        message: EnvelopeId,
        by: Text<128>,
        batch: &mut Batch,
    ) {
        self.decided(batch, Record::Opened(Opened { message, by, at: moment.wall }));
        reply(batch, token, Ok(Done::Opened));
    }
}
