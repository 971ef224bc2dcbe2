//! HTTP in front of the control.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::FutureExt;
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use tokio::net::TcpListener;

use super::access::{Refused, check};
use super::connections::accept;
use super::{ApiError, BODY_LIMIT, Call, Control, Reply};

/// How long requests may still take when the server is told to end.
const GRACE: Duration = Duration::from_secs(1);

const NO_SNIFF: (HeaderName, &str) = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-toxiproxy-request-id");
const CLOSE: (HeaderName, &str) = (header::CONNECTION, "close");
const PLAIN: (HeaderName, &str) = (header::CONTENT_TYPE, "text/plain; charset=utf-8");

/// How long a client may take for the body of a request, as toxiproxy has it.
const BODY_WITHIN: Duration = Duration::from_secs(15);

/// Serves the control API on `listener` until `end`, then stops all proxies.
pub async fn serve(listener: TcpListener, control: Arc<Control>, end: impl Future<Output = ()> + Send + 'static) {
    let end = end.shared();
    let router = Router::new()
        .fallback(answer)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(map_response(numbered))
        .with_state(Arc::clone(&control));
    let late = end.clone().then(|()| tokio::time::sleep(GRACE));
    tokio::select! {
        () = accept(listener, router, end) => {}
        () = late => {}
    }
    control.shutdown().await;
}

/// Marks an answer with a name of its own, as toxiproxy does.
async fn numbered(mut response: Response) -> Response {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let digits: [u8; 20] = std::array::from_fn(|_| DIGITS[rand::random_range(0..DIGITS.len())]);
    if let Ok(id) = HeaderValue::from_bytes(&digits) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

async fn answer(State(control): State<Arc<Control>>, method: Method, uri: Uri, request: Request) -> Response {
    let allowed = check(request.version(), &uri, request.headers(), &control.settings().hosts);
    if let Err(Refused(status, text)) = allowed {
        return (status, [PLAIN, NO_SNIFF], text + "\n").into_response();
    }
    let log = control.settings().log;
    let Ok(body) = tokio::time::timeout(BODY_WITHIN, Bytes::from_request(request, &())).await else {
        return (StatusCode::REQUEST_TIMEOUT, [CLOSE]).into_response();
    };
    let call = body.map_err(unread).and_then(|body| Call::parse(method.as_str(), uri.path(), &body));
    // A task of its own: what has been begun is ended, even if the client goes away meanwhile.
    let work = tokio::spawn(async move { control.handle(call?).await });
    let response = match work.await {
        Ok(Ok(reply)) => written(reply),
        Ok(Err(error)) => refused(&error),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    if method != Method::GET {
        log(format_args!("{method} {} {}", uri.path(), response.status().as_u16()));
    }
    response
}

fn unread(rejection: BytesRejection) -> ApiError {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLarge,
        _ => ApiError::BadBody("unexpected EOF".to_owned()),
    }
}

fn written(Reply { status, content_type, body }: Reply) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match body.is_empty() && status == StatusCode::NO_CONTENT {
        true => status.into_response(),
        false => (status, [(header::CONTENT_TYPE, content_type)], body).into_response(),
    }
}

/// Errors are JSON that calls itself plain text, as Go's `http.Error` makes it.
fn refused(error: &ApiError) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let text = match error {
        ApiError::MethodNotAllowed => return status.into_response(),
        ApiError::NoSuchPath => error.to_string(),
        error => serde_json::to_string(&error.wire()).unwrap_or_default(),
    };
    (status, [PLAIN, NO_SNIFF], text + "\n").into_response()
}
