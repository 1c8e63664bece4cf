//! Kind `ladder-step`: what the receiver's node did because nobody answered a notice yet, told to the sender step by step
//! so that silence never has to be guessed at. Made by the machine; the header's `answers` reference names the notice.

use super::{Bearing, Choice, KindBody, Summary};
use crate::codec::{Decode, Encode, Text};
use crate::codes::{Code, Extensions};
use crate::ids::UnixMillis;
use serde::{Deserialize, Serialize};

/// The longest time within which a step can promise the next word, in seconds: a year.
pub const NEXT_WITHIN_MAX_S: u32 = 366 * 86_400;

/// The most steps a ladder has.
pub const STEPS_MAX: u8 = 16;

/// One step of a ladder, as its node tells it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LadderStep {
    /// Why it was taken: `arrived`, `unacknowledged`, `unattended`, `promise-passed`, or `comm-check` for a human check.
    pub cause: Code,
    /// Which: 0 is the alert at arrival, the ladder's own steps begin at 1.
    pub step: u8,
    /// How many steps the ladder has, at most [`STEPS_MAX`].
    pub of: u8,
    /// The step's name, such as `duty officer`.
    pub name: Text<64>,
    /// What came of it: `alerted`, `nobody-on-duty` or `channels-failed`.
    pub outcome: Code,
    /// How many people were alerted.
    pub reached: u16,
    /// When it was taken.
    pub at: UnixMillis,
    /// Within how many seconds the next word is due, from 1 to [`NEXT_WITHIN_MAX_S`].
    pub next_within_s: u32,
    /// Fields of newer versions.
    #[serde(default, with = "super::extensions_json", skip_serializing_if = "super::extensions_json::is_empty")]
    pub extensions: Extensions,
}

/// What the sender's node acts upon in a step.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct StepTold {
    /// Why it was taken.
    pub cause: Code,
    /// Which; 0 is the alert at arrival.
    pub step: u8,
    /// How many steps the ladder has.
    pub of: u8,
    /// What came of it.
    pub outcome: Code,
    /// How many people were alerted.
    pub reached: u16,
    /// Within how many seconds the next word is due, from 1 to [`NEXT_WITHIN_MAX_S`].
    pub next_within_s: u32,
}

impl StepTold {
    /// Whether the case is open again: nobody attended to it, or a promise passed.
    pub fn reopens(&self) -> bool {
        matches!(self.cause.as_str(), "unattended" | "promise-passed")
    }
}

impl LadderStep {
    /// The body that tells a step.
    pub fn body(told: &StepTold, name: Text<64>, at: UnixMillis) -> Vec<u8> {
        crate::codec::encode(&Self {
            cause: told.cause.clone(),
            step: told.step,
            of: told.of,
            name,
            outcome: told.outcome.clone(),
            reached: told.reached,
            at,
            next_within_s: told.next_within_s,
            extensions: Extensions::default(),
        })
    }

    fn told(&self) -> StepTold {
        StepTold {
            cause: self.cause.clone(),
            step: self.step,
            of: self.of,
            outcome: self.outcome.clone(),
            reached: self.reached,
            next_within_s: self.next_within_s,
        }
    }
}

impl KindBody for LadderStep {
    const NAME: &'static str = "ladder-step";
    const VERSION: u16 = 1;
    const CHOICES: &'static [Choice] = &[
        ("cause", &["arrived", "unacknowledged", "unattended", "promise-passed", "comm-check"]),
        ("outcome", &["alerted", "nobody-on-duty", "channels-failed"]),
    ];

    fn summary(&self) -> Summary {
        let Self { step, of, name, outcome, reached, .. } = self;
        let subject = format!("step {step} of {of}, {name}: {outcome}, {reached} reached");
        Summary::plain(Bearing::Step(self.told()), &subject)
    }

    fn check(&self) -> Result<(), String> {
        if self.of > STEPS_MAX {
            return Err(format!("of: {} steps, at most {STEPS_MAX} are allowed", self.of));
        }
        if self.step > self.of {
            return Err(format!("step: {} of {} there are", self.step, self.of));
        }
        if !(1..=NEXT_WITHIN_MAX_S).contains(&self.next_within_s) {
            return Err("next_within_s: from one second to a year".into());
        }
        Ok(())
    }

    fn chosen(&self) -> Vec<(&'static str, &Code)> {
        vec![("cause", &self.cause), ("outcome", &self.outcome)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{Reading, from_json, read, to_json, unknown_codes};
    use serde_json::{Value, json};

    fn step() -> Value {
        json!({"cause": "unacknowledged", "step": 2, "of": 5, "name": "deputy", "outcome": "alerted", "reached": 3,
               "at": "2026-11-22T03:15:00.000Z", "next_within_s": 600})
    }

    #[test]
    fn a_step_survives_json_and_bytes_and_wants_no_answer() {
        let written = from_json("ladder-step", 1, step()).unwrap();
        let kind = Code::known("ladder-step");
        let Reading::Understood(summary) = read(&kind, 1, &written.bytes) else { panic!("not understood") };
        assert_eq!(summary.subject.as_str(), "step 2 of 5, deputy: alerted, 3 reached");
        assert!(!summary.bearing.wants_answer());
        let Bearing::Step(told) = summary.bearing else { panic!("no step") };
        let at = "2026-11-22T03:15:00.000Z".parse().unwrap();
        assert_eq!(LadderStep::body(&told, Text::cut("deputy"), at), written.bytes);
        assert_eq!(to_json(&kind, 1, &written.bytes).unwrap(), step());
    }

    #[test]
    fn i7_a_step_beyond_its_ladder_or_its_limits_is_not_taken() {
        let defects = [
            ("step", json!(6)),
            ("step", json!(256)),
            ("of", json!(1)),
            ("of", json!(STEPS_MAX + 1)),
            ("name", json!("n".repeat(65))),
            ("reached", json!(65_536)),
            ("next_within_s", json!(0)),
            ("next_within_s", json!(NEXT_WITHIN_MAX_S + 1)),
            ("cause", json!("boredom")),
            ("surprise", json!(1)),
        ];
        for (field, value) in defects {
            let mut defect = step();
            defect[field] = value;
            assert!(from_json("ladder-step", 1, defect).is_err(), "{field}");
        }
        let good = from_json("ladder-step", 1, step()).unwrap();
        let malformed: [fn(&mut LadderStep); 4] = [
            |body| body.of = STEPS_MAX + 1,
            |body| body.step = 6,
            |body| body.next_within_s = 0,
            |body| body.next_within_s = NEXT_WITHIN_MAX_S + 1,
        ];
        for change in malformed {
            let mut body: LadderStep = crate::codec::decode(&good.bytes).unwrap();
            change(&mut body);
            let reading = read(&Code::known("ladder-step"), 1, &crate::codec::encode(&body));
            assert!(matches!(reading, Reading::Malformed(_)), "{reading:?}");
        }
    }

    #[test]
    fn the_last_step_and_the_longest_wait_are_taken() {
        for (field, value) in [("step", 5), ("step", 0), ("next_within_s", 1), ("next_within_s", NEXT_WITHIN_MAX_S)] {
            let mut edge = step();
            edge[field] = json!(value);
            assert!(from_json("ladder-step", 1, edge).is_ok(), "{field} {value}");
        }
    }

    #[test]
    fn i10_a_cause_and_an_outcome_of_a_newer_version_are_kept() {
        let good = from_json("ladder-step", 1, step()).unwrap();
        let mut body: LadderStep = crate::codec::decode(&good.bytes).unwrap();
        (body.cause, body.outcome) = (Code::known("eclipse"), Code::known("pigeon-sent"));
        let bytes = crate::codec::encode(&body);
        let kind = Code::known("ladder-step");
        assert!(matches!(read(&kind, 1, &bytes), Reading::Understood(_)));
        assert_eq!(unknown_codes(&kind, 1, &bytes), ["cause: eclipse", "outcome: pigeon-sent"]);
    }
}
