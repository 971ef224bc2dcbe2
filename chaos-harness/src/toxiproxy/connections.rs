//! The connections of the control API, with bounds on what each may take: whoever connects and says nothing, or never comes
//! to an end, is closed.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// How long a client may take for the head of a request, as toxiproxy has it. It counts from the connection, or from the
/// answer before: so one that is idle for longer is closed.
const HEAD_WITHIN: Duration = Duration::from_secs(15);
/// The largest head of a request, in bytes.
const HEAD_LIMIT: usize = 1 << 16;
/// How many connections there may be; others wait until they are accepted.
const AT_A_TIME: usize = 512;
/// The pause after a failure to accept: descriptors may be short.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until `end`, then has each end its answer.
pub(super) async fn accept(
    listener: TcpListener,
    router: Router,
    end: impl Future<Output = ()> + Clone + Send + 'static,
) {
    let free = Arc::new(Semaphore::new(AT_A_TIME));
    let mut ending = pin!(end.clone());
    loop {
        // Never closed.
        let Ok(place) = Arc::clone(&free).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut ending => break,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let answers = answer_all(stream, router.clone(), end.clone());
        tokio::spawn(async move {
            // A client that breaks off is no failure of ours.
            let _ = answers.await;
            drop(place);
        });
    }
    drop(listener);
    // All places are free when all have ended.
    let _ = free.acquire_many(u32::try_from(AT_A_TIME).unwrap_or(u32::MAX)).await;
}

async fn answer_all(stream: TcpStream, router: Router, end: impl Future<Output = ()>) -> io::Result<()> {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(HEAD_LIMIT);
    let mut connection = pin!(server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    tokio::select! {
        ended = &mut connection => return ended.map_err(io::Error::other),
        () = end => connection.as_mut().graceful_shutdown(),
    }
    connection.await.map_err(io::Error::other)
}
