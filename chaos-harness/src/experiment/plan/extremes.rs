//! No time, count or rate of a plan can be so large that something overflows: it is refused by name, or harmless.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::experiment::{dry_run, story};
use crate::fault::{Injection, target};
use crate::hypothesis;
use crate::load::{Request, Schedule};
use crate::topology::{Service, USERS};

/// A plan in which every kind of time, count and rate is there.
fn plan(fault: Injection) -> Plan {
    let product = Service::new("product").cargo("p", "b").http("/up").control_port(9100).instances(3).standby(1);
    let product = product.stop_grace(Duration::from_secs(1)).volume("/data", 1 << 24).disk("/disk");
    let topology = Topology::new("t").service(product).service(Service::new("inventory").cargo("p", "b"));
    let topology = topology.link("inventory", "product").link_over(USERS, "product", crate::topology::Protocol::Udp);
    let mut plan = Plan::new("extremes", 7, topology.link_over(USERS, "product", crate::topology::Protocol::Http));
    let load = Load::get("product", "/").ramp(1, 100, Duration::from_secs(3)).also(Request::get("product", "/b"));
    plan.load = Some(load.then(50, Duration::from_secs(1)));
    plan.probes = vec![Probe::health("up", "product", "/up").detects_below(1.0)];
    plan.injections = vec![fault.after(Duration::from_secs(1))];
    plan.hypotheses = vec![
        hypothesis!(availability > 95%),
        hypothesis!(p99 < 2s),
        hypothesis!(mttr < 5s),
        hypothesis!(peak("up") > 0),
    ];
    plan.limits.abort_when = vec![hypothesis!(p99("/") > 9s)];
    plan.repeat = 2;
    plan
}

/// Everything that is done with a plan before anything is started.
fn check(mut plan: Plan) -> Result<(), PlanError> {
    plan.complete();
    plan.validate()?;
    plan.check_that_it_can_conclude()?;
    dry_run::describe(&plan);
    story::fill_in(&mut plan);
    plan.load.iter().flat_map(|load| Schedule::new(load, plan.seed).take(100)).for_each(drop);
    Ok(())
}

/// The paths of all leaves of a document.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, of)| {
            leaves(of, &format!("{path}/{}", name.replace('~', "~0").replace('/', "~1")), found);
        }),
        Value::Array(items) => items.iter().enumerate().for_each(|(at, of)| leaves(of, &format!("{path}/{at}"), found)),
        _ => found.push(path.to_owned()),
    }
}

/// Plans with each fault that there is, as data, with the paths of their leaves.
fn documents() -> Vec<(Value, Vec<String>)> {
    let faults = crate::fault::Fault::catalogue().into_iter().flat_map(|entry| entry.examples);
    let documents = faults.map(|fault| {
        let document = serde_json::to_value(plan(Injection::new(fault))).unwrap();
        let mut paths = Vec::new();
        leaves(&document, "", &mut paths);
        (document, paths)
    });
    documents.collect()
}

fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.ends_with(char::is_alphabetic) && humantime::parse_duration(text).is_ok())
}

#[test]
fn every_time_of_a_plan_has_a_bound() {
    let mut times = std::collections::BTreeSet::new();
    for (document, paths) in documents() {
        for path in paths {
            if !is_time(document.pointer(&path).unwrap()) {
                continue;
            }
            for extreme in ["584542046090years", "100years", "10000days"] {
                let mut changed = document.clone();
                *changed.pointer_mut(&path).unwrap() = extreme.into();
                let Ok(plan) = serde_json::from_value::<Plan>(changed) else { continue };
                assert!(check(plan).is_err(), "{path} may be {extreme} in {document}");
                times.insert(path.clone());
            }
        }
    }
    assert!(times.len() > 20, "{times:?}");
}

#[test]
fn the_builder_and_json_are_refused_alike() {
    let named = |change: fn(&mut Plan)| {
        let mut plan = plan(target("product").kill());
        change(&mut plan);
        check(plan).unwrap_err().to_string()
    };
    let cases: [(String, &str); 8] = [
        (named(|p| p.timing.baseline = Duration::MAX), "`baseline`: "),
        (named(|p| p.timing.recovery = Duration::MAX), "`recovery`: "),
        (named(|p| p.timing.after = Duration::MAX), "`after`: "),
        (named(|p| p.limits.duration = Duration::MAX), "a time limit of "),
        (named(|p| p.limits.window = Duration::MAX), "a sliding window of "),
        (named(|p| p.limits.error_rate = Some(f64::NAN)), "an abort condition at NaN% error rate"),
        (named(|p| p.probes[0] = p.probes[0].clone().detects_below(f64::NAN)), "probe `up` detects by NaN"),
        (named(|p| p.load.as_mut().unwrap().rate.start = f64::INFINITY), "a rate of inf requests/s"),
    ];
    for (message, expected) in cases {
        assert!(message.starts_with(expected), "{message}");
    }
    assert!(named(|p| p.timing.baseline = Duration::MAX).ends_with("is outside 0s to 30m"));
}

fn extreme() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::from(0)),
        Just(Value::from(-1)),
        Just(Value::from(1)),
        Just(Value::from(u16::MAX)),
        Just(Value::from(u32::MAX)),
        Just(Value::from(i64::MAX)),
        Just(Value::from(u64::MAX)),
        Just(Value::from(1e308)),
        Just(Value::from(-1e308)),
        Just(Value::from(5e-324)),
        Just(Value::from("0s")),
        Just(Value::from("1ns")),
        Just(Value::from("30m")),
        Just(Value::from("584542046090years")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]
    /// Three leaves at a time, wherever they are: nothing panics or overflows.
    #[test]
    fn extreme_values_are_refused_or_harmless(
        which: prop::sample::Index,
        changes in prop::collection::vec((any::<prop::sample::Index>(), extreme()), 1..4),
    ) {
        static DOCUMENTS: std::sync::LazyLock<Vec<(Value, Vec<String>)>> = std::sync::LazyLock::new(documents);
        let (mut document, paths) = which.get(&DOCUMENTS).clone();
        for (at, extreme) in changes {
            let numeric: Vec<&String> = paths.iter().filter(|path| {
                document.pointer(path).is_some_and(|leaf| leaf.is_number() || is_time(leaf))
            }).collect();
            let path = (*at.get(&numeric)).clone();
            *document.pointer_mut(&path).unwrap() = extreme;
        }
        if let Ok(plan) = serde_json::from_value::<Plan>(document) {
            let _ = check(plan);
        }
    }
}
