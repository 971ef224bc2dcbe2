//! Where a link listens and where it connects on to, when its user says so.

use super::*;

/// A port that was free a moment ago.
fn free_addr() -> SocketAddr {
    std::net::TcpListener::bind((LOCAL, 0)).unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn a_given_port_is_bound_and_again_after_a_shutdown_under_load() {
    let server = Server::echo().await;
    let addr = free_addr();
    for round in 0..5 {
        let link = LinkProxy::bind_at(addr, server.addr, 7).unwrap();
        assert_eq!(link.addr(), addr, "round {round}");
        let mut stream = live(&link).await;
        link.shutdown().await;
        assert_reset(&mut stream).await;
    }
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_says_so() {
    let server = Server::echo().await;
    let error = LinkProxy::bind_at(server.addr, server.addr, 7).unwrap_err();
    assert!(matches!(error, LinkError::PortInUse(addr) if addr == server.addr), "{error:?}");
    assert!(error.to_string().contains(&server.addr.port().to_string()), "{error}");

    let first = LinkProxy::bind_at(SocketAddr::new(LOCAL, 0), server.addr, 7).unwrap();
    let refused =
        |link: &LinkProxy| matches!(LinkProxy::bind_at(link.addr(), server.addr, 7), Err(LinkError::PortInUse(_)));
    assert!(refused(&first), "an open link has its port");
    first.toxics().add("refuse", refuse()).unwrap();
    assert!(refused(&first), "and keeps it while it refuses");
}

#[tokio::test]
async fn an_address_of_another_machine_is_an_error() {
    let error = LinkProxy::bind_at("192.0.2.1:0".parse().unwrap(), "localhost:1", 7).unwrap_err();
    assert!(matches!(error, LinkError::Listen { .. }), "{error:?}");
}

#[tokio::test]
async fn every_interface_is_bound_only_where_it_is_named() {
    let server = Server::echo().await;
    let link = LinkProxy::bind_at("0.0.0.0:0".parse().unwrap(), server.addr, 7).unwrap();
    assert!(link.addr().ip().is_unspecified());
    let mut stream = TcpStream::connect((LOCAL, link.addr().port())).await.unwrap();
    assert_eq!(ping(&mut stream, b"hello").await, b"hello");
}

#[tokio::test]
async fn a_name_is_looked_up_for_every_connection() {
    let server = Server::echo().await;
    let name = format!("localhost:{}", server.addr.port());
    let link = LinkProxy::bind_at(SocketAddr::new(LOCAL, 0), &*name, 7).unwrap();
    live(&link).await;
    live(&link).await;
    let counters = link.counters();
    assert_eq!((counters.accepted, counters.upstream_failed), (2, 0));
}

#[tokio::test]
async fn a_name_that_is_none_is_a_callee_that_is_down() {
    for name in ["nobody.invalid:80", "no port", "", "localhost:99999"] {
        let link = LinkProxy::bind_at(SocketAddr::new(LOCAL, 0), name, 7).unwrap();
        assert_reset(&mut connect(&link).await).await;
        assert_eq!(link.counters().upstream_failed, 1, "{name}");
    }
}

#[tokio::test]
async fn what_comes_in_is_counted_even_where_nothing_goes_out() {
    let server = Server::named(b"hello").await;
    let link = link_to(&server);
    link.toxics().add("hole", black_hole()).unwrap();
    let mut stream = connect(&link).await;
    stream.write_all(b"anybody there?").await.unwrap();
    until(|| link.counters().stalled_bytes == 14).await;
    assert_eq!((link.received(), link.counters().bytes_up), (Received { up: 14, down: 0 }, 0));
    link.toxics().clear().unwrap();
    soon(stream.read_exact(&mut [0; 5])).await.unwrap();
    assert_eq!(link.received(), Received { up: 14, down: 5 });
}
