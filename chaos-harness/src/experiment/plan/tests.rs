//! Bad plans are refused by name, before anything starts; good ones survive their own data format.

use proptest::prelude::*;

use super::*;
use crate::fault::{link, target};
use crate::hypothesis;
use crate::topology::Service;

fn plan() -> Plan {
    let service = |name: &str| Service::new(name).cargo("p", "b");
    let topology = Topology::new("t").service(service("a")).service(service("b")).service(service("c")).link("a", "b");
    let mut plan = Plan::new("t", 7, topology);
    plan.load = Some(Load::get("a", "/one"));
    plan
}

fn with(change: impl FnOnce(&mut Plan)) -> String {
    let mut plan = plan();
    change(&mut plan);
    plan.validate().unwrap_err().to_string()
}

#[test]
fn what_is_wrong_is_named() {
    let second = Duration::from_secs(1);
    let hours = Duration::from_secs(7200);
    let cases: [(String, &str); 15] = [
        (with(|p| p.injections.push(target("z").kill())), "no service is named `z`; the topology has: a, b, c"),
        (with(|p| p.injections.push(target("a").instance(2).kill())), "there is no a-2; service `a` has 1 instance(s)"),
        (with(|p| p.injections.push(link("b", "a").refuse())), "link b -> a was not declared; declared are: a -> b"),
        (
            with(|p| p.injections.push(link("a", "b").refuse().hold(hours))),
            "`refused connections on a -> b`: a hold of 2h",
        ),
        (with(|p| p.injections.push(target("a").kill().hold(Duration::ZERO))), "`kill a`: a hold of 0s is outside"),
        (with(|p| p.injections.push(target("a").kill().after(hours))), "`kill a`: a delay of 2h is outside"),
        (
            with(|p| p.injections.push(link("a", "b").probability(1.5).latency(second))),
            "toxic `latency 1s on a -> b`: `probability`: 1.5 is not within 0..=1",
        ),
        (
            with(|p| p.hypotheses.push(hypothesis!(p99("/tow") < 1s))),
            "`p99(\"/tow\") < 1s` names a route that the load does not send; it sends: /one",
        ),
        (
            with(|p| p.hypotheses.push(hypothesis!(peak("x") > 1))),
            "`peak(\"x\") > 1` names a probe that is not declared; declared are: none",
        ),
        (with(|p| p.hypotheses.push(hypothesis!(mttd < 1s))), "`mttd < 1s` needs a probe that detects"),
        (
            with(|p| {
                p.load = None;
                p.hypotheses.push(hypothesis!(mttr < 5s));
            }),
            "`mttr < 5s` is measured from requests, and the plan sends none; add a load with `.load(Load::get(...))`",
        ),
        (
            with(|p| {
                p.load = None;
                p.limits.abort_when.push(hypothesis!(p99 > 5s));
            }),
            "`p99 > 5s` is measured from requests",
        ),
        (with(|p| p.load = Some(Load::get("z", "/"))), "no service is named `z`"),
        (with(|p| p.repeat = 0), "0 repetitions; use 1 to 1000"),
        (with(|p| p.limits.duration = hours), "a time limit of 2h is outside 1s to 30m"),
    ];
    for (message, expected) in cases {
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn a_plan_may_not_reach_further_than_allowed() {
    let both = |p: &mut Plan| p.injections = vec![target("a").kill(), target("b").pause()];
    let message = with(|p| {
        both(p);
        p.limits.radius = BlastRadius::SingleService;
    });
    assert!(message.starts_with("the plan's blast radius is service_cluster, allowed is single_service"), "{message}");
    let message = with(|p| p.injections = ["a", "b", "c"].map(|name| target(name).kill()).into());
    assert!(message.starts_with("the plan's blast radius is entire_system, allowed is service_cluster"), "{message}");
    let mut allowed = plan();
    both(&mut allowed);
    allowed.validate().unwrap();
}

#[test]
fn without_a_steady_state_users_must_be_served() {
    let mut plan = plan();
    plan.complete();
    assert_eq!(plan.steady_state[0].to_string(), "availability > 99% during baseline");
}

proptest! {
    #[test]
    fn plans_survive_their_data_format(seed: u64, hold in 1u64..1_800_000, after in 0u64..1000, latency in 1u64..60_000, share in 0.0f64..=1.0) {
        let millis = Duration::from_millis;
        let mut plan = plan();
        plan.seed = seed;
        plan.injections = vec![
            link("a", "b").probability(share).latency(millis(latency)).hold(millis(hold)).after(millis(after)),
            target("c").stop().hold(millis(hold)),
        ];
        plan.validate().unwrap();
        let text = serde_json::to_string(&plan).unwrap();
        prop_assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    }
}
