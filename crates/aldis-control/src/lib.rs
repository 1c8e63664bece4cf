//! The local control API of an Aldis node: what may be asked of the daemon and what it answers.
//!
//! Requests and responses are plain JSON types, one module per subject; [`routes`] names the paths, [`openapi()`]
//! describes them, and [`Client`] asks them over the Unix socket. This crate knows nothing of the wire format, the
//! core or the journal, and it never decides anything: every check here is repeated by the daemon.

mod access;
mod administration;
mod agreement;
mod alerting;
mod answer;
mod attachment;
mod backup;
mod bulk;
mod card;
mod client;
mod draft;
mod drill;
mod error;
mod event;
mod evidence;
mod hotline;
mod incident;
mod label;
mod ladder;
mod message;
mod message_id;
mod node;
mod openapi;
mod peer;
mod recall;
pub mod routes;
mod send;
mod stream;
mod time;
mod verify;
mod vocabulary;

pub use access::{Role, UnknownRole, You};
pub use administration::{
    IdentityKeyView, KeyRotateRequest, OwnKey, OwnKeys, PeerAct, PeerActRequest, PeerActResponse, PeerPhrases,
    PendingRequest, RequestName,
};
pub use agreement::{AgreementField, AgreementRequest, AgreementView, Terms, TermsView};
pub use alerting::{AlertTestRequest, AlertTestResponse, ChannelView, NotReached};
pub use answer::{AnswerRequest, AnswerResponse, AnswerState, AnswerStatus, AnswerView};
pub use attachment::{
    ATTACHMENT_MAX_BYTES, ATTACHMENTS_MAX, AttachmentQuery, AttachmentState, AttachmentToSend, AttachmentView,
    UploadedAttachment,
};
pub use backup::{BackupLine, BackupOutcome, BackupReport, BackupView};
pub use bulk::{BulkAnswer, BulkLine, BulkOutcome, BulkProgress, BulkReport};
pub use card::{CardShowRequest, CardText, CardView, Contact, KindVersions};
pub use client::{Client, ClientError, ComingFile, DEFAULT_SOCKET_PATH};
pub use draft::{DraftName, DraftQuery, DraftRow, DraftView};
pub use drill::{
    CheckEnd, CheckPart, CheckResultView, CheckStatistics, ChecksView, DrillQuery, DrillRequest, DrillView,
    OpenCheckView,
};
pub use error::{ApiError, Exit};
pub use event::{Event, EventKind, EventsQuery};
pub use evidence::EvidenceRequest;
pub use hotline::{
    HotlineCloseRequest, HotlineEntry, HotlineLineRequest, HotlineQuery, HotlineReadRequest, HotlineRequest,
    HotlineSession, HotlineState, HotlineSummary, HotlineView,
};
pub use incident::{Asset, Attribution, IncidentBody, Indicator, OtherClassification};
pub use label::{Precedence, Tlp, UnknownPrecedence, UnknownTlp};
pub use ladder::{LadderMark, NextStep, SilenceView};
pub use message::{
    BodyAbsence, CaseQuery, CaseView, DeliveryState, Direction, ExportMark, Extension, HistoryEntry, ListQuery,
    LogPage, LogQuery, MessageQuery, MessageRow, MessageView, Opening, ProofSummary, ReceiptView, Reference, Refusal,
};
pub use message_id::{InvalidMessageId, MessageId, MessageRef};
pub use node::{Alarm, JournalState, LogState, ScrubOutcome, ScrubView, Status};
pub use openapi::{openapi, openapi_json};
pub use peer::{
    LaneMarks, LinkState, PeerAddRequest, PeerError, PeerQuery, PeerSummary, PeerUnblockRequest, PeerView, PerLane,
    RecoveryState, RecoveryView, TrustView,
};
pub use recall::{RecallRecipient, RecallRequest, RecallState, RecallView};
pub use send::{SendRequest, SendResponse, SentMessage, Wait};
pub use stream::{MAX_LINE_BYTES, StreamedEvent};
pub use time::{InvalidTime, UnixMillis};
pub use verify::{VerifyFinding, VerifyLine, VerifyProgress, VerifyReport};
pub use vocabulary::{IncidentClass, Vocabulary};
