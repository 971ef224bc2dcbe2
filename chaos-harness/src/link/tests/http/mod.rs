//! HTTP toxics, with real peers.

use super::*;
use crate::link::http::{Abort, GrpcCode, HeaderMatch, Http, HttpAction, Message, Part, RequestMatch};

mod answers;
mod bytes;
mod h1;
mod h1_toxics;
mod h2;
mod h2_order;
mod h2_toxics;
mod live;
mod matching;
mod read;
mod spec;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn http_link_to(addr: SocketAddr) -> LinkProxy {
    let link = LinkProxy::bind_http(LOCAL, 7).unwrap();
    link.set_upstream(Some(addr));
    link
}

fn abort(status: u16) -> HttpAction {
    HttpAction::Abort(Abort::new(status))
}

fn delay(by: Duration) -> HttpAction {
    HttpAction::Delay { by, before: Part::Headers }
}

fn on(path: &str) -> RequestMatch {
    RequestMatch { path: Some(path.to_owned()), ..RequestMatch::default() }
}

fn http(when: RequestMatch, act: HttpAction) -> Toxic {
    Toxic::new(Http { when, act })
}

/// A toxic that is there but fits no request.
fn idle() -> Toxic {
    http(on("/never"), abort(500))
}
