//! How an answer of the loop finds its way back: with what came of the request and, if whoever asked wants to follow the
//! messages it signed, with what will be told of each.

use super::RequestError;
use crate::events::Events;
use aldis_core::effect::{Declined, Delivery, Done};
use tokio::sync::oneshot;

/// The way back to whoever asked.
#[derive(Debug)]
pub struct Reply {
    to: oneshot::Sender<Result<Answered, Declined>>,
    follows: bool,
}

/// A request that the loop has, or will take from its queue.
#[derive(Debug)]
pub struct HandedIn(oneshot::Receiver<Result<Answered, Declined>>);

/// What came of a request.
#[derive(Debug)]
pub struct Answered {
    /// What was done.
    pub done: Done,
    /// If it was to be followed: for each message signed, in their order, what becomes ready when the message is stored
    /// at its peer or never will be. `None` if too many wait already.
    pub stored: Vec<Option<oneshot::Receiver<Delivery>>>,
}

impl Reply {
    /// A way back, and the place where the answer comes. With `follows` the messages that are signed are followed.
    pub(super) fn new(follows: bool) -> (Self, HandedIn) {
        let (to, answer) = oneshot::channel();
        (Self { to, follows }, HandedIn(answer))
    }

    /// Answers. Called by the loop as it carries out the reply, before the next commit: nobody can have been told of a
    /// delivery yet, so whoever follows misses none (I3).
    pub(super) fn answer(self, result: Result<Done, Declined>, events: &Events) {
        let answered = result.map(|done| {
            let stored = match &done {
                Done::Submitted(signed) if self.follows => {
                    signed.iter().map(|(id, _)| events.stored(id.clone())).collect()
                }
                _ => Vec::new(),
            };
            Answered { done, stored }
        });
        // Whoever asked may have gone; what was done holds.
        let _gone = self.to.send(answered);
    }

    /// Answers that nothing was done.
    pub(super) fn decline(self, declined: Declined) {
        // Whoever asked may have gone.
        let _gone = self.to.send(Err(declined));
    }
}

impl HandedIn {
    /// What came of it.
    pub async fn answer(self) -> Result<Answered, RequestError> {
        Ok(self.0.await.map_err(|_| RequestError::Stopping)??)
    }
}
