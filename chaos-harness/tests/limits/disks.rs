//! Slow disks: the time that a write takes, inside the container, in the service and beside both.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use chaos_harness::environment::Environment;
use chaos_harness::fault::{FaultKind, target};
use chaos_harness::prelude::*;
use chaos_harness::runtime::{DiskPace, DiskWrites, LimitNow, RuntimeKind};
use chaos_harness::safety::undo::UndoStep;
use chaos_harness::topology::InstanceId;

use crate::common::{docker, not_run, on, start};
use crate::{ask, first, inject, resources, stressed};

fn on_disk(product: Service) -> Service {
    product.disk("/disk").env("DISK", "/disk").volume("/data", 1 << 20)
}

fn may() -> bool {
    let may = rustix::process::geteuid().is_root();
    if !may {
        not_run("only root may slow disks");
    }
    may
}

async fn sync_time(environment: &Environment, folder: &str) -> Duration {
    let page = DiskWrites { bytes: 4096, times: 1 };
    resources(environment).sync_time(&first(), folder, page, 3).await.unwrap()
}

async fn now(environment: &Environment, pace: DiskPace) -> LimitNow {
    resources(environment).disk_now(&first(), "/disk", pace).await.unwrap().0
}

/// The longest of five writes of 4 KiB of this process, with fsync, on the disk that containers have too.
fn beside() -> Duration {
    let write = |_| {
        let since = Instant::now();
        let mut file = tempfile::tempfile_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        file.write_all(&[1; 4096]).and_then(|()| File::sync_all(&file)).unwrap();
        since.elapsed()
    };
    (0..5).map(write).max().unwrap()
}

#[test]
fn a_slow_disk_is_slow_for_its_service_alone() {
    if !may() {
        return;
    }
    on(RuntimeKind::Docker, |kind| async move {
        let environment = start(kind, stressed(on_disk)).await;
        let sync = "/stress/sync?amount=4";
        let (free, free_beside) = (ask(&environment, sync).await.unwrap(), beside());
        let mut slow = inject(&environment, target("product").slow_disk("/disk", 8)).await;
        let (slowed, slowed_beside) = (ask(&environment, sync).await.unwrap(), beside());
        let bite = slow.attest(&environment).await;
        eprintln!("an answer that waits for the disk: {free:?} free, {slowed:?} at 8 operations a second");
        eprintln!("a write beside it: {free_beside:?} before, {slowed_beside:?} meanwhile");
        eprintln!("{}; by {}", bite.looked_at, slow.mechanism());
        assert!(bite.shown && slowed > Duration::from_millis(200) && slowed > 3 * free, "{}", bite.looked_at);
        assert!(slowed_beside < slowed, "others are not slowed: {slowed_beside:?}");
        // In memory nothing is slow.
        assert!(sync_time(&environment, "/data").await < Duration::from_millis(100));
        slow.roll_back(&environment).await.unwrap();
        slow.roll_back(&environment).await.unwrap();
        let gone = slow.attest_gone(&environment).await;
        eprintln!("{}", gone.looked_at);
        assert!(gone.shown, "{}", gone.looked_at);
        let after = ask(&environment, sync).await.unwrap();
        eprintln!("{after:?} after");
        assert!(after < slowed / 2, "{after:?}");
        environment.destroy().await.unwrap();
    });
}

/// 64 KiB at so many bytes a second take as long as that says.
#[test]
fn a_bandwidth_is_what_it_says() {
    if !may() {
        return;
    }
    on(RuntimeKind::Docker, |kind| async move {
        let environment = start(kind, stressed(on_disk)).await;
        for (rate, amount) in [(64 << 10, 64), (256 << 10, 256), (16 << 20, 16 << 10)] {
            let mut slow = inject(&environment, target("product").disk_bandwidth("/disk", rate)).await;
            let took = ask(&environment, &format!("/stress/sync?amount={amount}")).await.unwrap();
            let bite = slow.attest(&environment).await;
            eprintln!("{amount} KiB at {} KiB a second took {took:?}; {}", rate >> 10, bite.looked_at);
            assert!(bite.shown, "{}", bite.looked_at);
            assert!((0.7..3.0).contains(&took.as_secs_f64()), "{took:?}");
            slow.roll_back(&environment).await.unwrap();
            assert!(slow.attest_gone(&environment).await.shown);
        }
        environment.destroy().await.unwrap();
    });
}

#[test]
fn two_paces_hold_the_slower_and_end_where_they_began() {
    if !may() {
        return;
    }
    on(RuntimeKind::Docker, |kind| async move {
        let environment = start(kind, stressed(on_disk)).await;
        let operations = DiskPace::Operations(1);
        let has = async |due| assert_eq!(now(&environment, operations).await, LimitNow { due, measured: due });
        has(None).await;
        let mut loose = inject(&environment, target("product").slow_disk("/disk", 100)).await;
        has(Some(100)).await;
        let mut strict = inject(&environment, target("product").slow_disk("/disk", 20)).await;
        has(Some(20)).await;
        let mut bytes = inject(&environment, target("product").disk_bandwidth("/disk", 1 << 20)).await;
        assert_eq!(now(&environment, DiskPace::Bytes(1)).await.measured, Some(1 << 20));
        // The engine's own limits leave it alone.
        let mut quota = inject(&environment, target("product").cpu_quota(0.5)).await;
        has(Some(20)).await;
        quota.roll_back(&environment).await.unwrap();
        strict.roll_back(&environment).await.unwrap();
        has(Some(100)).await;
        assert!(strict.attest_gone(&environment).await.shown);
        let steps = serde_json::to_string(&environment.runtime().undo_log().noted()).unwrap();
        for _ in 0..2 {
            for step in serde_json::from_str::<Vec<UndoStep>>(&steps).unwrap() {
                step.take().await.unwrap();
            }
        }
        assert_eq!(now(&environment, operations).await, LimitNow { due: Some(100), measured: None });
        let bite = loose.attest(&environment).await;
        assert!(!bite.shown && bite.looked_at.contains("nothing holds back"), "{}", bite.looked_at);
        for fault in [&mut loose, &mut bytes] {
            fault.roll_back(&environment).await.unwrap();
            assert!(fault.attest_gone(&environment).await.shown);
        }
        has(None).await;
        assert_eq!(environment.runtime().undo_log().noted(), []);
        let volumes = docker(&["volume", "ls", "--quiet", "--filter", "label=chaos-harness.environment"]);
        assert!(!volumes.is_empty());
        let own = |volumes: &str| volumes.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
        let environment_name = environment.runtime().undo_log().environment().to_owned();
        environment.destroy().await.unwrap();
        let label = format!("label=chaos-harness.environment={environment_name}");
        assert_eq!(
            own(&docker(&["volume", "ls", "--quiet", "--filter", &label])),
            Default::default(),
            "the disk is gone"
        );
    });
}

#[test]
fn a_restart_ends_it_and_what_is_no_disk_cannot_be_slow() {
    if !may() {
        return;
    }
    on(RuntimeKind::Docker, |kind| async move {
        let environment = start(kind, stressed(|product| on_disk(product).restarts())).await;
        let in_memory = target("product").slow_disk("/data", 10).fault.validate(environment.topology()).unwrap_err();
        assert!(in_memory.to_string().contains("declared with `Service::disk`: /disk"), "{in_memory}");
        let pace = DiskPace::Operations(10);
        for folder in ["/data", "/"] {
            let error = resources(&environment).slow_disk(&first(), folder, pace).await.unwrap_err();
            eprintln!("{error}");
        }
        let nobody =
            resources(&environment).slow_disk(&InstanceId::new("product", 2), "/disk", pace).await.unwrap_err();
        assert!(nobody.to_string().contains("there is no product-2"), "{nobody}");
        let mut slow = inject(&environment, target("product").slow_disk("/disk", 10)).await;
        assert!(slow.attest(&environment).await.shown);
        environment.runtime().kill(&first()).await.unwrap();
        crate::common::eventually("it is back", || async { ask(&environment, "/products").await.is_ok() }).await;
        let bite = slow.attest(&environment).await;
        assert!(!bite.shown && bite.looked_at.contains("was started again"), "{}", bite.looked_at);
        slow.roll_back(&environment).await.unwrap();
        assert!(slow.attest_gone(&environment).await.shown);
        assert!(sync_time(&environment, "/disk").await < Duration::from_millis(500));
        environment.destroy().await.unwrap();
    });
}
