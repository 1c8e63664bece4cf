//! Test vectors: one file per case, with the bytes, what must come of them, and why. [`all`] makes them, [`judge`] says
//! what this program makes of one. The format is described in docs/protocol.md, "The test vectors". The generator
//! encodes with `raw`, not with the wire crate, so that it can write what the wire crate refuses to.

mod cases;
mod judge;
mod raw;
mod shows;

pub use cases::all;
pub use judge::{Verdict, judge};

use std::fmt;
use std::path::PathBuf;

/// One vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The file's name without its ending; begins with what is checked.
    pub name: String,
    /// What must come of it: `ok` or the word of the check that fails.
    pub outcome: String,
    /// What the case is about, for people.
    pub what: String,
    /// What is checked, and against what, in the order of the file.
    pub inputs: Vec<(String, String)>,
    /// For `ok`: what the bytes say, as one line of JSON.
    pub shows: Option<String>,
    /// The bytes.
    pub data: Data,
}

/// What is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// Bytes, written in hexadecimal.
    Bytes(Vec<u8>),
    /// A text, written as it is.
    Text(String),
}

/// Where the vectors are.
pub fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

impl Case {
    /// The name of the case's file.
    pub fn file_name(&self) -> String {
        format!("{}.txt", self.name)
    }

    /// Reads a file of that name.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut case = Self {
            name: name.into(),
            outcome: String::new(),
            what: String::new(),
            inputs: Vec::new(),
            shows: None,
            data: Data::Bytes(Vec::new()),
        };
        let mut rest = text;
        loop {
            let (line, after) = rest.split_once('\n').ok_or("the file ends before its bytes")?;
            rest = after;
            match line.split_once(": ") {
                Some(("outcome", value)) => case.outcome = value.into(),
                Some(("what", value)) => case.what = value.into(),
                Some(("shows", value)) => case.shows = Some(value.into()),
                Some((name, value)) => case.inputs.push((name.into(), value.into())),
                None if line == "bytes:" => {
                    let hex: String = rest.lines().collect();
                    case.data = Data::Bytes(from_hex(&hex)?);
                    return Ok(case);
                }
                None if line == "text:" => {
                    case.data = Data::Text(rest.into());
                    return Ok(case);
                }
                None => return Err(format!("a line that is none: `{line}`")),
            }
        }
    }

    /// The value of an input.
    ///
    /// # Errors
    /// That there is none.
    pub fn input(&self, name: &str) -> Result<&str, String> {
        let found = self.inputs.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).ok_or_else(|| format!("no input `{name}`"))
    }

    /// The value of an input of bytes.
    ///
    /// # Errors
    /// That there is none, or it is not hexadecimal.
    pub fn input_bytes(&self, name: &str) -> Result<Vec<u8>, String> {
        from_hex(self.input(name)?)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "outcome: {}", self.outcome)?;
        writeln!(f, "what: {}", self.what)?;
        for (name, value) in &self.inputs {
            writeln!(f, "{name}: {value}")?;
        }
        if let Some(shows) = &self.shows {
            writeln!(f, "shows: {shows}")?;
        }
        match &self.data {
            Data::Text(text) => write!(f, "text:\n{text}"),
            Data::Bytes(bytes) => {
                writeln!(f, "bytes:")?;
                bytes.chunks(32).try_for_each(|line| writeln!(f, "{}", hex(line)))
            }
        }
    }
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

fn from_hex(text: &str) -> Result<Vec<u8>, String> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).map_err(|error| error.to_string())
}
