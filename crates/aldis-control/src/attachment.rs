//! Attachments: files that a message names. They are handed in before the message and fetched by themselves afterwards.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The most attachments of one message.
pub const ATTACHMENTS_MAX: usize = 16;

/// The longest attachment, in bytes: 4 GiB. An agreement may allow less.
pub const ATTACHMENT_MAX_BYTES: u64 = 4 << 30;

/// A file that was handed in. A message has an hour to name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadedAttachment {
    /// SHA-256 of its bytes, 64 lower-case hexadecimal digits.
    pub digest: String,
    /// Its length in bytes.
    pub size: u64,
}

/// A file that a message is to name; it was handed in before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttachmentToSend {
    /// The digest that handing it in was answered with.
    pub digest: String,
    /// The name its readers see, at most 255 bytes. No file is ever made under it.
    pub name: String,
    /// What sort of file it is, such as `application/pdf`, at most 127 bytes; nobody checks it.
    pub media_type: String,
}

/// A file that a message names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttachmentView {
    /// Its place in the message, from 1.
    pub number: u32,
    /// The name its sender gave it, untrusted; empty in lists where the message is TLP:RED.
    pub name: String,
    /// What its sender says it is, untrusted; empty where the name is.
    pub media_type: String,
    /// SHA-256 of its bytes, in hex; empty where the name is.
    pub digest: String,
    /// Its length in bytes.
    pub size: u64,
    /// Where it is.
    pub state: AttachmentState,
    /// How many of its bytes have come, or were handed to the link, while it is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Why it is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Where an attachment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AttachmentState {
    /// Ours: the recipient has not said that it has it.
    Waiting,
    /// Received, and on its way here.
    Arriving,
    /// Whole at the recipient: verified and on stable storage. For ours the recipient's node says so, unsigned.
    Held,
    /// It will not come; `reason` says why.
    Lost,
}

/// Names an attachment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AttachmentQuery {
    /// The message: `cert.br/cert.cl/P17`, or `cert.br/P17` for one received here.
    pub id: String,
    /// Its place in the message, from 1.
    pub number: u32,
}

impl AttachmentState {
    /// The word used in JSON and shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Arriving => "arriving",
            Self::Held => "held",
            Self::Lost => "lost",
        }
    }
}
