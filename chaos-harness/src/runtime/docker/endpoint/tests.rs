//! The place of the engine, against the rules and against the CLI itself.

use std::process::Command;

use super::*;

/// Nothing is set, and nothing is there.
fn bare(folder: &tempfile::TempDir) -> Surroundings {
    let home = folder.path().to_owned();
    Surroundings { variables: BTreeMap::new(), default_socket: home.join("default.sock"), home: Some(home) }
}

fn with(folder: &tempfile::TempDir, variables: &[(&str, &str)]) -> Surroundings {
    let mut at = bare(folder);
    at.variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    at
}

fn found(at: &Surroundings) -> String {
    resolve(at).map_or_else(|error| error.to_string(), |endpoint| endpoint.to_string())
}

/// A context as `docker context create` writes it.
fn context(folder: &tempfile::TempDir, name: &str, endpoint: &str) -> String {
    let id = hex(&Sha256::digest(name.as_bytes()));
    let meta = folder.path().join(".docker/contexts/meta").join(&id);
    std::fs::create_dir_all(&meta).unwrap();
    let text = format!(r#"{{"Name":"{name}","Metadata":{{}},"Endpoints":{{"docker":{endpoint}}}}}"#);
    std::fs::write(meta.join("meta.json"), text).unwrap();
    id
}

fn current(folder: &tempfile::TempDir, text: &str) {
    std::fs::create_dir_all(folder.path().join(".docker")).unwrap();
    std::fs::write(folder.path().join(".docker/config.json"), text).unwrap();
}

#[test]
fn the_host_goes_before_the_context_and_an_empty_one_is_none() {
    let folder = tempfile::tempdir().unwrap();
    context(&folder, "far", r#"{"Host":"tcp://far:1"}"#);
    context(&folder, "near", r#"{"Host":"unix:///near.sock"}"#);
    current(&folder, r#"{"currentContext":"near"}"#);
    let file = folder.path().join(".docker/config.json");
    let near = format!("unix:///near.sock (context `near`, named by {})", file.display());
    for (host, named, expected) in [
        ("unix:///h.sock", "far", "unix:///h.sock (DOCKER_HOST)"),
        ("", "far", "tcp://far:1 (context `far`, named by DOCKER_CONTEXT)"),
        ("", "", near.as_str()),
    ] {
        assert_eq!(found(&with(&folder, &[("DOCKER_HOST", host), ("DOCKER_CONTEXT", named)])), expected);
    }
    let at = with(&folder, &[("DOCKER_CONTEXT", "default")]);
    assert_eq!(found(&at), format!("unix://{} (the default)", at.default_socket.display()));
    let at = with(&folder, &[("DOCKER_CONFIG", "/nowhere")]);
    assert_eq!(found(&at), format!("unix://{} (the default)", at.default_socket.display()), "another folder");
}

#[test]
fn a_context_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let says = |name: &str| found(&with(&folder, &[("DOCKER_CONTEXT", name)]));
    let message = says("gone");
    assert!(message.starts_with("there is no docker context `gone` (DOCKER_CONTEXT): "), "{message}");
    context(&folder, "broken", "{");
    assert!(says("broken").contains("meta.json could not be understood: "), "{}", says("broken"));
    context(&folder, "ssh", r#"{"Host":"ssh://me@far"}"#);
    let message = says("ssh");
    assert!(message.contains("`ssh://me@far` (context `ssh`, named by DOCKER_CONTEXT)"), "{message}");
    assert!(message.contains("forward the engine's socket with `ssh -L"), "{message}");
    context(&folder, "empty", "{}");
    assert!(says("empty").starts_with("unix://"), "{}", says("empty"));
}

#[test]
fn tls_is_asked_for_by_any_value_and_by_files_of_a_context() {
    let folder = tempfile::tempdir().unwrap();
    let tls = |at: &Surroundings| match resolve(at).unwrap().address {
        Address::Tcp { tls, .. } => tls,
        Address::Unix(_) => None,
    };
    let host = ("DOCKER_HOST", "tcp://h:1");
    let own = folder.path().join(".docker");
    for value in ["1", "0", "false"] {
        let expected = Some(Tls { folder: own.clone(), trust: Trust::SystemAndOwn });
        assert_eq!(tls(&with(&folder, &[host, ("DOCKER_TLS_VERIFY", value)])), expected);
    }
    assert_eq!(tls(&with(&folder, &[host, ("DOCKER_TLS_VERIFY", "")])), None);
    let at = with(&folder, &[host, ("DOCKER_TLS", "1"), ("DOCKER_CERT_PATH", "/certs")]);
    assert_eq!(tls(&at), Some(Tls { folder: "/certs".into(), trust: Trust::Anybody }));
    assert_eq!(found(&with(&folder, &[("DOCKER_TLS_VERIFY", "1")])), "tcp://localhost:2376 (the default)");

    let id = context(&folder, "tls", r#"{"Host":"tcp://h:2"}"#);
    let at = with(&folder, &[("DOCKER_CONTEXT", "tls"), ("DOCKER_TLS_VERIFY", "1")]);
    assert_eq!(tls(&at), None, "the variables are not for contexts");
    let files = folder.path().join(".docker/contexts/tls").join(id).join("docker");
    std::fs::create_dir_all(&files).unwrap();
    assert_eq!(tls(&at), Some(Tls { folder: files, trust: Trust::OwnOrSystem }));
    context(&folder, "tls", r#"{"Host":"tcp://h:2","SkipTLSVerify":true}"#);
    assert_eq!(tls(&at).map(|tls| tls.trust), Some(Trust::Anybody));
}

#[test]
fn where_the_cli_finds_nothing_the_sockets_of_users_are_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = folder.path().join("run");
    let at = with(&folder, &[("XDG_RUNTIME_DIR", runtime.to_str().unwrap())]);
    assert!(found(&at).ends_with("default.sock (the default)"), "{}", found(&at));
    let sockets = [".docker/desktop/docker.sock", ".docker/run/docker.sock", "run/docker.sock"];
    for socket in sockets.map(|socket| folder.path().join(socket)) {
        std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
        std::fs::write(&socket, "").unwrap();
        let expected = format!("unix://{} (found there; the default socket does not exist)", socket.display());
        assert_eq!(found(&at), expected);
    }
    std::fs::write(&at.default_socket, "").unwrap();
    assert!(found(&at).ends_with("default.sock (the default)"), "{}", found(&at));
    let asked = with(&folder, &[("DOCKER_HOST", "unix:///not/there"), ("XDG_RUNTIME_DIR", "/run")]);
    assert_eq!(found(&asked), "unix:///not/there (DOCKER_HOST)", "what was asked for is not looked for elsewhere");
}

#[test]
fn what_is_no_address_says_so() {
    let folder = tempfile::tempdir().unwrap();
    for (host, reason) in [
        ("tcp://h:1/base", "is no address of a docker engine: it has a path"),
        ("tcp://h:99999", "`99999` is no port"),
        ("tcp://a b:1", "is no address of a docker engine"),
        (
            "npipe:////./pipe/docker_engine",
            "begins with `npipe://`, which is not supported; named pipes are Windows' own",
        ),
        ("fd://", "begins with `fd://`, which is not supported"),
        (
            "foo://x",
            "begins with `foo://`, which is not supported; write unix:///path/to/docker.sock or tcp://host:port",
        ),
        ("ssh://me@far", "begins with `ssh://`, which is not supported; forward the engine's socket"),
    ] {
        let message = found(&with(&folder, &[("DOCKER_HOST", host)]));
        assert!(message.contains(&format!("`{host}` (DOCKER_HOST)")) && message.contains(reason), "{message}");
    }
    assert_eq!(found(&with(&folder, &[("DOCKER_HOST", "tcp://[::1]")])), "tcp://[::1]:2375 (DOCKER_HOST)");
    let at = with(&folder, &[("DOCKER_HOST", "https://h:1")]);
    assert!(matches!(resolve(&at).unwrap().address, Address::Tcp { tls: Some(_), .. }));
}

/// The CLI's own word for where its engine is.
#[test]
fn the_cli_agrees() {
    if Command::new("docker").arg("--version").output().is_err() {
        return eprintln!("not run: no docker CLI");
    }
    let folder = tempfile::tempdir().unwrap();
    context(&folder, "near", r#"{"Host":"unix:///near.sock","SkipTLSVerify":false}"#);
    context(&folder, "far", r#"{"Host":"tcp://far:1","SkipTLSVerify":false}"#);
    let hosts = [
        "",
        " ",
        "h:1",
        "h",
        "tcp://h",
        "tcp://:99",
        "tcp://",
        "tcp://[::1]:5",
        "tcp://u@h:1",
        "unix://",
        "unix:///x/y",
    ];
    for config in
        [r"{}", r#"{"currentContext":""}"#, r#"{"currentContext":"near"}"#, r#"{"currentContext":"default"}"#, "{"]
    {
        current(&folder, config);
        for (host, named) in hosts.iter().map(|host| (*host, "far")).chain([("", ""), ("", "default"), ("h:1", "")]) {
            let variables = [("DOCKER_HOST", host), ("DOCKER_CONTEXT", named)];
            let mut cli = Command::new("docker");
            cli.args(["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]).env("HOME", folder.path());
            let said =
                cli.envs(variables).env_remove("DOCKER_CONFIG").env_remove("DOCKER_TLS_VERIFY").output().unwrap();
            let said = String::from_utf8_lossy(&said.stdout).trim().to_owned();
            let mut at = with(&folder, &variables);
            at.default_socket = DEFAULT_SOCKET.into();
            let ours = found(&at);
            assert_eq!(ours.split(" (").next(), Some(said.as_str()), "{variables:?} {config}: {ours}");
        }
    }
}
