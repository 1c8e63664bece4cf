//! One `[[alerts]]` entry as the file has it: a channel. The files it names are looked at by `aldisd check`, and read each
//! time the channel is used; no secret stands here.

use super::ladder::Email;
use super::values::{FilePath, Line, Number};
use crate::alerts::{Channel, Command, Smtp, TIMEOUT_MAX_S, TlsBegins, Url, WATCH, Way, Webhook};
use aldis_control::Tlp;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The most channels.
pub(super) const CHANNELS_MAX: usize = 16;
/// The most arguments of a command.
const ARGUMENTS_MAX: usize = 64;
/// The longest argument, in bytes.
const ARGUMENT_MAX_BYTES: usize = 4_096;
const DEFAULT_TIMEOUT_S: u64 = 20;
const DEFAULT_PROBE_HOURS: u64 = 6;

/// An entry of the file; its paths are as they stand there.
#[derive(Deserialize)]
#[serde(try_from = "Fields")]
pub(super) struct AlertFile(Channel);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    name: Line<32>,
    r#type: Type,
    tlp: Option<Clearance>,
    timeout_s: Option<Number<1, TIMEOUT_MAX_S>>,
    probe_hours: Option<Number<1, 168>>,
    command: Option<Vec<String>>,
    url: Option<UrlText>,
    secret_file: Option<FilePath>,
    ca_file: Option<FilePath>,
    server: Option<Line<253>>,
    port: Option<Number<1, 65_535>>,
    tls: Option<Begins>,
    from: Option<Email>,
    to: Option<Email>,
    username: Option<Line<256>>,
    password_file: Option<FilePath>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Type {
    Command,
    Webhook,
    Smtp,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Begins {
    Tls,
    Starttls,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Clearance(Tlp);

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct UrlText(Url);

impl AlertFile {
    /// The channel, its paths relative to `dir`.
    pub(super) fn into_channel(self, dir: &Path) -> Channel {
        let mut channel = self.0;
        let absolute = |path: &mut PathBuf| *path = dir.join(&*path);
        match &mut channel.way {
            Way::Watch => {}
            Way::Command(command) => absolute(&mut command.program),
            Way::Webhook(webhook) => [&mut webhook.secret_file, &mut webhook.ca_file].into_iter().for_each(absolute),
            Way::Smtp(smtp) => {
                absolute(&mut smtp.ca_file);
                smtp.login.iter_mut().for_each(|(_, path)| absolute(path));
            }
        }
        channel
    }
}

impl TryFrom<Fields> for AlertFile {
    type Error = String;
    fn try_from(mut fields: Fields) -> Result<Self, String> {
        let name = fields.name.clone().into_text();
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if !name.bytes().all(plain) {
            return Err("a channel's name is made of lower-case letters, digits and hyphens".to_owned());
        }
        if name.as_str() == WATCH {
            return Err(format!("every node has the channel `{WATCH}`: choose another name"));
        }
        let kind = fields.r#type;
        let way = match kind {
            Type::Command => fields.command_way(),
            Type::Webhook => fields.webhook(),
            Type::Smtp => fields.smtp(),
        };
        let way = way.map_err(|problem| format!("channel `{}`: {problem}", name.as_str()))?;
        if let Some(stray) = fields.stray() {
            let kind = kind.name();
            return Err(format!("channel `{}`: a channel of type {kind} has no `{stray}`: remove it", name.as_str()));
        }
        let timeout = Duration::from_secs(fields.timeout_s.map_or(DEFAULT_TIMEOUT_S, Number::get));
        let probe_every = Duration::from_secs(fields.probe_hours.map_or(DEFAULT_PROBE_HOURS, Number::get) * 3_600);
        let clearance = fields.tlp.map_or(Tlp::Clear, |tlp| tlp.0);
        Ok(Self(Channel { name, clearance, timeout, probe_every, way }))
    }
}

impl Fields {
    fn command_way(&mut self) -> Result<Way, String> {
        let words = self.command.take().ok_or("write command = [\"/path/to/program\", \"argument\"]")?;
        let [program, arguments @ ..] = words.as_slice() else {
            return Err("`command` is empty: write the program, then its arguments".to_owned());
        };
        if !program.starts_with('/') {
            return Err("the program is given by its absolute path; no shell looks for it".to_owned());
        }
        let is_good = |word: &String| word.len() <= ARGUMENT_MAX_BYTES && !word.contains('\0');
        if words.len() > ARGUMENTS_MAX || !words.iter().all(is_good) {
            return Err(format!("at most {ARGUMENTS_MAX} arguments of {ARGUMENT_MAX_BYTES} bytes"));
        }
        Ok(Way::Command(Command { program: program.into(), arguments: arguments.to_vec() }))
    }

    fn webhook(&mut self) -> Result<Way, String> {
        let url = self.url.take().ok_or("write url = \"https://...\"")?.0;
        let secret_file = self.secret_file.take().ok_or("write secret_file: what documents are signed with")?.0;
        Ok(Way::Webhook(Webhook { url, secret_file: secret_file.into(), ca_file: self.authorities()? }))
    }

    fn smtp(&mut self) -> Result<Way, String> {
        let server = self.server.take().ok_or("write server: the name of the mail server")?.into_text();
        if server.contains(|c: char| c.is_whitespace() || c == '/') {
            return Err("`server` is a name such as mail.cert.example, or an address".to_owned());
        }
        let (begin, port) = match self.tls.take() {
            None | Some(Begins::Tls) => (TlsBegins::AtOnce, 465),
            Some(Begins::Starttls) => (TlsBegins::AfterCommand, 587),
        };
        let port = self.port.take().and_then(|port| u16::try_from(port.get()).ok()).unwrap_or(port);
        let from = self.from.take().ok_or("write from: the sender's address")?.0;
        let to = self.to.take().map(|to| to.0);
        let login = match (self.username.take(), self.password_file.take()) {
            (Some(user), Some(file)) => Some((user.into_text().to_string(), file.0.into())),
            (None, None) => None,
            _ => return Err("write both `username` and `password_file`, or neither".to_owned()),
        };
        let (server, ca_file) = (server.to_string(), self.authorities()?);
        Ok(Way::Smtp(Box::new(Smtp { server, port, begin, ca_file, from, to, login })))
    }

    fn authorities(&mut self) -> Result<PathBuf, String> {
        let missing = "write ca_file: the authorities of which one issued the server's certificate, such as \
            /etc/ssl/certs/ca-certificates.crt";
        self.ca_file.take().map(|file| file.0.into()).ok_or_else(|| missing.to_owned())
    }

    /// A key that is left when the channel has taken what is its own.
    fn stray(&self) -> Option<&'static str> {
        let left = [
            ("command", self.command.is_some()),
            ("url", self.url.is_some()),
            ("secret_file", self.secret_file.is_some()),
            ("ca_file", self.ca_file.is_some()),
            ("server", self.server.is_some()),
            ("port", self.port.is_some()),
            ("tls", self.tls.is_some()),
            ("from", self.from.is_some()),
            ("to", self.to.is_some()),
            ("username", self.username.is_some()),
            ("password_file", self.password_file.is_some()),
        ];
        left.into_iter().find(|(_, is_left)| *is_left).map(|(key, _)| key)
    }
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Webhook => "webhook",
            Self::Smtp => "smtp",
        }
    }
}

impl TryFrom<String> for Clearance {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.parse() {
            Ok(Tlp::Red) => {
                Err("nothing of a TLP:RED message leaves by a channel, for opening one goes on record: write \
                AMBER+STRICT, AMBER, GREEN or CLEAR"
                    .to_owned())
            }
            Ok(tlp) => Ok(Self(tlp)),
            Err(_) => Err("is no label: write CLEAR, GREEN, AMBER or AMBER+STRICT".to_owned()),
        }
    }
}

impl TryFrom<String> for UrlText {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self)
    }
}
