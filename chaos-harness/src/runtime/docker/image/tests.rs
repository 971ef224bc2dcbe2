//! Pulls, against an engine that writes down what it is asked; what images hold, with the real one.

use std::process::Command;
use std::sync::Arc;

use axum::extract::{Path as UrlPath, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;
use crate::runtime::artifact::Linking;
use crate::runtime::docker::client::connect_to;
use crate::runtime::docker::endpoint::{Address, Endpoint, Source};
use crate::topology::{Build, CargoBin};

/// What a pull asked for, and with which credentials.
type Pull = (HashMap<String, String>, Option<Value>);

/// An engine that has no image but `local`, for amd64, and refuses those of `refusing.example`.
#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Vec<Pull>>>);

impl Fake {
    async fn start(&self) -> Docker {
        let app = Router::new()
            .route("/version", get(async || Json(json!({ "ApiVersion": "1.41", "Version": "20.10.24" }))))
            .route("/images/{*name}", get(inspect))
            .route("/images/create", post(create))
            .with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, app).await });
        connect_to(&Endpoint { address: Address::Tcp { authority, tls: None }, from: Source::Variable }).await.unwrap()
    }

    fn pulls(&self) -> Vec<Pull> {
        std::mem::take(&mut *self.0.lock())
    }
}

async fn inspect(UrlPath(name): UrlPath<String>) -> (StatusCode, Json<Value>) {
    match name.as_str() {
        "local/json" | "local:latest/json" => (StatusCode::OK, Json(json!({ "Os": "linux", "Architecture": "amd64" }))),
        _ => (StatusCode::NOT_FOUND, Json(json!({ "message": "no such image" }))),
    }
}

async fn create(
    State(fake): State<Fake>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> (StatusCode, Json<Value>) {
    let credentials = headers.get("X-Registry-Auth").map(|value| URL_SAFE.decode(value).unwrap());
    let refused = query["fromImage"].starts_with("refusing.example");
    fake.0.lock().push((query, credentials.map(|bytes| serde_json::from_slice(&bytes).unwrap())));
    match refused {
        true => (StatusCode::NOT_FOUND, Json(json!({ "message": "pull access denied" }))),
        false => (StatusCode::OK, Json(json!({ "status": "done" }))),
    }
}

#[tokio::test]
async fn one_version_is_pulled_whatever_the_name_leaves_out() {
    let fake = Fake::default();
    let docker = fake.start().await;
    let digest = format!("sha256:{}", "0".repeat(64));
    for (name, from, tag) in [
        ("postgres", "postgres", "latest"),
        ("postgres:16", "postgres", "16"),
        ("host:5000/team/app", "host:5000/team/app", "latest"),
        ("host:5000/team/app:1", "host:5000/team/app", "1"),
        (&format!("app@{digest}"), "app", &digest),
        (&format!("host:5000/app:1@{digest}"), "host:5000/app", &digest),
    ] {
        named(&docker, name, None).await.unwrap();
        let pulls = fake.pulls();
        let [(query, _)] = pulls.as_slice() else { panic!("{name}: {pulls:?}") };
        assert_eq!((query["fromImage"].as_str(), query["tag"].as_str()), (from, tag), "{name}");
    }
}

#[tokio::test]
async fn a_local_image_wins_unless_it_is_for_another_platform() {
    let fake = Fake::default();
    let docker = fake.start().await;
    for platform in [None, Some("linux/amd64")] {
        assert_eq!(named(&docker, "local", platform).await.unwrap(), "local");
        assert_eq!(fake.pulls(), []);
    }
    assert_eq!(named(&docker, "local", Some("linux/arm64")).await.unwrap(), "local:latest");
    let pulls = fake.pulls();
    assert_eq!(pulls.iter().map(|(query, _)| query["platform"].as_str()).collect::<Vec<_>>(), ["linux/arm64"]);
}

#[tokio::test]
async fn a_pull_has_the_credentials_of_its_registry_and_of_no_other() {
    let fake = Fake::default();
    let docker = fake.start().await;
    let folder = tempfile::tempdir().unwrap();
    let auth = base64::engine::general_purpose::STANDARD.encode("user:???>>>ÿ");
    let config =
        json!({ "auths": { "host:5000": { "auth": auth }, "https://index.docker.io/v1/": { "auth": "YTpi" } } });
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let variables = [("DOCKER_CONFIG".to_owned(), folder.path().display().to_string())];
    let at = Surroundings { variables: variables.into(), home: None, default_socket: "/nowhere".into() };
    for (name, user, password) in
        [("host:5000/app:1", "user", "???>>>ÿ"), ("app", "a", "b"), ("docker.io/team/app", "a", "b")]
    {
        pull(&docker, &Reference::parse(name), None, &at).await.unwrap();
        let pulls = fake.pulls();
        let [(_, Some(told))] = pulls.as_slice() else { panic!("{name}: {pulls:?}") };
        assert_eq!((told["username"].as_str(), told["password"].as_str()), (Some(user), Some(password)), "{name}");
    }
    pull(&docker, &Reference::parse("other.example/app"), None, &at).await.unwrap();
    assert_eq!(fake.pulls()[0].1, None);
    let refused = pull(&docker, &Reference::parse("refusing.example/app"), None, &at).await.unwrap_err().to_string();
    let hint = "there are no credentials for refusing.example, which `docker login` adds";
    assert!(refused.contains("pull access denied") && refused.contains(hint), "{refused}");
}

/// Says what it finds where it runs.
const PROBE: &str = r#"
    use std::os::unix::fs::PermissionsExt;
    fn main() {
        println!("tmp {:o}", std::fs::metadata("/tmp").unwrap().permissions().mode() & 0o7777);
        std::fs::write("/tmp/probe", "x").unwrap();
        let starts = |file: &str| std::fs::read(file).map(|text| text.len() > 20).unwrap_or(false);
        println!("passwd {}", std::fs::read_to_string("/etc/passwd").unwrap().contains("nobody:x:65534"));
        println!("group {}", std::fs::read_to_string("/etc/group").unwrap().contains("root:x:0"));
        println!("hosts {}", std::fs::read_to_string("/etc/hosts").unwrap().contains("localhost"));
        println!("certificates {}", starts("/etc/ssl/certs/ca-certificates.crt"));
        println!("zones {}", starts("/usr/share/zoneinfo/Europe/Berlin"));
    }
"#;

#[tokio::test]
async fn an_image_has_what_programs_take_for_granted_however_it_is_linked() {
    if !Command::new("docker").arg("version").output().is_ok_and(|output| output.status.success()) {
        return std::io::Write::write_all(&mut std::io::stderr().lock(), b"not run: no docker engine\n").unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    artifact::tests::write_crate(folder.path(), "chaos-probe", PROBE);
    let bin = CargoBin { package: "chaos-probe".to_owned(), bin: "chaos-probe".to_owned() };
    let settings =
        Build { manifest: Some(folder.path().to_owned()), profile: Some("dev".to_owned()), ..Build::default() };
    let has = |file: &str| std::path::Path::new(file).exists();
    let docker = crate::runtime::docker::client::connect().await.unwrap();
    for (linking, linked) in [(Linking::Static, "static"), (Linking::Usual, "dynamic")] {
        let executable = artifact::build(&bin, &settings, linking).unwrap();
        let image = of_executable(&docker, "test-probe", &executable).await.unwrap();
        let label = format!("{{{{index .Config.Labels \"{PREFIX}linked\"}}}}");
        let output = Command::new("docker").args(["image", "inspect", "--format", &label, &image]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), linked, "{output:?}");
        let output = Command::new("docker").args(["run", "--rm", &image]).output().unwrap();
        let expected = format!(
            "tmp 1777\npasswd true\ngroup true\nhosts true\ncertificates {}\nzones {}\n",
            has("/etc/ssl/certs/ca-certificates.crt"),
            has("/usr/share/zoneinfo/Europe/Berlin")
        );
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{linked}: {output:?}");
        docker.remove_image(&image, None::<RemoveImageOptions>, None).await.unwrap();
    }
}
