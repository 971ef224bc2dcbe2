//! What can be wrong with the address of a Docker engine.

use std::path::PathBuf;

use thiserror::Error;

/// An engine's address that cannot be used, and where it was written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EngineAddressError {
    /// A context that does not exist.
    #[error(
        "there is no docker context `{name}` ({from}): {file} does not exist; `docker context ls` shows those that do"
    )]
    NoContext {
        /// Its name.
        name: String,
        /// Where it was named.
        from: String,
        /// The file that would describe it.
        file: PathBuf,
    },
    /// A file that cannot be read.
    #[error("{file} could not be read: {source}")]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file whose content makes no sense.
    #[error("{file} could not be understood: {reason}")]
    Malformed {
        /// Which file.
        file: PathBuf,
        /// What is wrong in it.
        reason: String,
    },
    /// A way to reach an engine that this library does not speak.
    #[error("the engine's address `{address}` ({from}) begins with `{scheme}://`, which is not supported; {instead}")]
    Scheme {
        /// As written.
        address: String,
        /// Where it was written.
        from: String,
        /// What it begins with.
        scheme: String,
        /// What can be done.
        instead: &'static str,
    },
    /// Something that is no address.
    #[error(
        "`{address}` ({from}) is no address of a docker engine: {reason}; write unix:///path/to/docker.sock or tcp://host:port"
    )]
    NotAnAddress {
        /// As written.
        address: String,
        /// Where it was written.
        from: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Certificates with which no TLS connection can be made.
    #[error("no TLS connection to the docker engine can be made with {file}: {reason}")]
    Tls {
        /// The file, or what else it was made from.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}
