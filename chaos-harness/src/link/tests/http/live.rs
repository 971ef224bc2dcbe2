//! Changes of HTTP toxics while both protocols are in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::h1::{Axum, url};
use super::*;

/// Toxics that change when or with what headers something arrives, but no body.
fn harmless(n: u64) -> Toxic {
    let name = || "x-changed".to_owned();
    let act = match n % 4 {
        0 => delay(ms(n % 7)),
        1 => HttpAction::Delay { by: ms(n % 5), before: Part::Body },
        2 => HttpAction::SetHeader { on: Message::Request, name: name(), value: n.to_string() },
        _ => HttpAction::SetHeader { on: Message::Response, name: name(), value: n.to_string() },
    };
    http(RequestMatch { share: 0.7, ..RequestMatch::default() }, act).probability(if n.is_multiple_of(3) {
        0.5
    } else {
        1.0
    })
}

/// Changes toxics until enough requests have been answered, and reports how long the changes took.
async fn change_while(link: &LinkProxy, answered: &AtomicU64, enough: u64) {
    let mut times = Vec::new();
    let toxics = link.toxics();
    let mut n = 0;
    soon(async {
        while answered.load(Ordering::Relaxed) < enough || n < 100 {
            n += 1;
            let name = format!("toxic {}", n % 3);
            let start = std::time::Instant::now();
            match n % 5 {
                0 => drop(toxics.remove(&name)),
                1 => toxics.clear().unwrap(),
                2 => drop(toxics.update(&name, harmless(n))),
                _ => drop(toxics.add(name, harmless(n))),
            }
            times.push(start.elapsed());
            tokio::time::sleep(ms(1)).await;
        }
    })
    .await;
    times.sort();
    println!("{n} changes, median {:?}, worst {:?}", times[times.len() / 2], times[times.len() - 1]);
    assert!(quartile(&times) < ms(10), "{times:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_break_no_exchange() {
    let _quiet = QUIET.lock().await;
    let (one, two) = (Axum::start().await, h2::server().await);
    for (link, is_h2) in [(http_link_to(one.addr), false), (http_link_to(two.addr), true)] {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = if is_h2 { Some(h2::client(&link).await) } else { None };
        let callers: Vec<_> = (0..10)
            .map(|seed| {
                let (stop, answered, client) = (Arc::clone(&stop), Arc::clone(&answered), client.clone());
                let url = url(&link, "/echo");
                tokio::spawn(async move {
                    let plain = reqwest::Client::new();
                    while !stop.load(Ordering::Relaxed) {
                        let body = random_bytes(seed, 20_000 + seed as usize * 5000);
                        let echoed = match &client {
                            Some(client) => h2::ask(client, h2::request("/echo"), body.clone()).await.body,
                            None => soon(plain.post(&url).body(body.clone()).send())
                                .await
                                .unwrap()
                                .bytes()
                                .await
                                .unwrap()
                                .into(),
                        };
                        assert!(echoed == body);
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        change_while(&link, &answered, 200).await;
        stop.store(true, Ordering::Relaxed);
        for caller in callers {
            soon(caller).await.unwrap();
        }
        let counters = link.counters();
        println!(
            "{} requests, {} delayed, {} rewritten",
            counters.http_requests, counters.http_delayed, counters.http_rewritten
        );
        assert!(counters.http_delayed > 0 && counters.http_rewritten > 0 && counters.http_opaque == 0, "{counters:?}");
        assert_eq!(counters.aborted, 0);
    }
}
