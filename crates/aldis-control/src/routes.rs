//! The paths of the control API. Client, server and OpenAPI document all take them from here.

/// `GET`: what the node is doing.
pub const STATUS: &str = "/v1/status";
/// `GET`: this node's own card, armoured.
pub const CARD: &str = "/v1/card";
/// `POST`: the readable fields of any card.
pub const CARD_SHOW: &str = "/v1/card/show";
/// `GET`: all peers; `POST`: enrol one.
pub const PEERS: &str = "/v1/peers";
/// `GET ?id=`: one peer in full.
pub const PEER: &str = "/v1/peer";
/// `POST`: let a blocked lane flow again.
pub const PEER_UNBLOCK: &str = "/v1/peer/unblock";
/// `GET ?id=`: the words two administrators read to each other.
pub const PEER_PHRASES: &str = "/v1/peer/phrases";
/// `POST`: do something to a peer.
pub const PEER_ACT: &str = "/v1/peer/act";
/// `GET ?id=`: both sides' terms; `POST`: set ours.
pub const AGREEMENT: &str = "/v1/agreement";
/// `GET`: what waits for a second administrator.
pub const REQUESTS: &str = "/v1/requests";
/// `POST`: approve a request.
pub const REQUEST_APPROVE: &str = "/v1/requests/approve";
/// `POST`: take a request back.
pub const REQUEST_WITHDRAW: &str = "/v1/requests/withdraw";
/// `GET`: this node's own keys.
pub const KEYS: &str = "/v1/keys";
/// `POST`: make a new key of our own.
pub const KEYS_ROTATE: &str = "/v1/keys/rotate";
/// `POST`: try a channel of alerts by hand.
pub const ALERTS_TEST: &str = "/v1/alerts/test";
/// `GET`: the node's figures for Prometheus.
pub const METRICS: &str = "/v1/metrics";
/// `POST`: sign, store and send a message.
pub const MESSAGES: &str = "/v1/messages";
/// `POST`: the same for many messages, a line of JSON each; answers in lines of JSON.
pub const MESSAGES_BULK: &str = "/v1/messages/bulk";
/// `GET`: what waits for another person to release it.
pub const DRAFTS: &str = "/v1/drafts";
/// `GET ?draft=`: one draft in full.
pub const DRAFT: &str = "/v1/draft";
/// `POST`: release another's draft: it is signed and sent.
pub const DRAFT_RELEASE: &str = "/v1/drafts/release";
/// `POST`: throw a draft away.
pub const DRAFT_DISCARD: &str = "/v1/drafts/discard";
/// `GET`: what was received, what needs an answer first.
pub const INBOX: &str = "/v1/inbox";
/// `GET`: what was sent and is not finished.
pub const OUTBOX: &str = "/v1/outbox";
/// `GET ?id=`: one message in full.
pub const MESSAGE: &str = "/v1/message";
/// `POST`: evidence of messages, in one file; answers with a zip.
pub const EVIDENCE: &str = "/v1/evidence";
/// `GET ?id=`: one case with its messages.
pub const CASE: &str = "/v1/case";
/// `POST`: hand in a file that a message will name; the body is its bytes.
pub const ATTACHMENTS: &str = "/v1/attachments";
/// `GET ?id=&number=`: the bytes of a file that a message names.
pub const ATTACHMENT: &str = "/v1/attachment";
/// `POST`: what a person says about a received message.
pub const ANSWERS: &str = "/v1/answers";
/// `GET ?id=`: what became of a recall at each recipient; `POST`: take a message back.
pub const RECALLS: &str = "/v1/recalls";
/// `GET`: how the lines to peers work; `POST`: check them now.
pub const DRILL: &str = "/v1/drill";
/// `GET ?peer=`: the hotline with a peer; `POST`: come to its desk, opening it if need be.
pub const HOTLINE: &str = "/v1/hotline";
/// `POST`: say something in a hotline.
pub const HOTLINE_LINE: &str = "/v1/hotline/line";
/// `POST`: say what was read in a hotline.
pub const HOTLINE_READ: &str = "/v1/hotline/read";
/// `POST`: end a hotline, or leave its desk.
pub const HOTLINE_CLOSE: &str = "/v1/hotline/close";
/// `GET`: search the message log.
pub const LOG: &str = "/v1/log";
/// `GET`: server-sent events as they happen.
pub const EVENTS: &str = "/v1/events";
/// `POST`: walk journal and log; answers in lines of JSON.
pub const VERIFY: &str = "/v1/verify";
/// `POST`: make a backup; answers in lines of JSON.
pub const BACKUP: &str = "/v1/backup";
/// `GET`: the codes that notices may use.
pub const VOCABULARY: &str = "/v1/vocabulary";
/// `GET`: the OpenAPI document.
pub const OPENAPI: &str = "/v1/openapi.json";

/// Every route with the HTTP methods it answers.
pub const ALL: [(&str, &[&str]); 42] = [
    (STATUS, &["get"]),
    (CARD, &["get"]),
    (CARD_SHOW, &["post"]),
    (PEERS, &["get", "post"]),
    (PEER, &["get"]),
    (PEER_UNBLOCK, &["post"]),
    (PEER_PHRASES, &["get"]),
    (PEER_ACT, &["post"]),
    (AGREEMENT, &["get", "post"]),
    (REQUESTS, &["get"]),
    (REQUEST_APPROVE, &["post"]),
    (REQUEST_WITHDRAW, &["post"]),
    (KEYS, &["get"]),
    (KEYS_ROTATE, &["post"]),
    (ALERTS_TEST, &["post"]),
    (METRICS, &["get"]),
    (MESSAGES, &["post"]),
    (MESSAGES_BULK, &["post"]),
    (DRAFTS, &["get"]),
    (DRAFT, &["get"]),
    (DRAFT_RELEASE, &["post"]),
    (DRAFT_DISCARD, &["post"]),
    (INBOX, &["get"]),
    (OUTBOX, &["get"]),
    (MESSAGE, &["get"]),
    (CASE, &["get"]),
    (EVIDENCE, &["post"]),
    (ATTACHMENTS, &["post"]),
    (ATTACHMENT, &["get"]),
    (ANSWERS, &["post"]),
    (RECALLS, &["get", "post"]),
    (DRILL, &["get", "post"]),
    (HOTLINE, &["get", "post"]),
    (HOTLINE_LINE, &["post"]),
    (HOTLINE_READ, &["post"]),
    (HOTLINE_CLOSE, &["post"]),
    (LOG, &["get"]),
    (EVENTS, &["get"]),
    (VERIFY, &["post"]),
    (BACKUP, &["post"]),
    (VOCABULARY, &["get"]),
    (OPENAPI, &["get"]),
];
