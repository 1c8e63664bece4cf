//! The phrase that two administrators compare by voice before a peer is trusted: ten words over one node's id and
//! identity key. Each side has its own, read out by its owner: one phrase over both keys would need only a collision of
//! whoever sits in between, this needs a second preimage.
//!
//! The words are the PGP word list: two lists of 256, taken in turn, one of two-syllable and one of three-syllable words,
//! so that a word left out, doubled or exchanged with its neighbour is heard at once. docs/protocol.md has the lists and
//! every parameter.

use crate::codec::{self, Decode, Encode};
use crate::ids::NodeId;
use crate::signing::PublicKey;
use argon2::{Algorithm, Argon2, Params, Version};
use std::fmt;

/// How many words a phrase has, of eight bits each.
pub const PHRASE_WORDS: usize = 10;

/// The memory that making a phrase takes, in KiB: 64 MiB.
pub const STRETCH_MEMORY_KIB: u32 = 65_536;

/// How often that memory is gone through.
pub const STRETCH_PASSES: u32 = 3;

/// The shortest beginning of a word that is taken for it, in letters.
pub const PREFIX_LETTERS: usize = 4;

/// Stands, with a zero byte, before what is stretched, so that no other use of argon2id can give the same bytes.
const LABEL: &[u8] = b"aldis/v1/phrase\0";
/// Public and always the same: both sides must come to the same words. What makes every phrase a target of its own is
/// the id in what is stretched.
const SALT: &[u8] = b"aldis/v1/phrase-salt";
/// 256 lines, one for each value of a byte: the word for the first, third, .. place, then that for the second, fourth, ..
const LISTS: &str = include_str!("phrase/words.txt");

/// The ten words over one node's id and identity key. Public: it is read aloud over the telephone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phrase([u8; PHRASE_WORDS]);

/// What was typed is not the phrase. Places count from 1; the right word is never told, so that who was not called
/// cannot be asked for it either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// A word of the right list, and another than the phrase has there.
    #[error(
        "word {place} differs: ask for it once more; if it stays different, the keys differ and somebody may sit in \
        between: stop, and enrol nobody"
    )]
    Differs {
        /// Which word.
        place: usize,
    },
    /// A word of the other list: two-syllable and three-syllable words alternate.
    #[error(
        "word {place} cannot stand at that place: a word before it was left out, said twice or exchanged; ask for all \
        of them again"
    )]
    OutOfStep {
        /// Which word.
        place: usize,
    },
    /// No word of the lists, or the beginning of several.
    #[error("word {place} is not in the list of words: ask how it is spelt, and type it whole")]
    NotAWord {
        /// Which word.
        place: usize,
    },
    /// All words fit so far, and there are no more.
    #[error("word {place} is missing: the phrase has {PHRASE_WORDS} words")]
    Missing {
        /// The first that is not there.
        place: usize,
    },
    /// All ten words fit, and there are more.
    #[error("more than {PHRASE_WORDS} words: was one said twice?")]
    TooMany,
}

/// What the phrase is over.
#[derive(Encode, Decode)]
struct Subject {
    id: NodeId,
    identity_key: [u8; 32],
}

impl Phrase {
    /// The phrase of the node `id` with this identity key.
    ///
    /// Takes a quarter of a second of one processor and 64 MiB by design: never call it where others wait.
    pub fn of(id: &NodeId, key: &PublicKey) -> Self {
        let subject = codec::encode(&Subject { id: id.clone(), identity_key: *key.as_bytes() });
        let mut bytes = [0; PHRASE_WORDS];
        let params = Params::new(STRETCH_MEMORY_KIB, STRETCH_PASSES, 1, Some(PHRASE_WORDS));
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params.expect("the parameters are within argon2's"))
            .hash_password_into(&[LABEL, &subject].concat(), SALT, &mut bytes)
            .expect("lengths of input, salt and output are within argon2's");
        Self(bytes)
    }

    /// The 80 bits, a byte a word.
    pub fn as_bytes(&self) -> &[u8; PHRASE_WORDS] {
        &self.0
    }

    /// The words in the order in which they are read.
    pub fn words(&self) -> [&'static str; PHRASE_WORDS] {
        std::array::from_fn(|place| List::at(place).word(self.0[place]))
    }

    /// Whether a person typed this phrase. Case, blanks, commas and line breaks do not matter, and the first
    /// [`PREFIX_LETTERS`] letters of a word or more are enough where only one word of its list begins with them.
    pub fn matches_typed(&self, typed: &str) -> Result<(), Mismatch> {
        let mut words = typed.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty());
        for (index, byte) in self.0.iter().enumerate() {
            let (list, place) = (List::at(index), index + 1);
            let word = words.next().ok_or(Mismatch::Missing { place })?;
            match list.find(word) {
                Some(found) if found == *byte => {}
                Some(_) => return Err(Mismatch::Differs { place }),
                None if list.other().find(word).is_some() => return Err(Mismatch::OutOfStep { place }),
                None => return Err(Mismatch::NotAWord { place }),
            }
        }
        words.next().map_or(Ok(()), |_| Err(Mismatch::TooMany))
    }
}

/// Two lines of five words.
impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.words();
        let (first, second) = words.split_at(PHRASE_WORDS / 2);
        write!(f, "{}\n{}", first.join(" "), second.join(" "))
    }
}

/// One of the two lists.
#[derive(Clone, Copy)]
enum List {
    TwoSyllables,
    ThreeSyllables,
}

impl List {
    /// The list of the word with this index, counted from 0.
    fn at(index: usize) -> Self {
        if index.is_multiple_of(2) { Self::TwoSyllables } else { Self::ThreeSyllables }
    }

    fn other(self) -> Self {
        match self {
            Self::TwoSyllables => Self::ThreeSyllables,
            Self::ThreeSyllables => Self::TwoSyllables,
        }
    }

    fn words(self) -> impl Iterator<Item = &'static str> {
        LISTS.lines().map(move |line| {
            let (two, three) = line.split_once(' ').expect("each line of the lists has two words");
            match self {
                Self::TwoSyllables => two,
                Self::ThreeSyllables => three,
            }
        })
    }

    fn word(self, byte: u8) -> &'static str {
        self.words().nth(usize::from(byte)).expect("the lists have 256 lines")
    }

    /// The byte whose word this is, or the only one whose word begins so.
    fn find(self, typed: &str) -> Option<u8> {
        let begins = |word: &str| word.get(..typed.len()).is_some_and(|start| start.eq_ignore_ascii_case(typed));
        let mut candidates = (0..=u8::MAX).zip(self.words()).filter(|(_, word)| begins(word));
        let (byte, word) = candidates.next()?;
        // No word of a list begins another of it, so a whole word has no second candidate.
        let unique = typed.len() >= PREFIX_LETTERS && candidates.next().is_none();
        (unique || word.len() == typed.len()).then_some(byte)
    }
}

#[cfg(test)]
#[path = "phrase_tests.rs"]
mod tests;
