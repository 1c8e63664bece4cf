//! One `[[access]]` entry as the file has it, checked while it is read, so that every error knows its line.

use crate::access::{Desks, Entry, NAMES_MAX, Name};
use aldis_control::Role;
use serde::Deserialize;

use super::values::DeskName;

/// The longest name of a user or group, in bytes.
const NAME_MAX_BYTES: usize = 255;
/// What the system uses for "no user" and "no group".
const NOBODY_AT_ALL: u32 = u32::MAX;

/// An entry of the file.
#[derive(Deserialize)]
#[serde(try_from = "Fields")]
pub(super) struct AccessFile(pub(super) Entry);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    role: RoleName,
    #[serde(default)]
    users: Vec<User>,
    #[serde(default)]
    groups: Vec<Group>,
    desks: Option<Vec<DeskName>>,
    flash: Option<bool>,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct RoleName(Role);

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct User(Name);

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Group(Name);

impl TryFrom<Fields> for AccessFile {
    type Error = String;
    fn try_from(fields: Fields) -> Result<Self, String> {
        if fields.users.is_empty() && fields.groups.is_empty() {
            return Err("an [[access]] entry names nobody: add `users` or `groups`, or remove it".to_owned());
        }
        for (key, count) in [("users", fields.users.len()), ("groups", fields.groups.len())] {
            if count > NAMES_MAX {
                return Err(format!("`{key}` has {count} names; at most {NAMES_MAX}: make a Unix group of them"));
            }
        }
        let role = fields.role.0;
        let desks = match fields.desks {
            None => Desks::All,
            Some(_) if role == Role::Admin => {
                return Err("an admin reads no messages: remove `desks`, or choose another role".to_owned());
            }
            Some(desks) if desks.is_empty() => {
                return Err("`desks` is empty: name some, or leave it out for all".to_owned());
            }
            Some(desks) => Desks::Only(desks.into_iter().map(|desk| desk.0).collect()),
        };
        if fields.flash.is_some() && role != Role::Operator {
            return Err("`flash` says whether an operator may send FLASH: remove it from other roles".to_owned());
        }
        let users = fields.users.into_iter().map(|user| user.0).collect();
        let groups = fields.groups.into_iter().map(|group| group.0).collect();
        Ok(Self(Entry { role, users, groups, desks, flash: fields.flash.unwrap_or(true) }))
    }
}

impl TryFrom<String> for RoleName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.parse() {
            Ok(role) => Ok(Self(role)),
            Err(_) => Err(format!("`{}` is no role: write auditor, operator, releaser or admin", shown(&text))),
        }
    }
}

impl TryFrom<String> for User {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        name(&text, "user", "uid:").map(Self)
    }
}

impl TryFrom<String> for Group {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        name(&text, "group", "gid:").map(Self)
    }
}

/// A name, or a number behind its prefix. What a system would never take for a name is a mistake of the file's.
fn name(text: &str, what: &str, prefix: &str) -> Result<Name, String> {
    if let Some(number) = text.strip_prefix(prefix) {
        // `parse` alone would take a sign.
        let plain = number.bytes().all(|byte| byte.is_ascii_digit());
        return match number.parse() {
            Ok(number) if plain && number != NOBODY_AT_ALL => Ok(Name::Number(number)),
            _ => Err(format!("`{}` is no {what}: write {prefix} and its number, such as {prefix}1001", shown(text))),
        };
    }
    let allowed = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, ':' | ',');
    if text.is_empty() || text.len() > NAME_MAX_BYTES || !text.chars().all(allowed) {
        let shown = shown(text);
        return Err(format!("`{shown}` is no {what}: write its name as `id` shows it, or {prefix} and its number"));
    }
    Ok(Name::Name(text.to_owned()))
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect::<String>().escape_debug().to_string()
}
