//! Any changes over any chunking leave the stream intact.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Send(usize),
    Add(usize, u8),
    Update(usize, u8),
    Remove(usize),
    Clear,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_usize..40_000).prop_map(Step::Send),
        3 => (0_usize..3, any::<u8>()).prop_map(|(name, kind)| Step::Add(name, kind)),
        1 => (0_usize..3, any::<u8>()).prop_map(|(name, kind)| Step::Update(name, kind)),
        2 => (0_usize..3).prop_map(Step::Remove),
        1 => Just(Step::Clear),
        2 => (0_u64..4).prop_map(Step::Wait),
    ]
}

fn harmless(kind: u8) -> Toxic {
    let short = ms(u64::from(kind / 20));
    let toxic = match kind % 11 {
        0 => black_hole(),
        1 => Toxic::new(toxic::BlackHole { after_bytes: Some(u64::from(kind) * 500), ..Default::default() }),
        2 => latency(short),
        3 => Toxic::new(toxic::Latency::new(ms(3)).jitter(ms(3))),
        4 => Toxic::new(toxic::SlowOpen { delay: short }),
        5 => Toxic::new(toxic::SlowClose { delay: short }),
        6 => Toxic::new(toxic::Bandwidth { rate: 1_000_000 + u64::from(kind) * 20_000, shared: kind > 127 }),
        7 => Toxic::new(toxic::Slicer { size: 100 + u32::from(kind), variation: 99, delay: ms(0) }),
        8 => Toxic::new(toxic::Slicer { size: 5000, variation: 0, delay: Duration::from_micros(kind.into()) }),
        9 => Toxic::new(toxic::ConnectionLimit { max: u32::from(kind > 127), then: toxic::Excess::Wait }),
        _ => Toxic::new(toxic::BlackHole { after: Some(ms(u64::from(kind / 40))), ..Default::default() }),
    };
    let direction = [Direction::Up, Direction::Down, Direction::Both][usize::from(kind / 4 % 3)];
    toxic.direction(direction).probability(if kind.is_multiple_of(5) { 0.5 } else { 1.0 })
}

/// Does what a step says to the toxics.
async fn change(toxics: &Toxics, step: Step) {
    const NAMES: [&str; 3] = ["a", "b", "c"];
    match step {
        Step::Send(_) => {}
        // Names may be taken or missing: these are the errors to expect.
        Step::Add(name, kind) => drop(toxics.add(NAMES[name], harmless(kind))),
        Step::Update(name, kind) => drop(toxics.update(NAMES[name], harmless(kind))),
        Step::Remove(name) => drop(toxics.remove(NAMES[name])),
        Step::Clear => toxics.clear().unwrap(),
        Step::Wait(n) => tokio::time::sleep(ms(n)).await,
    }
}

/// The caller sends, the callee sends it back; the caller ends its stream before or after the toxics are gone.
async fn echo(steps: Vec<Step>, half_close_early: bool) {
    let server = Server::echo().await;
    let link = link_to(&server);
    let toxics = link.toxics();
    let total = steps.iter().map(|step| if let Step::Send(n) = step { *n } else { 0 }).sum();
    let data = random_bytes(9, total);
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
async fn download(steps: Vec<Step>) {
    let data: &[u8] = random_bytes(9, 300_000).leak();
    let server = Server::start(move |mut stream| async move {
        stream.write_all(data).await.unwrap();
        stream.shutdown().await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
    })
    .await;
    let link = link_to(&server);
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
    fn any_changes_leave_the_stream_intact(steps in prop::collection::vec(step(), 1..25), early in any::<bool>()) {
        block_on(echo(steps, early));
    }

    #[test]
    fn any_changes_leave_a_download_intact(steps in prop::collection::vec(step(), 1..25)) {
        block_on(download(steps));
    }
}
