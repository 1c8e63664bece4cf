//! Steps of the ladder in words: ours as they are taken, and those a peer's node tells of.

use aldis_core::ladder::{Cause, Silence};
use aldis_core::record::Climbed;
use aldis_wire::codec::Text;
use aldis_wire::ids::EnvelopeId;
use aldis_wire::kinds::StepTold;

/// A step that was taken here.
pub(super) fn climbed(climbed: &Climbed) -> String {
    let Climbed { peer, step, of, name, count, lane, .. } = climbed;
    let lane = lane.name();
    let mark = climbed.exercise.as_ref().map_or(String::new(), |name| format!("EXERCISE {name}: "));
    let messages = if *count == 1 { "1 message".to_owned() } else { format!("{count} messages") };
    let silence = match climbed.silence {
        _ if climbed.cause == Cause::Checked => format!("comm check: {peer} asks whether anybody is here"),
        Silence::Received if *step == 0 => format!("{messages} {lane} came from {peer}"),
        Silence::Received => format!("nobody here has answered {messages} {lane} of {peer}"),
        Silence::Sent => format!("{peer} says nothing about {messages} {lane} of ours"),
        Silence::Draft => {
            let draft = climbed.draft().map(|draft| draft.to_string()).unwrap_or_default();
            format!("draft {draft} {lane} to {peer} waits for a second person")
        }
        Silence::Undelivered => format!("the node of {peer} has not receipted {messages} {lane} of ours"),
    };
    let told = match climbed.people.is_empty() {
        true => "nobody is on duty".to_owned(),
        false => climbed.people.iter().map(Text::as_str).collect::<Vec<_>>().join(", "),
    };
    format!("{mark}{silence}: step {step} of {of}, {name} ({told})")
}

/// A step a peer's node tells of.
pub(super) fn told(id: &EnvelopeId, told: &StepTold) -> String {
    let StepTold { cause, step, of, outcome, reached, .. } = told;
    format!("{id}: at {} step {step} of {of} was taken ({cause}): {outcome}, {reached} reached", id.to)
}
