//! Lanes and marks: the four precedences, and how far a lane has come. A mark never means more than "this header, at
//! this place, is on my disk".

use crate::codec::{Coded, Decode, Encode, List, impl_coded};
use crate::digest::Digest;
use crate::ids::Seq;

/// The four precedences, each an ordered stream per direction. Ordered: the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// As fast as possible, interrupts all else (prosign Z).
    Flash,
    /// Within minutes (prosign O).
    Immediate,
    /// Within hours (prosign P).
    Priority,
    /// The next business day (prosign R).
    Routine,
}

impl Lane {
    /// All lanes, the most urgent first.
    pub const ALL: [Self; 4] = [Self::Flash, Self::Immediate, Self::Priority, Self::Routine];

    /// The lane's code on the wire, also its place in arrays: 0 to 3.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The lane's place in an array over [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The lane of a wire code.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// The letter in message ids: F, I, P, R.
    pub const fn letter(self) -> char {
        match self {
            Self::Flash => 'F',
            Self::Immediate => 'I',
            Self::Priority => 'P',
            Self::Routine => 'R',
        }
    }

    /// The lane of a letter; lower case is accepted.
    pub fn from_letter(letter: char) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.letter() == letter.to_ascii_uppercase())
    }

    /// The precedence in words, as people type it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flash => "flash",
            Self::Immediate => "immediate",
            Self::Priority => "priority",
            Self::Routine => "routine",
        }
    }

    /// The lane of a precedence in words; any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.name().eq_ignore_ascii_case(name))
    }
}

impl Coded for Lane {
    type Plain = u8;
    fn to_plain(&self) -> u8 {
        self.code()
    }
    fn from_plain(plain: u8) -> Result<Self, String> {
        Self::from_code(plain).ok_or_else(|| format!("{plain} is not a lane"))
    }
}

/// One place in one lane and the digest of the header there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LaneMark {
    /// The lane.
    pub lane: Lane,
    /// The place.
    pub seq: Seq,
    /// The digest of the header at that place.
    pub digest: Digest,
}

/// At most one mark per lane. On the wire: a list in the order of the lanes, empty lanes left out.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Marks([Option<(Seq, Digest)>; 4]);

impl Marks {
    /// The mark of a lane, if anything is in it.
    pub fn get(&self, lane: Lane) -> Option<(Seq, Digest)> {
        self.0[lane.index()]
    }

    /// Sets the mark of a lane.
    pub fn set(&mut self, lane: Lane, seq: Seq, digest: Digest) {
        self.0[lane.index()] = Some((seq, digest));
    }

    /// The sequence number of a lane's mark, 0 if nothing is in it.
    pub fn seq(&self, lane: Lane) -> u64 {
        self.get(lane).map_or(0, |(seq, _)| seq.get())
    }

    /// All marks, the most urgent lane first.
    pub fn iter(&self) -> impl Iterator<Item = LaneMark> + '_ {
        Lane::ALL.into_iter().filter_map(|lane| self.get(lane).map(|(seq, digest)| LaneMark { lane, seq, digest }))
    }
}

impl Coded for Marks {
    type Plain = List<LaneMark, 4>;
    fn to_plain(&self) -> Self::Plain {
        List::new(self.iter().collect()).expect("there are four lanes")
    }
    fn from_plain(plain: Self::Plain) -> Result<Self, String> {
        if !plain.windows(2).all(|pair| pair[0].lane < pair[1].lane) {
            return Err("marks are not in the order of the lanes".into());
        }
        let mut marks = Self::default();
        plain.iter().for_each(|mark| marks.set(mark.lane, mark.seq, mark.digest));
        Ok(marks)
    }
}

impl_coded!(Lane, Marks);
