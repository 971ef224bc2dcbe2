//! Names that are not found, or late.

use std::io::ErrorKind;
use std::time::Duration;

use chaos_harness::environment::Environment;
use chaos_harness::prelude::*;
use chaos_harness::topology::InstanceId;

use crate::common::inside::{self, ask_name, namespace};
use crate::common::start;
use crate::{SHORT, inject, on_containers, three, undo};

#[test]
fn names_are_not_found() {
    on_containers(|kind| async move {
        let environment = start(kind, three()).await;
        assert_eq!(ask_name(&environment, "order", SHORT * 4).await, Ok(()));
        let refused = [ErrorKind::ConnectionRefused, ErrorKind::PermissionDenied];
        for (fault, met) in [
            (network("order").dns_silent(), &[ErrorKind::WouldBlock][..]),
            (network("order").dns_refused(), &refused[..]),
        ] {
            let mut fault = inject(&environment, fault).await;
            let asked = ask_name(&environment, "order", SHORT * 4).await.unwrap_err();
            assert!(met.contains(&asked), "{asked:?}");
            assert!(fault.attest(&environment).await.shown);
            undo(&environment, fault).await;
            assert_eq!(ask_name(&environment, "order", SHORT * 4).await, Ok(()));
        }
        environment.destroy().await.unwrap();
    });
}

#[test]
fn names_are_found_late() {
    on_containers(|kind| async move {
        let environment = start(kind, three()).await;
        let before = time_to_find(&environment, "order").await;
        let late = Duration::from_millis(300);
        let mut fault = inject(&environment, network("order").dns_delay(late)).await;
        let during = time_to_find(&environment, "order").await;
        eprintln!("{late:?} later: {during:?}, before it {before:?}; {}", fault.mechanism());
        assert!((during - before).abs_diff(late) <= Duration::from_millis(10), "{during:?}, before it {before:?}");
        assert!(time_to_find(&environment, "inventory").await < late / 2, "others are not delayed");
        let bite = fault.attest(&environment).await;
        assert_eq!((bite.shown, bite.looked_at.as_str()), (true, "9 questions over UDP held back"));
        let again = inject(&environment, network("order").dns_delay(late / 3)).await;
        let both = time_to_find(&environment, "order").await;
        assert!((both - before).abs_diff(late * 4 / 3) <= Duration::from_millis(10), "{both:?}, before it {before:?}");
        fault.roll_back(&environment).await.unwrap();
        assert!(time_to_find(&environment, "order").await < late, "one goes without the other");
        undo(&environment, again).await;
        undo(&environment, fault).await;
        assert!(time_to_find(&environment, "order").await < late / 3);
        assert_eq!(queues(&environment, "order").await, "");
        environment.destroy().await.unwrap();
    });
}

/// How long `service` takes to find the address of `product`.
pub(crate) async fn time_to_find(environment: &Environment, service: &str) -> Duration {
    let namespace = namespace(environment, service).await;
    let name = format!("{}-product-1", environment.runtime().undo_log().environment());
    tokio::task::spawn_blocking(move || inside::time_to_find(&namespace, &name)).await.unwrap()
}

/// The queues for packets in the network of `service`, as the kernel lists them.
async fn queues(environment: &Environment, service: &str) -> String {
    let pid = environment.runtime().status(&InstanceId::new(service, 1)).await.unwrap().pid.unwrap();
    std::fs::read_to_string(format!("/proc/{pid}/net/netfilter/nfnetlink_queue")).unwrap()
}
