//! Kinds `card` and `key-rotation`: a node's new card, on its way to a peer by itself. A `card` has the identity key the
//! peer knows and applies at once; a `key-rotation` has the next one, is signed as an envelope by the key before it, and
//! waits for the peer's administrators. The header's `from` must be the card's id.

use super::{Attached, Bearing, Choice, KindBody, Summary};
use crate::card::{CARD_MAX_BYTES, VerifiedCard};
use crate::codec::{Blob, Coded, Decode, Encode, impl_coded};
use crate::codes::{Code, Extensions};
use crate::kinds::WriteError;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A card in a body: its exact signed bytes on the wire, its armoured text in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
struct CarriedCard(VerifiedCard);

/// A new card with the identity key that the peer knows.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCard {
    card: CarriedCard,
    #[serde(default, with = "super::extensions_json", skip_serializing_if = "super::extensions_json::is_empty")]
    extensions: Extensions,
}

/// A new card with the next identity key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRotation {
    card: CarriedCard,
    #[serde(default, with = "super::extensions_json", skip_serializing_if = "super::extensions_json::is_empty")]
    extensions: Extensions,
}

impl NewCard {
    /// The body that carries a card.
    pub fn body(card: &VerifiedCard) -> Vec<u8> {
        crate::codec::encode(&Self { card: CarriedCard(card.clone()), extensions: Extensions::default() })
    }
}

impl KeyRotation {
    /// The body that carries a card with the next identity key.
    pub fn body(card: &VerifiedCard) -> Vec<u8> {
        crate::codec::encode(&Self { card: CarriedCard(card.clone()), extensions: Extensions::default() })
    }
}

impl KindBody for NewCard {
    const NAME: &'static str = "card";
    const VERSION: u16 = 1;
    const CHOICES: &'static [Choice] = &[];

    fn summary(&self) -> Summary {
        let card = &self.card.0;
        summary(Bearing::Card, card, format!("new card of {}, number {}", card.card().id, card.card().sequence))
    }

    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn chosen(&self) -> Vec<(&'static str, &Code)> {
        Vec::new()
    }
}

impl KindBody for KeyRotation {
    const NAME: &'static str = "key-rotation";
    const VERSION: u16 = 1;
    const CHOICES: &'static [Choice] = &[];

    fn summary(&self) -> Summary {
        let card = &self.card.0;
        summary(Bearing::Rotation, card, format!("new identity key {} of {}", card.key().id(), card.card().id))
    }

    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn chosen(&self) -> Vec<(&'static str, &Code)> {
        Vec::new()
    }
}

fn summary(bearing: Bearing, card: &VerifiedCard, subject: String) -> Summary {
    let attached = Some(Attached::Card(Box::new(card.clone())));
    Summary { attached, ..Summary::plain(bearing, &subject) }
}

impl Coded for CarriedCard {
    type Plain = Blob<{ CARD_MAX_BYTES + 128 }>;
    fn to_plain(&self) -> Self::Plain {
        Blob::new(self.0.signed_bytes().to_vec()).expect("a verified card is bounded")
    }
    fn from_plain(plain: Self::Plain) -> Result<Self, String> {
        VerifiedCard::from_signed_bytes(&plain).map(Self).map_err(|error| error.to_string())
    }
}

impl_coded!(CarriedCard);

impl Serialize for CarriedCard {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_text())
    }
}

impl<'de> Deserialize<'de> for CarriedCard {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let card = VerifiedCard::from_text(&text).map_err(|error| WriteError::Field(error.to_string()));
        card.map(Self).map_err(serde::de::Error::custom)
    }
}
