//! What runs as an instance of a service.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a container runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Image {
    /// An image by name; a local one wins over a pull.
    Named(String),
    /// No image: a container that is there already, by name or id. It must be on the allow-list, is neither started nor
    /// removed, and is what it was before once the experiment is over.
    Existing(String),
    /// An image made locally from a binary of this workspace, without a registry.
    Cargo(CargoBin),
}

/// What a child process runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    /// An executable file, or a name to look up in `PATH`.
    Path(PathBuf),
    /// A binary of this workspace.
    Cargo(CargoBin),
}

/// A binary target of the Cargo workspace that the test belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct CargoBin {
    /// The package.
    pub package: String,
    /// The binary target in it.
    pub bin: String,
}
