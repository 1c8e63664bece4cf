//! What other programs and the disk get to see of this process's memory: no debugger of the same user, no core dump,
//! and no swap where the limit allows.

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use std::io;

/// Whether memory is kept out of swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locked {
    /// It is.
    Yes,
    /// The limit on locked memory (`RLIMIT_MEMLOCK`) is this many bytes, and a daemon that runs into it would fail at
    /// any moment. So nothing is locked.
    Limited {
        /// The limit.
        bytes: u64,
    },
}

/// Forbids core dumps, and other processes of this user to read this one's memory. For the rest of the process's life.
pub fn keep_private() -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(())
}

/// Keeps all memory, now and later, out of swap, if that is not limited. A page is held from the moment it is first
/// used: what is only set aside, as for the stacks of threads, takes no memory.
pub fn lock() -> io::Result<Locked> {
    let locked = lockable();
    if locked == Locked::Yes {
        mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)?;
    }
    Ok(locked)
}

/// What [`lock`] would do.
pub fn lockable() -> Locked {
    match getrlimit(Resource::Memlock).current {
        None => Locked::Yes,
        Some(bytes) => Locked::Limited { bytes },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::dumpable_behavior;

    #[test]
    fn a_private_process_is_not_dumpable_and_leaves_no_core() {
        keep_private().unwrap();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        assert_eq!(getrlimit(Resource::Core), Rlimit { current: Some(0), maximum: Some(0) });
    }
}
