//! The docker CLI's own settings, `config.json`: which context is meant, and the credentials of registries.

use std::collections::BTreeMap;
use std::sync::Once;

use serde::Deserialize;

use super::endpoint::Surroundings;
use crate::progress;

/// What of `config.json` matters here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Config {
    pub(super) current_context: Option<String>,
    pub(super) auths: BTreeMap<String, Auth>,
    pub(super) creds_store: Option<String>,
    pub(super) cred_helpers: BTreeMap<String, String>,
}

/// One registry's credentials.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Auth {
    /// `user:password` in Base64.
    pub(super) auth: String,
    pub(super) username: String,
    pub(super) password: String,
    pub(super) identitytoken: String,
    pub(super) registrytoken: String,
}

/// Reads it. As the CLI does, one that makes no sense is named once and then counts as empty.
pub(super) fn read(at: &Surroundings) -> Config {
    static TOLD: Once = Once::new();
    let file = at.config_dir().join("config.json");
    let text = match std::fs::read_to_string(&file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Config::default(),
        other => other.map_err(|error| error.to_string()),
    };
    let config = text.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()));
    config.unwrap_or_else(|reason| {
        TOLD.call_once(|| progress::print(&format!("{} is left aside: {reason}", file.display())));
        Config::default()
    })
}
