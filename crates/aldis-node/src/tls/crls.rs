//! Certificate revocation lists as an administrator puts them on the disk. They matter only for peers whose certificates
//! an authority issues; what a list means for one connection is decided in `authority`.
//!
//! This file never fetches anything: a list comes with the authority's own tools, and is read again when it changes.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    time::SystemTime,
};

use rustls::{
    RootCertStore,
    client::WebPkiServerVerifier,
    pki_types::{CertificateRevocationListDer, Der, TrustAnchor, pem::PemObject},
};
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::{certificate::unix_s, config};

/// The most files with revocation lists.
pub const MAX_CRL_FILES: usize = 16;

/// The largest such file, in bytes.
pub const MAX_CRL_BYTES: u64 = 1 << 20;

/// The most lists in one file.
const MAX_LISTS: usize = 16;

/// The revocation lists of one moment. A value: load anew when a file changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Crls {
    files: Vec<CrlFile>,
}

/// What one file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct CrlFile {
    path: PathBuf,
    lists: Vec<Crl>,
    fault: Option<CrlFault>,
}

/// One list.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Crl {
    der: CertificateRevocationListDer<'static>,
    issuer: Vec<u8>,
    issuer_text: String,
    next_update_s: i64,
}

/// What is wrong with a file. Whoever put it there is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrlFault {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// It is larger than [`MAX_CRL_BYTES`].
    #[error("is larger than {MAX_CRL_BYTES} bytes")]
    TooLarge,
    /// It holds no list, or more than are read.
    #[error("does not hold 1 to {MAX_LISTS} revocation lists in PEM, or one in DER")]
    NotACrl,
    /// A list of a sort the TLS library does not judge by, such as a delta or an indirect one.
    #[error("holds a list that cannot be used: {0}; ask the authority for a complete, direct list of version 2")]
    Unfit(String),
    /// A list that says nothing about when it ends.
    #[error("holds a list without nextUpdate, so nobody can tell when it is old")]
    Endless,
}

impl Crls {
    /// Reads these files. One that is no good is named by [`Self::faults`]; the lists that `earlier` had of it stay, for
    /// they end by themselves.
    pub fn load(paths: &[PathBuf], earlier: &Self) -> Self {
        let file = |path: &PathBuf| {
            let kept = || earlier.files.iter().find(|file| file.path == *path).map(|file| file.lists.clone());
            let (lists, fault) = match read(path) {
                Ok(lists) => (lists, None),
                Err(fault) => (kept().unwrap_or_default(), Some(fault)),
            };
            CrlFile { path: path.clone(), lists, fault }
        };
        Self { files: paths.iter().take(MAX_CRL_FILES).map(file).collect() }
    }

    /// The files that are no good, and why.
    pub fn faults(&self) -> impl Iterator<Item = (&Path, &CrlFault)> {
        self.files.iter().filter_map(|file| Some((file.path.as_path(), file.fault.as_ref()?)))
    }

    /// The lists whose time is over at `now`: the file, and who issued it.
    pub fn expired(&self, now: SystemTime) -> impl Iterator<Item = (&Path, &str)> {
        let now_s = unix_s(now);
        let old = move |list: &Crl| list.next_update_s < now_s;
        let lists = self.files.iter().flat_map(|file| file.lists.iter().map(move |list| (file, list)));
        lists.filter(move |(_, list)| old(list)).map(|(file, list)| (file.path.as_path(), list.issuer_text.as_str()))
    }

    /// Whether there is a list that names itself as this issuer's, by its distinguished name in DER.
    pub(super) fn has_issuer(&self, subject: &[u8]) -> bool {
        self.lists().any(|list| list.issuer == subject)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lists().next().is_none()
    }

    pub(super) fn ders(&self) -> impl Iterator<Item = CertificateRevocationListDer<'static>> {
        self.lists().map(|list| list.der.clone())
    }

    fn lists(&self) -> impl Iterator<Item = &Crl> {
        self.files.iter().flat_map(|file| &file.lists)
    }
}

fn read(path: &Path) -> Result<Vec<Crl>, CrlFault> {
    let unreadable = |error: std::io::Error| CrlFault::Unreadable(error.to_string());
    // A pipe would keep the reader waiting for its writer.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(CrlFault::Unreadable("it is no regular file".to_owned()));
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(unreadable)?.take(MAX_CRL_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_CRL_BYTES {
        return Err(CrlFault::TooLarge);
    }
    let ders = if bytes.starts_with(b"\x30") { vec![bytes] } else { from_pem(&bytes)? };
    ders.into_iter().map(parse).collect()
}

fn from_pem(text: &[u8]) -> Result<Vec<Vec<u8>>, CrlFault> {
    let sections = CertificateRevocationListDer::pem_slice_iter(text).take(MAX_LISTS + 1);
    let lists: Vec<Vec<u8>> = sections
        .map(|section| section.map(|der| der.to_vec()))
        .collect::<Result<_, _>>()
        .map_err(|_| CrlFault::NotACrl)?;
    if lists.is_empty() || lists.len() > MAX_LISTS { Err(CrlFault::NotACrl) } else { Ok(lists) }
}

fn parse(der: Vec<u8>) -> Result<Crl, CrlFault> {
    let (rest, parsed) = CertificateRevocationList::from_der(&der).map_err(|_| CrlFault::NotACrl)?;
    if !rest.is_empty() {
        return Err(CrlFault::NotACrl);
    }
    check_fit(&der)?;
    let next_update_s = parsed.next_update().ok_or(CrlFault::Endless)?.timestamp();
    let (issuer, issuer_text) = (parsed.issuer().as_raw().to_vec(), parsed.issuer().to_string());
    let issuer_text = aldis_wire::codec::Text::<200>::cut(&issuer_text).to_string();
    Ok(Crl { issuer, issuer_text, next_update_s, der: der.into() })
}

/// Whether the TLS library takes the list. It reads lists only for a verifier, and a verifier wants somebody to trust:
/// nobody, by an empty name and key.
fn check_fit(der: &[u8]) -> Result<(), CrlFault> {
    let nobody = TrustAnchor {
        subject: Der::from_slice(&[]),
        subject_public_key_info: Der::from_slice(&[]),
        name_constraints: None,
    };
    let roots = RootCertStore { roots: vec![nobody] };
    let list = CertificateRevocationListDer::from(der.to_vec());
    let built = WebPkiServerVerifier::builder_with_provider(roots.into(), config::provider()).with_crls([list]).build();
    built.map(|_| ()).map_err(|error| CrlFault::Unfit(error.to_string()))
}
