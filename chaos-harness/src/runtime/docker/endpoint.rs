//! Where the engine is, by the rules of the docker CLI: `DOCKER_HOST`, the context, the default socket; and where that
//! finds nothing, the sockets of rootless engines and of Docker Desktop.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use http::uri::Authority;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::config;
use crate::runtime::EngineAddressError;

const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
const PORT: u16 = 2375;
/// Where the CLI looks when TLS is asked for and no host is named.
const TLS_HOST: &str = "localhost:2376";

/// An engine, and how its place was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) address: Address,
    pub(super) from: Source,
}

/// How an engine is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Unix(PathBuf),
    Tcp {
        /// `host:port`
        authority: String,
        tls: Option<Tls>,
    },
}

/// What a TLS connection is made with. Files that need not be there may not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tls {
    /// The folder of `ca.pem`, `cert.pem` and `key.pem`.
    pub(super) folder: PathBuf,
    pub(super) trust: Trust,
}

/// Which servers are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Those of the system's certificates and of `ca.pem`, which must be there.
    SystemAndOwn,
    /// Those of `ca.pem` alone, or of the system's where there is none.
    OwnOrSystem,
    /// All.
    Anybody,
}

/// Who said where the engine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Variable,
    Context {
        name: String,
        named_by: String,
    },
    Default,
    /// Beyond what the CLI does.
    Fallback,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable => f.write_str("DOCKER_HOST"),
            Self::Context { name, named_by } => write!(f, "context `{name}`, named by {named_by}"),
            Self::Default => f.write_str("the default"),
            Self::Fallback => f.write_str("found there; the default socket does not exist"),
        }
    }
}

/// For errors and the log: `unix:///var/run/docker.sock (the default)`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Unix(socket) => write!(f, "unix://{}", socket.display())?,
            Address::Tcp { authority, .. } => write!(f, "tcp://{authority}")?,
        }
        write!(f, " ({})", self.from)
    }
}

/// What the place of the engine is told by.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    pub(super) variables: BTreeMap<String, String>,
    pub(super) home: Option<PathBuf>,
    pub(super) default_socket: PathBuf,
}

impl Surroundings {
    /// Those of this process.
    pub(super) fn here() -> Self {
        let all = std::env::vars_os();
        let variables = all.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self {
            variables: variables.collect(),
            home: std::env::home_dir().filter(|home| !home.as_os_str().is_empty()),
            default_socket: PathBuf::from(DEFAULT_SOCKET),
        }
    }

    /// A variable; an empty one counts as unset.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The folder of the CLI's own files.
    pub(super) fn config_dir(&self) -> PathBuf {
        match self.variable("DOCKER_CONFIG") {
            Some(folder) => PathBuf::from(folder),
            None => self.home.clone().unwrap_or_default().join(".docker"),
        }
    }
}

/// Finds the engine.
pub(super) fn resolve(at: &Surroundings) -> Result<Endpoint, EngineAddressError> {
    if let Some(host) = at.variable("DOCKER_HOST") {
        let address = match host.trim() {
            "" => default_address(at),
            host => parse(host, &Source::Variable, at, tls_of_variables(at))?,
        };
        return Ok(Endpoint { address, from: Source::Variable });
    }
    match context_name(at) {
        Some((name, named_by)) if name != "default" => of_context(at, name, named_by),
        _ => Ok(default(at)),
    }
}

fn context_name(at: &Surroundings) -> Option<(String, String)> {
    if let Some(name) = at.variable("DOCKER_CONTEXT") {
        return Some((name.to_owned(), "DOCKER_CONTEXT".to_owned()));
    }
    let name = config::read(at).current_context.filter(|name| !name.is_empty())?;
    Some((name, at.config_dir().join("config.json").display().to_string()))
}

fn default(at: &Surroundings) -> Endpoint {
    let address = default_address(at);
    let is_missing = matches!(&address, Address::Unix(socket) if !socket.exists());
    match elsewhere(at).into_iter().find(|socket| is_missing && socket.exists()) {
        Some(socket) => Endpoint { address: Address::Unix(socket), from: Source::Fallback },
        None => Endpoint { address, from: Source::Default },
    }
}

fn default_address(at: &Surroundings) -> Address {
    match tls_of_variables(at) {
        Some(tls) => Address::Tcp { authority: TLS_HOST.to_owned(), tls: Some(tls) },
        None => Address::Unix(at.default_socket.clone()),
    }
}

/// Where engines that are not root's listen.
fn elsewhere(at: &Surroundings) -> Vec<PathBuf> {
    let of_user = at.variable("XDG_RUNTIME_DIR").map(|folder| Path::new(folder).join("docker.sock"));
    let of_home = |socket: &str| Some(at.home.as_ref()?.join(socket));
    [of_user, of_home(".docker/run/docker.sock"), of_home(".docker/desktop/docker.sock")]
        .into_iter()
        .flatten()
        .collect()
}

/// Any value switches TLS on, `0` and `false` as well.
fn tls_of_variables(at: &Surroundings) -> Option<Tls> {
    let folder = || at.variable("DOCKER_CERT_PATH").map_or_else(|| at.config_dir(), PathBuf::from);
    match (at.variable("DOCKER_TLS_VERIFY"), at.variable("DOCKER_TLS")) {
        (Some(_), _) => Some(Tls { folder: folder(), trust: Trust::SystemAndOwn }),
        (None, Some(_)) => Some(Tls { folder: folder(), trust: Trust::Anybody }),
        (None, None) => None,
    }
}

/// `contexts/meta/<SHA-256 of the name>/meta.json`.
#[derive(Deserialize)]
struct Context {
    #[serde(rename = "Endpoints", default)]
    endpoints: BTreeMap<String, ContextEndpoint>,
}

#[derive(Clone, Default, Deserialize)]
struct ContextEndpoint {
    #[serde(rename = "Host", default)]
    host: String,
    #[serde(rename = "SkipTLSVerify", default)]
    skip_tls_verify: bool,
}

fn of_context(at: &Surroundings, name: String, named_by: String) -> Result<Endpoint, EngineAddressError> {
    let (contexts, id) = (at.config_dir().join("contexts"), hex(&Sha256::digest(name.as_bytes())));
    let file = contexts.join("meta").join(&id).join("meta.json");
    let text = match std::fs::read_to_string(&file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(EngineAddressError::NoContext { name, from: named_by, file });
        }
        other => other.map_err(|source| EngineAddressError::Unreadable { file: file.clone(), source })?,
    };
    let malformed = |reason: String| EngineAddressError::Malformed { file: file.clone(), reason };
    let context: Context = serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
    let endpoint = context.endpoints.get("docker").ok_or_else(|| malformed("it has no docker endpoint".to_owned()))?;
    let folder = contexts.join("tls").join(&id).join("docker");
    let tls = match endpoint.skip_tls_verify {
        true => Some(Tls { folder, trust: Trust::Anybody }),
        false => folder.is_dir().then_some(Tls { folder, trust: Trust::OwnOrSystem }),
    };
    let from = Source::Context { name, named_by };
    let address = match endpoint.host.trim() {
        "" => Address::Unix(at.default_socket.clone()),
        host => parse(host, &from, at, tls)?,
    };
    Ok(Endpoint { address, from })
}

fn parse(text: &str, from: &Source, at: &Surroundings, tls: Option<Tls>) -> Result<Address, EngineAddressError> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("tcp", text));
    let unsupported = |instead| EngineAddressError::Scheme {
        address: text.to_owned(),
        from: from.to_string(),
        scheme: scheme.to_owned(),
        instead,
    };
    match scheme {
        "unix" if rest.is_empty() => Ok(Address::Unix(at.default_socket.clone())),
        "unix" => Ok(Address::Unix(PathBuf::from(rest))),
        "tcp" | "http" | "https" => {
            let authority = authority(rest).map_err(|reason| EngineAddressError::NotAnAddress {
                address: text.to_owned(),
                from: from.to_string(),
                reason,
            })?;
            let of_https = || Tls { folder: at.config_dir(), trust: Trust::OwnOrSystem };
            let tls = if scheme == "https" { Some(tls.unwrap_or_else(of_https)) } else { tls };
            Ok(Address::Tcp { authority, tls })
        }
        "ssh" => Err(unsupported(
            "forward the engine's socket with `ssh -L /tmp/docker.sock:/var/run/docker.sock`, and set DOCKER_HOST to \
             unix:///tmp/docker.sock; or run the tests on that machine",
        )),
        "npipe" => Err(unsupported("named pipes are Windows' own; run the tests on Linux, where WSL 2 will do")),
        "fd" => Err(unsupported("it is for the engine's own start; name its socket")),
        _ => Err(unsupported("write unix:///path/to/docker.sock or tcp://host:port")),
    }
}

/// `host:port`, with the CLI's own for what is left out.
fn authority(text: &str) -> Result<String, String> {
    let text = text.strip_suffix('/').unwrap_or(text);
    if text.contains(['/', '?', '#']) {
        return Err("it has a path".to_owned());
    }
    let (text, host) = match text {
        "" => ("localhost".to_owned(), None),
        _ if text.starts_with(':') => (format!("localhost{text}"), None),
        _ => (text.to_owned(), text.split_once('@').map(|(_, host)| host.to_owned())),
    };
    let authority: Authority = host.unwrap_or(text).parse().map_err(|error| format!("{error}"))?;
    // Of a port that is too large the parser says that there is none.
    let port = match authority.as_str().strip_prefix(authority.host()).unwrap_or_default() {
        "" => PORT,
        port => port.trim_start_matches(':').parse().map_err(|_| format!("`{}` is no port", &port[1..]))?,
    };
    Ok(format!("{}:{port}", authority.host()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
