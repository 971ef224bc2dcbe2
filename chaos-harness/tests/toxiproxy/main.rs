//! The stand-alone proxy as its clients see it: over HTTP, and on real connections. Only loopback, every wait bounded.
#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chaos_harness::toxiproxy::{Control, Settings, serve};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

mod api;
mod bounds;
mod drop_in;
mod effects;
mod errors;
mod process;
mod upstream_tests;

/// Nothing on this machine takes longer, unless it is broken.
const SOON: Duration = Duration::from_secs(20);

async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(SOON, future).await.expect("it should have happened within 20 s")
}

/// A client of a control API.
#[derive(Clone)]
struct Client {
    base: String,
    http: reqwest::Client,
}

impl Client {
    fn new(addr: SocketAddr) -> Self {
        Self { base: format!("http://{addr}"), http: reqwest::Client::new() }
    }

    async fn send(&self, method: &str, path: &str, body: impl Into<reqwest::Body>) -> reqwest::Response {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        soon(self.http.request(method, format!("{}{path}", self.base)).body(body).send()).await.unwrap()
    }

    async fn text(&self, method: &str, path: &str, body: impl Into<reqwest::Body>) -> (u16, String) {
        let response = self.send(method, path, body).await;
        (response.status().as_u16(), soon(response.text()).await.unwrap())
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, text) = self.text(method, path, body).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// What must work.
    async fn ok(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// A proxy on a free port; says where.
    async fn proxy(&self, name: &str, upstream: SocketAddr) -> SocketAddr {
        let body = json!({"name": name, "listen": "127.0.0.1:0", "upstream": upstream.to_string()});
        let made = self.ok("POST", "/proxies", body).await;
        made["listen"].as_str().unwrap().parse().unwrap()
    }

    async fn toxic(&self, proxy: &str, kind: &str, stream: &str, attributes: Value) {
        let body = json!({"type": kind, "stream": stream, "attributes": attributes});
        self.ok("POST", &format!("/proxies/{proxy}/toxics"), body).await;
    }
}

/// A control API in this process.
struct Server {
    client: Client,
    end: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start() -> Self {
        Self::seeded(7).await
    }

    async fn seeded(seed: u64) -> Self {
        Self::with(Settings { seed, ..Settings::default() }).await
    }

    async fn with(settings: Settings) -> Self {
        let control = Control::new(Settings { proxy_metrics: true, ..settings });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = Client::new(listener.local_addr().unwrap());
        let (end, ended) = oneshot::channel();
        let task = tokio::spawn(async move {
            let ended = async move { drop(ended.await) };
            serve(listener, Arc::new(control), ended).await;
        });
        Self { client, end: Some(end), task }
    }

    async fn stop(mut self) {
        drop(self.end.take());
        soon(self.task).await.unwrap();
    }
}

impl std::ops::Deref for Server {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// A server on loopback that treats each connection with `serve`, for as long as the test runs.
async fn upstream<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    addr
}

/// Sends back what it gets.
async fn echo() -> SocketAddr {
    upstream(|mut stream| async move {
        let (mut read, mut write) = stream.split();
        let _ = tokio::io::copy(&mut read, &mut write).await;
    })
    .await
}

async fn connect(addr: SocketAddr) -> TcpStream {
    let stream = soon(TcpStream::connect(addr)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Sends `data` and reads as many bytes back.
async fn ping(stream: &mut TcpStream, data: &[u8]) -> std::io::Result<()> {
    soon(async {
        stream.write_all(data).await?;
        let mut answer = vec![0; data.len()];
        stream.read_exact(&mut answer).await?;
        assert!(answer == data, "something else came back");
        Ok(())
    })
    .await
}

/// A connection that is known to be open all the way.
async fn live(addr: SocketAddr) -> TcpStream {
    let mut stream = connect(addr).await;
    ping(&mut stream, b"hello").await.unwrap();
    stream
}

/// Waits for the end of a connection, by FIN or RST; says how many bytes came before.
async fn end_of(stream: &mut TcpStream) -> usize {
    let (mut total, mut buffer) = (0, [0; 4096]);
    while let Ok(n @ 1..) = soon(stream.read(&mut buffer)).await {
        total += n;
    }
    total
}

fn is_open(addr: SocketAddr) -> bool {
    std::net::TcpStream::connect_timeout(&addr, SOON).is_ok()
}

/// The lower quartile: other work on the machine only adds time.
fn quartile(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 4]
}
