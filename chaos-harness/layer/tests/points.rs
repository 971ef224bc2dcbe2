//! Fail points in functions, switched on and off while they are called. They belong to the process, so each test has
//! names of its own.
#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::time::{Duration, Instant};

use chaos_layer::{FailPoint, PointAct, fail_point, points};

const MINUTE: Duration = Duration::from_secs(60);

fn returning(value: &str) -> FailPoint {
    PointAct::Return { value: value.to_owned() }.into()
}

#[test]
fn a_share_of_the_calls_returns_early_as_the_seed_says() {
    fn reserve() -> Result<u32, String> {
        fail_point!("test:share", |value: Option<String>| Err(value.unwrap_or_default()));
        Ok(1)
    }
    let fail = |seed| {
        points::remove("test:share");
        points::put("test:share", FailPoint { share: 0.3, seed, ..returning("disk full") }, MINUTE).unwrap();
        let results: Vec<_> = (0..10_000).map(|_| reserve()).collect();
        assert!(results.iter().all(|result| *result == Ok(1) || *result == Err("disk full".to_owned())));
        results
    };
    let results = fail(7);
    let failed = results.iter().filter(|result| result.is_err()).count();
    assert!((2900..=3100).contains(&failed), "{failed} of 10000 failed");
    let counted = &points::report()["test:share"];
    assert_eq!((counted.matched, counted.bitten), (10_000, failed as u64));
    assert_eq!(results, fail(7));
    assert_ne!(results, fail(8));
    assert!(points::remove("test:share") && !points::remove("test:share"));
    assert_eq!(reserve(), Ok(1));
}

#[test]
fn a_call_sleeps_or_panics() {
    fn work() {
        fail_point!("test:work");
    }
    points::put("test:work", PointAct::Sleep { time: Duration::from_millis(50) }, MINUTE).unwrap();
    let called = Instant::now();
    work();
    assert!(called.elapsed() >= Duration::from_millis(50));
    points::put("test:work", PointAct::Panic { message: "broken (once)".to_owned() }, MINUTE).unwrap();
    let panic = std::panic::catch_unwind(work).unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("broken (once)"));
    points::remove("test:work");
    work();
}

#[tokio::test(start_paused = true)]
async fn a_lease_ends_also_for_points_of_the_fail_crate() {
    fn ours() -> u32 {
        fail_point!("test:lease", |_| 0);
        1
    }
    fn theirs() -> u32 {
        fail::fail_point!("test:lease", |_| 0);
        1
    }
    let on = async || {
        points::put("test:lease", returning(""), Duration::from_secs(10)).unwrap();
        assert_eq!((ours(), theirs()), (0, 0));
        tokio::time::sleep(Duration::from_secs(8)).await;
    };
    on().await;
    on().await;
    assert_eq!(points::report()["test:lease"].bitten, 2, "renewed, and counted by our own macro");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((ours(), theirs()), (1, 1));
    assert!(!points::report().contains_key("test:lease"));
}
