//! From a passphrase or credential to a sealing key: argon2id, whose cost in memory and time is what a thief of the
//! disk must pay for every guess.

use super::{KeyError, Secret};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::{Zeroize, Zeroizing};

/// The length of the random value that makes each stretching unique, in bytes.
pub(super) const SALT_BYTES: usize = 16;
/// The length of the key that comes out, in bytes.
pub(super) const KEY_BYTES: usize = 32;

/// The most memory that a file may ask for, in KiB, the most passes and the most lanes. Together some seconds of work.
const MAX_MEMORY_KIB: u32 = 262_144;
const MAX_PASSES: u32 = 16;
const MAX_LANES: u32 = 16;
/// The least memory per lane that argon2 knows, in KiB.
const MIN_LANE_KIB: u32 = 8;

/// What one guess costs. Always within bounds, so that a file can ask for nothing absurd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Stretch {
    /// What a node's keys are sealed with: the second recommendation of RFC 9106 (64 MiB, three passes, four lanes).
    pub const RECOMMENDED: Self = Self { memory_kib: 65_536, passes: 3, lanes: 4 };

    /// For nodes that live for minutes, in tests and in the demonstration: no protection, no time either.
    pub const THROWAWAY: Self = Self { memory_kib: MIN_LANE_KIB, passes: 1, lanes: 1 };

    /// Takes parameters within bounds: 8 KiB per lane to 256 MiB, at most 16 passes and 16 lanes.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Option<Self> {
        let good = (1..=MAX_LANES).contains(&lanes)
            && (1..=MAX_PASSES).contains(&passes)
            && (MIN_LANE_KIB * lanes..=MAX_MEMORY_KIB).contains(&memory_kib);
        good.then_some(Self { memory_kib, passes, lanes })
    }

    /// The memory, in KiB.
    pub fn memory_kib(self) -> u32 {
        self.memory_kib
    }

    /// How often it is gone over.
    pub fn passes(self) -> u32 {
        self.passes
    }

    /// In how many lanes.
    pub fn lanes(self) -> u32 {
        self.lanes
    }

    /// The sealing key that belongs to a secret and a salt.
    pub(super) fn derive(
        self,
        secret: &Secret,
        salt: &[u8; SALT_BYTES],
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyError> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(KEY_BYTES));
        let params = params.expect("the bounds of this type are within those of argon2");
        let count = params.block_count();
        let mut memory: Vec<Block> = Vec::new();
        memory.try_reserve_exact(count).map_err(|_| KeyError::Memory { mib: self.memory_kib.div_ceil(1_024) })?;
        memory.resize(count, Block::new());
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(secret.expose(), salt, &mut *key, &mut memory)
            .expect("secret, salt and key have lengths that argon2 takes");
        memory.zeroize();
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i7_absurd_parameters_are_refused_before_anything_is_allocated() {
        assert_eq!(Stretch::new(65_536, 3, 4), Some(Stretch::RECOMMENDED));
        assert_eq!(Stretch::new(8, 1, 1), Some(Stretch::THROWAWAY));
        assert!(Stretch::new(MAX_MEMORY_KIB, MAX_PASSES, MAX_LANES).is_some());
        for (memory_kib, passes, lanes) in [
            (MAX_MEMORY_KIB + 1, 1, 1),
            (u32::MAX, 1, 1),
            (8, 0, 1),
            (8, MAX_PASSES + 1, 1),
            (8, u32::MAX, 1),
            (8, 1, 0),
            (7, 1, 1),
            (0, 1, 1),
            (15, 1, 2),
            (MAX_MEMORY_KIB, 1, MAX_LANES + 1),
            (u32::MAX, u32::MAX, u32::MAX),
        ] {
            assert_eq!(Stretch::new(memory_kib, passes, lanes), None, "{memory_kib} {passes} {lanes}");
        }
    }

    #[test]
    fn every_part_decides_about_the_key() {
        let (one, other) = (Secret::new(b"correct horse".to_vec()), Secret::new(b"correct horsf".to_vec()));
        let stretch = Stretch::THROWAWAY;
        let key = stretch.derive(&one, &[1; SALT_BYTES]).unwrap();
        assert_eq!(*key, *stretch.derive(&one, &[1; SALT_BYTES]).unwrap());
        let changed = [
            stretch.derive(&other, &[1; SALT_BYTES]),
            stretch.derive(&one, &[2; SALT_BYTES]),
            Stretch { memory_kib: 16, ..stretch }.derive(&one, &[1; SALT_BYTES]),
            Stretch { passes: 2, ..stretch }.derive(&one, &[1; SALT_BYTES]),
        ];
        changed.into_iter().for_each(|other| assert_ne!(*key, *other.unwrap()));
    }
}
