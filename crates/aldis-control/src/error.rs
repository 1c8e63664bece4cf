//! What the daemon answers when it cannot do what was asked: what happened, and what to do about it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The body of every response that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// A stable word for programs, such as `no-such-message`.
    pub code: String,
    /// What happened and where.
    pub message: String,
    /// What the person can do about it.
    pub advice: String,
    /// The exit code a command ends with; see [`Exit`].
    pub exit: u8,
}

/// Who is to blame, as the exit code of a command and the HTTP status that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 1, HTTP 500: something else went wrong.
    Other,
    /// 2, HTTP 400: the request makes no sense.
    Usage,
    /// 3, HTTP 403: understood, and refused by policy.
    Refused,
    /// 4, HTTP 503: the daemon, or the part of it that is needed, is not there yet.
    Unreachable,
    /// 5, HTTP 404: no such message, case or peer.
    NotFound,
    /// 6, HTTP 409: what is stored does not verify.
    Integrity,
}

impl ApiError {
    /// An error of the given sort; `message` says what happened, `advice` what to do.
    pub fn new(exit: Exit, code: &str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), advice: advice.into(), exit: exit.code() }
    }

    /// The HTTP status this error travels with.
    pub fn http_status(&self) -> u16 {
        Exit::ALL.into_iter().find(|exit| exit.code() == self.exit).unwrap_or(Exit::Other).http_status()
    }
}

impl Exit {
    /// Every sort of failure.
    pub const ALL: [Self; 6] =
        [Self::Other, Self::Usage, Self::Refused, Self::Unreachable, Self::NotFound, Self::Integrity];

    /// The exit code of the command.
    pub const fn code(self) -> u8 {
        match self {
            Self::Other => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Unreachable => 4,
            Self::NotFound => 5,
            Self::Integrity => 6,
        }
    }

    /// The HTTP status of the response.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Other => 500,
            Self::Usage => 400,
            Self::Refused => 403,
            Self::Unreachable => 503,
            Self::NotFound => 404,
            Self::Integrity => 409,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_exit_code_has_its_own_status() {
        for exit in Exit::ALL {
            let error = ApiError::new(exit, "code", "what", "do");
            assert_eq!(error.http_status(), exit.http_status());
        }
        let odd = ApiError { exit: 77, ..ApiError::new(Exit::Usage, "c", "m", "a") };
        assert_eq!(odd.http_status(), 500);
    }
}
