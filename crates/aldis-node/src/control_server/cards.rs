//! Cards: this node's own as text, and any card in readable fields. Nobody is enrolled here.

use super::Shared;
use super::extract::Body;
use super::failure::Failure;
use crate::card_text;
use aldis_control::{CardShowRequest, CardText, CardView};
use aldis_wire::card::{CardError, VerifiedCard};
use axum::Json;
use axum::extract::State;

/// This node's own card, armoured.
pub(super) async fn own(State(server): Shared) -> Json<CardText> {
    Json(CardText { text: server.context.own.card().to_text() })
}

/// What a card says.
pub(super) async fn show(
    State(server): Shared,
    Body(request): Body<CardShowRequest>,
) -> Result<Json<CardView>, Failure> {
    let card = read(&request.text)?;
    Ok(Json(card_text::view(&card, server.context.clock.wall())))
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
