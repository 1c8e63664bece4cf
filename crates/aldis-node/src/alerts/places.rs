//! Places: how many things of a sort go on at once, with some that only urgent ones may take (I7).

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A number of places.
#[derive(Clone)]
pub(super) struct Places {
    common: Arc<Semaphore>,
    reserve: Arc<Semaphore>,
}

/// A place, free again when dropped.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Places {
    /// `common` places for all, and `reserve` more for what is urgent.
    pub(super) fn new(common: usize, reserve: usize) -> Self {
        Self { common: Arc::new(Semaphore::new(common)), reserve: Arc::new(Semaphore::new(reserve)) }
    }

    /// A place, if one is free at this moment.
    pub(super) fn try_take(&self, urgent: bool) -> Option<Place> {
        let common = Arc::clone(&self.common).try_acquire_owned().ok();
        let permit = match common {
            None if urgent => Arc::clone(&self.reserve).try_acquire_owned().ok(),
            common => common,
        };
        permit.map(|permit| Place { _permit: permit })
    }

    /// A place, as soon as one is free. Without a limit of time.
    pub(super) async fn take(&self, urgent: bool) -> Place {
        let common = Arc::clone(&self.common).acquire_owned();
        let permit = if urgent {
            tokio::select! {
                biased;
                common = common => common,
                reserved = Arc::clone(&self.reserve).acquire_owned() => reserved,
            }
        } else {
            common.await
        };
        Place { _permit: permit.expect("the semaphores are never closed") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn i7_only_what_is_urgent_takes_the_reserve() {
        let places = Places::new(2, 1);
        let held = [places.try_take(false), places.take(true).await.into()];
        assert!(held.iter().all(Option::is_some));
        assert!(places.try_take(false).is_none());
        let urgent = places.take(true).await;
        assert!(places.try_take(true).is_none());
        drop(urgent);
        assert!(places.try_take(true).is_some());
        drop(held);
        assert!(places.try_take(false).is_some());
    }
}
