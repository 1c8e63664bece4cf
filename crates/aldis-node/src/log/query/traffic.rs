//! Exercise and real: which of the two a list or search is to show (I12).

use aldis_wire::codec::Text;

use super::QueryError;
use crate::log::rows::Message;

/// Which traffic is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Traffic {
    All,
    Real,
    /// Of this exercise, or of any.
    Exercise(Option<Text<64>>),
}

impl Traffic {
    /// Reads what was asked for.
    pub(super) fn asked(exercise: Option<&str>, real: bool) -> Result<Self, QueryError> {
        match (exercise, real) {
            (None, false) => Ok(Self::All),
            (None, true) => Ok(Self::Real),
            (Some(""), false) => Ok(Self::Exercise(None)),
            (Some(name), false) => {
                let name = Text::new(name);
                let name = name.map_err(|error| QueryError::Parameter { what: "exercise", why: error.to_string() })?;
                Ok(Self::Exercise(Some(name)))
            }
            (Some(_), true) => {
                Err(QueryError::Parameter { what: "real", why: "nothing is both an exercise and real".to_owned() })
            }
        }
    }

    /// Whether a message belongs to it.
    pub(super) fn has(&self, message: &Message) -> bool {
        match self {
            Self::All => true,
            Self::Real => message.exercise.is_none(),
            Self::Exercise(None) => message.exercise.is_some(),
            Self::Exercise(name) => message.exercise == *name,
        }
    }
}
