//! Between the words of the control API and those of the wire. Nothing is decided here.

use super::failure::Failure;
use aldis_control as api;
use aldis_wire::codes::Tlp;
use aldis_wire::ids::{EnvelopeId, NodeId, Seq, UnixMillis};
use aldis_wire::lane::Lane;

/// The precedence of a lane.
pub(super) const fn precedence(lane: Lane) -> api::Precedence {
    match lane {
        Lane::Flash => api::Precedence::Flash,
        Lane::Immediate => api::Precedence::Immediate,
        Lane::Priority => api::Precedence::Priority,
        Lane::Routine => api::Precedence::Routine,
    }
}

/// A time of the system's clock, such as a certificate's end. One before 1970 reads as 1970.
pub(super) fn system_time(at: std::time::SystemTime) -> api::UnixMillis {
    let since = at.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
    time(UnixMillis::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
}

/// The lane of a precedence.
pub(super) const fn lane(precedence: api::Precedence) -> Lane {
    match precedence {
        api::Precedence::Flash => Lane::Flash,
        api::Precedence::Immediate => Lane::Immediate,
        api::Precedence::Priority => Lane::Priority,
        api::Precedence::Routine => Lane::Routine,
    }
}

/// A marking as it is signed.
pub(super) const fn tlp(tlp: api::Tlp) -> Tlp {
    match tlp {
        api::Tlp::Red => Tlp::RED,
        api::Tlp::AmberStrict => Tlp::AMBER_STRICT,
        api::Tlp::Amber => Tlp::AMBER,
        api::Tlp::Green => Tlp::GREEN,
        api::Tlp::Clear => Tlp::CLEAR,
    }
}

/// A marking as it is shown. One this version does not know is handled as RED.
pub(super) const fn tlp_shown(tlp: Tlp) -> api::Tlp {
    match tlp {
        Tlp::AMBER_STRICT => api::Tlp::AmberStrict,
        Tlp::AMBER => api::Tlp::Amber,
        Tlp::GREEN => api::Tlp::Green,
        Tlp::CLEAR => api::Tlp::Clear,
        _ => api::Tlp::Red,
    }
}

/// A time as it is shown.
pub(super) const fn time(time: UnixMillis) -> api::UnixMillis {
    api::UnixMillis(time.get())
}

/// An envelope's id as it is shown.
pub(super) fn message_id(id: &EnvelopeId) -> api::MessageId {
    api::MessageId { from: id.from.to_string(), to: id.to.to_string(), lane: precedence(id.lane), seq: id.seq.get() }
}

/// The envelope a person names; without a recipient it was received by `own`.
pub(super) fn envelope_id(text: &str, own: &NodeId) -> Result<EnvelopeId, Failure> {
    let wrong = |message: String| {
        Failure::usage("bad-message-id", message, "take the id from `aldis inbox`, `aldis outbox` or `aldis log`")
    };
    let named: api::MessageRef = text.parse().map_err(|error: api::InvalidMessageId| wrong(error.to_string()))?;
    let id = named.resolve(own.as_str());
    let node = |text: &str| NodeId::new(text).map_err(|error| wrong(error.to_string()));
    let seq = Seq::new(id.seq).ok_or_else(|| wrong(format!("{} is beyond any place in a lane", id.seq)))?;
    Ok(EnvelopeId { from: node(&id.from)?, to: node(&id.to)?, lane: lane(id.lane), seq })
}

/// A node's name as a person wrote it in `field`.
pub(super) fn node_id(field: &str, text: &str) -> Result<NodeId, Failure> {
    let wrong = |error: aldis_wire::ids::IdError| {
        Failure::usage("bad-node-id", format!("{field}: {error}"), "take the id from `aldis peer list`")
    };
    NodeId::new(text).map_err(wrong)
}
