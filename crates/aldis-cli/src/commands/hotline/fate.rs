//! What became of a request that was not answered as it should be: whether it was carried out decides what may be done
//! next.

use aldis_control::{ApiError, ClientError};

use super::Goes;
use crate::failure::Failure;

/// The code of a daemon that has no place for another connection, and so has read nothing.
const BUSY: &str = "busy";

/// What became of it.
#[derive(Debug)]
pub(super) enum Fate {
    /// Nothing was done, and it may be asked again later.
    NotDone,
    /// It may have been done; why nobody knows.
    Unknown(String),
    /// Nothing was done, for the daemon will not.
    Declined(ApiError),
    /// What answers is no daemon of this version.
    Strange(ClientError),
}

impl Fate {
    pub(super) fn of(error: ClientError) -> Self {
        match error {
            ClientError::Unreachable { .. } => Self::NotDone,
            ClientError::Broken { reason } => Self::Unknown(reason),
            ClientError::Api(error) if error.code == BUSY => Self::NotDone,
            // A daemon that stops, or does not answer itself in time, may have signed what it was asked to.
            ClientError::Api(error) if error.http_status() == 503 => Self::Unknown(error.message),
            ClientError::Api(error) => Self::Declined(error),
            other @ ClientError::Protocol { .. } => Self::Strange(other),
        }
    }

    /// For what may be asked as often as one likes: it is asked again when something happens.
    pub(super) fn or_later(self) -> Result<Goes, Failure> {
        match self {
            Self::NotDone | Self::Unknown(_) => Ok(Goes::On),
            Self::Declined(error) => Err(ClientError::Api(error).into()),
            Self::Strange(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use aldis_control::Exit;

    use super::*;

    #[test]
    fn i5_only_what_surely_was_not_done_may_be_asked_again() {
        let fate = |code| Fate::of(ClientError::Api(ApiError::new(Exit::Unreachable, code, "m", "a")));
        assert!(matches!(fate(BUSY), Fate::NotDone));
        for code in ["late", "stopping", "log-behind", "of-a-newer-daemon"] {
            assert!(matches!(fate(code), Fate::Unknown(_)), "{code}");
        }
        assert!(matches!(Fate::of(ClientError::Broken { reason: "r".to_owned() }), Fate::Unknown(_)));
        let refused = ApiError::new(Exit::Refused, "refused", "m", "a");
        assert!(matches!(Fate::of(ClientError::Api(refused)), Fate::Declined(_)));
    }
}
