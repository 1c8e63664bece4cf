//! Time and randomness, which the core only ever receives (I11). Nothing here reads a clock.

use aldis_wire::digest::Digest;
use aldis_wire::envelope::Salt;
use aldis_wire::ids::UnixMillis;

/// The moment of one input: what the clocks showed and fresh random bytes.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The wall clock, for what is signed and shown.
    pub wall: UnixMillis,
    /// A clock that never goes back, in milliseconds from any origin, for timers.
    pub monotonic_ms: u64,
    /// Random bytes that serve this input only.
    pub entropy: [u8; 32],
}

impl Moment {
    /// A salt of its own for each purpose within one input.
    pub(crate) fn salt(&self, purpose: &[u8]) -> Salt {
        let digest = Digest::of(&[b"salt", &self.entropy, purpose]);
        let (salt, _) = digest.as_bytes().split_first_chunk().expect("a digest is longer than a salt");
        *salt
    }

    /// A number from 0 to `below` - 1, evenly enough for jitter.
    pub(crate) fn jitter(&self, purpose: &[u8], below: u64) -> u64 {
        let digest = Digest::of(&[b"jitter", &self.entropy, purpose]);
        let (first, _) = digest.as_bytes().split_first_chunk().expect("a digest is longer than a number");
        u64::from_be_bytes(*first) % below.max(1)
    }
}
