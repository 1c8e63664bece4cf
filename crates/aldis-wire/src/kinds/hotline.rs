//! Kinds `hotline` and `hotline-line`: a live conversation. A `hotline` opens it and wants a person who picks up; the
//! header's case is the session. Each `hotline-line` is one turn in it: a line, how far the other side's lines were read
//! by a person, who came to the desk or left it, and the end with a summary. Its header has the session's case and a
//! `relates` reference to the opening.

use super::{Bearing, Choice, KindBody, SUBJECT_MAX_BYTES, Summary};
use crate::codec::{Decode, Encode, Text};
use crate::codes::{Code, Extensions};
use crate::ids::{Seq, UnixMillis};
use serde::{Deserialize, Serialize};

/// The reason of an end before which nobody had picked up.
const NOT_ANSWERED: &str = "not-answered";

/// The opening of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hotline {
    /// What it is about.
    pub subject: Text<SUBJECT_MAX_BYTES>,
    /// The first words.
    #[serde(default)]
    pub text: Text<1000>,
    /// Fields of newer versions.
    #[serde(default, with = "super::extensions_json", skip_serializing_if = "super::extensions_json::is_empty")]
    pub extensions: Extensions,
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HotlineLine {
    /// What it is: `line`, `read`, `joined`, `left` or `closed`.
    pub part: Code,
    /// The words; with `line` there must be some.
    #[serde(default)]
    pub text: Text<4000>,
    /// With `read`: the highest place in the recipient's lane that a person at the sender was shown. Otherwise 0.
    #[serde(default)]
    pub through: u64,
    /// With `closed`, and only there: what the conversation came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<HotlineSummary>,
    /// Fields of newer versions.
    #[serde(default, with = "super::extensions_json", skip_serializing_if = "super::extensions_json::is_empty")]
    pub extensions: Extensions,
}

/// What a conversation came to, as the side that closes it saw it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HotlineSummary {
    /// When it was opened.
    pub opened_at: UnixMillis,
    /// When it was closed.
    pub closed_at: UnixMillis,
    /// How many lines there were: the writer's, and the other side's that reached the writer.
    pub lines: [u32; 2],
    /// Why it ended: `ended`, `not-answered` or `crossed`.
    pub reason: Code,
}

/// What one turn of a conversation does.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum LinePart {
    /// Words.
    Line,
    /// A person was shown everything up to this place of the recipient's lane.
    Read(u64),
    /// Somebody came to the desk.
    Joined,
    /// Somebody left it.
    Left,
    /// It is over, and nobody has to answer its opening any more.
    Closed,
    /// A part of a newer version: shown, changes nothing.
    Other(Code),
    /// It is over and nobody had picked up: its opening still waits for somebody's word.
    Unanswered,
}

impl HotlineLine {
    /// The encoded body of a turn; `text` only where `part` is a line, `summary` only where it is the end.
    pub fn body(part: &LinePart, text: Text<4000>, summary: Option<HotlineSummary>) -> Vec<u8> {
        let through = if let LinePart::Read(through) = part { *through } else { 0 };
        let part = match part {
            LinePart::Line => Code::known("line"),
            LinePart::Read(_) => Code::known("read"),
            LinePart::Joined => Code::known("joined"),
            LinePart::Left => Code::known("left"),
            LinePart::Closed | LinePart::Unanswered => Code::known("closed"),
            LinePart::Other(part) => part.clone(),
        };
        crate::codec::encode(&Self { part, text, through, summary, extensions: Extensions::default() })
    }

    fn part(&self) -> LinePart {
        match self.part.as_str() {
            "line" => LinePart::Line,
            "read" => LinePart::Read(self.through),
            "joined" => LinePart::Joined,
            "left" => LinePart::Left,
            // What becomes of the opening stands in the signed reason, so that both ends come to the same.
            "closed" if self.summary.as_ref().is_some_and(|it| it.reason.as_str() == NOT_ANSWERED) => {
                LinePart::Unanswered
            }
            "closed" => LinePart::Closed,
            _ => LinePart::Other(self.part.clone()),
        }
    }
}

impl KindBody for Hotline {
    const NAME: &'static str = "hotline";
    const VERSION: u16 = 1;
    const CHOICES: &'static [Choice] = &[];

    fn summary(&self) -> Summary {
        Summary::plain(Bearing::Hotline, &self.subject)
    }

    fn check(&self) -> Result<(), String> {
        match self.subject.trim().is_empty() {
            true => Err("subject: there must be one".into()),
            false => Ok(()),
        }
    }

    fn chosen(&self) -> Vec<(&'static str, &Code)> {
        Vec::new()
    }
}

impl KindBody for HotlineLine {
    const NAME: &'static str = "hotline-line";
    const VERSION: u16 = 1;
    const CHOICES: &'static [Choice] =
        &[("part", &["line", "read", "joined", "left", "closed"]), ("reason", &["ended", NOT_ANSWERED, "crossed"])];

    fn summary(&self) -> Summary {
        let first = self.text.lines().next().unwrap_or_default();
        let subject = if first.is_empty() { self.part.as_str() } else { first };
        Summary::plain(Bearing::Line(self.part()), subject)
    }

    fn check(&self) -> Result<(), String> {
        let part = self.part();
        // A newer version's part may use the fields as it likes.
        if matches!(part, LinePart::Other(_)) {
            return Ok(());
        }
        let reads = matches!(part, LinePart::Read(_));
        let ends = matches!(part, LinePart::Closed | LinePart::Unanswered);
        let rules = [
            (part != LinePart::Line || !self.text.is_empty(), "text: a line needs one"),
            (!reads || Seq::new(self.through).is_some(), "through: not a place in a lane"),
            (reads || self.through == 0, "through: only what was read has one"),
            (!ends || self.summary.is_some(), "summary: the end needs one"),
            (ends || self.summary.is_none(), "summary: only the end has one"),
        ];
        rules.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, broken)| Err((*broken).to_owned()))
    }

    fn chosen(&self) -> Vec<(&'static str, &Code)> {
        let mut chosen = vec![("part", &self.part)];
        chosen.extend(self.summary.as_ref().map(|summary| ("reason", &summary.reason)));
        chosen
    }
}

#[cfg(test)]
#[path = "hotline_tests.rs"]
mod tests;
