//! What a layer costs that is off: the same trivial service with and without it, in alternating rounds.
//!
//! `cargo bench -p chaos-layer`. It fails when a layer that is off costs 50 ns a request or more.
#![allow(clippy::print_stdout, reason = "a bench says what it found")]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::process::ExitCode;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use chaos_layer::{Act, ChaosControl, ChaosLayer, Rule, When, fail_point, points};
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

/// A round is over in a millisecond, so that what else runs on the machine disturbs few of them.
const CALLS: u32 = 10_000;
const ROUNDS: usize = 1001;
const LIMIT: f64 = 50.0;

#[derive(Clone)]
struct Trivial;

impl Service<Request<()>> for Trivial {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(())))
    }
}

/// Nanoseconds a call.
fn round<S: Service<Request<()>>>(service: &mut S) -> f64 {
    let mut context = Context::from_waker(Waker::noop());
    let started = Instant::now();
    for _ in 0..CALLS {
        assert!(service.poll_ready(&mut context).is_ready());
        let answer = pin!(service.call(black_box(Request::new(())))).poll(&mut context);
        assert!(black_box(answer).is_ready());
    }
    nanos(started.elapsed())
}

fn passed_points() -> f64 {
    let started = Instant::now();
    (0..CALLS).for_each(|call| assert_eq!(black_box(pass(call)), call));
    nanos(started.elapsed())
}

fn pass(call: u32) -> u32 {
    fail_point!("bench", |_| 0);
    call
}

fn nanos(elapsed: Duration) -> f64 {
    elapsed.as_nanos() as f64 / f64::from(CALLS)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> ExitCode {
    let (off, on) = (ChaosControl::new(), ChaosControl::new());
    let elsewhere = When { path: Some("/elsewhere".to_owned()), ..When::default() };
    let rule = Rule { when: elsewhere, ..Act::Error { status: 503, grpc: None }.into() };
    if let Err(invalid) = on.put("elsewhere", rule, Duration::from_secs(3600)) {
        println!("{invalid}");
        return ExitCode::FAILURE;
    }
    let (mut bare, mut off, mut on) =
        (Trivial, ChaosLayer::new(off).layer(Trivial), ChaosLayer::new(on).layer(Trivial));
    let mut rounds: [Vec<f64>; 4] = Default::default();
    for _ in 0..ROUNDS {
        let measured = [round(&mut bare), round(&mut off), round(&mut on), passed_points()];
        rounds.iter_mut().zip(measured).for_each(|(all, one)| all.push(one));
    }
    let costs: Vec<f64> = rounds[0].iter().zip(&rounds[1]).map(|(bare, off)| off - bare).collect();
    let [bare, off, on, point] = rounds.map(median);
    println!("medians of {ROUNDS} rounds of {CALLS} calls, in ns a call");
    println!("without the layer     {bare:8.2}");
    println!("with the layer off    {off:8.2}  {:.2} times as long", off / bare);
    println!("a rule for others on  {on:8.2}");
    println!("a fail point off      {point:8.2}");
    let cost = median(costs);
    println!("off costs {cost:.2} ns a request, the median of the rounds' differences; the limit is {LIMIT} ns");
    assert!(points::report().is_empty());
    if cost < LIMIT { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
