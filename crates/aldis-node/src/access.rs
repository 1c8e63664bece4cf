//! Who may do what: the rules of `[[access]]` in the configuration, and what they grant a caller at this moment. The
//! system's user database is asked nothing here; nothing is remembered from one request to the next.

use aldis_control::Role;
use aldis_wire::codes::Desk;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

/// The most entries.
pub const ENTRIES_MAX: usize = 64;
/// The most users, and the most groups, of one entry.
pub const NAMES_MAX: usize = 64;

/// Who can change what somebody may do, and how: the advice of every refusal for want of a role or desk.
pub const WHO_CHANGES_IT: &str = "whoever may edit aldisd.toml changes it under [[access]] and reloads the daemon \
    (`systemctl reload aldisd`, SIGHUP); `aldis status` shows what you have";

/// A user or group as the configuration names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// By its number.
    Number(u32),
    /// By the name the system's database gives it.
    Name(String),
}

/// One `[[access]]` entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it grants.
    pub role: Role,
    /// To which users.
    pub users: Vec<Name>,
    /// To which groups.
    pub groups: Vec<Name>,
    /// For whose messages.
    pub desks: Desks,
    /// Whether an operator may send FLASH.
    pub flash: bool,
}

/// Some desks, or all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Desks {
    /// All, also those this program does not know.
    All,
    /// These.
    Only(BTreeSet<Desk>),
}

/// Somebody, as kernel and user database say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The user's number, from the kernel.
    pub uid: u32,
    /// The user's name, if the system knows one.
    pub name: Option<String>,
    /// The groups: the process's own and all of the user's.
    pub gids: BTreeSet<u32>,
    /// Those groups that the rules name, by name.
    pub groups: BTreeSet<String>,
}

/// The rules. Without an entry, root and the daemon's own user may do everything and nobody else anything; with entries,
/// only they count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(Vec<Entry>);

/// What somebody may do at this moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    roles: BTreeMap<Role, Desks>,
    flash: bool,
}

/// The rules in force; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Access(Arc<RwLock<Arc<Rules>>>);

impl Rules {
    /// Rules of these entries.
    pub fn new(entries: Vec<Entry>) -> Self {
        Self(entries)
    }

    /// What is wrong with the entries together, and what to do.
    pub fn fault(&self) -> Option<String> {
        if self.0.len() > ENTRIES_MAX {
            return Some(format!("{} entries; at most {ENTRIES_MAX}: give one entry several names", self.0.len()));
        }
        if !self.0.is_empty() && self.0.iter().all(|entry| entry.role != Role::Admin) {
            let problem = "no entry has role = \"admin\", so nobody could enrol a peer or open a lane: add one, or \
                remove all [[access]] entries, which leaves every role to root and the daemon's own user";
            return Some(problem.to_owned());
        }
        None
    }

    /// The entries.
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// The groups that are named, for whoever asks the system which of them somebody is in.
    pub fn group_names(&self) -> BTreeSet<&str> {
        let named = |name| match name {
            &Name::Number(_) => None,
            Name::Name(name) => Some(name.as_str()),
        };
        self.0.iter().flat_map(|entry| &entry.groups).filter_map(named).collect()
    }

    /// Whether a group, by name or number, counts anywhere.
    pub fn ask_for_groups(&self) -> bool {
        self.0.iter().any(|entry| !entry.groups.is_empty())
    }

    /// What somebody may do. `own` is the daemon's own user.
    pub fn allowed(&self, who: &Identity, own: u32) -> Grant {
        let mut grant = Grant::default();
        if self.0.is_empty() && (who.uid == 0 || who.uid == own) {
            Role::ALL.into_iter().for_each(|role| grant.add(role, &Desks::All));
            grant.flash = true;
        }
        for entry in self.0.iter().filter(|entry| entry.names(who)) {
            grant.add(entry.role, &entry.desks);
            grant.flash |= entry.role == Role::Operator && entry.flash;
        }
        grant
    }
}

impl Entry {
    fn names(&self, who: &Identity) -> bool {
        let is_user = |name: &Name| match name {
            Name::Number(uid) => *uid == who.uid,
            Name::Name(name) => who.name.as_ref() == Some(name),
        };
        let is_group = |name: &Name| match name {
            Name::Number(gid) => who.gids.contains(gid),
            Name::Name(name) => who.groups.contains(name),
        };
        self.users.iter().any(is_user) || self.groups.iter().any(is_group)
    }
}

impl Grant {
    /// The roles, each once.
    pub fn roles(&self) -> Vec<Role> {
        self.roles.keys().copied().collect()
    }

    /// Whether one of these roles is among them.
    pub fn has_any(&self, roles: &[Role]) -> bool {
        roles.iter().any(|role| self.roles.contains_key(role))
    }

    /// The desks whose messages may be read: an admin reads none.
    pub fn reads(&self) -> Desks {
        self.desks(&[Role::Auditor, Role::Operator, Role::Releaser])
    }

    /// The desks for which may be sent and answered.
    pub fn writes(&self) -> Desks {
        self.desks(&[Role::Operator])
    }

    /// The desks whose drafts may be released.
    pub fn releases(&self) -> Desks {
        self.desks(&[Role::Releaser])
    }

    /// Whether FLASH may be sent.
    pub fn sends_flash(&self) -> bool {
        self.flash
    }

    fn desks(&self, roles: &[Role]) -> Desks {
        let mut all = Desks::none();
        roles.iter().filter_map(|role| self.roles.get(role)).for_each(|desks| all.add(desks));
        all
    }

    fn add(&mut self, role: Role, desks: &Desks) {
        self.roles.entry(role).or_insert_with(Desks::none).add(desks);
    }
}

impl Desks {
    /// No desk.
    pub fn none() -> Self {
        Self::Only(BTreeSet::new())
    }

    /// Whether a desk is among them.
    pub fn contains(&self, desk: Desk) -> bool {
        match self {
            Self::All => true,
            Self::Only(desks) => desks.contains(&desk),
        }
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::All => Desk::ALL.iter().map(ToString::to_string).collect(),
            Self::Only(desks) => desks.iter().map(ToString::to_string).collect(),
        }
    }

    fn add(&mut self, more: &Self) {
        match (&mut *self, more) {
            (Self::Only(desks), Self::Only(more)) => desks.extend(more),
            (_, Self::All) => *self = Self::All,
            (Self::All, Self::Only(_)) => {}
        }
    }
}

impl Access {
    /// These rules, until others take their place.
    pub fn new(rules: Rules) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(rules))))
    }

    /// The rules in force now.
    pub fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts others in force, at once and all together.
    pub fn replace(&self, rules: Rules) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
