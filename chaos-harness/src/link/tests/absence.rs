//! A callee that is down refuses, through its link too.

use std::io::ErrorKind;

use super::*;

/// What 50 callers see, one after the other.
async fn callers(link: &LinkProxy) -> Vec<Result<TcpStream, ErrorKind>> {
    let mut seen = Vec::new();
    for _ in 0..50 {
        seen.push(soon(TcpStream::connect(link.addr())).await.map_err(|error| error.kind()));
    }
    seen
}

async fn refused(link: &LinkProxy) -> usize {
    let seen = callers(link).await;
    seen.iter().filter(|seen| matches!(seen, Err(ErrorKind::ConnectionRefused))).count()
}

/// An address where nobody listens, and nobody else will.
fn vacant() -> (socket2::Socket, SocketAddr) {
    let bound = |addr: SocketAddr| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&addr.into()).unwrap();
        let addr = socket.local_addr().unwrap().as_socket().unwrap();
        (socket, addr)
    };
    // The kernel gives a port back that it chose itself when the listening ends; so it is asked for by number.
    let (_finder, addr) = bound(SocketAddr::new(LOCAL, 0));
    bound(addr)
}

/// Lets the holder of an address listen.
fn listen(socket: socket2::Socket) -> TcpListener {
    socket.set_nonblocking(true).unwrap();
    socket.listen(64).unwrap();
    TcpListener::from_std(socket.into()).unwrap()
}

#[tokio::test]
async fn a_callee_that_is_known_to_be_down_refuses_every_time() {
    let server = Server::echo().await;
    let link = LinkProxy::bind(LOCAL, 7).unwrap();
    let addr = link.addr();
    assert_eq!(refused(&link).await, 50, "before it has ever been up");
    for round in 0..3 {
        link.set_upstream(Some(server.addr));
        let mut before = live(&link).await;
        link.set_upstream(None);
        assert_eq!(refused(&link).await, 50, "round {round}");
        assert!(std::net::TcpListener::bind(addr).is_err(), "the port stays reserved");
        assert_eq!(ping(&mut before, b"old").await, b"old", "a connection lives as long as its callee");
    }
    assert_eq!((link.counters().closings, link.counters().upstream_failed), (0, 0));
}

#[tokio::test]
async fn a_callee_that_does_not_listen_yet_refuses_from_the_second_caller_on() {
    let (socket, addr) = vacant();
    let link = LinkProxy::bind(LOCAL, 7).unwrap();
    link.set_upstream(Some(addr));
    assert_reset(&mut connect(&link).await).await;
    until(|| std::net::TcpStream::connect(link.addr()).is_err()).await;
    assert_eq!(refused(&link).await, 50);

    let listener = listen(socket);
    let began = std::time::Instant::now();
    let mut stream = soon(async {
        loop {
            match TcpStream::connect(link.addr()).await {
                Ok(stream) => return stream,
                Err(_) => tokio::time::sleep(ms(1)).await,
            }
        }
    })
    .await;
    println!("found after {:?}", began.elapsed());
    let (mut served, _) = soon(listener.accept()).await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    let mut heard = [0; 5];
    soon(served.read_exact(&mut heard)).await.unwrap();
    assert_eq!(&heard, b"hello", "the connection that found the callee is the first caller's");
    let second = tokio::time::timeout(ms(100), listener.accept()).await;
    assert!(second.is_err(), "one caller, one connection: {second:?}");
}

#[tokio::test]
async fn a_connection_that_found_the_callee_waits_for_no_caller_forever() {
    let (socket, addr) = vacant();
    let link = LinkProxy::bind(LOCAL, 7).unwrap();
    link.set_upstream(Some(addr));
    assert_reset(&mut connect(&link).await).await;
    let listener = listen(socket);
    let (mut unused, _) = soon(listener.accept()).await.unwrap();
    assert_eq!(soon(unused.read(&mut [0; 8])).await.unwrap(), 0, "it is closed after a moment");
    let _stream = connect(&link).await;
    soon(listener.accept()).await.unwrap();
}

#[tokio::test]
async fn a_callee_that_stops_listening_by_itself_is_seen_and_so_is_its_return() {
    let (socket, addr) = vacant();
    let again = socket.try_clone().unwrap();
    let listener = listen(socket);
    let link = LinkProxy::bind(LOCAL, 7).unwrap();
    link.set_upstream(Some(addr));
    let _open = connect(&link).await;
    soon(listener.accept()).await.unwrap();
    again.shutdown(std::net::Shutdown::Both).unwrap();
    drop(listener);
    drop(connect(&link).await);
    until(|| std::net::TcpStream::connect(link.addr()).is_err()).await;
    assert_eq!(refused(&link).await, 50);
    let listener = listen(again);
    until(|| std::net::TcpStream::connect(link.addr()).is_ok()).await;
    soon(listener.accept()).await.unwrap();
}

#[tokio::test]
async fn a_new_place_of_the_callee_ends_the_watch_on_the_old_one() {
    let (_socket, addr) = vacant();
    let server = Server::echo().await;
    let link = LinkProxy::bind(LOCAL, 7).unwrap();
    link.set_upstream(Some(addr));
    assert_reset(&mut connect(&link).await).await;
    until(|| std::net::TcpStream::connect(link.addr()).is_err()).await;
    link.set_upstream(Some(server.addr));
    live(&link).await;
    link.set_upstream(Some(addr));
    assert_reset(&mut connect(&link).await).await;
    until(|| std::net::TcpStream::connect(link.addr()).is_err()).await;
    soon(link.shutdown()).await;
}

#[tokio::test]
async fn a_refusal_and_an_absence_keep_the_port_closed_until_both_are_over() {
    let server = Server::echo().await;
    let link = link_to(&server);
    link.toxics().add("down", refuse()).unwrap();
    link.set_upstream(None);
    link.toxics().remove("down").unwrap();
    assert_eq!(refused(&link).await, 50);
    link.toxics().add("down", refuse()).unwrap();
    assert_eq!(link.counters().closings, 2, "a refusal counts on a closed port too");
    link.set_upstream(Some(server.addr));
    assert_eq!(refused(&link).await, 50);
    link.toxics().remove("down").unwrap();
    live(&link).await;
}

#[tokio::test]
async fn toxiproxy_accepts_where_nobody_is_and_ends_without_a_reset() {
    let (_socket, addr) = vacant();
    let anywhere = SocketAddr::new(LOCAL, 0);
    let link = LinkProxy::bind_with(anywhere, addr.into(), 7, Manner::Toxiproxy).unwrap();
    for _ in 0..3 {
        let mut stream = connect(&link).await;
        assert_eq!(soon(stream.read(&mut [0; 8])).await.unwrap(), 0);
    }
    let server = Server::echo().await;
    let link = LinkProxy::bind_with(anywhere, server.addr.into(), 7, Manner::Toxiproxy).unwrap();
    let mut stream = live(&link).await;
    soon(link.shutdown()).await;
    assert_eq!(soon(stream.read(&mut [0; 8])).await.unwrap(), 0);
}
