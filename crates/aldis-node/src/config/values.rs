//! The values a configuration is made of, each checked while it is read, so that every error knows its line. Nothing here
//! knows which field it serves.

use crate::tls::TlsName;
use aldis_wire::card::Contact;
use aldis_wire::codec::{List, Text};
use aldis_wire::codes::Desk;
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A whole number from `MIN` to `MAX`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Number<MIN, MAX> {
    pub(super) fn get(self) -> u64 {
        self.0
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Number<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u64(NumberVisitor::<MIN, MAX>).map(Self)
    }
}

struct NumberVisitor<const MIN: u64, const MAX: u64>;

impl<const MIN: u64, const MAX: u64> Visitor<'_> for NumberVisitor<MIN, MAX> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {MIN} to {MAX}")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
        if !(MIN..=MAX).contains(&number) {
            return Err(E::custom(format!("{number} is out of range: write {MIN} to {MAX}")));
        }
        Ok(number)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<u64, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::custom(format!("{number} is out of range: write {MIN} to {MAX}"))),
        }
    }
}

/// A text of one line, 1 to `MAX` bytes, without characters that could deceive whoever reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line<const MAX: usize>(Text<MAX>);

impl<const MAX: usize> Line<MAX> {
    pub(super) fn into_text(self) -> Text<MAX> {
        self.0
    }
}

impl<const MAX: usize> TryFrom<String> for Line<MAX> {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("is empty: write something, or leave the key out if it is optional".to_owned());
        }
        if let Some(bad) = text.chars().find(|c| is_deceptive(*c)) {
            return Err(format!("holds the invisible character {}: remove it", bad.escape_unicode()));
        }
        Text::new(text).map(Self).map_err(|error| format!("{error}: shorten it"))
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Line<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// A country (`BR`) or organisation (`OAS`) as cards carry it: 2 to 16 capital letters, digits and hyphens.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Country(Text<16>);

impl Country {
    /// The code as cards carry it.
    pub fn text(&self) -> &Text<16> {
        &self.0
    }
}

impl FromStr for Country {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let allowed = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-';
        match Text::new(text) {
            Ok(code) if code.len() >= 2 && code.bytes().all(allowed) => Ok(Self(code)),
            _ => Err(format!(
                "`{}` is no country: write the two capital letters of ISO 3166-1, such as BR, or an organisation, such as OAS",
                Text::<80>::cut(text).escape_debug()
            )),
        }
    }
}

impl TryFrom<String> for Country {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Where peers reach a node: `host:port`, the host a DNS name, an IPv4 address, or an IPv6 address in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Endpoint(Text<260>);

impl Endpoint {
    /// The endpoint as cards carry it.
    pub fn text(&self) -> &Text<260> {
        &self.0
    }

    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        let host = self.0.rsplit_once(':').map_or("", |(host, _)| host);
        match literal(host) {
            Some(address) => address.to_canonical().is_loopback(),
            None => host == "localhost",
        }
    }
}

impl FromStr for Endpoint {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            let shown = Text::<80>::cut(text).escape_debug().to_string();
            format!(
                "`{shown}` is no endpoint: {why}; write host:port, such as aldis.cert.example:7443 or [2001:db8::1]:7443"
            )
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(|| wrong("it has no port"))?;
        if !matches!(port.parse::<u16>(), Ok(1..)) || port.starts_with('+') {
            return Err(wrong("its port is not 1 to 65535"));
        }
        match literal(host) {
            Some(address) if address.is_unspecified() => return Err(wrong("nobody can dial this address")),
            Some(_) => {}
            None if is_dns_name(host) => {}
            None => return Err(wrong("its host is neither a name nor an address (IPv6 goes in brackets)")),
        }
        Text::new(text).map(Self).map_err(|_| wrong("it is too long"))
    }
}

impl TryFrom<String> for Endpoint {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A contact as the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContactFile {
    desk: DeskName,
    name: Line<128>,
    telephone: Option<Line<64>>,
    email: Option<Line<254>>,
    hours: Option<Line<128>>,
    languages: Option<Languages>,
}

impl ContactFile {
    pub(super) fn into_contact(self) -> Contact {
        Contact {
            desk: self.desk.0,
            name: self.name.into_text(),
            telephone: self.telephone.map(Line::into_text).unwrap_or_default(),
            email: self.email.map(Line::into_text).unwrap_or_default(),
            hours: self.hours.map(Line::into_text).unwrap_or_default(),
            languages: self.languages.map(|languages| languages.0).unwrap_or_default(),
        }
    }
}

/// A desk by its name.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(super) struct DeskName(pub(super) Desk);

impl TryFrom<String> for DeskName {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        Desk::from_name(&name).map(Self).ok_or_else(|| {
            let shown = Text::<80>::cut(&name).escape_debug().to_string();
            format!("`{shown}` is no desk: write technical, diplomatic or law-enforcement")
        })
    }
}

#[derive(Deserialize)]
#[serde(try_from = "Vec<String>")]
struct Languages(List<Text<35>, 8>);

impl TryFrom<Vec<String>> for Languages {
    type Error = String;
    fn try_from(tags: Vec<String>) -> Result<Self, String> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        let tag = |tag: String| match Text::new(tag) {
            Ok(tag) if tag.len() >= 2 && tag.bytes().all(allowed) => Ok(tag),
            _ => Err("a language is a BCP 47 tag, such as pt, es-CL or en".to_owned()),
        };
        let tags: Vec<_> = tags.into_iter().map(tag).collect::<Result<_, _>>()?;
        List::new(tags).map(Self).ok_or_else(|| "at most 8 languages".to_owned())
    }
}

/// A path; an empty one is a mistake.
#[derive(Clone, Debug)]
pub(super) struct FilePath(pub(super) String);

impl<'de> Deserialize<'de> for FilePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let path = String::deserialize(deserializer)?;
        if path.trim().is_empty() || path.contains('\0') {
            return Err(D::Error::invalid_value(Unexpected::Str(&path), &"a path"));
        }
        Ok(Self(path))
    }
}

/// A path, or an empty text for none.
#[derive(Clone, Debug, Default)]
pub(super) struct MaybePath(pub(super) Option<String>);

impl<'de> Deserialize<'de> for MaybePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let path = String::deserialize(deserializer)?;
        if path.contains('\0') {
            return Err(D::Error::invalid_value(Unexpected::Str(&path), &"a path, or nothing"));
        }
        Ok(Self(Some(path).filter(|path| !path.trim().is_empty())))
    }
}

/// A DNS name that a certificate may carry, or an empty text for none.
#[derive(Clone, Debug, Default)]
pub(super) struct MaybeName(pub(super) Option<TlsName>);

impl<'de> Deserialize<'de> for MaybeName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        if name.trim().is_empty() {
            return Ok(Self(None));
        }
        TlsName::new(&name).map(|name| Self(Some(name))).map_err(D::Error::custom)
    }
}

fn literal(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inside) => inside.parse().ok().map(IpAddr::V6),
        None => host.parse().ok().map(IpAddr::V4),
    }
}

fn is_dns_name(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    // A last label of digits only would be a mistyped IPv4 address.
    let last_is_number = host.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    host.len() <= 253 && !last_is_number && host.split('.').all(label)
}

/// Characters that do not show, or turn the direction of what follows: `escape_debug` knows them, apart from quotes and
/// marks that belong to a letter.
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
