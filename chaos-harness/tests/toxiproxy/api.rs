//! What each endpoint does and answers.

use super::*;

#[tokio::test]
async fn a_proxy_comes_and_goes() {
    let (server, echo) = (Server::start().await, echo().await);
    assert_eq!(server.call("GET", "/proxies", Value::Null).await, (200, json!({})));
    let new = json!({"name": "web", "listen": "127.0.0.1:0", "upstream": echo.to_string()});
    let (status, made) = server.call("POST", "/proxies", new).await;
    let listen: SocketAddr = made["listen"].as_str().unwrap().parse().unwrap();
    let expected = json!({
        "name": "web", "listen": listen.to_string(), "upstream": echo.to_string(), "enabled": true, "toxics": []
    });
    assert_eq!((status, &made), (201, &expected));
    assert_eq!(server.ok("GET", "/proxies", Value::Null).await, json!({"web": expected}));
    assert_eq!(server.ok("GET", "/proxies/web", Value::Null).await, expected);
    let mut stream = live(listen).await;
    assert_eq!(server.text("DELETE", "/proxies/web", "").await, (204, String::new()));
    end_of(&mut stream).await;
    assert!(!is_open(listen), "the port is free again");
    assert_eq!(server.ok("GET", "/proxies", Value::Null).await, json!({}));
}

#[tokio::test]
async fn fields_keep_their_order_and_form() {
    let server = Server::start().await;
    let new = r#"{"name":"a","listen":"127.0.0.1:1","upstream":"b:1","enabled":false}"#;
    let made = r#"{"name":"a","listen":"127.0.0.1:1","upstream":"b:1","enabled":false,"toxics":[]}"#;
    assert_eq!(server.text("POST", "/proxies", new).await, (201, made.to_owned()));
    let added = r#"{"attributes":{"latency":5,"jitter":0},"name":"latency_upstream","type":"latency","stream":"upstream","toxicity":1}"#;
    let new = r#"{"type":"latency","stream":"upstream","attributes":{"latency":5}} and more"#;
    assert_eq!(server.text("POST", "/proxies/a/toxics", new).await, (200, added.to_owned()));
    let changed = added.replace("\"toxicity\":1", "\"toxicity\":0.1");
    let change = r#"{"toxicity": 0.1}"#;
    assert_eq!(server.text("PATCH", "/proxies/a/toxics/latency_upstream", change).await, (200, changed));
}

#[tokio::test]
async fn json_is_read_as_go_reads_it() {
    let server = Server::start().await;
    let new = json!({"Name": "a", "UPSTREAM": "b:1", "listen": null, "enabled": false, "unknown": [1, 2]});
    let made = server.ok("POST", "/proxies", new).await;
    assert_eq!(made, json!({"name": "a", "listen": "", "upstream": "b:1", "enabled": false, "toxics": []}));
    let toxic = json!({"type": "latency", "name": "", "stream": null, "toxicity": null, "attributes": null});
    let toxic = server.ok("POST", "/proxies/a/toxics", toxic).await;
    assert_eq!((&toxic["name"], &toxic["toxicity"]), (&json!("latency_downstream"), &json!(1)));
}

#[tokio::test]
async fn toxics_have_defaults_and_are_changed_in_part() {
    let (server, echo) = (Server::start().await, echo().await);
    server.proxy("web", echo).await;
    server.toxic("web", "latency", "downstream", json!({"latency": 10, "jitter": 5})).await;
    server.toxic("web", "slow_close", "upstream", json!({"delay": 7})).await;
    let list = server.ok("GET", "/proxies/web/toxics", Value::Null).await;
    let names: Vec<_> = list.as_array().unwrap().iter().map(|toxic| toxic["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["slow_close_upstream", "latency_downstream"], "those of the stream upstream come first");

    let path = "/proxies/web/toxics/latency_downstream";
    for method in ["POST", "PATCH"] {
        let change = json!({"attributes": {"latency": 20}, "name": "other", "stream": "upstream"});
        let changed = server.ok(method, path, change).await;
        assert_eq!(changed["attributes"], json!({"latency": 20, "jitter": 5}));
        assert_eq!(changed["name"], "latency_downstream", "name, type and stream stay");
        assert_eq!(server.ok("GET", path, Value::Null).await, changed);
    }
    assert_eq!(server.text("DELETE", path, "").await, (204, String::new()));
    assert_eq!(server.call("GET", path, Value::Null).await.0, 404);
    assert_eq!(server.ok("GET", "/proxies/web", Value::Null).await["toxics"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_disabled_proxy_keeps_its_toxics_and_lets_go_of_all_else() {
    let (server, echo) = (Server::start().await, echo().await);
    let listen = server.proxy("web", echo).await;
    server.toxic("web", "latency", "downstream", json!({"latency": 1})).await;
    for method in ["POST", "PATCH"] {
        let mut stream = live(listen).await;
        let disabled = server.ok(method, "/proxies/web", json!({"enabled": false})).await;
        assert_eq!((&disabled["enabled"], &disabled["listen"]), (&json!(false), &json!(listen.to_string())));
        end_of(&mut stream).await;
        assert!(!is_open(listen), "it does not listen");
        let other = std::net::TcpListener::bind(listen).expect("the port is free");
        let taken = json!({"error": format!("listen tcp {listen}: bind: address already in use"), "status": 500});
        assert_eq!(server.call(method, "/proxies/web", json!({"enabled": true})).await, (500, taken));
        drop(other);
        let enabled = server.ok(method, "/proxies/web", json!({"enabled": true})).await;
        assert_eq!(enabled["toxics"].as_array().unwrap().len(), 1);
        live(listen).await;
    }
}

#[tokio::test]
async fn a_proxy_moves() {
    let (server, first, second) = (Server::start().await, echo().await, echo().await);
    let listen = server.proxy("web", first).await;
    let mut stream = live(listen).await;
    let moved = server.ok("PATCH", "/proxies/web", json!({"upstream": second.to_string()})).await;
    assert_eq!((&moved["upstream"], &moved["enabled"]), (&json!(second.to_string()), &json!(true)));
    end_of(&mut stream).await;
    live(listen).await;
    let moved = server.ok("PATCH", "/proxies/web", json!({"listen": "localhost:0"})).await;
    let elsewhere: SocketAddr = moved["listen"].as_str().unwrap().parse().unwrap();
    assert!(elsewhere != listen && !is_open(listen));
    let mut stream = live(elsewhere).await;
    server.ok("PATCH", "/proxies/web", json!({"listen": elsewhere.to_string()})).await;
    ping(&mut stream, b"what stays the same disturbs nobody").await.unwrap();
}

#[tokio::test]
async fn populate_keeps_what_is_the_same_and_replaces_what_is_not() {
    let (server, echo) = (Server::start().await, echo().await);
    let (kept, replaced) = (server.proxy("kept", echo).await, server.proxy("replaced", echo).await);
    server.toxic("kept", "latency", "upstream", json!({"latency": 1})).await;
    server.toxic("replaced", "latency", "upstream", json!({"latency": 1})).await;
    let mut stream = live(kept).await;
    let same = format!("localhost:{}", kept.port());
    let list = json!([
        {"name": "kept", "listen": same, "upstream": echo.to_string()},
        {"name": "replaced", "listen": replaced.to_string(), "upstream": format!("localhost:{}", echo.port())},
        {"name": "off", "listen": "127.0.0.1:0", "upstream": "nobody:1", "enabled": false},
    ]);
    let (status, answer) = server.call("POST", "/populate", list).await;
    assert_eq!(status, 201);
    let toxics: Vec<_> = answer["proxies"].as_array().unwrap().iter().map(|proxy| proxy["toxics"].as_array()).collect();
    assert_eq!(toxics.iter().map(|toxics| toxics.unwrap().len()).collect::<Vec<_>>(), [1, 0, 0]);
    assert_eq!(answer["proxies"][2]["enabled"], false);
    ping(&mut stream, b"still there").await.unwrap();
    live(replaced).await;
    assert_eq!(server.text("POST", "/populate", "[]").await, (201, r#"{"proxies":null}"#.to_owned()));
}

#[tokio::test]
async fn populate_stops_at_the_first_that_fails() {
    let (server, echo) = (Server::start().await, echo().await);
    let proxy = |name, listen: &str| json!({"name": name, "listen": listen, "upstream": echo.to_string()});
    let list = json!([proxy("a", "127.0.0.1:0"), proxy("b", &echo.to_string()), proxy("c", "127.0.0.1:0")]);
    let (status, answer) = server.call("POST", "/populate", list).await;
    let error = format!("listen tcp {echo}: bind: address already in use");
    assert_eq!((status, &answer["error"], &answer["status"]), (500, &json!(error), &json!(500)));
    assert_eq!(answer["proxies"].as_array().unwrap().len(), 1);
    assert_eq!(server.ok("GET", "/proxies", Value::Null).await.as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn reset_enables_all_and_removes_every_toxic() {
    let (server, echo) = (Server::start().await, echo().await);
    let (a, b) = (server.proxy("a", echo).await, server.proxy("b", echo).await);
    server.toxic("a", "timeout", "downstream", json!({"timeout": 0})).await;
    server.ok("POST", "/proxies/b", json!({"enabled": false})).await;
    assert_eq!(server.text("POST", "/reset", "").await, (204, String::new()));
    for (listen, name) in [(a, "a"), (b, "b")] {
        live(listen).await;
        let proxy = server.ok("GET", &format!("/proxies/{name}"), Value::Null).await;
        assert_eq!((&proxy["enabled"], &proxy["toxics"]), (&json!(true), &json!([])));
    }
}

#[tokio::test]
async fn metrics_tell_what_was_carried() {
    let (server, echo) = (Server::start().await, echo().await);
    let listen = server.proxy("web", echo).await;
    live(listen).await;
    server.toxic("web", "timeout", "downstream", json!({"timeout": 0})).await;
    connect(listen).await.write_all(b"lost").await.unwrap();
    let line = |what, direction, bytes| {
        format!(
            "toxiproxy_proxy_{what}_bytes_total{{direction=\"{direction}\",listener=\"{listen}\",proxy=\"web\",\
             upstream=\"{echo}\"}} {bytes}\n"
        )
    };
    let expected = [
        line("received", "downstream", 9),
        line("received", "upstream", 9),
        line("sent", "downstream", 5),
        line("sent", "upstream", 9),
    ];
    let page = soon(async {
        loop {
            let page = server.text("GET", "/metrics", "").await.1;
            if expected.iter().all(|line| page.contains(line)) {
                return page;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert!(page.starts_with("# HELP toxiproxy_proxy_received_bytes_total \n# TYPE"), "{page}");
    server.ok("DELETE", "/proxies/web", Value::Null).await;
    assert_eq!(server.text("GET", "/metrics", "").await.1, page, "counters do not fall");
}

#[tokio::test]
async fn the_version_is_that_of_the_interface() {
    let server = Server::start().await;
    let response = server.send("GET", "/version", "").await;
    assert_eq!(response.headers()["content-type"], "application/json;charset=utf-8");
    let version: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert!(version["version"].as_str().unwrap().starts_with("2."), "{version}");
}

#[tokio::test]
async fn one_of_many_creators_wins_and_blocked_connections_block_nobody() {
    let (server, echo) = (Server::start().await, echo().await);
    let listen = server.proxy("busy", echo).await;
    server.toxic("busy", "timeout", "upstream", json!({"timeout": 0})).await;
    let mut blocked = Vec::new();
    for _ in 0..100 {
        blocked.push(connect(listen).await);
    }
    let create = |_| server.call("POST", "/proxies", json!({"name": "web", "upstream": echo.to_string()}));
    let mut answers: Vec<_> = futures::future::join_all((0..20).map(create)).await;
    answers.sort_by_key(|(status, _)| *status);
    assert_eq!(answers[0].0, 201);
    assert!(answers[1..].iter().all(|(status, _)| *status == 409), "{answers:?}");
    server.ok("DELETE", "/proxies/busy", Value::Null).await;
    for mut stream in blocked {
        end_of(&mut stream).await;
    }
}
