//! A real engine behind TLS: a proxy with certificates of its own before the socket.

use std::path::Path;
use std::sync::Arc;

use bollard::exec::CreateExecOptions;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::server::WebPkiClientVerifier;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, UnixStream};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::runtime::RuntimeError;
use crate::runtime::docker::client::connect_to;
use crate::runtime::docker::endpoint::{Address, Endpoint, Source};

const SOCKET: &str = "/var/run/docker.sock";

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key, signed by `authority`.
fn signed(authority: &Authority, names: &[&str]) -> (String, String) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, authority).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// `ca.pem`, `cert.pem` and `key.pem`, as far as they are given.
fn folder(ca: Option<&Authority>, client: Option<&(String, String)>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    if let Some(ca) = ca {
        write("ca.pem", &ca.pem());
    }
    if let Some((cert, key)) = client {
        write("cert.pem", cert);
        write("key.pem", key);
    }
    folder
}

/// Where the engine can be had over TLS, by those who have a certificate of `authority`.
async fn proxy(authority: &Authority) -> String {
    let (cert, key) = signed(authority, &["localhost", "127.0.0.1"]);
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build().unwrap();
    let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_client_cert_verifier(clients).with_single_cert(chain, key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await?;
                copy_bidirectional(&mut stream, &mut UnixStream::connect(SOCKET).await?).await
            });
        }
    });
    format!("127.0.0.1:{port}")
}

async fn connect(authority: &str, folder: &Path, trust: Trust) -> Result<Docker, RuntimeError> {
    let tls = Some(Tls { folder: folder.to_owned(), trust });
    let address = Address::Tcp { authority: authority.to_owned(), tls };
    connect_to(&Endpoint { address, from: Source::Variable }).await
}

#[tokio::test]
async fn an_engine_behind_tls_is_spoken_to_and_whoever_is_not_believed_is_named() {
    if UnixStream::connect(SOCKET).await.is_err() {
        return std::io::Write::write_all(&mut std::io::stderr().lock(), b"not run: no docker engine\n").unwrap();
    }
    let (ours, others) = (authority(), authority());
    let proxy = proxy(&ours).await;
    let client = signed(&ours, &["client"]);
    let full = folder(Some(&ours), Some(&client));
    for trust in [Trust::SystemAndOwn, Trust::OwnOrSystem, Trust::Anybody] {
        let docker = connect(&proxy, full.path(), trust).await.unwrap();
        assert!(docker.version().await.unwrap().version.is_some(), "{trust:?}");
    }
    // An error of the engine's own is told as over its socket.
    let docker = connect(&proxy, full.path(), Trust::SystemAndOwn).await.unwrap();
    let nobody = docker
        .create_exec("no-such-container", CreateExecOptions { cmd: Some(vec!["true"]), ..Default::default() })
        .await
        .unwrap_err();
    assert_eq!(crate::runtime::docker::client::status_code(&nobody), Some(404), "{nobody}");

    let refused =
        async |folder: &tempfile::TempDir, trust| connect(&proxy, folder.path(), trust).await.unwrap_err().to_string();
    let message = refused(&folder(Some(&others), Some(&client)), Trust::SystemAndOwn).await;
    assert!(message.starts_with(&format!("no docker engine answers at tcp://{proxy} (DOCKER_HOST)")), "{message}");
    assert!(message.contains("certificate"), "{message}");
    assert!(connect(&proxy, folder(Some(&others), Some(&client)).path(), Trust::Anybody).await.is_ok());
    let message = refused(&folder(None, Some(&client)), Trust::OwnOrSystem).await;
    assert!(message.contains("certificate"), "{message}");
    let message = refused(&folder(Some(&ours), None), Trust::SystemAndOwn).await;
    assert!(message.starts_with("no docker engine answers at"), "a client without a certificate: {message}");
    let message = refused(&folder(None, Some(&client)), Trust::SystemAndOwn).await;
    assert!(message.ends_with("ca.pem: it does not exist; DOCKER_CERT_PATH names its folder"), "{message}");
    let broken = folder(Some(&ours), Some(&("no certificate".to_owned(), "no key".to_owned())));
    let message = refused(&broken, Trust::SystemAndOwn).await;
    assert!(message.starts_with("no TLS connection to the docker engine can be made with"), "{message}");
}
