//! HTTP toxics as data.

use super::*;

#[test]
fn they_are_data_that_people_can_read() {
    let when = RequestMatch {
        method: Some("POST".into()),
        headers: vec![HeaderMatch { name: "x-tenant".into(), value: Some("a".into()) }],
        share: 0.2,
        ..on("/reserve/*")
    };
    let toxic = http(when, HttpAction::Delay { by: ms(1500), before: Part::Body });
    let json = serde_json::json!({
        "kind": "http",
        "when": {
            "method": "POST", "path": "/reserve/*", "headers": [{"name": "x-tenant", "value": "a"}], "share": 0.2
        },
        "act": {"delay": {"by": "1s 500ms", "before": "body"}},
        "direction": "both", "probability": 1.0
    });
    assert_eq!(serde_json::to_value(&toxic).unwrap(), json);
    assert_eq!(serde_json::from_value::<Toxic>(json).unwrap(), toxic);
    let ToxicSpec::Http(toxic) = toxic.spec else { panic!() };
    assert_eq!(toxic.to_string(), "delay of the body 1s 500ms on 20% of POST /reserve/* with x-tenant: a");
    let grpc: Toxic =
        serde_json::from_str(r#"{"kind": "http", "act": {"grpc_abort": {"code": "UNAVAILABLE"}}}"#).unwrap();
    let ToxicSpec::Http(grpc) = grpc.spec else { panic!() };
    assert_eq!(grpc.to_string(), "abort UNAVAILABLE on requests");
}

#[test]
fn unknown_words_are_errors() {
    for json in [
        r#"{"kind": "http"}"#,
        r#"{"kind": "http", "act": {"abort": {"status": 503, "text": "x"}}}"#,
        r#"{"kind": "http", "act": {"explode": {}}}"#,
        r#"{"kind": "http", "act": {"abort": {"status": 503}}, "when": {"verb": "GET"}}"#,
        r#"{"kind": "http", "act": {"grpc_abort": {"code": "TIRED"}}}"#,
    ] {
        serde_json::from_str::<Toxic>(json).expect_err(json);
    }
}

#[tokio::test]
async fn nonsense_is_named() {
    let link = LinkProxy::bind_http(LOCAL, 7).unwrap();
    let all = RequestMatch::default;
    let set = |name: &str, value: &str| HttpAction::SetHeader {
        on: Message::Request,
        name: name.into(),
        value: value.into(),
    };
    for (when, act, field) in [
        (all(), abort(101), "status"),
        (all(), abort(600), "status"),
        (all(), delay(Duration::from_secs(3601)), "by"),
        (all(), HttpAction::Corrupt { every: 0 }, "every"),
        (all(), set("content-length", "1"), "name"),
        (all(), set("a b", "1"), "name"),
        (all(), set(":path", "/"), "name"),
        (all(), set("a", "1\r\nb: 2"), "value"),
        (all(), HttpAction::DropHeader { on: Message::Response, name: "Connection".into() }, "name"),
        (all(), HttpAction::RateLimit { requests: 1, per: Duration::ZERO }, "per"),
        (on("stock"), abort(500), "path"),
        (RequestMatch { method: Some("G ET".into()), ..all() }, abort(500), "method"),
        (RequestMatch { share: 1.5, ..all() }, abort(500), "share"),
        (RequestMatch { nth_of_trace: Some(0), ..all() }, abort(500), "nth_of_trace"),
        (RequestMatch { every: Some(0), ..all() }, abort(500), "every"),
        (RequestMatch { first: Some(0), ..all() }, abort(500), "first"),
    ] {
        match link.toxics().add("odd", http(when, act)) {
            Err(LinkError::Invalid { source, .. }) => assert_eq!(source.field, field),
            other => panic!("{field}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_link_that_is_not_http_says_so() {
    let link = LinkProxy::bind(LOCAL, 7).unwrap();
    let error = link.toxics().add("abort", http(RequestMatch::default(), abort(503))).unwrap_err();
    assert!(matches!(&error, LinkError::NotHttp { name, .. } if name == "abort"), "{error:?}");
    assert!(error.to_string().contains("is not declared HTTP"), "{error}");
    link.toxics().add("slow", latency(ms(1))).unwrap();
    assert!(matches!(link.toxics().update("slow", idle()), Err(LinkError::NotHttp { .. })));
    assert_eq!(link.toxics().list(), [("slow".to_owned(), latency(ms(1)))]);
}
