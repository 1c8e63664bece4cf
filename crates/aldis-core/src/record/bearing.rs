//! What a body does, as records and snapshots hold it: kept there so that applying a record never needs the body, which
//! may be erased.

use super::attachments::Named;
use aldis_wire::attachment::ATTACHMENTS_MAX;
use aldis_wire::codec::{Decode, Encode, List};
use aldis_wire::codes::Code;
use aldis_wire::ids::UnixMillis;
use aldis_wire::kinds::{Answer, Bearing, CheckPart, LinePart, StepTold};

/// A body's bearing in a record.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct StoredBearing(Stored);

/// What stands on the disk: a number, then what belongs to it. The first nine have a word or none, whether they need one
/// or not; journals and snapshots hold them so. New variants stand at the end.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
enum Stored {
    Notice(Option<Code>),
    Seen(Option<Code>),
    Acknowledged(Option<Code>),
    Decided(Option<Code>),
    OtherAnswer(Option<Code>),
    Refusal(Option<Code>),
    Card(Option<Code>),
    Rotation(Option<Code>),
    Agreement(Option<Code>),
    Pending(Option<UnixMillis>),
    Step(StepTold),
    Hotline,
    Line(LinePart),
    Check(CheckPart),
    Recall,
    Files(List<Named, ATTACHMENTS_MAX>),
}

impl StoredBearing {
    /// A body's bearing with the files that it names, which only notices do.
    ///
    /// # Panics
    /// If there are more files than a message can name.
    pub fn naming(bearing: Bearing, named: &[Named]) -> Self {
        match bearing {
            Bearing::Notice if !named.is_empty() => {
                Self(Stored::Files(List::new(named.to_vec()).expect("a body names few files")))
            }
            other => other.into(),
        }
    }

    /// The files that the body names.
    pub fn attachments(&self) -> &[Named] {
        match &self.0 {
            Stored::Files(named) => named,
            _ => &[],
        }
    }

    /// The bearing itself.
    pub fn get(&self) -> Bearing {
        let word = |word: &Option<Code>| word.clone().unwrap_or_else(|| Code::known("unknown"));
        match &self.0 {
            Stored::Notice(_) | Stored::Files(_) => Bearing::Notice,
            Stored::Seen(_) => Bearing::Answer(Answer::Seen),
            Stored::Acknowledged(_) => Bearing::Answer(Answer::Acknowledged),
            // So it was written before a promise had a place.
            Stored::Decided(Some(status)) if status.as_str() == "pending" => Bearing::Answer(Answer::Pending(None)),
            Stored::Decided(status) => Bearing::Answer(Answer::Decided(word(status))),
            Stored::OtherAnswer(state) => Bearing::Answer(Answer::Other(word(state))),
            Stored::Refusal(code) => Bearing::Refusal(word(code)),
            Stored::Card(_) => Bearing::Card,
            Stored::Rotation(_) => Bearing::Rotation,
            Stored::Agreement(_) => Bearing::Agreement,
            Stored::Pending(until) => Bearing::Answer(Answer::Pending(*until)),
            Stored::Step(told) => Bearing::Step(told.clone()),
            Stored::Hotline => Bearing::Hotline,
            Stored::Line(part) => Bearing::Line(part.clone()),
            Stored::Check(part) => Bearing::Check(part.clone()),
            Stored::Recall => Bearing::Recall,
        }
    }
}

impl From<Bearing> for StoredBearing {
    fn from(bearing: Bearing) -> Self {
        Self(match bearing {
            Bearing::Notice => Stored::Notice(None),
            Bearing::Answer(Answer::Seen) => Stored::Seen(None),
            Bearing::Answer(Answer::Acknowledged) => Stored::Acknowledged(None),
            Bearing::Answer(Answer::Pending(until)) => Stored::Pending(until),
            Bearing::Answer(Answer::Decided(status)) => Stored::Decided(Some(status)),
            Bearing::Answer(Answer::Other(state)) => Stored::OtherAnswer(Some(state)),
            Bearing::Refusal(code) => Stored::Refusal(Some(code)),
            Bearing::Card => Stored::Card(None),
            Bearing::Rotation => Stored::Rotation(None),
            Bearing::Agreement => Stored::Agreement(None),
            Bearing::Step(told) => Stored::Step(told),
            Bearing::Hotline => Stored::Hotline,
            Bearing::Line(part) => Stored::Line(part),
            Bearing::Check(part) => Stored::Check(part),
            Bearing::Recall => Stored::Recall,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aldis_wire::codec;
    use aldis_wire::digest::Digest;

    fn every() -> Vec<Bearing> {
        let word = || Code::known("word");
        let told = StepTold { cause: word(), step: 2, of: 3, outcome: word(), reached: 700, next_within_s: 900 };
        let answers = [
            Answer::Seen,
            Answer::Acknowledged,
            Answer::Pending(None),
            Answer::Pending(Some(UnixMillis::new(1_795_316_400_123))),
            Answer::Decided(word()),
            Answer::Other(word()),
        ];
        let parts = [
            LinePart::Line,
            LinePart::Read(70_000),
            LinePart::Joined,
            LinePart::Left,
            LinePart::Closed,
            LinePart::Other(word()),
            LinePart::Unanswered,
        ];
        let checks =
            [CheckPart::Machine, CheckPart::Human, CheckPart::Reply, CheckPart::Other(word()), CheckPart::Wake];
        let mut every = vec![Bearing::Notice, Bearing::Refusal(word()), Bearing::Card, Bearing::Rotation];
        every.extend([Bearing::Agreement, Bearing::Step(told), Bearing::Hotline, Bearing::Recall]);
        every.extend(answers.map(Bearing::Answer));
        every.extend(parts.map(Bearing::Line));
        every.extend(checks.map(Bearing::Check));
        every
    }

    #[test]
    fn every_bearing_survives_the_disk() {
        for bearing in every() {
            let bytes = codec::encode(&StoredBearing::from(bearing.clone()));
            assert_eq!(codec::decode_stored::<StoredBearing>(&bytes).unwrap().get(), bearing);
        }
    }

    #[test]
    fn files_are_named_by_notices_and_survive_the_disk() {
        let named = [Named { digest: Digest::ZERO, size: 9 }, Named { digest: Digest::of(&[b"x"]), size: 1 << 32 }];
        let stored = StoredBearing::naming(Bearing::Notice, &named);
        let read: StoredBearing = codec::decode_stored(&codec::encode(&stored)).unwrap();
        assert_eq!((read.get(), read.attachments()), (Bearing::Notice, &named[..]));
        assert_eq!(StoredBearing::naming(Bearing::Notice, &[]), Bearing::Notice.into());
        assert!(StoredBearing::naming(Bearing::Recall, &named).attachments().is_empty());
    }

    #[test]
    fn journals_written_before_there_were_promises_are_read() {
        let pending = [&[3, 1, 7][..], b"pending"].concat();
        let denied = [&[3, 1, 6][..], b"denied"].concat();
        let read = |bytes: &[u8]| codec::decode_stored::<StoredBearing>(bytes).unwrap().get();
        assert_eq!(read(&pending), Bearing::Answer(Answer::Pending(None)));
        assert_eq!(read(&denied), Bearing::Answer(Answer::Decided(Code::known("denied"))));
        assert_eq!(read(&[0, 0]), Bearing::Notice);
        assert_eq!(read(&[8, 0]), Bearing::Agreement);
        assert_eq!(codec::encode(&StoredBearing::from(Bearing::Rotation)), [7, 0]);
    }
}
