//! The text of a key file: comments, a first line that names the kind of key, fields, the key itself, a last line.
//! Sealed keys are read strictly and written in one form; plain ones are only read. Nothing here decrypts.

use super::stretch::{SALT_BYTES, Stretch};
use aldis_wire::ids::NodeId;
use aldis_wire::signing::IdentityKey;
use data_encoding::{BASE64, HEXLOWER};
use zeroize::Zeroizing;

/// The length of the random value that makes each sealing unique, in bytes.
pub(super) const NONCE_BYTES: usize = 12;

const PLAIN: &str = "plain";
const ARGON2ID: &str = "argon2id";
/// What stands before a sealed key; everything up to and with it is bound to the key.
const SEALED: &str = "sealed = ";

/// What kind of key a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The seed of the identity key, 32 bytes.
    Identity,
    /// The TLS private key, PEM.
    Tls,
}

/// What a file holds.
pub(super) enum Content<'a> {
    /// The key as it is: the seed, or PEM.
    Plain(Zeroizing<Vec<u8>>),
    /// The key, sealed.
    Sealed(Sealed<'a>),
}

/// A sealed key as it stands in its file.
pub(super) struct Sealed<'a> {
    /// Everything before the sealed key, to the byte: it is bound to the key, so that no part of it can be exchanged.
    pub(super) bound: &'a str,
    /// Whose key it is.
    pub(super) node: NodeId,
    /// The public half, for identity keys.
    pub(super) public: Option<[u8; 32]>,
    /// How the secret is stretched.
    pub(super) stretch: Stretch,
    /// With what it is stretched.
    pub(super) salt: [u8; SALT_BYTES],
    /// With what the key is sealed.
    pub(super) nonce: [u8; NONCE_BYTES],
    /// The sealed key and its tag.
    pub(super) sealed: Vec<u8>,
}

/// Why a text is no key file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// A scheme this program does not know.
    Scheme,
    /// In words, without anything from the file.
    Damaged(&'static str),
}

impl Kind {
    fn begin(self) -> &'static str {
        match self {
            Self::Identity => "-----BEGIN ALDIS IDENTITY KEY-----\n",
            Self::Tls => "-----BEGIN ALDIS TLS KEY-----\n",
        }
    }

    fn end(self) -> &'static str {
        match self {
            Self::Identity => "\n-----END ALDIS IDENTITY KEY-----\n",
            Self::Tls => "\n-----END ALDIS TLS KEY-----\n",
        }
    }

    fn comment(self, node: &NodeId) -> String {
        match self {
            Self::Identity => format!(
                "# The identity key of {node}, sealed. Whoever has this file and what it is sealed with can sign as\n\
                # this node. Keep it at mode 0600, and one copy offline: without it the node must be enrolled anew.\n"
            ),
            Self::Tls => format!("# The TLS key of {node}, sealed. It secures the channel. Keep it at mode 0600.\n"),
        }
    }
}

/// The text before a sealed key, with all its fields.
pub(super) fn head(
    kind: Kind,
    node: &NodeId,
    public: Option<&[u8; 32]>,
    stretch: Stretch,
    salt: &[u8; SALT_BYTES],
    nonce: &[u8; NONCE_BYTES],
) -> String {
    let (memory_kib, passes, lanes) = (stretch.memory_kib(), stretch.passes(), stretch.lanes());
    let public = public.map(|public| format!("public = {}\n", HEXLOWER.encode(public))).unwrap_or_default();
    let (salt, nonce) = (HEXLOWER.encode(salt), HEXLOWER.encode(nonce));
    format!(
        "{}{}scheme = {ARGON2ID}\nnode = {node}\n{public}memory_kib = {memory_kib}\npasses = {passes}\n\
        lanes = {lanes}\nsalt = {salt}\nnonce = {nonce}\n{SEALED}",
        kind.comment(node),
        kind.begin(),
    )
}

/// The whole text: `head`, the sealed key, the last line.
pub(super) fn whole(kind: Kind, head: &str, sealed: &[u8]) -> String {
    format!("{head}{}{}", BASE64.encode(sealed), kind.end())
}

/// Takes a file apart.
pub(super) fn read(kind: Kind, text: &str) -> Result<Content<'_>, Unfit> {
    let Some((comment, rest)) = text.split_once(kind.begin()) else {
        // A TLS key as other programs make it.
        let is_pem = kind == Kind::Tls && text.contains("PRIVATE KEY-----");
        return if is_pem { Ok(Content::Plain(copied(text.as_bytes()))) } else { Err(FIRST_LINE) };
    };
    let (inside, after) = rest.split_once(kind.end()).ok_or(Unfit::Damaged("its last line is missing"))?;
    match field(inside, "scheme")? {
        ARGON2ID if after.is_empty() => {
            let start = comment.len() + kind.begin().len();
            sealed(kind, inside, &text[..start + inside.len()]).map(Content::Sealed)
        }
        ARGON2ID => Err(Unfit::Damaged("something stands after its last line")),
        PLAIN if kind == Kind::Identity => plain_identity(inside).map(Content::Plain),
        _ => Err(Unfit::Scheme),
    }
}

const FIRST_LINE: Unfit = Unfit::Damaged("its first line is missing");

/// Reads the fields of a sealed key; `whole` is the text from the file's first byte to the key's last one.
fn sealed<'a>(kind: Kind, inside: &str, whole: &'a str) -> Result<Sealed<'a>, Unfit> {
    let (_, encoded) = inside.rsplit_once(SEALED).ok_or(Unfit::Damaged("it does not hold one sealed key"))?;
    let number = |name| field(inside, name)?.parse::<u32>().map_err(|_| Unfit::Damaged("a number in it is none"));
    // Before anything is allocated or computed: a file must not make this program take all memory, or never end.
    let stretch = Stretch::new(number("memory_kib")?, number("passes")?, number("lanes")?)
        .ok_or(Unfit::Damaged("its parameters are out of bounds"))?;
    let public = match kind {
        Kind::Identity => Some(hex(inside, "public")?),
        Kind::Tls => None,
    };
    let node = NodeId::new(field(inside, "node")?).map_err(|_| Unfit::Damaged("it does not name a node"))?;
    let key = BASE64.decode(encoded.as_bytes()).map_err(|_| Unfit::Damaged("its sealed key is not base 64"))?;
    Ok(Sealed {
        bound: &whole[..whole.len() - encoded.len()],
        node,
        public,
        stretch,
        salt: hex(inside, "salt")?,
        nonce: hex(inside, "nonce")?,
        sealed: key,
    })
}

/// The value of a field that stands there exactly once.
fn field<'a>(inside: &'a str, name: &str) -> Result<&'a str, Unfit> {
    let mut values = inside.lines().filter_map(|line| line.split_once(" = ")).filter(|(key, _)| *key == name);
    match (values.next(), values.next()) {
        (Some((_, value)), None) => Ok(value),
        _ => Err(Unfit::Damaged("a field is missing or stands there twice")),
    }
}

fn hex<const BYTES: usize>(inside: &str, name: &str) -> Result<[u8; BYTES], Unfit> {
    let mut bytes = [0; BYTES];
    let value = field(inside, name)?.as_bytes();
    if value.len() != 2 * BYTES || HEXLOWER.decode_mut(value, &mut bytes).is_err() {
        return Err(Unfit::Damaged("a field is not hexadecimal of its length"));
    }
    Ok(bytes)
}

/// The seed of a plain key, checked against the public half beside it.
fn plain_identity(inside: &str) -> Result<Zeroizing<Vec<u8>>, Unfit> {
    let seed = decode_seed(field(inside, "seed")?).ok_or(Unfit::Damaged("its seed is not 32 bytes in base 64"))?;
    if hex::<32>(inside, "public")? != *IdentityKey::from_seed(&seed).public().as_bytes() {
        return Err(Unfit::Damaged("its seed and its public key do not belong together"));
    }
    Ok(copied(&*seed))
}

fn decode_seed(encoded: &str) -> Option<Zeroizing<[u8; 32]>> {
    // 44 characters decode to at most 33 bytes; anything else is refused before it is decoded.
    let mut decoded = Zeroizing::new([0; 33]);
    if encoded.len() != 44 || BASE64.decode_mut(encoded.as_bytes(), &mut *decoded).ok()? != 32 {
        return None;
    }
    let mut seed = Zeroizing::new([0; 32]);
    seed.copy_from_slice(&decoded[..32]);
    Some(seed)
}

/// A copy in one allocation, wiped when dropped.
fn copied(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(bytes.to_vec())
}
