//! A node's identity keys as a peer knows them: the one in force, and those before it with the last place each of them
//! signed. Position decides which key must have signed an envelope, never time: what an old key signed verifies for
//! ever, and nothing it signs from its end on ever does.

use crate::codec::{Coded, Decode, Encode, impl_coded};
use crate::ids::{KeyId, Seq};
use crate::lane::Lane;
use crate::signing::PublicKey;

/// The most ended keys that are remembered: more rotations than a node makes in a century.
pub const ENDED_KEYS_MAX: usize = 256;

/// The keys of one node, towards one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRing {
    /// Oldest first.
    ended: Vec<EndedKey>,
    current: PublicKey,
}

/// A key that signs no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedKey {
    /// The key.
    pub key: PublicKey,
    /// Per lane, the last place it signed; 0 for none.
    pub last: [u64; 4],
}

/// Where a key ended: what a node says in its Hellos once it signs with the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct KeySwitch {
    /// The key that ended.
    pub ended: KeyId,
    /// Per lane, the last place it signed; 0 for none.
    pub last: [u64; 4],
}

impl KeyRing {
    /// The key in force.
    pub fn current(&self) -> &PublicKey {
        &self.current
    }

    /// The keys before it, oldest first.
    pub fn ended(&self) -> &[EndedKey] {
        &self.ended
    }

    /// The key that must have signed the envelope at a place.
    pub fn key_at(&self, lane: Lane, seq: Seq) -> &PublicKey {
        let signed = self.ended.iter().find(|ended| seq.get() <= ended.last[lane.index()]);
        signed.map_or(&self.current, |ended| &ended.key)
    }

    /// Ends the key in force at `last` and goes on with `next`. The oldest of too many keys is forgotten here; the
    /// journal has it still.
    pub fn switch(&mut self, last: [u64; 4], next: PublicKey) {
        if self.ended.len() == ENDED_KEYS_MAX {
            self.ended.remove(0);
        }
        let key = std::mem::replace(&mut self.current, next);
        self.ended.push(EndedKey { key, last });
    }
}

impl From<PublicKey> for KeyRing {
    fn from(current: PublicKey) -> Self {
        Self { ended: Vec::new(), current }
    }
}

impl Coded for KeyRing {
    type Plain = (Vec<([u8; 32], [u64; 4])>, [u8; 32]);
    fn to_plain(&self) -> Self::Plain {
        let ended = self.ended.iter().map(|ended| (*ended.key.as_bytes(), ended.last)).collect();
        (ended, *self.current.as_bytes())
    }
    fn from_plain((ended, current): Self::Plain) -> Result<Self, String> {
        let key = |bytes: &[u8; 32]| PublicKey::from_bytes(bytes).map_err(|error| error.to_string());
        let ended = ended.iter().map(|(bytes, last)| Ok(EndedKey { key: key(bytes)?, last: *last }));
        Ok(Self { ended: ended.collect::<Result<_, String>>()?, current: key(&current)? })
    }
}

impl_coded!(KeyRing);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;
    use crate::signing::IdentityKey;

    fn key(number: u8) -> PublicKey {
        IdentityKey::from_seed(&[number; 32]).public()
    }

    #[test]
    fn i4_the_place_says_which_key_signed_and_nothing_else_does() {
        let mut ring = KeyRing::from(key(1));
        ring.switch([3, 0, 7, 0], key(2));
        ring.switch([5, 0, 7, 2], key(3));
        let at = |lane, seq| ring.key_at(lane, Seq::new(seq).unwrap()).clone();
        for (lane, seq, number) in [
            (Lane::Flash, 1, 1),
            (Lane::Flash, 3, 1),
            (Lane::Flash, 4, 2),
            (Lane::Flash, 5, 2),
            (Lane::Flash, 6, 3),
            (Lane::Immediate, 1, 3),
            (Lane::Priority, 7, 1),
            (Lane::Priority, 8, 3),
            (Lane::Routine, 2, 2),
            (Lane::Routine, 3, 3),
        ] {
            assert_eq!(at(lane, seq), key(number), "{lane:?} {seq}");
        }
        assert_eq!(codec::decode::<KeyRing>(&codec::encode(&ring)).unwrap(), ring);
    }

    #[test]
    fn i7_ended_keys_are_bounded() {
        let mut ring = KeyRing::from(key(0));
        for _ in 0..=ENDED_KEYS_MAX {
            ring.switch([1; 4], key(1));
        }
        assert_eq!(ring.ended().len(), ENDED_KEYS_MAX);
    }
}
