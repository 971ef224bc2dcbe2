//! Processes used up: those of the container's own limit, counted by the kernel.

use chaos_harness::fault::{FaultKind, target};
use chaos_harness::runtime::{Resource, RuntimeKind};

use crate::common::{eventually, on, start};
use crate::{ask, first, inject, resources, stressed};

#[test]
fn what_is_left_of_the_limit_on_processes_is_left_to_the_service() {
    on(RuntimeKind::Docker, |kind| async move {
        let environment = start(kind, stressed(|product| product)).await;
        let refused = target("product").process_stress(0.9).fault.inject(&environment).await.err().unwrap();
        assert!(refused.to_string().contains("product-1 has no process limit to take a share of"), "{refused}");
        let usage = async || resources(&environment).usage(&first()).await.unwrap();
        let (before, mut limit) = (usage().await, inject(&environment, target("product").process_limit(200)).await);
        let mut stress = inject(&environment, target("product").process_stress(0.9)).await;
        let (bite, pressed) = (stress.attest(&environment).await, usage().await);
        let each = (pressed.memory - before.memory) / (pressed.processes - before.processes) / 1024;
        eprintln!("{} processes before, {each} KiB for each more; {}", before.processes, bite.looked_at);
        assert!((175..=185).contains(&pressed.processes) && bite.shown, "{pressed:?}: {}", bite.looked_at);
        ask(&environment, "/stress/threads?amount=10").await.unwrap();
        assert!(ask(&environment, "/stress/threads?amount=40").await.is_err(), "20 are left");
        let (bite, refused) = (stress.attest(&environment).await, usage().await.processes_refused);
        eprintln!("{}", bite.looked_at);
        assert!(bite.shown && refused > before.processes_refused, "{}", bite.looked_at);
        eventually("the threads of that are gone", || async { usage().await.processes < 185 }).await;
        let mut full = inject(&environment, target("product").process_stress(1.0)).await;
        let bite = full.attest(&environment).await;
        eprintln!("{}", bite.looked_at);
        assert!(bite.shown && bite.looked_at.contains("has 200 of at most 200"), "{}", bite.looked_at);
        assert!(ask(&environment, "/stress/threads?amount=4").await.is_err());
        for stress in [&mut full, &mut stress] {
            stress.roll_back(&environment).await.unwrap();
            stress.roll_back(&environment).await.unwrap();
            assert!(stress.attest_gone(&environment).await.shown);
        }
        let after = usage().await;
        assert!(after.processes < before.processes + 20, "{after:?}, {before:?} before");
        ask(&environment, "/stress/threads?amount=40").await.unwrap();
        limit.roll_back(&environment).await.unwrap();
        let now = resources(&environment).limit_now(&first(), Resource::Processes).await.unwrap();
        assert_eq!((now.measured, environment.runtime().undo_log().noted()), (None, vec![]));
        environment.destroy().await.unwrap();
    });
}

/// By number it takes no limit, and one that has no room for so many is not said to have so many.
#[test]
fn so_many_processes_beside_those_that_there_are() {
    on(RuntimeKind::Docker, |kind| async move {
        let environment = start(kind, stressed(|product| product)).await;
        let mut stress = inject(&environment, target("product").process_stress_by(1000)).await;
        let bite = stress.attest(&environment).await;
        eprintln!("{}", bite.looked_at);
        assert!(bite.shown, "{}", bite.looked_at);
        ask(&environment, "/stress/threads?amount=40").await.unwrap();
        stress.roll_back(&environment).await.unwrap();
        let mut limit = inject(&environment, target("product").process_limit(100)).await;
        let mut more = inject(&environment, target("product").process_stress_by(1000)).await;
        let bite = more.attest(&environment).await;
        eprintln!("{}", bite.looked_at);
        assert!(!bite.shown && bite.looked_at.contains("of at most 100"), "{}", bite.looked_at);
        more.roll_back(&environment).await.unwrap();
        limit.roll_back(&environment).await.unwrap();
        environment.destroy().await.unwrap();
    });
}
