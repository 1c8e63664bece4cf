use super::*;

type Name = Text<8>;

#[test]
fn what_is_encoded_decodes_to_the_same() {
    let value = (7u64, Name::new("br").unwrap(), List::<u16, 4>::new(vec![1, 900]).unwrap());
    let bytes = encode(&value);
    assert_eq!(bytes, [7, 2, b'b', b'r', 2, 1, 251, 3, 132]);
    assert_eq!(decode::<(u64, Name, List<u16, 4>)>(&bytes).unwrap(), value);
}

#[test]
fn trailing_bytes_are_refused() {
    assert_eq!(decode::<u8>(&[1, 2]), Err(CodecError::Trailing(1)));
}

#[test]
fn a_number_written_longer_than_needed_is_refused() {
    assert_eq!(decode::<u64>(&[251, 0, 7]), Err(CodecError::NotCanonical));
    assert_eq!(decode::<u64>(&[7]), Ok(7));
}

#[test]
fn a_length_over_the_bound_is_refused_before_allocation() {
    // 2^40 bytes are claimed; allocating them first would abort the process.
    let claim = [253, 0, 0, 1, 0, 0, 0, 0, 0];
    assert!(matches!(decode::<Blob<16>>(&claim), Err(CodecError::Malformed(_))));
    assert!(matches!(decode::<Name>(&claim), Err(CodecError::Malformed(_))));
    assert!(matches!(decode::<List<u8, 4>>(&claim), Err(CodecError::Malformed(_))));
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    assert!(matches!(decode::<Name>(&[1, 0xff]), Err(CodecError::Malformed(_))));
}

#[test]
fn truncated_bytes_are_refused_at_every_length() {
    let bytes = encode(&(7u64, Name::new("br").unwrap()));
    for end in 0..bytes.len() {
        assert!(decode::<(u64, Name)>(&bytes[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn cut_keeps_whole_characters() {
    assert_eq!(Text::<4>::cut("aaaé").as_str(), "aaa");
}
