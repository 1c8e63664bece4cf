//! The lists are what the literature has, a phrase is of one id and one key, and typing it may be sloppy but not wrong.

use super::*;
use crate::signing::IdentityKey;
use std::collections::BTreeSet;

const BYTES: [u8; PHRASE_WORDS] = [0xe5, 0x82, 0x94, 0xf2, 0xe9, 0xa2, 0x27, 0x48, 0x6e, 0x8b];
const TYPED: &str = "topmost Istanbul Pluto vagabond treadmill Pacific brackish dictator goldfish Medusa";

fn of(id: &str, seed: u8) -> Phrase {
    Phrase::of(&NodeId::new(id).unwrap(), &IdentityKey::from_seed(&[seed; 32]).public())
}

fn lists() -> [Vec<&'static str>; 2] {
    [List::TwoSyllables.words().collect(), List::ThreeSyllables.words().collect()]
}

#[test]
fn the_lists_are_the_pgp_word_list() {
    // The example of the literature, and both ends of both lists.
    let bytes = [
        0xe5, 0x82, 0x94, 0xf2, 0xe9, 0xa2, 0x27, 0x48, 0x6e, 0x8b, 0x06, 0x1b, 0x31, 0xcc, 0x52, 0x8f, 0xd7, 0xfa,
        0x3f, 0x19,
    ];
    let spelt: Vec<&str> = bytes.iter().enumerate().map(|(index, byte)| List::at(index).word(*byte)).collect();
    let expected =
        format!("{TYPED} afflict bravado chatter revolver Dupont midsummer stopwatch whimsical cowbell bottomless");
    assert_eq!(spelt.join(" "), expected);
    let ends = lists().map(|list| (list[0], list[255]));
    assert_eq!(ends, [("aardvark", "Zulu"), ("adroitness", "Yucatan")]);
    // SHA-256 of both lists as they stand in two independent copies of them.
    let digest = crate::digest::Digest::of(&[LISTS.as_bytes()]);
    assert_eq!(digest.to_hex(), "f816e91d6148165fc67361aa1886eb71ad6b19c9d65673ca40fa96e160f02f5a");
}

#[test]
fn no_word_can_be_taken_for_another() {
    let lists = lists();
    let mut all = BTreeSet::new();
    for list in &lists {
        assert_eq!(list.len(), 256);
        for word in list {
            assert!(word.bytes().all(|b| b.is_ascii_alphabetic()), "{word}");
            // In the other list neither: that is how a dropped word shows.
            assert!(all.insert(word.to_ascii_lowercase()), "{word} stands there twice");
        }
        let begins = |a: &str, b: &str| b.to_ascii_lowercase().starts_with(&a.to_ascii_lowercase());
        for word in list {
            assert_eq!(list.iter().filter(|other| begins(word, other)).count(), 1, "{word} begins another");
        }
    }
}

#[test]
fn the_lists_alternate_between_two_and_three_syllables() {
    // Vowel groups are no perfect count of syllables, but over 256 words the lists are far apart.
    let groups = |word: &str| {
        let is_vowel = |c: char| "aeiouy".contains(c.to_ascii_lowercase());
        word.trim_end_matches('e').split(|c| !is_vowel(c)).filter(|group| !group.is_empty()).count()
    };
    let [two, three] = lists().map(|list| list.iter().map(|word| groups(word)).sum::<usize>());
    assert!((480..=545).contains(&two), "{two} vowel groups in the words of two syllables");
    assert!((735..=800).contains(&three), "{three} vowel groups in the words of three syllables");
}

#[test]
fn a_phrase_is_of_one_id_and_one_key() {
    let phrase = of("cert.br", 1);
    // As another implementation of argon2id makes it of what docs/protocol.md says.
    let expected = "blockade breakaway pupil paragon transit\nfortitude stairway conformist crowfoot component";
    assert_eq!(phrase.to_string(), expected);
    assert_ne!(phrase, of("cert.cl", 1));
    assert_ne!(phrase, of("cert.br", 2));
}

#[test]
fn a_phrase_is_two_lines_of_five_words() {
    let shown = Phrase(BYTES).to_string();
    assert_eq!(shown, TYPED.replacen("treadmill ", "treadmill\n", 1));
    assert_eq!(Phrase(BYTES).matches_typed(&shown), Ok(()));
}

#[test]
fn typing_may_be_sloppy() {
    let phrase = Phrase(BYTES);
    let sloppy = [
        TYPED.to_ascii_uppercase(),
        TYPED.to_ascii_lowercase().replace(' ', ", "),
        format!("\n  {}\r\n", TYPED.replace(' ', " \t ")),
        TYPED.replace(' ', "\n"),
        "topm ista plut vagab tread pacif brack dict gold medu".to_owned(),
    ];
    for typed in sloppy {
        assert_eq!(phrase.matches_typed(&typed), Ok(()), "{typed}");
    }
}

#[test]
fn a_wrong_word_is_named_by_its_place_only() {
    let phrase = Phrase(BYTES);
    let words: Vec<&str> = TYPED.split(' ').collect();
    for index in 0..PHRASE_WORDS {
        let place = index + 1;
        let mut changed = words.clone();
        changed[index] = List::at(index).word(BYTES[index].wrapping_add(1));
        let refused = phrase.matches_typed(&changed.join(" ")).unwrap_err();
        assert_eq!(refused, Mismatch::Differs { place });
        assert!(!refused.to_string().contains(words[index]), "{refused} tells the right word");
        changed[index] = "xyzzy";
        assert_eq!(phrase.matches_typed(&changed.join(" ")), Err(Mismatch::NotAWord { place }));
        assert_eq!(phrase.matches_typed(&words[..index].join(" ")), Err(Mismatch::Missing { place }));
    }
    assert_eq!(phrase.matches_typed(&format!("{TYPED} topmost")), Err(Mismatch::TooMany));
    assert_eq!(phrase.matches_typed(""), Err(Mismatch::Missing { place: 1 }));
}

#[test]
fn a_word_dropped_doubled_or_exchanged_is_noticed_where_it_happens() {
    let phrase = Phrase(BYTES);
    let words: Vec<&str> = TYPED.split(' ').collect();
    for index in 0..PHRASE_WORDS - 1 {
        let out_of_step = |place| Err(Mismatch::OutOfStep { place });
        let dropped = [&words[..index], &words[index + 1..]].concat();
        assert_eq!(phrase.matches_typed(&dropped.join(" ")), out_of_step(index + 1));
        let doubled = [&words[..=index], &words[index..]].concat();
        assert_eq!(phrase.matches_typed(&doubled.join(" ")), out_of_step(index + 2));
        let mut exchanged = words.clone();
        exchanged.swap(index, index + 1);
        assert_eq!(phrase.matches_typed(&exchanged.join(" ")), out_of_step(index + 1));
    }
}

#[test]
fn a_beginning_stands_for_a_word_only_where_it_is_the_only_one() {
    for list in [List::TwoSyllables, List::ThreeSyllables] {
        for (byte, word) in (0..=u8::MAX).zip(list.words()) {
            for letters in 1..=word.len() {
                let start = &word[..letters];
                let same =
                    list.words().filter(|other| other.get(..letters).is_some_and(|o| o.eq_ignore_ascii_case(start)));
                let expected =
                    (letters == word.len() || (letters >= PREFIX_LETTERS && same.count() == 1)).then_some(byte);
                assert_eq!(list.find(start), expected, "{start}");
            }
            assert_eq!(list.find(&format!("{word}s")), None);
        }
    }
    for odd in ["", "é", "aardvarké", "ééé", "İstanbul", "a\u{0301}"] {
        assert_eq!(List::TwoSyllables.find(odd), None, "{odd}");
    }
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn only_its_own_words_match(bytes: [u8; PHRASE_WORDS], others: [u8; PHRASE_WORDS], text: String) {
            let phrase = Phrase(bytes);
            prop_assert_eq!(phrase.matches_typed(&phrase.to_string()), Ok(()));
            prop_assert_eq!(phrase.matches_typed(&Phrase(others).to_string()).is_ok(), bytes == others);
            prop_assert!(phrase.matches_typed(&text).is_err());
        }
    }
}
