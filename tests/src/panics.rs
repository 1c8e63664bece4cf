//! What panics in nodes that run inside a test: a task that ends so takes nothing with it, and would go unseen.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what panics in any thread of this process from now on.
pub fn counted() -> Arc<AtomicU64> {
    let panics = Arc::new(AtomicU64::new(0));
    let (counter, told) = (Arc::clone(&panics), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |panic| {
        counter.fetch_add(1, Ordering::Relaxed);
        told(panic);
    }));
    panics
}
