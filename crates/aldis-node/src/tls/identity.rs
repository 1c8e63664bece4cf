//! This node's own certificate and private key, loaded from disk with every check an administrator may forget.
//!
//! The key lives only inside the TLS library after loading; there is no way to print, copy or serialise it.
//! This file never writes and never changes a file's mode: it refuses and says what to run.

use std::{
    fs::{self, File, Metadata},
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use rustls::{
    Error as RustlsError,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use zeroize::Zeroizing;

use super::{
    Certificate, SetupError, TlsName,
    authority::{Authority, MAX_INTERMEDIATES, check_chain},
    config,
    pins::check_fit,
};

/// The most that is read of a certificate or key file, in bytes.
const MAX_PEM_BYTES: u64 = 64 * 1024;

/// This node's certificate with its key. Not printable on purpose.
#[derive(Clone)]
pub struct OwnIdentity {
    certificate: Certificate,
    pair: Arc<CertifiedKey>,
    issuer: Option<Issuer>,
}

/// Where an own authority's certificate is, and the name it issued this node's certificate for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityFile {
    /// The certificate, PEM.
    pub path: PathBuf,
    /// The name.
    pub name: TlsName,
}

#[derive(Clone)]
struct Issuer {
    certificate: Certificate,
    name: TlsName,
    /// The certificates between, which this node sends with its own.
    intermediates: Vec<Certificate>,
}

impl OwnIdentity {
    /// Loads and checks the pair at `now`, from a key file that is not sealed: modes, owner, form, match, validity, and
    /// that peers will accept it. A daemon's own keys come from [`crate::keys`], which insists on sealed ones.
    pub fn load(certificate_path: &Path, key_path: &Path, now: SystemTime) -> Result<Self, SetupError> {
        Self::from_pem(certificate_path, key_path, &read_key(key_path)?, now)
    }

    /// The same with the key in PEM; `key_path` is where it came from and is not read.
    pub fn from_pem(
        certificate_path: &Path,
        key_path: &Path,
        key_pem: &[u8],
        now: SystemTime,
    ) -> Result<Self, SetupError> {
        let key =
            one_key(key_pem).ok_or_else(|| SetupError::NotPem { path: key_path.to_owned(), what: "private key" })?;
        let certificate = read_certificate(certificate_path)?;
        let pair = match_pair(std::slice::from_ref(&certificate), certificate_path, key, key_path)?;
        check_dates(&certificate, certificate_path, now)?;
        check_fit(&certificate)
            .map_err(|source| SetupError::UnfitCertificate { path: certificate_path.to_owned(), source })?;
        Ok(Self { certificate, pair: Arc::new(pair), issuer: None })
    }

    /// Loads and checks a pair whose certificate an authority issued. The file holds the node's own certificate and then,
    /// in order, those between it and the authority's.
    pub fn load_issued(
        certificate_path: &Path,
        key_path: &Path,
        authority: &AuthorityFile,
        now: SystemTime,
    ) -> Result<Self, SetupError> {
        Self::issued_from_pem(certificate_path, key_path, &read_key(key_path)?, authority, now)
    }

    /// The same with the key in PEM; `key_path` is where it came from and is not read.
    pub fn issued_from_pem(
        certificate_path: &Path,
        key_path: &Path,
        key_pem: &[u8],
        authority: &AuthorityFile,
        now: SystemTime,
    ) -> Result<Self, SetupError> {
        let key =
            one_key(key_pem).ok_or_else(|| SetupError::NotPem { path: key_path.to_owned(), what: "private key" })?;
        let chain = read_chain(certificate_path)?;
        let issuer = read_certificate(&authority.path)?;
        let pair = match_pair(&chain, certificate_path, key, key_path)?;
        chain.iter().try_for_each(|certificate| check_dates(certificate, certificate_path, now))?;
        check_dates(&issuer, &authority.path, now)?;
        let issuer = Authority::new(issuer)
            .map_err(|reason| SetupError::UnfitAuthority { path: authority.path.clone(), reason })?;
        check_chain(&issuer, &authority.name, &chain, now).map_err(|source| SetupError::UnfitChain {
            path: certificate_path.to_owned(),
            authority: authority.path.clone(),
            name: authority.name.to_string(),
            source,
        })?;
        let certificate = chain[0].clone();
        let (name, intermediates) = (authority.name.clone(), chain[1..].to_vec());
        let issuer = Issuer { certificate: issuer.certificate().clone(), name, intermediates };
        Ok(Self { certificate, pair: Arc::new(pair), issuer: Some(issuer) })
    }

    /// The node's own certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The certificate that goes into this node's card: its own, or its authority's.
    pub fn card_certificate(&self) -> &Certificate {
        self.issuer.as_ref().map_or(&self.certificate, |issuer| &issuer.certificate)
    }

    /// The name that goes into this node's card, if an authority issues its certificate.
    pub fn card_name(&self) -> Option<&TlsName> {
        self.issuer.as_ref().map(|issuer| &issuer.name)
    }

    /// Of the certificates that peers look at, the one that expires first: warn people well before peers refuse it.
    pub fn first_to_expire(&self) -> &Certificate {
        let above = self.issuer.iter().flat_map(|issuer| issuer.intermediates.iter().chain([&issuer.certificate]));
        above.chain([&self.certificate]).min_by_key(|certificate| certificate.not_after()).expect("there is its own")
    }

    /// Whole days until the first of them expires; negative once it has.
    pub fn remaining_days(&self, now: SystemTime) -> i64 {
        self.first_to_expire().remaining_days(now)
    }

    pub(super) fn pair(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.pair)
    }
}

/// Whether a text holds exactly one private key in PEM, of a kind that TLS can use.
pub fn is_one_private_key(pem: &[u8]) -> bool {
    one_key(pem).is_some_and(|key| config::provider().key_provider.load_private_key(key).is_ok())
}

fn one_key(pem: &[u8]) -> Option<PrivateKeyDer<'static>> {
    let mut sections = PrivateKeyDer::pem_slice_iter(pem);
    match (sections.next(), sections.next()) {
        (Some(Ok(key)), None) => Some(key),
        _ => None,
    }
}

fn read_key(path: &Path) -> Result<Zeroizing<Vec<u8>>, SetupError> {
    let user = rustix::process::geteuid().as_raw();
    read_file(path, |metadata| check_guarded(path, metadata.mode(), metadata.uid(), user))
}

fn read_certificate(path: &Path) -> Result<Certificate, SetupError> {
    let pem = read_file(path, |_| Ok(()))?;
    std::str::from_utf8(&pem)
        .ok()
        .and_then(|text| Certificate::from_pem(text).ok())
        .ok_or_else(|| SetupError::NotPem { path: path.to_owned(), what: "certificate" })
}

fn read_chain(path: &Path) -> Result<Vec<Certificate>, SetupError> {
    let pem = read_file(path, |_| Ok(()))?;
    let sections = CertificateDer::pem_slice_iter(&pem).take(MAX_INTERMEDIATES + 2);
    let chain: Option<Vec<Certificate>> = sections.map(|section| Certificate::from_der(&section.ok()?).ok()).collect();
    match chain {
        Some(chain) if (1..=1 + MAX_INTERMEDIATES).contains(&chain.len()) => Ok(chain),
        _ => Err(SetupError::NotAChain { path: path.to_owned() }),
    }
}

fn check_dates(certificate: &Certificate, path: &Path, now: SystemTime) -> Result<(), SetupError> {
    if certificate.is_valid_at(now) {
        return Ok(());
    }
    let (from, until) = certificate.validity_text();
    Err(SetupError::OutsideValidity { path: path.to_owned(), from, until })
}

/// Nobody but the node's own user may read the key. A file of root's is as safe: root reads everything anyway,
/// and service managers hand over credentials that way.
fn check_guarded(path: &Path, mode: u32, owner: u32, user: u32) -> Result<(), SetupError> {
    if owner != user && owner != 0 {
        return Err(SetupError::WrongOwner { path: path.to_owned(), owner, user });
    }
    if mode & 0o077 != 0 {
        return Err(SetupError::OpenToOthers { path: path.to_owned(), mode: mode & 0o7777 });
    }
    Ok(())
}

/// Reads a bounded regular file. The kind is checked before opening, because opening a pipe would wait for
/// its writer; everything else is checked on the open file, so that it cannot be exchanged in between.
fn read_file(
    path: &Path,
    check: impl FnOnce(&Metadata) -> Result<(), SetupError>,
) -> Result<Zeroizing<Vec<u8>>, SetupError> {
    let unreadable = |source| SetupError::Unreadable { path: path.to_owned(), source };
    let not_a_file = || SetupError::NotAFile { path: path.to_owned() };
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(not_a_file());
    }
    let mut file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(not_a_file());
    }
    check(&metadata)?;
    // One allocation of the final size: a growing buffer would leave copies of the key behind, unwiped.
    let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(MAX_PEM_BYTES).expect("64 KiB fits") + 1));
    file.by_ref().take(MAX_PEM_BYTES + 1).read_to_end(&mut content).map_err(unreadable)?;
    if content.len() as u64 > MAX_PEM_BYTES {
        return Err(SetupError::TooLarge { path: path.to_owned(), limit_bytes: MAX_PEM_BYTES });
    }
    Ok(content)
}

fn match_pair(
    chain: &[Certificate],
    certificate_path: &Path,
    key: PrivateKeyDer<'static>,
    key_path: &Path,
) -> Result<CertifiedKey, SetupError> {
    let chain = chain.iter().map(|certificate| certificate.as_der().clone()).collect();
    CertifiedKey::from_der(chain, key, &config::provider()).map_err(|source| match source {
        RustlsError::InconsistentKeys(_) => {
            SetupError::Mismatch { certificate: certificate_path.to_owned(), key: key_path.to_owned() }
        }
        // The key was read before it was compared: what cannot be read here is the certificate.
        source @ RustlsError::InvalidCertificate(_) => {
            SetupError::UnfitCertificate { path: certificate_path.to_owned(), source }
        }
        source => SetupError::BadKey { path: key_path.to_owned(), source },
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_key_file_of_another_user_is_refused_and_one_of_root_is_not() {
        let path = PathBuf::from("/keys/tls.key");
        let refused = check_guarded(&path, 0o100_600, 1001, 1000).unwrap_err();
        assert!(matches!(refused, SetupError::WrongOwner { owner: 1001, user: 1000, .. }));
        assert!(refused.to_string().contains("chown 1000 /keys/tls.key"), "{refused}");
        check_guarded(&path, 0o100_600, 1000, 1000).unwrap();
        check_guarded(&path, 0o100_400, 0, 1000).unwrap();
    }

    #[test]
    fn every_group_and_other_bit_is_refused() {
        for bit in [0o040, 0o020, 0o010, 0o004, 0o002, 0o001] {
            let refused = check_guarded(Path::new("k"), 0o100_600 | bit, 7, 7).unwrap_err();
            assert!(matches!(refused, SetupError::OpenToOthers { mode, .. } if mode == 0o600 | bit));
        }
    }
}
