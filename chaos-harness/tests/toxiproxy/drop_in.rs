//! In toxiproxy's place: where it listens, its arguments, its headers and metrics, and that it answers under load.

use std::process::Command;
use std::time::Instant;

use super::process::Process;
use super::*;

async fn listens_at(client: &Client, listen: &str) -> SocketAddr {
    let body = json!({"name": format!("proxy at {listen}"), "listen": listen, "upstream": "127.0.0.1:9"});
    client.ok("POST", "/proxies", body).await["listen"].as_str().unwrap().parse().unwrap()
}

/// Another address of this machine than the usual one.
fn elsewhere(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 2], port))
}

#[tokio::test]
async fn without_a_host_it_is_loopback_and_one_line_says_so() {
    let mut process = Process::spawn(&["--port", "0"]);
    let client = process.client();
    for listen in ["", ":0", ":"] {
        let addr = listens_at(&client, listen).await;
        assert_eq!(addr.ip().to_string(), "127.0.0.1", "the answer names the real address");
        assert!(!is_open(elsewhere(addr.port())));
        let told = process.after("WARNING: ");
        assert!(told.contains(&format!("asked for {listen:?}")) && told.contains(&addr.to_string()), "{told}");
        assert!(told.contains("--all-interfaces"), "{told}");
    }
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let addr = listens_at(&client, listen).await;
        assert!(addr.ip().is_unspecified() && is_open(elsewhere(addr.port())), "{listen}: {addr}");
    }
    assert_eq!(listens_at(&client, "localhost:0").await.ip().to_string(), "127.0.0.1");
    process.signal("-TERM");
    let (_, words) = process.end();
    assert!(!words.contains("WARNING"), "{words}");
}

#[tokio::test]
async fn every_interface_is_every_interface_when_it_is_asked_for() {
    for arguments in
        [&["--port", "0", "--all-interfaces"][..], &["-port", "0", "-host", ""], &["--port=0", "--host=::"]]
    {
        let mut process = Process::spawn(arguments);
        let api: SocketAddr = process.after("control API on http://").parse().unwrap();
        assert_eq!(api.ip().is_unspecified(), arguments.len() < 3 || !arguments[2].contains("all"), "{arguments:?}");
        let client = Client::new(SocketAddr::from(([127, 0, 0, 1], api.port())));
        let addr = listens_at(&client, ":0").await;
        assert!(addr.ip().is_unspecified() && is_open(elsewhere(addr.port())), "{arguments:?}: {addr}");
        process.signal("-TERM");
        let (status, words) = process.end();
        assert!(status == Some(0) && !words.contains("WARNING"), "{words}");
    }
}

#[tokio::test]
async fn seeds_that_do_not_fit_are_refused() {
    for seed in ["18446744073709551616", "-9223372036854775809", "1e3", ""] {
        let (status, words) = Process::spawn(&["--port=0", &format!("--seed={seed}")]).end();
        assert!(
            status == Some(2) && words.contains("from -9223372036854775808 to 18446744073709551615"),
            "{seed}: {words}"
        );
    }
    for (seed, taken) in [("18446744073709551615", "18446744073709551615"), ("-1", "18446744073709551615"), ("0", "0")]
    {
        let mut process = Process::spawn(&["--port=0", "--seed", seed]);
        assert_eq!(process.after(", seed "), taken);
    }
    let command = Command::new(env!("CARGO_BIN_EXE_chaos-proxy")).env("CHAOS_SEED", "18446744073709551616").output();
    let output = command.unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && words.contains("CHAOS_SEED=18446744073709551616"), "{words}");
}

#[tokio::test]
async fn flags_are_true_as_in_go_and_the_process_has_metrics() {
    let mut process = Process::spawn(&["--port=0", "-runtime-metrics=1", "-proxy-metrics=F"]);
    let page = process.client().text("GET", "/metrics", "").await.1;
    let value = |name: &str| {
        let line = page.lines().find_map(|line| line.strip_prefix(&format!("process_{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in {page}")).parse::<f64>().unwrap()
    };
    assert!(value("open_fds") >= 3.0 && value("open_fds") < value("max_fds"), "{page}");
    assert!(value("resident_memory_bytes") > 1e5 && value("virtual_memory_bytes") > value("resident_memory_bytes"));
    assert!((0.0..60.0).contains(&value("cpu_seconds_total")), "{page}");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((now - value("start_time_seconds")).abs() < 60.0, "{page}");
    assert!(!page.contains("toxiproxy_proxy"), "{page}");
    let (status, words) = Process::spawn(&["--port=0", "--proxy-metrics=maybe"]).end();
    assert!(status == Some(2) && words.contains("--proxy-metrics"), "{words}");
}

#[tokio::test]
async fn every_answer_has_a_name_of_its_own() {
    let server = Server::start().await;
    let mut seen = std::collections::BTreeSet::new();
    for (method, path) in [("GET", "/version"), ("POST", "/reset"), ("GET", "/proxies/nobody")] {
        let response = server.send(method, path, "").await;
        let id = response.headers()["x-toxiproxy-request-id"].to_str().unwrap().to_owned();
        assert!(id.len() == 20 && id.chars().all(|digit| matches!(digit, '0'..='9' | 'a'..='v')), "{id}");
        seen.insert(id);
    }
    assert_eq!(seen.len(), 3);
}

/// Four connections in slices of a few bytes, as fast as it goes, on one core with everything else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_control_api_answers_while_a_slicer_works_at_full_speed_on_one_core() {
    let endless = upstream(|mut stream| async move { while stream.write_all(&[b'x'; 60_000]).await.is_ok() {} }).await;
    let mut process = Process::on_one_core(&["--port", "0"]);
    let client = process.client();
    let listen = client.proxy("web", endless).await;
    client.toxic("web", "slicer", "downstream", json!({"average_size": 64, "size_variation": 32})).await;
    for _ in 0..4 {
        let mut stream = connect(listen).await;
        tokio::spawn(async move { tokio::io::copy(&mut stream, &mut tokio::io::sink()).await });
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut times = Vec::new();
    for _ in 0..50 {
        let begin = Instant::now();
        client.toxic("web", "latency", "upstream", json!({"latency": 1})).await;
        times.push(begin.elapsed());
        let begin = Instant::now();
        client.ok("DELETE", "/proxies/web/toxics/latency_upstream", Value::Null).await;
        times.push(begin.elapsed());
    }
    times.sort();
    println!("100 calls: median {:?}, worst {:?}", times[50], times[99]);
    assert!(times[50] < Duration::from_millis(50), "median {:?}", times[50]);
}
