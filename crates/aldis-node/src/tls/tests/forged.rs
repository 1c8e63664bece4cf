//! Certificates our own code never makes.

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair};
use rustls::{
    SignatureScheme,
    client::ResolvesClientCert,
    pki_types::{PrivateKeyDer, pem::PemObject},
    sign::{CertifiedKey, SingleCertAndKey},
};

use super::*;

/// The parameters of a proper node certificate, to be spoilt in one respect.
pub(super) fn proper(node_id: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![SERVER_NAME.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, node_id);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

pub(super) fn self_signed(params: &CertificateParams) -> Certificate {
    let key = KeyPair::generate().unwrap();
    Certificate::from_der(params.self_signed(&key).unwrap().der()).unwrap()
}

/// A certificate with a fresh key, issued by the TLS key of `node`, called `node_id`, as if that were a CA.
pub(super) fn issued_by(node: &Node, node_id: &str) -> (Certificate, Arc<CertifiedKey>) {
    let node_key = KeyPair::from_pem(&fs::read_to_string(node.key_path()).unwrap()).unwrap();
    // As issuer it bears the same name as in its own certificate, so that verification looks at this key.
    let issuer = Issuer::new(proper(node_id), node_key);
    let key = KeyPair::generate().unwrap();
    let certificate = proper(node_id).signed_by(&key, &issuer).unwrap();
    let private = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let pair = CertifiedKey::from_der(vec![certificate.der().clone()], private, &config::provider()).unwrap();
    (Certificate::from_der(certificate.der()).unwrap(), Arc::new(pair))
}

pub(super) fn resolver(pair: Arc<CertifiedKey>) -> Arc<SingleCertAndKey> {
    Arc::new(SingleCertAndKey::from(pair))
}

/// Presents nothing, and keeps what the server said about the issuers it would accept.
#[derive(Debug, Default)]
pub(super) struct Silent {
    pub(super) hints: Mutex<Option<Vec<Vec<u8>>>>,
}

impl ResolvesClientCert for Silent {
    fn resolve(&self, hints: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        *self.hints.lock().unwrap() = Some(hints.iter().map(|hint| hint.to_vec()).collect());
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}
