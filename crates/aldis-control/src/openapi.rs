//! The OpenAPI document of the control API, served at `/v1/openapi.json` and checked in as `docs/openapi.json`.
//!
//! It only describes: the functions here carry the descriptions of the routes, and nothing ever calls them.

use utoipa::OpenApi;

use crate::{
    AgreementRequest, AgreementView, AlertTestRequest, AlertTestResponse, AnswerRequest, AnswerResponse, ApiError,
    AttachmentQuery, BackupLine, BulkLine, CardShowRequest, CardText, CardView, CaseQuery, CaseView, ChecksView,
    DraftName, DraftQuery, DraftRow, DraftView, DrillQuery, DrillRequest, DrillView, Event, EventsQuery,
    EvidenceRequest, HotlineCloseRequest, HotlineLineRequest, HotlineQuery, HotlineReadRequest, HotlineRequest,
    HotlineView, IncidentBody, KeyRotateRequest, ListQuery, LogPage, LogQuery, MessageQuery, MessageRow, MessageView,
    OwnKeys, PeerActRequest, PeerActResponse, PeerAddRequest, PeerPhrases, PeerQuery, PeerSummary, PeerUnblockRequest,
    PeerView, PendingRequest, RecallRequest, RecallView, RequestName, SendRequest, SendResponse, SentMessage, Status,
    UploadedAttachment, VerifyLine, Vocabulary, routes,
};

/// The OpenAPI document.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// The OpenAPI document as indented JSON with a final newline.
pub fn openapi_json() -> String {
    let mut text = openapi().to_pretty_json().expect("the document is made of strings, lists and maps");
    text.push('\n');
    text
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Aldis control API",
        description = "What may be asked of the aldisd of this machine, over HTTP/1.1 on its Unix socket. \
                       All text that came from a peer is untrusted: escape it before showing it.",
    ),
    paths(
        status,
        card,
        card_show,
        peers,
        peer_add,
        peer,
        peer_unblock,
        peer_phrases,
        peer_act,
        agreement,
        agreement_set,
        requests,
        request_approve,
        request_withdraw,
        keys,
        keys_rotate,
        alerts_test,
        metrics,
        send,
        send_bulk,
        drafts,
        draft,
        draft_release,
        draft_discard,
        inbox,
        outbox,
        message,
        case,
        evidence,
        attachment_upload,
        attachment,
        answer,
        recall,
        recalls,
        drill,
        drill_statistics,
        hotline,
        hotline_come,
        hotline_line,
        hotline_read,
        hotline_close,
        log,
        vocabulary,
        events,
        verify,
        backup,
        document
    ),
    components(schemas(IncidentBody, ApiError))
)]
struct Document;

/// The answer to anything that did not succeed; its `exit` says which sort.
#[derive(utoipa::IntoResponses)]
#[expect(dead_code, reason = "only carries the description")]
enum Failure {
    /// The request makes no sense (exit 2).
    #[response(status = 400)]
    Usage(ApiError),
    /// Refused by policy (exit 3).
    #[response(status = 403)]
    Refused(ApiError),
    /// No such message, case or peer (exit 5).
    #[response(status = 404)]
    NotFound(ApiError),
    /// What is stored does not verify (exit 6).
    #[response(status = 409)]
    Integrity(ApiError),
    /// Something else went wrong (exit 1).
    #[response(status = 500)]
    Other(ApiError),
    /// The part that is needed is not there yet (exit 4).
    #[response(status = 503)]
    Unreachable(ApiError),
}

/// What the node is doing.
#[utoipa::path(get, path = routes::STATUS, responses((status = 200, description = "Done", body = Status), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn status() {}

/// This node's own card, armoured.
#[utoipa::path(get, path = routes::CARD, responses((status = 200, description = "Done", body = CardText), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn card() {}

/// The readable fields of any card, without enrolling anybody.
#[utoipa::path(post, path = routes::CARD_SHOW, request_body = CardShowRequest, responses((status = 200, description = "Done", body = CardView), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn card_show() {}

/// All enrolled peers.
#[utoipa::path(get, path = routes::PEERS, responses((status = 200, description = "Done", body = Vec<PeerSummary>), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn peers() {}

/// Enrols a peer from its card.
#[utoipa::path(post, path = routes::PEERS, request_body = PeerAddRequest, responses((status = 200, description = "Done", body = PeerSummary), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn peer_add() {}

/// One peer in full.
#[utoipa::path(get, path = routes::PEER, params(PeerQuery), responses((status = 200, description = "Done", body = PeerView), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn peer() {}

/// Lets a blocked lane flow again.
#[utoipa::path(post, path = routes::PEER_UNBLOCK, request_body = PeerUnblockRequest, responses((status = 200, description = "Done", body = PeerSummary), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn peer_unblock() {}

/// The words two administrators read to each other over the telephone.
#[utoipa::path(get, path = routes::PEER_PHRASES, params(PeerQuery), responses((status = 200, description = "Done", body = PeerPhrases), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn peer_phrases() {}

/// Does something to a peer, or asks a second administrator to approve it.
#[utoipa::path(post, path = routes::PEER_ACT, request_body = PeerActRequest, responses((status = 200, description = "Done", body = PeerActResponse), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn peer_act() {}

/// Both sides' terms, and what holds.
#[utoipa::path(get, path = routes::AGREEMENT, params(PeerQuery), responses((status = 200, description = "Done", body = AgreementView), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn agreement() {}

/// Sets our terms towards a peer, which is told.
#[utoipa::path(post, path = routes::AGREEMENT, request_body = AgreementRequest, responses((status = 200, description = "Done", body = AgreementView), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn agreement_set() {}

/// What waits for a second administrator.
#[utoipa::path(get, path = routes::REQUESTS, responses((status = 200, description = "Done", body = Vec<PendingRequest>), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn requests() {}

/// A second administrator, with another Unix user, approves a request.
#[utoipa::path(post, path = routes::REQUEST_APPROVE, request_body = RequestName, responses((status = 200, description = "Done", body = PeerActResponse), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn request_approve() {}

/// Takes a request back; answers with those that still wait.
#[utoipa::path(post, path = routes::REQUEST_WITHDRAW, request_body = RequestName, responses((status = 200, description = "Done", body = Vec<PendingRequest>), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn request_withdraw() {}

/// This node's own keys.
#[utoipa::path(get, path = routes::KEYS, responses((status = 200, description = "Done", body = OwnKeys), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn keys() {}

/// Makes a new key of our own and announces it.
#[utoipa::path(post, path = routes::KEYS_ROTATE, request_body = KeyRotateRequest, responses((status = 200, description = "Done", body = OwnKeys), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn keys_rotate() {}

/// Tries a channel of alerts: whoever has it on the ladder is told that it is a test.
#[utoipa::path(post, path = routes::ALERTS_TEST, request_body = AlertTestRequest, responses((status = 200, description = "Done", body = AlertTestResponse), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn alerts_test() {}

/// The node's figures for Prometheus: links, lanes, alarms, and when certificates and cards run out.
#[utoipa::path(get, path = routes::METRICS, responses((status = 200, description = "Done", content_type = "application/openmetrics-text"), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn metrics() {}

/// Signs, stores and sends a message. Success means it is on stable storage here (I1).
#[utoipa::path(post, path = routes::MESSAGES, request_body = SendRequest, responses((status = 200, description = "Done", body = SendResponse), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn send() {}

/// Signs, stores and sends many messages.
///
/// The request is a line of JSON for each, at most 1 MiB long, with the fields of a single message; the answer is a line for
/// each as soon as it is known, and the report last. A message that cannot be sent does not stop the rest. At most 1,024
/// messages are unanswered at once; then nothing more is read until some are answered.
#[utoipa::path(post, path = routes::MESSAGES_BULK, request_body(content = SendRequest, content_type = "application/x-ndjson"), responses((status = 200, description = "Done", body = BulkLine, content_type = "application/x-ndjson"), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn send_bulk() {}

/// What waits for another person to release it.
#[utoipa::path(get, path = routes::DRAFTS, responses((status = 200, description = "Done", body = Vec<DraftRow>), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn drafts() {}

/// One draft in full. Whoever opens TLP:RED is on record before they see it.
#[utoipa::path(get, path = routes::DRAFT, params(DraftQuery), responses((status = 200, description = "Done", body = DraftView), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn draft() {}

/// Releases another's draft: it is signed, stored and sent.
#[utoipa::path(post, path = routes::DRAFT_RELEASE, request_body = DraftName, responses((status = 200, description = "Done", body = SendResponse), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn draft_release() {}

/// Throws a draft away: the drafter's own, or anybody's for a releaser. Answers with what still waits.
#[utoipa::path(post, path = routes::DRAFT_DISCARD, request_body = DraftName, responses((status = 200, description = "Done", body = Vec<DraftRow>), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn draft_discard() {}

/// What was received; what needs an answer stands first.
#[utoipa::path(get, path = routes::INBOX, params(ListQuery), responses((status = 200, description = "Done", body = Vec<MessageRow>), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn inbox() {}

/// What was sent and is not finished.
#[utoipa::path(get, path = routes::OUTBOX, params(ListQuery), responses((status = 200, description = "Done", body = Vec<MessageRow>), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn outbox() {}

/// One message in full.
#[utoipa::path(get, path = routes::MESSAGE, params(MessageQuery), responses((status = 200, description = "Done", body = MessageView), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn message() {}

/// One case with its messages, oldest first.
#[utoipa::path(get, path = routes::CASE, params(CaseQuery), responses((status = 200, description = "Done", body = CaseView), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn case() {}

/// Evidence of messages, in one file that `aldis-verify` checks. That it is given out is on record before a byte leaves.
#[utoipa::path(post, path = routes::EVIDENCE, request_body = EvidenceRequest, responses((status = 200, description = "Done", content_type = "application/zip"), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn evidence() {}

/// Hands in a file that a message will name within the hour: the request is its bytes, with `content-length`.
///
/// At most 4 GiB, and 8 GiB of all that no message names yet. When it is answered the file is on stable storage here.
#[utoipa::path(post, path = routes::ATTACHMENTS, request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses((status = 200, description = "Done", body = UploadedAttachment), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn attachment_upload() {}

/// The bytes of a file that a message names, with their SHA-256 in `content-digest`. Whoever opens TLP:RED is on record
/// before they see it. Status 409 while it is on its way here.
#[utoipa::path(get, path = routes::ATTACHMENT, params(AttachmentQuery), responses((status = 200, description = "Done", content_type = "application/octet-stream"), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn attachment() {}

/// What a person says about a received message.
#[utoipa::path(post, path = routes::ANSWERS, request_body = AnswerRequest, responses((status = 200, description = "Done", body = AnswerResponse), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn answer() {}

/// Takes a message back: what was not relayed goes without its body; of the rest each recipient is asked to erase it.
#[utoipa::path(post, path = routes::RECALLS, request_body = RecallRequest, responses((status = 200, description = "Done", body = RecallView), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn recall() {}

/// What became of the recall of a message at each recipient.
#[utoipa::path(get, path = routes::RECALLS, params(MessageQuery), responses((status = 200, description = "Done", body = RecallView), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn recalls() {}
/// Checks peers, and with `wait_ms` waits for what comes of it. One that cannot be checked says why in its own entry.
#[utoipa::path(post, path = routes::DRILL, request_body = DrillRequest, responses((status = 200, description = "Done", body = Vec<DrillView>), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn drill() {}

/// How the lines to peers work: the figures of the latest comm checks.
#[utoipa::path(get, path = routes::DRILL, params(DrillQuery), responses((status = 200, description = "Done", body = Vec<ChecksView>), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn drill_statistics() {}
/// The hotline with a peer, and its latest turns.
#[utoipa::path(get, path = routes::HOTLINE, params(HotlineQuery), responses((status = 200, description = "Done", body = HotlineView), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn hotline() {}

/// Comes to the desk of the hotline with a peer: joins it, picks it up, or opens one.
#[utoipa::path(post, path = routes::HOTLINE, request_body = HotlineRequest, responses((status = 200, description = "Done", body = HotlineView), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn hotline_come() {}

/// Says something in a hotline. Success means it is on stable storage here (I1).
#[utoipa::path(post, path = routes::HOTLINE_LINE, request_body = HotlineLineRequest, responses((status = 200, description = "Done", body = SentMessage), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn hotline_line() {}

/// Says that a person here was shown the peer's lines.
#[utoipa::path(post, path = routes::HOTLINE_READ, request_body = HotlineReadRequest, responses((status = 200, description = "Done", body = HotlineView), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn hotline_read() {}

/// Ends a hotline, or leaves its desk.
#[utoipa::path(post, path = routes::HOTLINE_CLOSE, request_body = HotlineCloseRequest, responses((status = 200, description = "Done", body = HotlineView), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn hotline_close() {}

/// Searches the message log, newest first.
#[utoipa::path(get, path = routes::LOG, params(LogQuery), responses((status = 200, description = "Done", body = LogPage), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn log() {}

/// The codes that notices may use.
#[utoipa::path(get, path = routes::VOCABULARY, responses((status = 200, description = "Done", body = Vocabulary), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn vocabulary() {}

/// Server-sent events as they happen; each has an id and one line of data.
#[utoipa::path(get, path = routes::EVENTS, params(EventsQuery), responses((status = 200, description = "Done", body = Event, content_type = "text/event-stream"), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn events() {}

/// Walks journal and log; answers in lines of JSON, the report last.
#[utoipa::path(post, path = routes::VERIFY, responses((status = 200, description = "Done", body = VerifyLine, content_type = "application/x-ndjson"), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn verify() {}

/// Makes a backup in the directory that the configuration names; answers in lines of JSON, the report last.
#[utoipa::path(post, path = routes::BACKUP, responses((status = 200, description = "Done", body = BackupLine, content_type = "application/x-ndjson"), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn backup() {}

/// This document.
#[utoipa::path(get, path = routes::OPENAPI, responses((status = 200, description = "The OpenAPI document", content_type = "application/json"), Failure))]
#[expect(dead_code, reason = "only carries the description")]
fn document() {}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_route_is_documented_and_nothing_else() {
        let document = serde_json::to_value(openapi()).unwrap();
        let paths = document["paths"].as_object().unwrap();
        for (path, methods) in routes::ALL {
            let mut documented: Vec<&str> = paths[path].as_object().unwrap().keys().map(String::as_str).collect();
            documented.sort_unstable();
            assert_eq!(documented, methods, "{path}");
        }
        assert_eq!(paths.len(), routes::ALL.len());
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = serde_json::to_value(openapi()).unwrap();
        let mut references = Vec::new();
        collect_references(&document, &mut references);
        assert!(references.len() > 50);
        for reference in references {
            let pointer = reference.trim_start_matches('#');
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    /// With `UPDATE=1` in the environment the checked-in document is written anew.
    #[test]
    fn the_checked_in_document_is_current() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, openapi_json()).unwrap();
        }
        let checked_in = std::fs::read_to_string(&path).unwrap();
        assert!(
            checked_in == openapi_json(),
            "docs/openapi.json is stale: UPDATE=1 cargo test -p aldis-control openapi"
        );
    }

    fn collect_references(value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(fields) => {
                for (name, inner) in fields {
                    match inner {
                        serde_json::Value::String(target) if name == "$ref" => {
                            found.push(target.clone());
                        }
                        _ => collect_references(inner, found),
                    }
                }
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| collect_references(item, found)),
            _ => {}
        }
    }
}
