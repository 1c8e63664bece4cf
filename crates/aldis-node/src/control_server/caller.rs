//! Who is calling: what the kernel says about the process at the other end of the socket, and what the system's user
//! database says about that user at this moment. Nothing the caller sends can change it, and nothing is remembered from
//! one request to the next.

use super::Server;
use crate::access::{Grant, Identity, Rules};
use aldis_control::You;
use aldis_core::trust::Person;
use aldis_wire::codec::Text;
use axum::Extension;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use nix::unistd::{Gid, Group, Uid, User, getgrouplist};
use std::collections::BTreeSet;
use std::ffi::CString;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;

/// How long the system's user database may take to answer.
const LOOKUP_LIMIT: Duration = Duration::from_secs(2);

/// How many requests ask it at once; each holds a thread until it has its answer, however late.
pub(super) const LOOKUPS_MAX: usize = 16;

/// The most groups of one user that count.
const GROUPS_MAX: usize = 1_024;

/// What the kernel says about a process, for as long as its connection lasts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Credentials {
    uid: u32,
    gid: u32,
    /// The kernel does not always say.
    pid: Option<i32>,
}

/// A user and the process it uses, for one request.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) pid: Option<i32>,
    /// The user's name, or `uid:N` if the system knows none.
    pub(super) name: Arc<str>,
    /// Whether the user database answered in time; if not, only numbers count.
    pub(super) looked_up: bool,
}

impl Credentials {
    /// Asks the kernel who opened this connection.
    pub(super) fn of(stream: &UnixStream) -> io::Result<Self> {
        let credentials = stream.peer_cred()?;
        Ok(Self { uid: credentials.uid(), gid: credentials.gid(), pid: credentials.pid() })
    }
}

impl Caller {
    /// Asks the system about a user, and the rules in force what it may do.
    pub(super) async fn look_up(credentials: Credentials, server: &Server) -> (Self, Grant) {
        let rules = server.context.access.rules();
        let found = identity(credentials, &rules, &server.lookups).await;
        let looked_up = found.is_some();
        let Credentials { uid, gid, pid } = credentials;
        let who = found.unwrap_or_else(|| Identity { uid, gids: BTreeSet::from([gid]), ..Identity::default() });
        let grant = rules.allowed(&who, nix::unistd::geteuid().as_raw());
        let name = who.name.unwrap_or_else(|| format!("uid:{uid}"));
        (Self { uid, gid, pid, name: name.into(), looked_up }, grant)
    }

    /// The caller as an administrator.
    pub(super) fn person(&self) -> Person {
        Person { uid: self.uid, name: Text::cut(&self.name) }
    }

    /// The caller as it is journalled: the name, and the number that names cannot hide.
    pub(super) fn by(&self) -> Text<128> {
        let name = Text::<100>::cut(&self.name);
        Text::cut(&format!("{name} (uid {})", self.uid))
    }

    /// The caller as `status` shows it.
    pub(super) fn you(&self, grant: &Grant) -> You {
        You {
            user: self.by().to_string(),
            roles: grant.roles(),
            desks: grant.reads().names(),
            sends_for: grant.writes().names(),
        }
    }
}

/// Finds out who is calling and what they may do, anew for each request.
pub(super) async fn identify(
    State(server): State<Arc<Server>>,
    Extension(credentials): Extension<Credentials>,
    mut request: Request,
    next: Next,
) -> Response {
    let (caller, grant) = Caller::look_up(credentials, &server).await;
    request.extensions_mut().insert(caller);
    request.extensions_mut().insert(grant);
    next.run(request).await
}

/// What the system knows of a user. The database may be on another machine, so it is asked off the runtime, by a few at a
/// time and not for ever.
async fn identity(credentials: Credentials, rules: &Arc<Rules>, lookups: &Arc<Semaphore>) -> Option<Identity> {
    let rules = Arc::clone(rules);
    let asked = async {
        let place = Arc::clone(lookups).acquire_owned().await.expect("the semaphore is never closed");
        tokio::task::spawn_blocking(move || {
            let _place = place;
            in_database(credentials, &rules)
        })
        .await
    };
    tokio::time::timeout(LOOKUP_LIMIT, asked).await.ok()?.ok()
}

fn in_database(credentials: Credentials, rules: &Rules) -> Identity {
    let Credentials { uid, gid, .. } = credentials;
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten().filter(|user| !user.name.is_empty());
    let mut gids = BTreeSet::from([gid]);
    if rules.ask_for_groups()
        && let Some(user) = &user
    {
        gids.extend(groups_of(user));
    }
    let is_in = |name: &&str| {
        let group = Group::from_name(name).ok().flatten();
        group.is_some_and(|group| gids.contains(&group.gid.as_raw()))
    };
    let groups = rules.group_names().into_iter().filter(is_in).map(str::to_owned).collect();
    Identity { uid, name: user.map(|user| user.name), gids, groups }
}

/// The primary group of a user and all others.
fn groups_of(user: &User) -> Vec<u32> {
    let Ok(name) = CString::new(user.name.as_str()) else { return Vec::new() };
    let groups = getgrouplist(&name, user.gid).unwrap_or_default();
    if groups.len() > GROUPS_MAX {
        tracing::warn!(
            user = user.name,
            groups = groups.len(),
            "only the first {GROUPS_MAX} groups of this user count"
        );
    }
    groups.into_iter().take(GROUPS_MAX).map(Gid::as_raw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Desks, Entry, Name};
    use aldis_control::Role;

    fn lookups() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(LOOKUPS_MAX))
    }

    #[tokio::test]
    async fn the_kernel_says_who_is_calling() {
        let (_ours, theirs) = UnixStream::pair().unwrap();
        let credentials = Credentials::of(&theirs).unwrap();
        assert_eq!(credentials.uid, nix::unistd::getuid().as_raw());
        assert_eq!(credentials.gid, nix::unistd::getgid().as_raw());
        assert_eq!(credentials.pid, i32::try_from(std::process::id()).ok());
    }

    #[tokio::test]
    async fn a_user_without_an_entry_has_no_name_and_only_the_group_of_its_process() {
        let credentials = Credentials { uid: 4_000_000_123, gid: 4_000_000_124, pid: None };
        let admins = Entry {
            role: Role::Admin,
            users: vec![],
            groups: vec![Name::Name("root".to_owned())],
            desks: Desks::All,
            flash: true,
        };
        let rules = Arc::new(Rules::new(vec![admins]));
        let identity = identity(credentials, &rules, &lookups()).await.unwrap();
        let gids = BTreeSet::from([4_000_000_124]);
        assert_eq!(identity, Identity { uid: 4_000_000_123, name: None, gids, groups: BTreeSet::new() });
    }

    #[tokio::test(start_paused = true)]
    async fn i7_a_database_that_does_not_answer_is_given_up_and_gives_nobody_anything() {
        let busy = Arc::new(Semaphore::new(0));
        let credentials = Credentials { uid: 0, gid: 0, pid: None };
        assert_eq!(identity(credentials, &Arc::default(), &busy).await, None);
    }

    #[test]
    fn a_long_name_does_not_hide_the_number() {
        let caller = Caller { uid: 7, gid: 7, pid: None, name: "x".repeat(300).into(), looked_up: true };
        assert!(caller.by().ends_with(" (uid 7)"));
    }
}
