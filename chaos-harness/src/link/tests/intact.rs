//! Any changes over any chunking leave the stream intact.

use proptest::prelude::*;

use super::toxic::Distribution;
use super::*;

/// A harmless toxic: which kind, and on which connections and when.
type Choice = (u8, u8);

#[derive(Clone, Debug)]
enum Step {
    Send(usize),
    Add(usize, Choice),
    Update(usize, Choice),
    Remove(usize),
    Clear,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_usize..40_000).prop_map(Step::Send),
        3 => (0_usize..3, any::<Choice>()).prop_map(|(name, choice)| Step::Add(name, choice)),
        1 => (0_usize..3, any::<Choice>()).prop_map(|(name, choice)| Step::Update(name, choice)),
        2 => (0_usize..3).prop_map(Step::Remove),
        1 => Just(Step::Clear),
        2 => (0_u64..4).prop_map(Step::Wait),
    ]
}

fn harmless((kind, when): Choice) -> Toxic {
    let short = ms(u64::from(kind / 20));
    let distribution = [Distribution::Uniform, Distribution::Normal, Distribution::Pareto][usize::from(kind / 8 % 3)];
    let toxic = match kind % 11 {
        0 => black_hole(),
        1 => Toxic::new(toxic::BlackHole { after_bytes: Some(u64::from(kind) * 500), ..Default::default() }),
        2 => latency(short),
        3 => Toxic::new(toxic::Latency::new(ms(3)).jitter(ms(3)).distribution(distribution)),
        4 => Toxic::new(toxic::SlowOpen { delay: short }),
        5 => Toxic::new(toxic::SlowClose { delay: short }),
        6 => Toxic::new(toxic::Bandwidth { rate: 1_000_000 + u64::from(kind) * 20_000, shared: kind > 127 }),
        7 => Toxic::new(toxic::Slicer { size: 100 + u32::from(kind), variation: 99, delay: ms(0) }),
        8 => Toxic::new(toxic::Slicer { size: 5000, variation: 0, delay: Duration::from_micros(kind.into()) }),
        9 => Toxic::new(toxic::ConnectionLimit { max: u32::from(kind > 127), then: toxic::Excess::Wait }),
        _ => Toxic::new(toxic::BlackHole { after: Some(ms(u64::from(kind / 40))), ..Default::default() }),
    };
    let direction = [Direction::Up, Direction::Down, Direction::Both][usize::from(kind / 4 % 3)];
    let toxic = toxic.direction(direction).probability(if kind.is_multiple_of(5) { 0.5 } else { 1.0 });
    let selection = [None, None, Some(Selection::First(1)), Some(Selection::Every(1))][usize::from(when / 64)];
    Toxic { connections: selection, profile: profile(when % 64), ..toxic }
}

fn profile(when: u8) -> Profile {
    let length = ms(1 + u64::from(when / 5));
    match when % 5 {
        0 => Profile::Always,
        1 => Profile::Ramp { over: length },
        2 => Profile::Pulse { after: ms(1), lasts: length },
        3 => Profile::Square { period: length + ms(1), on: ms(1) },
        _ => Profile::windows(ms(1), length),
    }
}

/// Does what a step says to the toxics.
async fn change(toxics: &Toxics, step: Step) {
    const NAMES: [&str; 3] = ["a", "b", "c"];
    match step {
        Step::Send(_) => {}
        // Names may be taken or missing: these are the errors to expect.
        Step::Add(name, choice) => drop(toxics.add(NAMES[name], harmless(choice))),
        Step::Update(name, choice) => drop(toxics.update(NAMES[name], harmless(choice))),
        Step::Remove(name) => drop(toxics.remove(NAMES[name])),
        Step::Clear => toxics.clear().unwrap(),
        Step::Wait(n) => tokio::time::sleep(ms(n)).await,
    }
}

/// The caller sends, the callee sends it back; the caller ends its stream before or after the toxics are gone.
async fn echo(before: Option<Choice>, steps: Vec<Step>, half_close_early: bool) {
    let server = Server::echo().await;
    let link = link_to(&server);
    let toxics = link.toxics();
    let total = steps.iter().map(|step| if let Step::Send(n) = step { *n } else { 0 }).sum();
    let data = random_bytes(9, total);
    // Only what is there before a connection can select it by its number.
    if let Some(choice) = before {
        toxics.add("before", harmless(choice)).unwrap();
    }
    let (mut read, mut write) = connect(&link).await.into_split();
    let reader = tokio::spawn(async move {
        let mut received = Vec::new();
        read.read_to_end(&mut received).await.map(|_| received)
    });
    let mut sent = 0;
    for step in steps {
        if let Step::Send(n) = step {
            soon(write.write_all(&data[sent..sent + n])).await.unwrap();
            sent += n;
        }
        change(&toxics, step).await;
    }
    if half_close_early {
        write.shutdown().await.unwrap();
    }
    toxics.clear().unwrap();
    if !half_close_early {
        write.shutdown().await.unwrap();
    }
    let received = soon(reader).await.unwrap().unwrap();
    assert!(received == data, "{} of {} bytes", received.len(), data.len());
    assert_eq!((link.counters().bytes_up, link.counters().bytes_down), (total as u64, total as u64));
    soon(link.shutdown()).await;
}

/// The callee sends and ends at once; the caller ends when it has all.
async fn download(before: Option<Choice>, steps: Vec<Step>) {
    let data: &[u8] = random_bytes(9, 300_000).leak();
    let server = Server::start(move |mut stream| async move {
        stream.write_all(data).await.unwrap();
        stream.shutdown().await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
    })
    .await;
    let link = link_to(&server);
    if let Some(choice) = before {
        link.toxics().add("before", harmless(choice)).unwrap();
    }
    let mut stream = connect(&link).await;
    let reader = tokio::spawn(async move {
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.map(|_| received)
    });
    for step in steps {
        change(&link.toxics(), step).await;
    }
    link.toxics().clear().unwrap();
    let received = soon(reader).await.unwrap().unwrap();
    assert!(received == data, "{} of {} bytes", received.len(), data.len());
    until(|| link.counters().active == 0).await;
    assert_eq!(link.counters().aborted, 0, "both ends have ended in order");
}

fn block_on(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_changes_leave_the_stream_intact(
        before in any::<Option<Choice>>(),
        steps in prop::collection::vec(step(), 1..25),
        early in any::<bool>(),
    ) {
        block_on(echo(before, steps, early));
    }

    #[test]
    fn any_changes_leave_a_download_intact(
        before in any::<Option<Choice>>(),
        steps in prop::collection::vec(step(), 1..25),
    ) {
        block_on(download(before, steps));
    }
}
