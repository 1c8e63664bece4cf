//! What silences leave in the rows: the steps of our ladder, what became of their alerts, and the steps a peer's node
//! tells of. They stand in a message's history beside its states, and move a state only where an alert has reached a
//! person, or where a case that was taken on is open again. A silence of a peer's machine concerns a range of a lane and is one row, however many messages it covers.

use aldis_core::ladder::{AlertOutcome, Cause, Silence};
use aldis_core::record::{Alerted, Climbed};
use aldis_wire::codec::Text;
use aldis_wire::header::{ExactHeader, ReferenceRole};
use aldis_wire::ids::{EnvelopeId, NodeId, Seq};
use aldis_wire::kinds::StepTold;

use super::pending::Pending;
use super::rows::{
    AlertOf, LaneStep, Message, Moment, Progress, STEP, Step, alert_key, lane_step_key, message_key, of_message_key,
    stream_key,
};
use super::store::StoreError;

/// A step of our ladder.
pub(super) fn take_climbed(
    own: &NodeId,
    number: u64,
    climbed: &Climbed,
    rows: &mut Pending<'_>,
) -> Result<(), StoreError> {
    let people = climbed.people.iter().map(Text::as_str).collect::<Vec<_>>().join(", ");
    let people = if people.is_empty() { "nobody is on duty".to_owned() } else { people };
    let why = why(climbed.cause.name());
    let cause = format!("{why}: step {} of {} here, {}: {people}", climbed.step, climbed.of, climbed.name);
    let about = AlertOf {
        silence: climbed.silence,
        peer: climbed.peer.clone(),
        lane: climbed.lane,
        messages: climbed.messages.clone(),
        step: climbed.step,
    };
    if !climbed.people.is_empty() {
        rows.put(alert_key(number), &about);
    }
    let moment = Moment { at: climbed.at, record: number };
    // About ours only the peer's word opens a case again.
    let reopens =
        climbed.silence == Silence::Received && matches!(climbed.cause, Cause::Unattended | Cause::PromisePassed);
    put_steps(own, moment, &about, &cause, Moves { reopens, ..Moves::default() }, rows)
}

/// What became of the alert of such a step.
pub(super) fn take_alerted(
    own: &NodeId,
    number: u64,
    alerted: &Alerted,
    rows: &mut Pending<'_>,
) -> Result<(), StoreError> {
    let key = alert_key(alerted.alert.0.0);
    // Where the journal had a gap, an alert may have no row.
    let Some(about) = rows.get::<AlertOf>(&key)? else { return Ok(()) };
    rows.remove(key);
    let cause = format!("alert of step {}: {}", about.step, outcome_text(&alerted.outcome));
    let reached = about.silence == Silence::Received && !alerted.outcome.reached.is_empty();
    let moment = Moment { at: alerted.at, record: number };
    put_steps(own, moment, &about, &cause, Moves { reached, ..Moves::default() }, rows)
}

/// A step that a peer's node tells of: it was taken in, so it names a message of ours.
pub(super) fn take_told(
    number: u64,
    header: &ExactHeader,
    told: &StepTold,
    at: aldis_wire::ids::UnixMillis,
    rows: &mut Pending<'_>,
) -> Result<(), StoreError> {
    let Some(reference) = header.reference(ReferenceRole::ANSWERS) else { return Ok(()) };
    let id = &reference.envelope;
    let is_ours = (&id.from, &id.to) == (&header.to, &header.from);
    let message = rows.get::<Message>(&message_key(id))?;
    let Some(mut message) = message.filter(|message| is_ours && message.digest == reference.digest) else {
        return Ok(());
    };
    let (why, from) = (why(told.cause.as_str()), &header.from);
    let cause =
        format!("{why}: step {} of {} at {from}, {}, {} reached", told.step, told.of, told.outcome, told.reached);
    let moment = Moment { at, record: number };
    let moves = Moves { reached: told.reached > 0, reopens: told.reopens() };
    put_step(rows, id, &mut message, moment, &cause, (told.step, from), moves)
}

/// What an alert came to, in words.
pub(super) fn outcome_text(outcome: &AlertOutcome) -> String {
    let AlertOutcome { reached, failed } = outcome;
    let reached = reached.iter().map(|(who, channel)| format!("{} by {}", who.as_str(), channel.as_str()));
    let failed =
        failed.iter().map(|(who, channel, why)| format!("not {} by {}: {why}", who.as_str(), channel.as_str()));
    let said: Vec<String> = reached.chain(failed).collect();
    if said.is_empty() { "nobody on duty".to_owned() } else { said.join("; ") }
}

/// Puts one thing into the history of every message it is about.
fn put_steps(
    own: &NodeId,
    moment: Moment,
    about: &AlertOf,
    cause: &str,
    moves: Moves,
    rows: &mut Pending<'_>,
) -> Result<(), StoreError> {
    let (from, to) = match about.silence {
        Silence::Received => (&about.peer, own),
        Silence::Sent | Silence::Undelivered => (own, &about.peer),
        // A draft is no message yet; the step stands among the node's events.
        Silence::Draft => return Ok(()),
    };
    let id = |seq: Seq| EnvelopeId { from: from.clone(), to: to.clone(), lane: about.lane, seq };
    if about.silence == Silence::Undelivered {
        let mut places = about.messages.iter().map(|seq| seq.get());
        let first = places.next().unwrap_or(0);
        let last = places.next_back().unwrap_or(first);
        let row = LaneStep { at: moment.at, first, last, step: about.step, cause: Text::cut(cause) };
        rows.put(lane_step_key(own, &about.peer, about.lane, moment.record), &row);
        return Ok(());
    }
    for seq in about.messages.iter() {
        let id = id(*seq);
        if let Some(mut message) = rows.get::<Message>(&message_key(&id))? {
            put_step(rows, &id, &mut message, moment, cause, (about.step, own), moves)?;
        }
    }
    Ok(())
}

/// What a step does to how far a message has come.
#[derive(Clone, Copy, Default)]
struct Moves {
    /// An alert about it has reached a person.
    reached: bool,
    /// Nobody attended to what somebody had taken on: it is open again.
    reopens: bool,
}

/// Puts a step into a message's history, with what it does to the message.
fn put_step(
    rows: &mut Pending<'_>,
    id: &EnvelopeId,
    message: &mut Message,
    moment: Moment,
    cause: &str,
    (step, by): (u8, &NodeId),
    moves: Moves,
) -> Result<(), StoreError> {
    if moves.reopens && message.end.is_none() && !message.is_decided() && message.progress >= Progress::Acknowledged {
        (message.progress, message.status) = (Progress::Reopened, None);
        rows.put(message_key(id), message);
    }
    if moves.reached && message.end.is_none() && message.progress < Progress::Notified {
        message.progress = Progress::Notified;
        rows.put(message_key(id), message);
    }
    let stream = || Ok::<_, StoreError>(rows.get(&stream_key(&id.from, &id.to, id.lane))?.unwrap_or_default());
    let to = message.state(id.seq, stream)?;
    let row = Step { at: moment.at, to, cause: Text::cut(cause), by: Some(Text::cut(by.as_str())), ladder: Some(step) };
    rows.put(of_message_key(STEP, id, moment.record), &row);
    Ok(())
}

/// Why a step is taken, in words; a word of a newer version stands for itself.
fn why(cause: &str) -> &str {
    match cause {
        "arrived" => "it came",
        "unacknowledged" => "nobody acknowledged it in time",
        "unattended" => "acknowledged, and nobody decided in time; it is open again",
        "promise-passed" => "the time a decision was promised for has passed; it is open again",
        "no-receipt" => "the peer's node has not receipted it in time",
        "comm-check" => "a comm check asks for a person",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::why;
    use aldis_core::ladder::Cause;

    #[test]
    fn every_cause_has_words_and_one_of_a_newer_version_stands_for_itself() {
        for cause in [
            Cause::Arrived,
            Cause::Unacknowledged,
            Cause::Unattended,
            Cause::PromisePassed,
            Cause::NoReceipt,
            Cause::Checked,
        ] {
            assert_ne!(why(cause.name()), cause.name());
        }
        assert_eq!(why("eclipse"), "eclipse");
    }
}
