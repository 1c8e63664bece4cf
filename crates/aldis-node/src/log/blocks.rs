//! Many neighbouring rows in one sled value. What sled takes for a value hardly depends on its size, up to the 4 KiB that
//! a value may have here: measured, 11 us of processor time each, so that the six rows of a notice cost 67 us one by one
//! and 2 us in blocks. No I/O.
//!
//! A block covers the keys from its own, the *bound* it is stored under, to the next block's bound. Its rows stand in
//! ascending order, each as
//!
//! | what | how |
//! |---|---|
//! | how many first bytes of its key are those of the key before it | number |
//! | the rest of its key | number of bytes, bytes |
//! | how many first bytes of its head are those of the head before it | number |
//! | the rest of its head | number of bytes, bytes |
//!
//! where a number is one byte below 128, and two bytes from there: `80` plus the high seven bits, then the low eight. The
//! head is the value, or the length of a value that is stored beside (see the layout).

use super::layout::BLOCK_BYTES;

/// One row of a block: its key and its head.
pub(super) type Entry<'a> = (&'a [u8], &'a [u8]);

/// Rows, one behind the other in one piece of memory: a batch takes apart and makes some ten thousand.
#[derive(Debug, Default)]
pub(super) struct Unpacked {
    bytes: Vec<u8>,
    /// Where the key and the head of each row end.
    ends: Vec<(usize, usize)>,
}

impl Unpacked {
    /// Adds a row.
    pub(super) fn push(&mut self, key: &[u8], head: &[u8]) {
        self.push_with(key, |bytes| bytes.extend_from_slice(head));
    }

    /// Adds a row whose head is written behind what is there.
    pub(super) fn push_with(&mut self, key: &[u8], write_head: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len();
        write_head(&mut self.bytes);
        self.ends.push((key_end, self.bytes.len()));
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The row at a place below [`Self::len`].
    pub(super) fn row(&self, place: usize) -> Entry<'_> {
        let begin = place.checked_sub(1).map_or(0, |before| self.ends[before].1);
        let (key_end, end) = self.ends[place];
        (&self.bytes[begin..key_end], &self.bytes[key_end..end])
    }
}

/// The largest number: seven bits and eight.
const NUMBER_MAX: usize = 0x7fff;

/// The rows of a block that was read, one after the other. Ends with the first bytes that are no row.
pub(super) struct Rows<'a> {
    rest: &'a [u8],
    key: Vec<u8>,
    head: Vec<u8>,
    is_first: bool,
}

/// These bytes were not made by [`pack`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Torn;

impl<'a> Rows<'a> {
    pub(super) fn of(block: &'a [u8]) -> Self {
        Self { rest: block, key: Vec::new(), head: Vec::new(), is_first: true }
    }

    /// The next row; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(&[u8], &[u8])>, Torn> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (shared, own) = self.part().ok_or(Torn)?;
        // Ascending means: what differs first is larger. A key that is the beginning of the one before it is smaller.
        let ascends = self.is_first || own > self.key.get(shared..).ok_or(Torn)?;
        if !ascends {
            return Err(Torn);
        }
        extend(&mut self.key, shared, own)?;
        let (shared, own) = self.part().ok_or(Torn)?;
        extend(&mut self.head, shared, own)?;
        self.is_first = false;
        Ok(Some((&self.key, &self.head)))
    }

    /// A count of shared bytes, and the bytes that follow them.
    fn part(&mut self) -> Option<(usize, &'a [u8])> {
        let shared = self.number()?;
        let length = self.number()?;
        let (own, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some((shared, own))
    }

    fn number(&mut self) -> Option<usize> {
        let (&first, rest) = self.rest.split_first()?;
        if first < 0x80 {
            self.rest = rest;
            return Some(usize::from(first));
        }
        let (&second, rest) = rest.split_first()?;
        self.rest = rest;
        Some(usize::from(first & 0x7f) << 8 | usize::from(second))
    }
}

fn extend(whole: &mut Vec<u8>, shared: usize, own: &[u8]) -> Result<(), Torn> {
    if shared > whole.len() {
        return Err(Torn);
    }
    whole.truncate(shared);
    whole.extend_from_slice(own);
    Ok(())
}

/// All rows of a block.
pub(super) fn unpack(block: &[u8]) -> Result<Unpacked, Torn> {
    let (mut rows, mut unpacked) = (Rows::of(block), Unpacked::default());
    while let Some((key, head)) = rows.next()? {
        unpacked.push(key, head);
    }
    Ok(unpacked)
}

/// The head of one row, without taking the rest of its block apart.
pub(super) fn find(block: &[u8], wanted: &[u8]) -> Result<Option<Vec<u8>>, Torn> {
    let mut rows = Rows::of(block);
    while let Some((key, head)) = rows.next()? {
        if key >= wanted {
            return Ok((key == wanted).then(|| head.to_vec()));
        }
    }
    Ok(None)
}

/// Packs ascending rows into as many blocks as they need, each given with its rows. `changed` is how many rows lie up to and with the
/// last one that was set: rows that come in order, as most do, fill a block there and leave it full.
pub(super) fn pack<'e, 'r>(entries: &'e [Entry<'r>], changed: usize) -> Vec<(&'e [Entry<'r>], Vec<u8>)> {
    let mut blocks = Vec::new();
    let (rows, first) = filled(entries, BLOCK_BYTES);
    if rows.len() == entries.len() {
        if !rows.is_empty() {
            blocks.push((rows, first));
        }
        return blocks;
    }
    let (before, behind) = entries.split_at(changed.min(entries.len()));
    let comes_in_order = rows.len() <= before.len() || written_bytes(before) > BLOCK_BYTES / 2;
    if comes_in_order {
        fill(before, BLOCK_BYTES, &mut blocks);
        fill(behind, BLOCK_BYTES, &mut blocks);
    } else {
        let bytes = written_bytes(entries);
        fill(entries, bytes / bytes.div_ceil(BLOCK_BYTES), &mut blocks);
    }
    blocks
}

/// Fills blocks up to so many bytes, or a little over it where that is less than a block may have.
fn fill<'e, 'r>(mut entries: &'e [Entry<'r>], bytes: usize, blocks: &mut Vec<(&'e [Entry<'r>], Vec<u8>)>) {
    while !entries.is_empty() {
        let (packed, block) = filled(entries, bytes);
        entries = &entries[packed.len()..];
        blocks.push((packed, block));
    }
}

/// One block of the first rows.
fn filled<'e, 'r>(entries: &'e [Entry<'r>], bytes: usize) -> (&'e [Entry<'r>], Vec<u8>) {
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    let (mut taken, mut before) = (0, None);
    for entry in entries {
        let length = block.len();
        write(&mut block, before, entry);
        if block.len() > BLOCK_BYTES {
            block.truncate(length);
            break;
        }
        taken += 1;
        before = Some(entry);
        if block.len() >= bytes {
            break;
        }
    }
    (&entries[..taken], block)
}

/// How long a block of all these rows would be.
fn written_bytes(entries: &[Entry<'_>]) -> usize {
    let (mut bytes, mut row, mut before) = (0, Vec::new(), None);
    for entry in entries {
        row.clear();
        write(&mut row, before, entry);
        bytes += row.len();
        before = Some(entry);
    }
    bytes
}

fn write(block: &mut Vec<u8>, before: Option<&Entry<'_>>, (key, head): &Entry<'_>) {
    let (key_before, head_before) = before.copied().unwrap_or_default();
    for (before, part) in [(key_before, key), (head_before, head)] {
        let shared = before.iter().zip(*part).take_while(|(one, other)| one == other).count();
        write_number(block, shared);
        write_number(block, part.len() - shared);
        block.extend_from_slice(&part[shared..]);
    }
}

fn write_number(block: &mut Vec<u8>, number: usize) {
    debug_assert!(number <= NUMBER_MAX, "keys and heads are shorter");
    let [high, low] = u16::try_from(number).expect("keys and heads are shorter").to_be_bytes();
    if number < 0x80 {
        block.push(low);
    } else {
        block.extend_from_slice(&[0x80 | high, low]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::{HEAD_BYTES_MAX, KEY_BYTES_MAX};
    use super::*;
    use proptest::prelude::*;

    fn rows() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
        let key = prop::collection::vec(0..3_u8, 0..KEY_BYTES_MAX);
        let head = prop::collection::vec(0..3_u8, 0..HEAD_BYTES_MAX);
        prop::collection::btree_map(key, head, 0..60).prop_map(|rows| rows.into_iter().collect())
    }

    fn all(unpacked: &Unpacked) -> Vec<Entry<'_>> {
        (0..unpacked.len()).map(|place| unpacked.row(place)).collect()
    }

    fn borrowed(rows: &[(Vec<u8>, Vec<u8>)]) -> Vec<Entry<'_>> {
        rows.iter().map(|(key, head)| (&key[..], &head[..])).collect()
    }

    proptest! {
        #[test]
        fn what_is_packed_is_found_again_and_no_block_is_too_long(rows in rows(), changed in 0..60_usize) {
            let entries = borrowed(&rows);
            let blocks = pack(&entries, changed);
            let mut found = Vec::new();
            for (rows, block) in &blocks {
                prop_assert!(!rows.is_empty() && block.len() <= BLOCK_BYTES);
                let unpacked = unpack(block).unwrap();
                prop_assert_eq!(all(&unpacked), rows.to_vec());
                for (key, head) in *rows {
                    let there = find(block, key).unwrap();
                    prop_assert_eq!(there.as_deref(), Some(*head));
                }
                found.extend_from_slice(rows);
            }
            prop_assert_eq!(found, entries);
        }

        #[test]
        fn i7_whatever_bytes_are_read_end_as_rows_or_as_torn(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            // Rows that are read are in order, so that a search may stop at the first larger key.
            if let Ok(unpacked) = unpack(&bytes) {
                prop_assert!(all(&unpacked).is_sorted_by(|one, other| one.0 < other.0));
            }
        }
    }

    #[test]
    fn rows_that_come_in_order_leave_full_blocks_also_before_rows_that_were_there() {
        let row = |number: u32| ([b"index ", &number.to_be_bytes()[..]].concat(), vec![7; 100]);
        let mut last = vec![(b"next index".to_vec(), Vec::new())];
        let (mut full, mut number) = (0, 0);
        while full < 50 {
            let rows = last.len() - 1;
            last.splice(rows..rows, (0..10).map(|added| row(number + added)));
            number += 10;
            let entries = borrowed(&last);
            let blocks = pack(&entries, last.len() - 1);
            let (at_the_end, filled): (Vec<_>, Vec<_>) =
                blocks.iter().partition(|(_, block)| block.len() < BLOCK_BYTES * 9 / 10);
            assert!(at_the_end.len() <= 2, "{number}: {} blocks are not full", at_the_end.len());
            full += filled.len();
            let kept = at_the_end.iter().flat_map(|(rows, _)| rows.iter());
            let mut kept: Vec<_> = kept.map(|(key, head)| (key.to_vec(), head.to_vec())).collect();
            if kept.last().is_none_or(|(key, _)| key != b"next index") {
                kept.push((b"next index".to_vec(), Vec::new()));
            }
            last = kept;
        }
    }
}
