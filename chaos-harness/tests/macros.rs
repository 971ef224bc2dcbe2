//! The macros expand to what they say, and refuse what makes no sense with a message on the token.

use std::convert::Infallible;
use std::num::ParseIntError;
use std::time::Duration;

use chaos_harness::Lab;
use chaos_harness::hypothesis::{Aborted, Comparison, Hypothesis, HypothesisError, Measure, Scope, Threshold, Verdict};
use chaos_harness::topology::{Protocol, RestartPolicy, Service, Topology};
use chaos_harness::{chaos_test, hypothesis, topology};
use rstest::{fixture, rstest};
use tokio::runtime::{Handle, RuntimeFlavor};

#[test]
fn nonsense_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/ui/*/*.rs");
}

/// Pairs of a claim and the text that its tokens spell.
macro_rules! claims {
    ($([$($claim:tt)*])*) => { [$((hypothesis!($($claim)*), stringify!($($claim)*))),*] };
}

/// A claim prints as the tokens that it was written with, so what reports print can be written again.
#[test]
fn claims_print_as_they_are_written() {
    let claims = claims! {
        [availability > 95%]
        [availability >= 99.9%]
        [availability("/orders") > 99.9999% during baseline]
        [error_rate < 5%]
        [error_rate("checkout") <= 0.5% during fault]
        [degraded < 20% during recovery]
        [degraded >= 1%]
        [p50 < 20ms during after]
        [p5 > 1ms]
        [p99("/catalog") < 250ms]
        [p99_9 < 1s 500ms during overall]
        [p99_9999("say \"hi\"") <= 7us]
        [max < 5s]
        [max("/a b") <= 1h 30s]
        [mttr < 2min 30s]
        [mttr <= 2min]
        [mttd < 500us]
        [recovery > 0s]
        [peak("queue") < 1000]
        [lowest("balance") >= -2.5 during overall]
        [last("lag") <= 0]
    };
    for (claim, written) in claims {
        claim.validate().unwrap();
        assert_eq!(spelled(&claim.to_string()), spelled(&written.replace("during fault", "")));
    }
}

/// Without the blanks between tokens.
fn spelled(text: &str) -> String {
    text.split_whitespace().collect()
}

/// A threshold that another macro passes on.
macro_rules! mttr_below {
    ($limit:literal) => {
        hypothesis!(mttr < $limit)
    };
}

#[test]
fn claims_have_the_values_that_are_written() -> Result<(), HypothesisError> {
    let route = || Some("/catalog".to_owned());
    let time = |millis| Threshold::Time(Duration::from_millis(millis));
    let probe = || "queue".to_owned();
    let new = Hypothesis::new;
    let cases = [
        (
            hypothesis!(availability > 99.9%),
            new(Measure::Availability { route: None }, Comparison::Above, Threshold::Ratio(0.999))?,
        ),
        (
            hypothesis!(p999("/catalog") <= 1.5s),
            new(Measure::Latency { quantile: 0.999, route: route() }, Comparison::AtMost, time(1500))?,
        ),
        (
            hypothesis!(max < 2 min),
            new(Measure::Latency { quantile: 1.0, route: None }, Comparison::Below, time(120_000))?,
        ),
        (
            hypothesis!(lowest("queue") >= -2e3 during after),
            new(Measure::Lowest { probe: probe() }, Comparison::AtLeast, Threshold::Number(-2000.0))?
                .during(Scope::After),
        ),
        (mttr_below!(90s), new(Measure::Mttr, Comparison::Below, time(90_000))?),
        (hypothesis!(mttr<2min 30s), new(Measure::Mttr, Comparison::Below, time(150_000))?),
    ];
    for (written, built) in cases {
        assert_eq!(written, built);
    }
    Ok(())
}

#[test]
fn a_topology_is_what_the_builder_makes() {
    let image = format!("postgres:{}", 16);
    let switch = String::from("off");
    let written = topology! {
        shop:
        gateway {
            cargo: "shop" / "edge",
            args: ["gateway", 3, switch.as_str()],
            port: 80,
            health: "/health/ready",
            within: 1min,
            restart: always,
            instances: 1 + 1,
            standby: 1,
            env: { BREAKER: switch.clone(), "cache.size": 10, LOG: true },
        }
        order { image: "shop/order", cargo: "shop"; args: std::env::args().take(0) },
        "order-db" { image: image, program: "postgres", args: [], port: 5432, health: tcp, restart: never };
        type { program: "/bin/true", udp_port: 53, control_port: 9100, restart: on_failure(3), stop_grace: 10s }
        cache { image: "redis:7", entrypoint: ["redis-server"], args: ["--port", 6379], init: false, restart: on_failure }
        lock { image: "etcd:3", restart: unless_stopped }
        store { image: "redis", volumes: { "/data": 64 MiB, "/tmp": 2 * 65_536 }, disks: ["/logs", "/wal"] }
        gateway -> order: http, type: udp, type; order -> "order-db"; type -> gateway: tcp,
        users -> gateway: http
    };
    let built = Topology::new("shop")
        .service(
            Service::new("gateway")
                .cargo("shop", "edge")
                .args(["gateway", "3", "off"])
                .port(80)
                .http("/health/ready")
                .within(Duration::from_secs(60))
                .restarts()
                .instances(2)
                .standby(1)
                .env("BREAKER", "off")
                .env("cache.size", "10")
                .env("LOG", "true"),
        )
        .service(Service::new("order").cargo("shop", "shop").image("shop/order"))
        .service(Service::new("order-db").image("postgres:16").program("postgres").port(5432))
        .service(
            Service::new("type")
                .program("/bin/true")
                .udp_port(53)
                .control_port(9100)
                .restart(RestartPolicy::OnFailure { retries: 3 })
                .stop_grace(Duration::from_secs(10)),
        )
        .service(
            Service::new("cache")
                .image("redis:7")
                .entrypoint(["redis-server"])
                .args(["--port", "6379"])
                .init(false)
                .restart(RestartPolicy::OnFailure { retries: 0 }),
        )
        .service(Service::new("lock").image("etcd:3").restart(RestartPolicy::UnlessStopped))
        .service(
            Service::new("store")
                .image("redis")
                .volume("/data", 64 << 20)
                .volume("/tmp", 131_072)
                .disk("/logs")
                .disk("/wal"),
        )
        .link_over("gateway", "order", Protocol::Http)
        .link_over("gateway", "type", Protocol::Udp)
        .link("gateway", "type")
        .link("order", "order-db")
        .link("type", "gateway")
        .link_over("users", "gateway", Protocol::Http);
    written.validate().unwrap();
    assert_eq!(written, built);
}

#[chaos_test(seed = 42, timeout = 5min, runtime = "auto")]
async fn it_runs_on_several_threads(_lab: Lab) -> Result<Verdict, Infallible> {
    assert_eq!(Handle::current().runtime_flavor(), RuntimeFlavor::MultiThread);
    Ok(Verdict::Upheld)
}

#[chaos_test]
#[ignore = "called by the test below"]
async fn halted(_lab: Lab) -> Result<Verdict, Infallible> {
    Ok(Verdict::Aborted { condition: Aborted::Halted })
}

#[chaos_test(timeout = "2min 30s")]
#[ignore = "called by the test below"]
async fn erring(_lab: Lab) -> Result<(), ParseIntError> {
    let number: u8 = "300".parse()?;
    panic!("{number} fits into a byte");
}

#[test]
fn only_an_upheld_verdict_passes() {
    assert_eq!(format!("{:?}", halted().unwrap_err()), "aborted: halted on request");
    assert_eq!(erring().unwrap_err().to_string(), "number too large to fit in target type");
}

#[chaos_test]
#[should_panic(expected = "aborted: halted on request")]
async fn a_test_that_should_panic_may_fail_by_its_verdict(_lab: Lab) -> Result<Verdict, Infallible> {
    Ok(Verdict::Aborted { condition: Aborted::Halted })
}

#[chaos_test]
#[cfg(any())]
async fn what_is_configured_out_is_not_compiled(_lab: Lab) -> NoSuchType {}

#[fixture]
fn limit() -> u64 {
    6
}

#[chaos_test]
#[rstest]
#[case(2)]
#[case::five(5)]
async fn tables_of_cases_work(_lab: Lab, limit: u64, #[case] seconds: u64) -> Result<(), ParseIntError> {
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    assert!(seconds < limit && name.contains("tables_of_cases_work::case_"), "{name}");
    Ok(())
}

/// The macros name everything by its full path.
mod shadowed {
    #![allow(dead_code)]

    struct Option;
    struct Result;
    struct String;
    struct Duration;
    mod chaos_harness {}
    mod core {}
    mod std {}

    #[::chaos_harness::chaos_test(seed = 1, timeout = 1s)]
    async fn names_in_scope_do_not_matter(
        _lab: ::chaos_harness::Lab,
    ) -> ::core::result::Result<(), ::core::fmt::Error> {
        let claim = ::chaos_harness::hypothesis!(p99("/catalog") < 250ms);
        let system = ::chaos_harness::topology! { shop: order { cargo: "shop", args: ["a"], within: 1s } };
        match claim.validate().is_ok() && system.validate().is_ok() {
            true => Ok(()),
            false => Err(::core::fmt::Error),
        }
    }
}
