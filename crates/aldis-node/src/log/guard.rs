//! Runs calls into sled so that a panic inside it becomes an error with its place, and reaches the tracing log
//! instead of standard error. It never swallows a panic of our own code outside such a call.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

#[cfg(panic = "abort")]
compile_error!("sled panics on damaged files and must be caught: build with panic = \"unwind\"");

/// sled names the threads of its process-wide pool like this.
const POOL_THREAD_PREFIX: &str = "sled-io-";
/// An index of 2^37 entries is three levels deep, so this is ample; it is set so that it does not depend on the caller.
const STACK_BYTES: usize = 8 << 20;

static HOOK: Once = Once::new();
/// sled's pool never recovers from a panic in one of its threads, whichever store caused it.
static POOL_PANICKED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static IN_SLED: Cell<bool> = const { Cell::new(false) };
    static PANIC_PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `call` on this thread; the error says what panicked and where.
pub(super) fn run<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    HOOK.call_once(install_hook);
    let was_in_sled = IN_SLED.replace(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(call));
    IN_SLED.set(was_in_sled);
    outcome.map_err(|payload| {
        let place = PANIC_PLACE.take().unwrap_or_else(|| "an unknown place".to_owned());
        format!("sled panicked at {place}: {}", message(payload.as_ref()))
    })
}

/// Runs `call` on a thread of its own: after a panic in the middle of opening, the thread takes sled's thread-local
/// state with it. The error says what panicked and where, or that no thread could be had.
pub(super) fn run_on_own_thread<T: Send>(call: impl FnOnce() -> T + Send) -> Result<T, String> {
    thread::scope(|scope| {
        let spawned = thread::Builder::new()
            .name("log-open".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || run(call));
        match spawned {
            Ok(handle) => handle.join().unwrap_or_else(|payload| Err(message(payload.as_ref()))),
            Err(error) => Err(format!("cannot start a thread: {error}")),
        }
    })
}

/// True once a thread of sled's pool has panicked: no store in this process can be relied on any more.
pub(super) fn pool_panicked() -> bool {
    POOL_PANICKED.load(Ordering::Acquire)
}

fn install_hook() {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let is_pool = thread::current().name().is_some_and(|name| name.starts_with(POOL_THREAD_PREFIX));
        if is_pool {
            POOL_PANICKED.store(true, Ordering::Release);
        }
        if is_pool || IN_SLED.get() {
            record(info);
        } else {
            previous(info);
        }
    }));
}

fn record(info: &PanicHookInfo<'_>) {
    let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    tracing::error!(%place, message = message(info.payload()), "sled panicked; caught");
    PANIC_PLACE.set(Some(place));
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_its_place() {
        let error = run(|| -> u8 { panic!("page {} is gone", 7) }).unwrap_err();
        assert!(error.contains("page 7 is gone") && error.contains("guard.rs"), "{error}");
        let error = run_on_own_thread(|| -> u8 { panic!("page 8 is gone") }).unwrap_err();
        assert!(error.contains("page 8 is gone") && error.contains("guard.rs"), "{error}");
    }

    #[test]
    fn a_call_that_returns_is_passed_through() {
        assert_eq!(run(|| 3), Ok(3));
        assert_eq!(run_on_own_thread(|| 4), Ok(4));
        assert!(!IN_SLED.get());
    }
}
