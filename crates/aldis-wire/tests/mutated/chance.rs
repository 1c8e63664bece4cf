//! Chance that a seed repeats, and what chance does to bytes and to signatures.

/// The order of Ed25519's group, little-endian: a signature whose second half grew by it verifies where that half is not
/// checked to be canonical.
const GROUP_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// `SplitMix64`: enough for choosing, and repeatable from its seed.
pub(crate) struct Random(u64);

impl Random {
    /// The chance of one mutant of a run, whatever became of the others.
    pub(crate) fn of(seed: u64, number: u64) -> Self {
        let mut random = Self(seed ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        random.next();
        random
    }

    /// Any number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("it is below a usize")
    }

    /// One of these.
    pub(crate) fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// Any byte.
    pub(crate) fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// A number as programs get wrong: near a power of two, near nothing, or any.
    pub(crate) fn number(&mut self) -> u64 {
        let near = (1_u64 << self.below(64)).wrapping_add(self.next() % 3).wrapping_sub(1);
        let small = u64::from(self.byte());
        *self.one(&[0, 1, 2, 3, near, near, u64::MAX, small])
    }
}

/// One small change to bytes: a bit, a byte, a piece cut out, doubled, put in, or the end.
pub(crate) fn edit(random: &mut Random, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return bytes.push(random.byte());
    }
    let at = random.below(bytes.len());
    let end = (at + 1 + random.below(8)).min(bytes.len());
    match random.below(7) {
        0 | 1 => bytes[at] ^= 1 << random.below(8),
        2 => bytes[at] = random.byte(),
        3 => drop(bytes.drain(at..end)),
        4 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
        5 => bytes.insert(at, random.byte()),
        _ => bytes.truncate(at),
    }
}

/// The same said in another way: the length in front written wider than it needs, or a byte behind the end.
pub(crate) fn say_otherwise(random: &mut Random, bytes: &mut Vec<u8>) {
    match bytes.first() {
        Some(0xfb) if random.below(4) > 0 => drop(bytes.splice(0..1, [0xfc, 0, 0])),
        Some(0..0xfb) if random.below(4) > 0 => drop(bytes.splice(0..0, [0xfb, 0])),
        _ => bytes.push(random.byte()),
    }
}

/// What somebody without the key does to a signature.
pub(crate) fn spoil(random: &mut Random, signature: &mut [u8; 64]) {
    match random.below(6) {
        0 | 1 => signature[random.below(64)] ^= 1 << random.below(8),
        2 => add_group_order(&mut signature[32..]),
        // The neutral element as first half, alone or with nothing behind it.
        3 => signature[..32].copy_from_slice(&small_order()),
        4 => {
            *signature = [0; 64];
            signature[0] = 1;
        }
        _ => signature[63] ^= 0x80,
    }
}

fn small_order() -> [u8; 32] {
    let mut point = [0; 32];
    point[0] = 1;
    point
}

fn add_group_order(scalar: &mut [u8]) {
    let mut carry = 0;
    for (byte, order) in scalar.iter_mut().zip(GROUP_ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
}
