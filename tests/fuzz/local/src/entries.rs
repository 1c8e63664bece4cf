//! What the fuzzers run over what people and programs of the own machine wrote: requests to the control API, and the
//! configuration. No panic; and a request that was taken says the same when it is written again.

use aldis_control::{
    AgreementRequest, AlertTestRequest, AnswerRequest, CardShowRequest, DraftName, DrillRequest, EvidenceRequest,
    HotlineCloseRequest, HotlineLineRequest, HotlineReadRequest, HotlineRequest, IncidentBody, KeyRotateRequest,
    MessageId, MessageRef, PeerActRequest, PeerAddRequest, PeerUnblockRequest, RecallRequest, RequestName, SendRequest,
    UnixMillis,
};
use aldis_node::config::Config;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;

/// One thing that is read.
pub(crate) type Entry = (&'static str, fn(&[u8]));

/// All of them, by name.
pub(crate) const ENTRIES: &[Entry] = &[("request", request), ("configuration", configuration)];

/// The body of a request, as whichever request it may be.
fn request(bytes: &[u8]) {
    written_alike::<AgreementRequest>(bytes);
    written_alike::<AlertTestRequest>(bytes);
    written_alike::<AnswerRequest>(bytes);
    written_alike::<CardShowRequest>(bytes);
    written_alike::<DraftName>(bytes);
    written_alike::<DrillRequest>(bytes);
    written_alike::<EvidenceRequest>(bytes);
    written_alike::<HotlineCloseRequest>(bytes);
    written_alike::<HotlineLineRequest>(bytes);
    written_alike::<HotlineReadRequest>(bytes);
    written_alike::<HotlineRequest>(bytes);
    written_alike::<IncidentBody>(bytes);
    written_alike::<KeyRotateRequest>(bytes);
    written_alike::<PeerActRequest>(bytes);
    written_alike::<PeerAddRequest>(bytes);
    written_alike::<PeerUnblockRequest>(bytes);
    written_alike::<RecallRequest>(bytes);
    written_alike::<RequestName>(bytes);
    written_alike::<SendRequest>(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(id) = text.parse::<MessageId>() {
        assert_eq!(id.to_string().parse().ok(), Some(id));
    }
    if let Ok(time) = text.parse::<UnixMillis>() {
        assert_eq!(time.to_string().parse().ok(), Some(time));
    }
    let _read = text.parse::<MessageRef>();
}

/// The text of an `aldisd.toml`. A fault is named with its place in the file.
fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(error) = Config::parse(text, Path::new("/etc/aldis/aldisd.toml")) {
        assert!(!error.to_string().is_empty());
    }
}

fn written_alike<T: DeserializeOwned + Serialize>(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(bytes) else { return };
    let once = serde_json::to_vec(&value).expect("a request can be written");
    let again: T = serde_json::from_slice(&once).expect("what was written can be read");
    assert_eq!(serde_json::to_vec(&again).expect("a request can be written"), once);
}
