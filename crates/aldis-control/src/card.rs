//! Cards: this node's own as text, and any card in readable fields.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::UnixMillis;

/// A card as armoured text, ready to be sent to another CERT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CardText {
    /// The armoured text.
    pub text: String,
}

/// Asks what a card says, without enrolling anybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CardShowRequest {
    /// The armoured text.
    pub text: String,
}

/// What a card says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CardView {
    /// The node id.
    pub id: String,
    /// The CERT's name.
    pub name: String,
    /// ISO 3166 country code.
    pub country: String,
    /// Number of this card among the node's cards; a higher one replaces a lower one.
    pub serial: u64,
    /// When the card was signed.
    pub issued_at: UnixMillis,
    /// Until when it is good.
    pub valid_until: UnixMillis,
    /// The fingerprint to compare over the telephone.
    pub fingerprint: String,
    /// The Ed25519 identity key, in hex.
    pub identity_key: String,
    /// SHA-256 of the TLS certificate, in hex.
    pub certificate_digest: String,
    /// Where the node can be reached, `host:port`.
    pub endpoints: Vec<String>,
    /// Whom to call.
    pub contacts: Vec<Contact>,
    /// The kinds and versions the node reads.
    pub kinds: Vec<KindVersions>,
    /// What a person should know before trusting the card.
    pub warnings: Vec<String>,
}

/// A person or function at the other CERT.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Contact {
    /// Name or function, such as `duty officer`.
    pub name: String,
    /// How to reach it, such as a telephone number or an address.
    pub reach: String,
    /// Hours, as the card states them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<String>,
    /// Languages spoken, BCP 47.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
}

/// The versions of one kind that a node reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KindVersions {
    /// The kind, such as `incident`.
    pub kind: String,
    /// The versions, ascending.
    pub versions: Vec<u16>,
}
