//! What is wrong with a request: status and body as toxiproxy has them, and nothing has changed.

use rstest::rstest;

use super::*;

/// `web` with a latency called `slow`, and what `/proxies` says of it.
async fn server() -> (Server, Value) {
    let server = Server::start().await;
    let new = json!({"name": "web", "listen": "127.0.0.1:0", "upstream": "localhost:1", "enabled": false});
    server.ok("POST", "/proxies", new).await;
    let toxic = json!({"name": "slow", "type": "latency", "attributes": {"latency": 5}});
    server.ok("POST", "/proxies/web/toxics", toxic).await;
    let state = server.ok("GET", "/proxies", Value::Null).await;
    (server, state)
}

#[rstest]
#[case("POST", "/proxies", "", 400, "bad request body: EOF")]
#[case("POST", "/proxies", r#"{"name""#, 400, "bad request body: unexpected EOF")]
#[case("POST", "/proxies", "[]", 400, "bad request body: expected an object, found an array")]
#[case("POST", "/proxies", r#"{"name": 5}"#, 400, "bad request body: name: expected a string, found 5")]
#[case("POST", "/proxies", "{}", 400, "missing required field: name")]
#[case("POST", "/proxies", "null", 400, "missing required field: name")]
#[case("POST", "/proxies", r#"{"name": "a"}"#, 400, "missing required field: upstream")]
#[case("POST", "/proxies", r#"{"name": "web", "upstream": "b:1"}"#, 409, "proxy already exists")]
#[case(
    "POST",
    "/proxies",
    r#"{"name": "a", "upstream": "b:1", "listen": "c"}"#,
    500,
    "listen tcp: address c: missing port in address"
)]
#[case(
    "POST",
    "/proxies",
    r#"{"name": "a", "upstream": "b:1", "listen": "192.0.2.1:0"}"#,
    500,
    "listen tcp 192.0.2.1:0: bind: cannot assign requested address"
)]
#[case("POST", "/populate", "{}", 400, "bad request body: expected an array of proxies")]
#[case(
    "POST",
    "/populate",
    r#"[{"name": "a", "upstream": "b:1"}, {"name": "c"}]"#,
    400,
    "missing required field: upstream at proxy 2"
)]
#[case("GET", "/proxies/nobody", "", 404, "proxy not found")]
#[case("PATCH", "/proxies/nobody", "{", 404, "proxy not found")]
#[case("PATCH", "/proxies/web", "{", 400, "bad request body: unexpected EOF")]
#[case(
    "PATCH",
    "/proxies/web",
    r#"{"enabled": "no"}"#,
    400,
    "bad request body: enabled: expected true or false, found a string"
)]
#[case("PATCH", "/proxies/web", r#"{"listen": "c"}"#, 500, "address c: missing port in address")]
#[case("DELETE", "/proxies/nobody", "", 404, "proxy not found")]
#[case("GET", "/proxies/nobody/toxics", "", 404, "proxy not found")]
#[case("POST", "/proxies/nobody/toxics", "{", 404, "proxy not found")]
#[case("POST", "/proxies/web/toxics", "{}", 400, "invalid toxic type")]
#[case("POST", "/proxies/web/toxics", r#"{"type": "gremlin"}"#, 400, "invalid toxic type")]
#[case(
    "POST",
    "/proxies/web/toxics",
    r#"{"type": "latency", "stream": "sideways"}"#,
    400,
    "stream was invalid, can be either upstream or downstream"
)]
#[case(
    "POST",
    "/proxies/web/toxics",
    r#"{"type": "latency", "name": "slow", "attributes": {"latency": 1.5}}"#,
    409,
    "toxic already exists"
)]
#[case(
    "POST",
    "/proxies/web/toxics",
    r#"{"type": "bandwidth", "attributes": {"rate": -1}}"#,
    400,
    "bad request body: rate: -1 is less than 0"
)]
#[case(
    "POST",
    "/proxies/web/toxics",
    r#"{"type": "slicer", "attributes": {"average_size": 5, "size_variation": -1}}"#,
    400,
    "bad request body: size_variation: -1 is less than 0"
)]
#[case(
    "POST",
    "/proxies/web/toxics",
    r#"{"type": "latency", "attributes": {"latency": 1.5}}"#,
    400,
    "bad request body: latency: expected a whole number of 64 bits, found 1.5"
)]
#[case(
    "POST",
    "/proxies/web/toxics",
    r#"{"type": "latency", "attributes": 5}"#,
    400,
    "bad request body: attributes: expected an object, found 5"
)]
#[case(
    "POST",
    "/proxies/web/toxics",
    r#"{"type": "timeout", "attributes": {"timeout": 18446744073709551615}}"#,
    400,
    "bad request body: timeout: expected a whole number of 64 bits, found 18446744073709551615"
)]
#[case("POST", "/proxies/web/toxics", r#"{"type": "slicer"}"#, 400, "bad request body: average_size: 0 is less than 1")]
#[case(
    "POST",
    "/proxies/web/toxics",
    r#"{"type": "latency", "toxicity": 1.5}"#,
    400,
    "bad request body: toxicity: expected a number within 0 and 1, found 1.5"
)]
#[case("GET", "/proxies/web/toxics/nothing", "", 404, "toxic not found")]
#[case("PATCH", "/proxies/web/toxics/nothing", "{", 404, "toxic not found")]
#[case("PATCH", "/proxies/web/toxics/slow", "{", 400, "bad request body: unexpected EOF")]
#[case(
    "PATCH",
    "/proxies/web/toxics/slow",
    r#"{"attributes": {"jitter": "much"}}"#,
    400,
    "bad request body: jitter: expected a whole number of 64 bits, found a string"
)]
#[case("DELETE", "/proxies/web/toxics/nothing", "", 404, "toxic not found")]
#[tokio::test]
async fn nonsense_is_named_and_changes_nothing(
    #[case] method: &str,
    #[case] path: &str,
    #[case] body: &'static str,
    #[case] status: u16,
    #[case] error: &str,
) {
    let (server, before) = server().await;
    let (got, answer) = answer_to(&server, method, path, body).await;
    assert_eq!((got, &answer["error"], &answer["status"]), (status, &json!(error), &json!(status)));
    assert_eq!(server.ok("GET", "/proxies", Value::Null).await, before, "nothing has changed");
    server.stop().await;
}

async fn answer_to(server: &Server, method: &str, path: &str, body: &'static str) -> (u16, Value) {
    let (status, text) = server.text(method, path, body).await;
    assert!(text.ends_with("}\n") || path == "/populate", "{text}");
    (status, serde_json::from_str(&text).unwrap())
}

#[rstest]
#[case("GET", "/", 404, "404 page not found\n")]
#[case("GET", "/proxies/", 404, "404 page not found\n")]
#[case("GET", "/proxies/web/nothing", 404, "404 page not found\n")]
#[case("PUT", "/proxies", 405, "")]
#[case("DELETE", "/proxies/web/toxics", 405, "")]
#[case("GET", "/reset", 405, "")]
#[case("POST", "/version", 405, "")]
#[tokio::test]
async fn paths_and_methods_are_looked_at(
    #[case] method: &str,
    #[case] path: &str,
    #[case] status: u16,
    #[case] text: &str,
) {
    assert_eq!(Server::start().await.text(method, path, "").await, (status, text.to_owned()));
}

#[tokio::test]
async fn pages_in_a_browser_are_kept_out() {
    let (server, before) = server().await;
    let request = server.http.delete(format!("{}/proxies/web", server.base));
    let response = request.header("user-agent", "Mozilla/5.0 (X11; Linux x86_64)").send().await.unwrap();
    assert_eq!(response.status().as_u16(), 403);
    assert_eq!(response.text().await.unwrap(), "User agent not allowed\n");
    assert_eq!(server.ok("GET", "/proxies", Value::Null).await, before);
}

#[tokio::test]
async fn a_huge_body_is_refused_and_forgotten() {
    let (server, before) = server().await;
    let padding = " ".repeat(1 << 20);
    let (status, answer) = answer_to(&server, "POST", "/proxies", String::leak(padding + "{}")).await;
    assert_eq!(status, 413);
    assert_eq!(answer["error"], "request body too large: the limit is 1048576 bytes");
    let fits = format!("{}{{}}", " ".repeat((1 << 20) - 2));
    assert_eq!(server.text("POST", "/proxies", fits).await.0, 400);
    assert_eq!(server.ok("GET", "/proxies", Value::Null).await, before);
}

#[tokio::test]
async fn errors_are_labelled_as_in_go() {
    let (server, _) = server().await;
    let response = server.send("GET", "/proxies/nobody", "").await;
    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn without_metrics_there_is_no_such_page() {
    use chaos_harness::toxiproxy::{ApiError, Call};
    let control = Control::new(Settings::default());
    assert_eq!(control.handle(Call::Metrics).await, Err(ApiError::NoSuchPath));
}
