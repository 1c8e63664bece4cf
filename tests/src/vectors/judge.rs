//! What this program makes of a vector: the outcome's word and, where the bytes are good, what they say.

use super::{Case, Data, hex, shows};
use aldis_wire::card::{CardError, VerifiedCard};
use aldis_wire::codec::{self, Blob, CodecError, Decode, Encode, List, Text};
use aldis_wire::codes::{Code, Extensions};
use aldis_wire::digest::Digest;
use aldis_wire::envelope::{Body, EnvelopeError, EnvelopeVerifier};
use aldis_wire::frame::{self, Frame, FrameError};
use aldis_wire::header::{ExactHeader, HeaderError};
use aldis_wire::hello::{Expected, Hello, HelloError, Role};
use aldis_wire::ids::{NodeId, Seq, UnixMillis};
use aldis_wire::keyring::KeyRing;
use aldis_wire::kinds::{self, Reading};
use aldis_wire::lane::{Lane, Marks};
use aldis_wire::phrase::Phrase;
use aldis_wire::proof::{Proof, ProofError, ProofVerifier};
use aldis_wire::receipt::{ReceiptError, VerifiedReceipt, journal_commitment};
use aldis_wire::signing::{Context, PublicKey, Signature, SigningError};
use bytes::Bytes;
use serde_json::{Value, json};

/// What comes of a vector: what the bytes say, or the word of the check that fails.
pub type Verdict = Result<Value, &'static str>;

/// Checks a vector's bytes.
///
/// # Errors
/// What is wrong with the vector itself.
pub fn judge(case: &Case) -> Result<Verdict, String> {
    let check = case.input("check")?;
    let bytes = match &case.data {
        Data::Text(text) if check == "card-text" => return Ok(card(VerifiedCard::from_text(text))),
        Data::Text(_) => return Err(format!("check `{check}` takes bytes")),
        Data::Bytes(bytes) => Bytes::from(bytes.clone()),
    };
    match check {
        "codec" => value(case.input("type")?, &bytes),
        "key" => Ok(key(&bytes)),
        "signature" => signature(case, &bytes),
        "header" => Ok(ExactHeader::parse(bytes).map(|header| shows::header(&header)).map_err(|e| header_word(&e))),
        "proof" => proof(case, &bytes),
        "envelope" => envelope(case, &bytes),
        "receipt" => {
            let (from, to, key) = (node(case, "from")?, node(case, "to")?, public_key(case)?);
            let verified = VerifiedReceipt::verify(&bytes, &from, &to, &key);
            Ok(verified.map(|verified| shows::receipt(verified.receipt())).map_err(|error| receipt_word(&error)))
        }
        "hello" => hello(case, &bytes),
        "card" => Ok(card(VerifiedCard::from_signed_bytes(&bytes))),
        "frame" => frame(&bytes),
        "body" => body(case, &bytes),
        "commitment" => commitment(case, &bytes),
        "phrase" => phrase(case, &bytes),
        _ => Err(format!("no check `{check}`")),
    }
}

fn value(name: &str, bytes: &[u8]) -> Result<Verdict, String> {
    Ok(match name {
        "u8" => decoded::<u8>(bytes, |n| json!(n)),
        "u16" => decoded::<u16>(bytes, |n| json!(n)),
        "u32" => decoded::<u32>(bytes, |n| json!(n)),
        "u64" => decoded::<u64>(bytes, |n| json!(n)),
        "bytes(8)" => decoded::<Blob<8>>(bytes, |blob| json!(hex(blob))),
        "text(8)" => decoded::<Text<8>>(bytes, |text| json!(text.as_str())),
        "list(u16, 4)" => decoded::<List<u16, 4>>(bytes, |list| json!(list.to_vec())),
        "optional(u16)" => decoded::<Option<u16>>(bytes, |n| json!(n)),
        "node-id" => decoded::<NodeId>(bytes, |id| json!(id.as_str())),
        "lane" => decoded::<Lane>(bytes, |lane| json!(lane.code())),
        "seq" => decoded::<Seq>(bytes, |seq| json!(seq.get())),
        "time" => decoded::<UnixMillis>(bytes, |time| json!(time.get())),
        "code" => decoded::<Code>(bytes, |code| json!(code.as_str())),
        "marks" => decoded::<Marks>(bytes, shows::marks),
        "extensions" => decoded::<Extensions>(bytes, shows::extensions),
        _ => return Err(format!("no type `{name}`")),
    })
}

fn decoded<T: Encode + Decode<()>>(bytes: &[u8], show: fn(&T) -> Value) -> Verdict {
    codec::decode::<T>(bytes).map(|value| show(&value)).map_err(|error| match error {
        CodecError::Malformed(_) => "malformed",
        CodecError::Trailing(_) => "trailing",
        CodecError::NotCanonical => "not-canonical",
    })
}

fn key(bytes: &[u8]) -> Verdict {
    let bytes = bytes.try_into().map_err(|_| "malformed")?;
    PublicKey::from_bytes(bytes).map(|key| json!({"key_id": hex(&key.id().0)})).map_err(signing_word)
}

fn signature(case: &Case, bytes: &[u8]) -> Result<Verdict, String> {
    let label = case.input("context")?;
    let contexts = [Context::Envelope, Context::Receipt, Context::Hello, Context::Card];
    let context = contexts.into_iter().find(|context| context.label() == label).ok_or("no such context")?;
    let signature = Signature(bytes.try_into().map_err(|_| "a signature has 64 bytes")?);
    let verified = public_key(case)?.verify(context, &case.input_bytes("payload")?, &signature);
    Ok(verified.map(|()| json!({})).map_err(signing_word))
}

fn proof(case: &Case, bytes: &[u8]) -> Result<Verdict, String> {
    let header = ExactHeader::parse(Bytes::from(case.input_bytes("header")?)).map_err(|error| error.to_string())?;
    let key = public_key(case)?;
    let Ok(proof) = codec::decode::<Proof>(bytes) else { return Ok(Err("malformed")) };
    let shown = json!({"size": proof.batch_size, "index": proof.index, "header": header.digest().to_hex()});
    Ok(ProofVerifier::default().verify(&key, &header, &proof).map(|()| shown).map_err(proof_word))
}

fn envelope(case: &Case, bytes: &Bytes) -> Result<Verdict, String> {
    let mut verifier = EnvelopeVerifier::new(node(case, "from")?, node(case, "to")?, key_ring(case)?);
    let shown = verifier.verify(bytes).map(|envelope| {
        let (withheld, salt, body) = match envelope.body() {
            Body::Present { salt, bytes } => (0, hex(salt), hex(bytes)),
            Body::Withheld(reason) => (reason.0, String::new(), String::new()),
        };
        json!({
            "id": envelope.header().id().to_string(),
            "digest": envelope.header().digest().to_hex(),
            "withheld": withheld,
            "salt": salt,
            "body": body,
        })
    });
    Ok(shown.map_err(|error| match error {
        EnvelopeError::Malformed(_) => "malformed",
        EnvelopeError::Header(error) => header_word(&error),
        EnvelopeError::Misrouted { .. } => "misrouted",
        EnvelopeError::UnknownKey => "unknown-key",
        EnvelopeError::Proof(error) => proof_word(error),
        EnvelopeError::Body => "body",
    }))
}

fn hello(case: &Case, bytes: &[u8]) -> Result<Verdict, String> {
    let role = match case.input("role")? {
        "dialler" => Role::DIALLER,
        "listener" => Role::LISTENER,
        other => return Err(format!("no role `{other}`")),
    };
    let exporter = case.input_bytes("exporter")?.try_into().map_err(|_| "an exporter has 32 bytes")?;
    let (from, to, keys) = (node(case, "from")?, node(case, "to")?, [public_key(case)?]);
    let verified = Hello::verify(bytes, &Expected { role, from: &from, to: &to, exporter: &exporter, keys: &keys });
    Ok(verified.map(|hello| shows::hello(&hello)).map_err(|error| match error {
        HelloError::Malformed(_) => "malformed",
        HelloError::NotThisLink(_) => "not-this-link",
        HelloError::Signature(error) => signing_word(error),
        HelloError::NoCommonVersion { .. } => "no-common-version",
    }))
}

fn card(verified: Result<VerifiedCard, CardError>) -> Verdict {
    verified.map(|card| shows::card(&card)).map_err(|error| match error {
        CardError::NoArmour => "no-armour",
        CardError::NotBase64 => "not-base64",
        CardError::Malformed(_) => "malformed",
        CardError::Version(_) => "version",
        CardError::Key(error) => signing_word(error),
        CardError::Signature => "signature",
    })
}

fn frame(bytes: &Bytes) -> Result<Verdict, String> {
    let (length, _) = bytes.split_first_chunk().ok_or("a frame begins with its length")?;
    let parsed = frame::checked_length(*length).map(|length| (length, bytes.slice(frame::LENGTH_BYTES..)));
    let parsed = match parsed {
        Ok((length, rest)) if length == rest.len() => Frame::parse(&rest),
        Ok(_) => return Err("the vector does not hold the whole frame".into()),
        Err(error) => Err(error),
    };
    Ok(parsed.map(|frame| shows::frame(&frame)).map_err(|error| match error {
        FrameError::Length(_) => "length",
        FrameError::UnknownType(_) => "unknown-type",
        FrameError::Payload { .. } => "malformed",
    }))
}

fn body(case: &Case, bytes: &[u8]) -> Result<Verdict, String> {
    let kind = Code::new(case.input("kind")?)?;
    let version = case.input("kind-version")?.parse().map_err(|_| "a kind version is a number")?;
    Ok(match kinds::read(&kind, version, bytes) {
        Reading::Understood(_) => Ok(kinds::to_json(&kind, version, bytes).ok_or("what is read can be shown")?),
        Reading::UnknownKind => Err("unknown-kind"),
        Reading::UnknownVersion => Err("unknown-version"),
        Reading::Malformed(_) => Err("malformed"),
    })
}

fn commitment(case: &Case, bytes: &[u8]) -> Result<Verdict, String> {
    let salt = case.input_bytes("salt")?.try_into().map_err(|_| "a salt has 16 bytes")?;
    let root = Digest::from_bytes(case.input_bytes("root")?.try_into().map_err(|_| "a root has 32 bytes")?);
    let size = case.input("size")?.parse().map_err(|_| "a size is a number")?;
    let opened = journal_commitment(&salt, size, &root);
    Ok(if opened.as_bytes()[..] == *bytes { Ok(json!({})) } else { Err("commitment") })
}

fn phrase(case: &Case, bytes: &[u8]) -> Result<Verdict, String> {
    let phrase = Phrase::of(&node(case, "id")?, &public_key(case)?);
    Ok(if phrase.as_bytes()[..] == *bytes { Ok(json!({"words": phrase.words()})) } else { Err("phrase") })
}

fn header_word(error: &HeaderError) -> &'static str {
    match error {
        HeaderError::TooLong(_) => "too-long",
        HeaderError::Malformed(_) => "malformed",
        HeaderError::Version(_) => "version",
        HeaderError::Contradiction(_) => "contradiction",
    }
}

fn proof_word(error: ProofError) -> &'static str {
    match error {
        ProofError::Path => "path",
        ProofError::Signature(error) => signing_word(error),
    }
}

fn receipt_word(error: &ReceiptError) -> &'static str {
    match error {
        ReceiptError::Malformed(_) | ReceiptError::Witness(_) => "malformed",
        ReceiptError::NotOurs(_) => "not-ours",
        ReceiptError::Signature(error) => signing_word(*error),
    }
}

fn signing_word(error: SigningError) -> &'static str {
    match error {
        SigningError::NotAKey => "not-a-key",
        SigningError::WeakKey => "weak-key",
        SigningError::DoesNotVerify => "signature",
    }
}

fn node(case: &Case, name: &str) -> Result<NodeId, String> {
    NodeId::new(case.input(name)?).map_err(|error| error.to_string())
}

/// The key in force, and those before it: `ended` names each with its last place per lane, the oldest first.
fn key_ring(case: &Case) -> Result<KeyRing, String> {
    let ended = case.input("ended").unwrap_or_default().split("; ").filter(|one| !one.is_empty());
    let ended = ended.map(|one| {
        let mut words = one.split(' ');
        let key = key_from(&super::from_hex(words.next().unwrap_or_default())?)?;
        let last = words.map(|last| last.parse::<u64>().map_err(|_| "a place is a number".to_owned()));
        let last: Vec<u64> = last.collect::<Result<_, String>>()?;
        Ok((key, last.try_into().map_err(|_| "there are four lanes")?))
    });
    let ended: Vec<(PublicKey, [u64; 4])> = ended.collect::<Result<_, String>>()?;
    let followers = ended.iter().skip(1).map(|(key, _)| key.clone()).chain([public_key(case)?]);
    let first = ended.first().map_or(public_key(case), |(key, _)| Ok(key.clone()))?;
    let mut ring = KeyRing::from(first);
    for ((_, last), next) in ended.iter().zip(followers) {
        ring.switch(*last, next);
    }
    Ok(ring)
}

fn key_from(bytes: &[u8]) -> Result<PublicKey, String> {
    let bytes = bytes.try_into().map_err(|_| "a key has 32 bytes")?;
    PublicKey::from_bytes(&bytes).map_err(|error| error.to_string())
}

fn public_key(case: &Case) -> Result<PublicKey, String> {
    key_from(&case.input_bytes("key")?)
}
