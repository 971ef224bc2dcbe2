//! The binary: arguments, configuration, signals.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStderr, Command, Stdio};

use super::*;

/// A running `chaos-proxy`; killed when dropped.
pub(super) struct Process {
    child: Child,
    stderr: Option<BufReader<ChildStderr>>,
}

impl Process {
    pub(super) fn spawn(arguments: &[&str]) -> Self {
        Self::start(Command::new(env!("CARGO_BIN_EXE_chaos-proxy")), arguments)
    }

    /// The same, with all its threads on the first core that this process may use.
    pub(super) fn on_one_core(arguments: &[&str]) -> Self {
        let cores = rustix::thread::sched_getaffinity(None).unwrap();
        let first = (0..rustix::thread::CpuSet::MAX_CPU).find(|core| cores.is_set(*core)).unwrap();
        let mut command = Command::new("taskset");
        command.args(["-c", &first.to_string(), env!("CARGO_BIN_EXE_chaos-proxy")]);
        Self::start(command, arguments)
    }

    fn start(mut command: Command, arguments: &[&str]) -> Self {
        command.args(arguments).env_remove("CHAOS_SEED").stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = child.stderr.take().map(BufReader::new);
        Self { child, stderr }
    }

    /// Reads on to the line that contains `mark`; what follows it.
    pub(super) fn after(&mut self, mark: &str) -> String {
        let mut line = String::new();
        while self.stderr.as_mut().unwrap().read_line(&mut line).unwrap() > 0 {
            if let Some((_, rest)) = line.split_once(mark) {
                return rest.trim().to_owned();
            }
            line.clear();
        }
        panic!("it ended without saying `{mark}`");
    }

    pub(super) fn client(&mut self) -> Client {
        Client::new(self.after("control API on http://").parse().unwrap())
    }

    pub(super) fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Its exit status and its last words.
    pub(super) fn end(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        let words = self.stderr.as_mut().map_or(Ok(String::new()), std::io::read_to_string);
        (status.code(), words.unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[tokio::test]
async fn it_starts_with_a_configuration_and_ends_with_a_signal() {
    let echo = echo().await;
    for (signal, dashes) in [("-TERM", "--"), ("-INT", "-")] {
        let list = json!([{"name": "web", "listen": "127.0.0.1:0", "upstream": echo.to_string()}]);
        let config = file(&list.to_string());
        let option = |name: &str| format!("{dashes}{name}");
        let path = config.path().to_str().unwrap();
        let mut process = Process::spawn(&[
            &option("host=127.0.0.1"),
            &option("port"),
            "0",
            &option("config"),
            path,
            &option("seed=-5"),
            &option("proxy-metrics"),
            &option("runtime-metrics=true"),
        ]);
        let client = process.client();
        let proxy = client.ok("GET", "/proxies/web", Value::Null).await;
        let listen: SocketAddr = proxy["listen"].as_str().unwrap().parse().unwrap();
        let mut stream = live(listen).await;
        assert!(client.text("GET", "/metrics", "").await.1.contains("toxiproxy_proxy_sent_bytes_total"));
        process.signal(signal);
        end_of(&mut stream).await;
        let (status, words) = process.end();
        assert_eq!(status, Some(0), "{words}");
        assert!(words.contains("web") && words.contains("closed"), "{words}");
        assert!(!is_open(listen));
    }
}

#[tokio::test]
async fn it_ends_even_while_a_request_hangs() {
    let mut process = Process::spawn(&["--port", "0"]);
    let client = process.client();
    let mut half = connect(client.base.trim_start_matches("http://").parse().unwrap()).await;
    half.write_all(b"POST /proxies HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{").await.unwrap();
    client.ok("GET", "/proxies", Value::Null).await;
    process.signal("-TERM");
    assert_eq!(process.end().0, Some(0));
}

#[tokio::test]
async fn it_goes_on_when_nobody_reads_what_it_says() {
    let mut process = Process::spawn(&["--port", "0"]);
    let client = process.client();
    process.stderr = None;
    client.proxy("web", echo().await).await;
    client.ok("DELETE", "/proxies/web", Value::Null).await;
    process.signal("-TERM");
    assert_eq!(process.end().0, Some(0));
}

#[tokio::test]
async fn what_cannot_work_ends_it_with_a_reason() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let taken_again = TcpListener::bind(taken).await.unwrap();
    let port = taken.port().to_string();
    let (broken, missing) = (file("[{"), file(r#"[{"name": "a"}]"#));
    let busy = file(&json!([{"name": "a", "upstream": "b:1", "listen": taken.to_string()}]).to_string());
    let path = |file: &tempfile::NamedTempFile| file.path().to_str().unwrap().to_owned();
    for (arguments, reason) in [
        (["--port", &port], "choose another --port"),
        (["--config", "/nowhere/toxiproxy.json"], "/nowhere/toxiproxy.json: No such file"),
        (["--config", &path(&broken)], "bad request body: unexpected EOF"),
        (["--config", &path(&missing)], "missing required field: upstream at proxy 1"),
        (["--config", &path(&busy)], "address already in use"),
    ] {
        let (status, words) = Process::spawn(&arguments).end();
        assert!(status == Some(1) && words.contains(reason), "{arguments:?}: {status:?} {words}");
    }
    drop(taken_again);
}

#[tokio::test]
async fn the_seed_is_told_and_taken() {
    let mut process = Process::spawn(&["--port=0", "--seed=42"]);
    assert_eq!(process.after(", seed "), "42");
    let (status, words) = Process::spawn(&["--seed", "much"]).end();
    assert!(status == Some(2) && words.contains("--seed"), "{status:?} {words}");
}
