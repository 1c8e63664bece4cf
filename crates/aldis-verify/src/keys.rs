//! The keys one node used towards another, as a text: the oldest first, each with the last place it signed in each
//! lane.

use aldis_wire::keyring::{ENDED_KEYS_MAX, EndedKey, KeyRing};
use aldis_wire::lane::Lane;
use aldis_wire::signing::PublicKey;

/// Writes the keys, one a line, such as `3b6a.. until F3 I0 P17 R0`; the last line says `in force`.
pub fn write(ring: &KeyRing) -> String {
    let mut text = String::new();
    for EndedKey { key, last } in ring.ended() {
        let places: String = Lane::ALL.iter().map(|lane| format!(" {}{}", lane.letter(), last[lane.index()])).collect();
        text.push_str(&format!("{} until{places}\n", hex(key)));
    }
    text.push_str(&format!("{} in force\n", hex(ring.current())));
    text
}

/// Reads what [`write()`] wrote; `None` if it is anything else.
pub fn read(bytes: &[u8]) -> Option<KeyRing> {
    let text = std::str::from_utf8(bytes).ok()?;
    let lines: Vec<&str> = text.lines().take(ENDED_KEYS_MAX + 2).collect();
    let (current, ended) = lines.split_last().filter(|(_, ended)| ended.len() <= ENDED_KEYS_MAX)?;
    let mut keys = ended.iter().map(|line| ended_key(line)).collect::<Option<Vec<_>>>()?;
    keys.push((key(current.strip_suffix(" in force")?)?, [0; 4]));
    let mut keys = keys.into_iter();
    let (first, mut last) = keys.next()?;
    let mut ring = KeyRing::from(first);
    for (key, next_last) in keys {
        ring.switch(last, key);
        last = next_last;
    }
    (write(&ring) == text).then_some(ring)
}

fn ended_key(line: &str) -> Option<(PublicKey, [u64; 4])> {
    let (hex, places) = line.split_once(" until ")?;
    let mut last = [0; 4];
    let mut places = places.split(' ');
    for lane in Lane::ALL {
        last[lane.index()] = places.next()?.strip_prefix(lane.letter())?.parse().ok()?;
    }
    Some((key(hex)?, last))
}

fn key(hex: &str) -> Option<PublicKey> {
    let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).ok()?;
    PublicKey::from_bytes(&bytes.try_into().ok()?).ok()
}

fn hex(key: &PublicKey) -> String {
    data_encoding::HEXLOWER.encode(key.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aldis_wire::signing::IdentityKey;

    #[test]
    fn keys_survive_their_text_and_nothing_else_is_read() {
        let key = |number| IdentityKey::from_seed(&[number; 32]).public();
        let mut ring = KeyRing::from(key(1));
        assert_eq!(read(write(&ring).as_bytes()), Some(ring.clone()));
        ring.switch([3, 0, 17, 0], key(2));
        ring.switch([5, 1, 17, 9], key(3));
        let text = write(&ring);
        assert_eq!(read(text.as_bytes()), Some(ring));
        assert!(text.contains(" until F3 I0 P17 R0\n"), "{text}");
        for bad in ["", "\n", &text[..text.len() - 1], &text.replace("F3", "F03"), &text.replace(" in force", "")] {
            assert_eq!(read(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(read(format!("{text}\n").as_bytes()), None);
    }
}
