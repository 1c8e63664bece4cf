//! Cards: this node's own as text, and any card in readable fields. Nobody is enrolled here.

use super::extract::Body;
use super::failure::Failure;
use super::{Shared, convert};
use aldis_control::{CardShowRequest, CardText, CardView, Contact, KindVersions};
use aldis_wire::card::{CardError, VerifiedCard};
use aldis_wire::codes::Desk;
use aldis_wire::digest::Digest;
use aldis_wire::ids::UnixMillis;
use axum::Json;
use axum::extract::State;

/// How far ahead of our clock a card's date may lie before it is remarked on, in milliseconds.
const AHEAD_MS: u64 = 5 * 60_000;

/// This node's own card, armoured.
pub(super) async fn own(State(server): Shared) -> Json<CardText> {
    Json(CardText { text: server.context.own_card.to_text() })
}

/// What a card says.
pub(super) async fn show(
    State(server): Shared,
    Body(request): Body<CardShowRequest>,
) -> Result<Json<CardView>, Failure> {
    let card = read(&request.text)?;
    Ok(Json(card_view(&card, server.context.clock.wall())))
}

/// Reads an armoured card.
pub(super) fn read(text: &str) -> Result<VerifiedCard, Failure> {
    VerifiedCard::from_text(text).map_err(|error| {
        let advice = match error {
            CardError::Version(_) => "ask which version of Aldis made it; one of the two nodes needs an update",
            CardError::Key(_) | CardError::Signature => {
                "do not use it; ask the other CERT for its card over another way"
            }
            _ => "ask for the card again, as an attached file",
        };
        Failure::usage("bad-card", error.to_string(), advice)
    })
}

/// The readable fields of a card, with what a person should know at `now` before trusting it.
pub fn card_view(verified: &VerifiedCard, now: UnixMillis) -> CardView {
    let card = verified.card();
    let contact = |contact: &aldis_wire::card::Contact| {
        let ways = [contact.telephone.as_str(), contact.email.as_str()];
        let ways: Vec<&str> = ways.into_iter().filter(|way| !way.is_empty()).collect();
        let name = match contact.desk {
            Desk::TECHNICAL => contact.name.to_string(),
            desk => format!("{} ({desk})", contact.name),
        };
        Contact {
            name,
            reach: ways.join(", "),
            hours: (!contact.hours.is_empty()).then(|| contact.hours.to_string()),
            languages: contact.languages.iter().map(ToString::to_string).collect(),
        }
    };
    CardView {
        id: card.id.to_string(),
        name: card.name.to_string(),
        country: card.country.to_string(),
        serial: card.sequence,
        issued_at: convert::time(card.issued_at),
        fingerprint: verified.fingerprint(),
        identity_key: data_encoding::HEXLOWER.encode(&card.identity_key),
        certificate_digest: Digest::of(&[&card.tls_certificate]).to_hex(),
        endpoints: card.endpoints.iter().map(ToString::to_string).collect(),
        contacts: card.contacts.iter().map(contact).collect(),
        kinds: card
            .kinds
            .iter()
            .map(|known| KindVersions { kind: known.kind.to_string(), versions: known.versions.to_vec() })
            .collect(),
        warnings: warnings(verified, now),
    }
}

fn warnings(verified: &VerifiedCard, now: UnixMillis) -> Vec<String> {
    let card = verified.card();
    let checks = [
        (card.valid_until < now, format!("it was valid until {}: ask for a new one", card.valid_until)),
        (
            card.issued_at > now.plus_ms(AHEAD_MS),
            format!("it was issued at {}, which is ahead of our clock: compare the clocks", card.issued_at),
        ),
        (card.endpoints.is_empty(), "it names no endpoint: only the other side can dial".to_owned()),
        (card.contacts.is_empty(), "it names nobody to call".to_owned()),
    ];
    checks.into_iter().filter(|(holds, _)| *holds).map(|(_, text)| text).collect()
}
