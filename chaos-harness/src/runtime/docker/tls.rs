//! Connections to an engine over TLS. The cryptography is named here, so that what else is built into a test has no say
//! in it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::endpoint::{Tls, Trust};
use crate::runtime::EngineAddressError;

/// A client for the engine at `authority`; nothing is sent yet.
pub(super) fn client(authority: &str, tls: &Tls, timeout: u64) -> Result<Docker, EngineAddressError> {
    let builder = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(config(tls)?);
    // A connection for each request, as bollard does for the others: some go on for long, some are taken over.
    let client = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build(builder.https_only().enable_http1().build());
    let transport = move |request: BollardRequest| {
        let answer = client.request(request);
        async move { answer.await.map_err(bollard::errors::Error::from) }
    };
    let address = format!("https://{authority}");
    Docker::connect_with_custom_transport(transport, Some(address), timeout, API_DEFAULT_VERSION)
        .map_err(|error| failed(&tls.folder, error))
}

fn config(tls: &Tls) -> Result<ClientConfig, EngineAddressError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| failed(&tls.folder, error))?;
    let builder = match tls.trust {
        Trust::Anybody => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider))),
        trust => builder.with_root_certificates(roots(tls, trust)?),
    };
    let (cert, key) = (tls.folder.join("cert.pem"), tls.folder.join("key.pem"));
    let (Some(chain), Some(private)) = (read(&cert)?, read(&key)?) else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(&cert, &chain)?;
    let private = PrivateKeyDer::from_pem_slice(&private).map_err(|error| failed(&key, error))?;
    builder.with_client_auth_cert(chain, private).map_err(|error| failed(&cert, error))
}

fn roots(tls: &Tls, trust: Trust) -> Result<RootCertStore, EngineAddressError> {
    let ca = tls.folder.join("ca.pem");
    let own = match (read(&ca)?, trust) {
        (None, Trust::SystemAndOwn) => return Err(failed(&ca, "it does not exist; DOCKER_CERT_PATH names its folder")),
        (own, _) => own,
    };
    let mut roots = RootCertStore::empty();
    if own.is_none() || trust == Trust::SystemAndOwn {
        // Some of the system's may be broken; what is missing shows when a server is not believed.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    for certificate in certificates(&ca, own.as_deref().unwrap_or_default())? {
        roots.add(certificate).map_err(|error| failed(&ca, error))?;
    }
    Ok(roots)
}

fn certificates(file: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, EngineAddressError> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| failed(file, error))
}

/// `None` when the file does not exist.
fn read(file: &Path) -> Result<Option<Vec<u8>>, EngineAddressError> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(EngineAddressError::Unreadable { file: file.to_owned(), source }),
    }
}

fn failed(file: &Path, reason: impl std::fmt::Display) -> EngineAddressError {
    EngineAddressError::Tls { file: PathBuf::from(file), reason: reason.to_string() }
}

/// Believes every server, as `DOCKER_TLS` without `DOCKER_TLS_VERIFY` and contexts that skip the verification ask for.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
