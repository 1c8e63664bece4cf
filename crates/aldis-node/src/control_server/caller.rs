//! Who is calling: what the kernel says about the process at the other end of the socket. Nothing the caller sends can
//! change it.

use aldis_wire::codec::Text;
use nix::unistd::{Uid, User};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;

/// How long the system's user database may take to give a name.
const NAME_LIMIT: Duration = Duration::from_secs(2);

/// A user and the process it uses.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// The process; the kernel does not always say.
    pub(super) pid: Option<i32>,
    /// The user's name, or `uid:N` if the system knows none.
    pub(super) name: Arc<str>,
}

impl Caller {
    /// Asks the kernel who opened this connection.
    pub(super) async fn of(stream: &UnixStream) -> io::Result<Self> {
        let credentials = stream.peer_cred()?;
        let uid = credentials.uid();
        let name = user_name(uid).await.unwrap_or_else(|| format!("uid:{uid}"));
        Ok(Self { uid, gid: credentials.gid(), pid: credentials.pid(), name: name.into() })
    }

    /// The caller as it is journalled: the name, and the number that names cannot hide.
    pub(super) fn by(&self) -> Text<128> {
        let name = Text::<100>::cut(&self.name);
        Text::cut(&format!("{name} (uid {})", self.uid))
    }
}

/// The name of a user. The database may be on another machine, so it is asked off the runtime and not for ever.
async fn user_name(uid: u32) -> Option<String> {
    let asked = tokio::task::spawn_blocking(move || User::from_uid(Uid::from_raw(uid)));
    let user = tokio::time::timeout(NAME_LIMIT, asked).await.ok()?.ok()?.ok()??;
    (!user.name.is_empty()).then_some(user.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_kernel_says_who_is_calling() {
        let (_ours, theirs) = UnixStream::pair().unwrap();
        let caller = Caller::of(&theirs).await.unwrap();
        assert_eq!(caller.uid, nix::unistd::getuid().as_raw());
        assert_eq!(caller.pid, i32::try_from(std::process::id()).ok());
        assert!(caller.by().ends_with(&format!("(uid {})", caller.uid)), "{}", caller.by());
    }

    #[tokio::test]
    async fn a_user_without_a_name_has_its_number_and_a_long_name_does_not_hide_it() {
        assert_eq!(user_name(4_000_000_123).await, None);
        let caller = Caller { uid: 7, gid: 7, pid: None, name: "x".repeat(300).into() };
        assert!(caller.by().ends_with(" (uid 7)"));
    }
}
