//! A gRPC service and its client, over real HTTP/2: a fault is a gRPC status.
#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use chaos_layer::{Act, ChaosControl, ChaosLayer, Rule, When};
use http::uri::PathAndQuery;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::client::{Grpc, GrpcService};
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::{ServiceBuilder, service_fn};

const MINUTE: Duration = Duration::from_secs(60);
const METHOD: &str = "/shop.Stock/Level";

/// What a generated server is, without the generator: it answers a sku with its length.
#[derive(Clone)]
struct Stock;

impl tonic::server::NamedService for Stock {
    const NAME: &'static str = "shop.Stock";
}

impl tower::Service<http::Request<Body>> for Stock {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let level = service_fn(async |sku: Request<String>| -> Result<Response<u64>, Status> {
                Ok(Response::new(sku.into_inner().len() as u64))
            });
            let codec = ProstCodec::<u64, String>::default();
            Ok(tonic::server::Grpc::new(codec).unary(level, request).await)
        })
    }
}

/// Serves under a layer of `control`.
async fn serve(control: ChaosControl) -> Channel {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder().layer(ChaosLayer::new(control)).add_service(Stock);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

async fn level<S: GrpcService<Body, ResponseBody = Body>>(service: S) -> Result<u64, Status> {
    let mut client = Grpc::new(service);
    client.ready().await.map_err(|_| Status::internal("not ready"))?;
    let codec = ProstCodec::<String, u64>::default();
    let sku = Request::new("tea".to_owned());
    Ok(client.unary(sku, PathAndQuery::from_static(METHOD), codec).await?.into_inner())
}

fn on_level(act: Act) -> Rule {
    Rule { when: When { path: Some(METHOD.to_owned()), ..When::default() }, ..act.into() }
}

fn cases() -> [(Act, Code); 5] {
    [
        (Act::Error { status: 503, grpc: None }, Code::Unavailable),
        (Act::Error { status: 500, grpc: None }, Code::Unknown),
        (Act::Error { status: 503, grpc: Some(9) }, Code::FailedPrecondition),
        (Act::Hang { at_most: Duration::from_millis(50) }, Code::DeadlineExceeded),
        (Act::RateLimit { requests: 0, per: MINUTE }, Code::ResourceExhausted),
    ]
}

#[tokio::test]
async fn a_server_answers_with_a_grpc_status() {
    let control = ChaosControl::new();
    let channel = serve(control.clone()).await;
    assert_eq!(level(channel.clone()).await.unwrap(), 3);
    for (act, code) in cases() {
        control.put("r", on_level(act.clone()), MINUTE).unwrap();
        assert_eq!(level(channel.clone()).await.unwrap_err().code(), code, "{act}");
        assert_eq!(control.rule("r").unwrap().bitten, 1);
        control.remove("r");
        assert_eq!(level(channel.clone()).await.unwrap(), 3, "after {act}");
    }
}

#[tokio::test]
async fn a_client_gets_a_grpc_status_without_a_call() {
    let (control, unused) = (ChaosControl::new(), ChaosControl::new());
    let channel = serve(unused.clone()).await;
    let client = ServiceBuilder::new().layer(ChaosLayer::new(control.clone())).service(channel);
    // Counts what reaches the server, and does nothing to it.
    unused.put("count", Rule { share: 0.0, ..on_level(Act::Error { status: 503, grpc: None }) }, MINUTE).unwrap();
    for (act, code) in cases() {
        control.put("r", on_level(act.clone()), MINUTE).unwrap();
        assert_eq!(level(client.clone()).await.unwrap_err().code(), code, "{act}");
        control.remove("r");
    }
    assert_eq!(unused.rule("count").unwrap().matched, 0);
    assert_eq!(level(client.clone()).await.unwrap(), 3);
    assert_eq!(unused.rule("count").unwrap().matched, 1);
}
