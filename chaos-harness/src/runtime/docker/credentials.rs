//! Credentials of registries, from where `docker login` keeps them.

use std::io::Write;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE};
use base64::engine::{DecodePaddingMode, general_purpose};
use serde::{Deserialize, Serialize};

use super::config::{self, Auth, Config};
use super::endpoint::Surroundings;

/// What a registry is told, as the engine wants to have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Credentials {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) username: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) password: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) identitytoken: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) registrytoken: String,
    pub(super) serveraddress: String,
}

impl Credentials {
    /// The value of the header `X-Registry-Auth`.
    pub(super) fn header(&self) -> String {
        URL_SAFE.encode(serde_json::to_string(self).unwrap_or_default())
    }
}

/// The credentials for the registry that the CLI knows as `key`; `None` where there are none.
///
/// # Errors
/// A helper that fails, or an entry that cannot be read: in words, since a pull may do without.
pub(super) fn of_registry(at: &Surroundings, key: &str) -> Result<Option<Credentials>, String> {
    if let Some(text) = at.variable("DOCKER_AUTH_CONFIG") {
        let given: Config = serde_json::from_str(text).map_err(|error| format!("DOCKER_AUTH_CONFIG: {error}"))?;
        if let Some(credentials) = of_file(&given, key)? {
            return Ok(Some(credentials));
        }
    }
    let config = config::read(at);
    let helper = config.cred_helpers.get(key).or(config.creds_store.as_ref()).filter(|name| !name.is_empty());
    match helper {
        Some(helper) => of_helper(at, helper, key),
        None => of_file(&config, key),
    }
}

/// From `auths`: under its own key, else under one that names the same host in another way.
fn of_file(config: &Config, key: &str) -> Result<Option<Credentials>, String> {
    let same_host = || config.auths.iter().find(|(other, _)| hostname(other) == hostname(key)).map(|(_, auth)| auth);
    let Some(auth) = config.auths.get(key).or_else(same_host) else { return Ok(None) };
    let Auth { auth, username, password, identitytoken, registrytoken } = auth.clone();
    let (username, password) = match auth.is_empty() {
        true => (username, password),
        false => decoded(&auth).ok_or_else(|| format!("the `auth` of {key} is not user:password in Base64"))?,
    };
    let credentials = Credentials { username, password, identitytoken, registrytoken, serveraddress: key.to_owned() };
    let is_empty = credentials == Credentials { serveraddress: key.to_owned(), ..Credentials::default() };
    Ok((!is_empty).then_some(credentials))
}

/// `https://host:port/v1/` is `host:port`.
fn hostname(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    key.split('/').next().unwrap_or(key)
}

fn decoded(auth: &str) -> Option<(String, String)> {
    let lenient: GeneralPurposeConfig = general_purpose::PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let text = String::from_utf8(GeneralPurpose::new(&STANDARD, lenient).decode(auth.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.trim_matches('\0').to_owned()))
}

#[derive(Deserialize)]
struct Said {
    #[serde(rename = "Username")]
    username: String,
    #[serde(rename = "Secret")]
    secret: String,
}

/// Asks `docker-credential-<helper> get`, which reads the key from its input.
fn of_helper(at: &Surroundings, helper: &str, key: &str) -> Result<Option<Credentials>, String> {
    let program = format!("docker-credential-{helper}");
    let failed = |reason: String| format!("{program}: {reason}");
    let mut command = Command::new(&program);
    // The search goes by the child's own path.
    command.env_clear().envs(&at.variables).arg("get");
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|error| failed(error.to_string()))?;
    if let Some(mut input) = child.stdin.take() {
        // One that does not read it says what it has to say in its end.
        let _ = input.write_all(key.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let is_unknown = said.contains("credentials not found");
        let words = [said.trim(), String::from_utf8_lossy(&output.stderr).trim()].join(" ");
        return if is_unknown { Ok(None) } else { Err(failed(words.trim().to_owned())) };
    }
    let Said { username, secret } = serde_json::from_str(&said).map_err(|error| failed(error.to_string()))?;
    let mut credentials = Credentials { serveraddress: key.to_owned(), ..Credentials::default() };
    match username.as_str() {
        "<token>" => credentials.identitytoken = secret,
        _ => (credentials.username, credentials.password) = (username, secret),
    }
    Ok(Some(credentials))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const HUB: &str = "https://index.docker.io/v1/";

    /// With this `config.json`, and the programs of `folder` in the path.
    fn surroundings(folder: &tempfile::TempDir, config: &str) -> Surroundings {
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        let variables = [("DOCKER_CONFIG".to_owned(), folder.path().display().to_string()), ("PATH".to_owned(), path)];
        Surroundings { variables: variables.into(), home: None, default_socket: "/nowhere".into() }
    }

    fn user(name: &str, password: &str, key: &str) -> Option<Credentials> {
        let (username, password) = (name.to_owned(), password.to_owned());
        Some(Credentials { username, password, serveraddress: key.to_owned(), ..Credentials::default() })
    }

    #[test]
    fn of_the_file_by_its_key_or_by_the_host() {
        let folder = tempfile::tempdir().unwrap();
        // `a:b:c`, and without padding `user:p`.
        let at = surroundings(
            &folder,
            r#"{ "auths": { "https://index.docker.io/v1/": { "auth": "YTpiOmM=" }, "https://host:5000/v2/": { "auth": "dXNlcjpw" },
               "plain": { "username": "u", "password": "p" }, "token": { "identitytoken": "t" }, "empty": {},
               "bad": { "auth": "!" } } }"#,
        );
        assert_eq!(of_registry(&at, HUB), Ok(user("a", "b:c", HUB)));
        assert_eq!(of_registry(&at, "host:5000"), Ok(user("user", "p", "host:5000")));
        assert_eq!(of_registry(&at, "host"), Ok(None), "another port is another registry");
        assert_eq!(of_registry(&at, "plain"), Ok(user("u", "p", "plain")));
        assert_eq!(of_registry(&at, "token").unwrap().unwrap().identitytoken, "t");
        assert_eq!(of_registry(&at, "empty"), Ok(None));
        assert!(of_registry(&at, "bad").unwrap_err().contains("Base64"));
    }

    #[test]
    fn of_a_helper_that_the_registry_has_to_itself_or_of_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let helper = |name: &str, script: &str| {
            let program = folder.path().join(format!("docker-credential-{name}"));
            std::fs::write(&program, format!("#!/bin/sh\nread -r key\n{script}\n")).unwrap();
            std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        };
        helper(
            "own",
            r#"[ "$1" = get ] && echo "{\"ServerURL\":\"$key\",\"Username\":\"<token>\",\"Secret\":\"of $key\"}""#,
        );
        helper(
            "all",
            r#"case $key in hub*) echo '{"Username":"u","Secret":"s"}';; *) echo 'credentials not found in native keychain'; exit 1;; esac"#,
        );
        helper("broken", "echo no keychain here >&2; exit 3");
        let config = r#"{ "auths": { "hub.example": { "auth": "YTpi" } }, "credsStore": "all",
            "credHelpers": { "own.example": "own", "broken.example": "broken", "missing.example": "missing" } }"#;
        let at = surroundings(&folder, config);
        assert_eq!(of_registry(&at, "own.example").unwrap().unwrap().identitytoken, "of own.example");
        assert_eq!(of_registry(&at, "hub.example"), Ok(user("u", "s", "hub.example")), "the store, not the file");
        assert_eq!(of_registry(&at, "other.example"), Ok(None));
        assert_eq!(of_registry(&at, "broken.example"), Err("docker-credential-broken: no keychain here".to_owned()));
        assert!(of_registry(&at, "missing.example").unwrap_err().starts_with("docker-credential-missing: "));
    }

    #[test]
    fn of_a_variable_before_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut at = surroundings(&folder, r#"{ "auths": { "a": { "auth": "YTpi" }, "b": { "auth": "YTpi" } } }"#);
        let given = r#"{ "auths": { "a": { "auth": "Yzpk" } } }"#;
        at.variables.insert("DOCKER_AUTH_CONFIG".to_owned(), given.to_owned());
        assert_eq!(of_registry(&at, "a"), Ok(user("c", "d", "a")));
        assert_eq!(of_registry(&at, "b"), Ok(user("a", "b", "b")));
    }

    #[test]
    fn the_header_is_safe_in_a_url() {
        let credentials = user("u", "???>>>~~~ÿ", "x").unwrap();
        assert!(!credentials.header().contains(['+', '/']), "{}", credentials.header());
        let text = String::from_utf8(URL_SAFE.decode(credentials.header()).unwrap()).unwrap();
        assert_eq!(text, r#"{"username":"u","password":"???>>>~~~ÿ","serveraddress":"x"}"#);
    }
}
