//! Judges whoever dials us: a certificate that is pinned by the verifier of the pins, any other by the authorities of the
//! peers that have one. Both are the TLS library's own; nothing here accepts what neither of them does.

use std::{collections::HashMap, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error as RustlsError, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};

use super::{
    authority::Issued,
    certificate::{Fingerprint, fingerprint},
};

/// The verifier of a node that has peers with authorities.
#[derive(Debug)]
pub(super) struct PeerVerifier {
    /// Of exact certificates.
    pub(super) pinned: Arc<dyn ClientCertVerifier>,
    /// The exact certificates, for which no authority is asked: a pin is self-signed, so none can have issued it.
    pub(super) owners: Arc<HashMap<Fingerprint, String>>,
    /// Of authorities and names.
    pub(super) issued: Arc<Issued>,
}

impl ClientCertVerifier for PeerVerifier {
    /// None: who dials must not learn whom we know.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn offer_client_auth(&self) -> bool {
        self.pinned.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.pinned.client_auth_mandatory()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, RustlsError> {
        if self.owners.contains_key(&fingerprint(end_entity)) {
            return self.pinned.verify_client_cert(end_entity, intermediates, now);
        }
        let chain: Vec<CertificateDer<'_>> = std::iter::once(end_entity).chain(intermediates).cloned().collect();
        match self.issued.client(&chain, now) {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            // No authority of a peer has to do with it: the pins say in which way it is a stranger's.
            Err(RustlsError::InvalidCertificate(CertificateError::UnknownIssuer)) => {
                self.pinned.verify_client_cert(end_entity, intermediates, now)
            }
            Err(error) => Err(error),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        self.pinned.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        self.pinned.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.pinned.supported_verify_schemes()
    }
}
