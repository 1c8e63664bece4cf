//! The zip around an evidence file, written in exactly one way: entries stored, names ascending, every field that means
//! nothing the same in each file. Whatever a zip tool could understand in two ways is therefore refused, by reading the
//! entries, writing them again, and comparing. Any zip tool unpacks such a file.

use std::collections::BTreeMap;

/// The longest evidence file, in bytes.
pub const FILE_MAX_BYTES: usize = 256 * 1024 * 1024;
/// The most entries of an evidence file.
pub const ENTRIES_MAX: usize = 40_000;
/// The longest name of an entry, in bytes.
pub const NAME_MAX_BYTES: usize = 200;

/// What every entry's header says between its signature and its checksum: version 1.0 of the format is needed, no
/// flags, stored, and the first day a zip can name.
const FIXED: [u8; 10] = [10, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
const LOCAL: &[u8; 4] = b"PK\x03\x04";
const CENTRAL: &[u8; 4] = b"PK\x01\x02";
const END: &[u8; 4] = b"PK\x05\x06";
/// Written by version 1.0 on Unix.
const MADE_BY: [u8; 2] = [10, 3];
/// A plain file that its owner alone reads.
const ATTRIBUTES: u32 = 0o100_600 << 16;

/// Entries by name.
pub type Entries<'a> = BTreeMap<&'a str, &'a [u8]>;

/// Why bytes are not an evidence file's zip, or entries do not fit one. Whoever made or passed on the file is to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContainerError {
    /// It is too long.
    #[error("the file is longer than {FILE_MAX_BYTES} bytes; evidence of fewer messages fits")]
    TooLong,
    /// It holds too many entries.
    #[error("the file holds more than {ENTRIES_MAX} entries; evidence of fewer messages fits")]
    TooMany,
    /// It is no zip, was cut off, or was changed or packed by another program.
    #[error("the file is not as a node wrote it: it is cut off, changed, or was packed anew; ask for it again")]
    NotAsWritten,
}

/// Packs entries into one file.
pub fn pack(entries: &Entries<'_>) -> Result<Vec<u8>, ContainerError> {
    let whole: usize = entries.iter().map(|(name, bytes)| bytes.len() + 2 * name.len() + 76).sum::<usize>() + 22;
    if whole > FILE_MAX_BYTES {
        return Err(ContainerError::TooLong);
    }
    if entries.len() > ENTRIES_MAX {
        return Err(ContainerError::TooMany);
    }
    let (mut file, mut directory) = (Vec::with_capacity(whole), Vec::new());
    for (name, bytes) in entries {
        let at = u32_of(file.len());
        let described = describe(name, bytes);
        file.extend([LOCAL, &described[..], name.as_bytes(), bytes].concat());
        directory.extend([&CENTRAL[..], &MADE_BY, &described[..]].concat());
        // No comment, first disk, no internal attributes.
        directory.extend([0; 6]);
        directory.extend(ATTRIBUTES.to_le_bytes());
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (at, length) = (u32_of(file.len()), u32_of(directory.len()));
    let count = u16::try_from(entries.len()).expect("the number of entries was checked").to_le_bytes();
    file.append(&mut directory);
    file.extend([END, &[0; 4][..], &count, &count, &length.to_le_bytes(), &at.to_le_bytes(), &[0; 2]].concat());
    Ok(file)
}

/// The entries of a file that [`pack`] wrote. Nothing is copied; what is allocated is bounded by the number of entries.
pub fn unpack(file: &[u8]) -> Result<Entries<'_>, ContainerError> {
    if file.len() > FILE_MAX_BYTES {
        return Err(ContainerError::TooLong);
    }
    let (mut entries, mut rest) = (Entries::new(), file);
    while let Some(after) = rest.strip_prefix(LOCAL) {
        let (name, bytes, next) = read_entry(after).ok_or(ContainerError::NotAsWritten)?;
        entries.insert(name, bytes);
        if entries.len() > ENTRIES_MAX {
            return Err(ContainerError::TooMany);
        }
        rest = next;
    }
    // Order, names that stand twice, the directory, and everything else: there is one way to write these entries.
    if pack(&entries)? == file { Ok(entries) } else { Err(ContainerError::NotAsWritten) }
}

/// What local header and directory say alike about an entry, from the version to the length of the extra field.
fn describe(name: &str, bytes: &[u8]) -> Vec<u8> {
    let length = u32_of(bytes.len()).to_le_bytes();
    let name_length = u16::try_from(name.len()).expect("names are shorter than 64 KiB").to_le_bytes();
    [&FIXED[..], &crc32fast::hash(bytes).to_le_bytes(), &length, &length, &name_length, &[0; 2]].concat()
}

fn read_entry(after: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let (header, rest) = after.split_at_checked(26)?;
    let length = usize::try_from(u32::from_le_bytes(*header[14..].first_chunk()?)).ok()?;
    let name_length = usize::from(u16::from_le_bytes(*header[22..].first_chunk()?));
    let (name, rest) = rest.split_at_checked(name_length)?;
    let name = std::str::from_utf8(name).ok().filter(|name| name.len() <= NAME_MAX_BYTES)?;
    let (bytes, rest) = rest.split_at_checked(length)?;
    Some((name, bytes, rest))
}

fn u32_of(length: usize) -> u32 {
    u32::try_from(length).expect("a file is far shorter than 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entries() -> Entries<'static> {
        BTreeMap::from([("README.txt", &b"read"[..]), ("a/b", b""), ("index.json", b"{}")])
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let file = pack(&entries()).unwrap();
        assert_eq!(unpack(&file), Ok(entries()));
        assert_eq!(unpack(&pack(&Entries::new()).unwrap()), Ok(Entries::new()));
    }

    #[test]
    fn no_byte_can_change_and_none_can_be_added() {
        let file = pack(&entries()).unwrap();
        for at in 0..file.len() {
            for bit in 0..8 {
                let mut changed = file.clone();
                changed[at] ^= 1 << bit;
                assert_eq!(unpack(&changed), Err(ContainerError::NotAsWritten), "byte {at}");
            }
            assert_eq!(unpack(&file[..at]), Err(ContainerError::NotAsWritten), "cut at {at}");
        }
        assert!(unpack(&[&file[..], b"x"].concat()).is_err());
        assert!(unpack(&[b"x", &file[..]].concat()).is_err());
    }

    #[test]
    fn a_name_that_stands_twice_is_refused() {
        let one = pack(&BTreeMap::from([("a", &b"1"[..])])).unwrap();
        let local = &one[..32];
        assert_eq!(unpack(&[local, &one[..]].concat()), Err(ContainerError::NotAsWritten));
    }

    #[test]
    fn i7_too_many_entries_are_refused() {
        let names: Vec<String> = (0..=ENTRIES_MAX).map(|number| format!("{number}")).collect();
        let many: Entries<'_> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
        assert_eq!(pack(&many), Err(ContainerError::TooMany));
        let local = |name: &String| [LOCAL, &describe(name, b"")[..], name.as_bytes()].concat();
        let file: Vec<u8> = names.iter().flat_map(local).collect();
        assert_eq!(unpack(&file), Err(ContainerError::TooMany));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _either = unpack(&bytes);
            let _either = unpack(&[LOCAL, &bytes[..]].concat());
        }
    }
}
