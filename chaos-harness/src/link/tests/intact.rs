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
    let toxic = match kind % 4 {
        0 => black_hole(),
        1 => Toxic::new(toxic::BlackHole { after: Some(ms(u64::from(kind / 40))), ..Default::default() }),
        2 => latency(ms(u64::from(kind / 20))),
        _ => Toxic::new(toxic::Latency::new(ms(3)).jitter(ms(3))),
    };
    let direction = [Direction::Up, Direction::Down, Direction::Both][usize::from(kind / 4 % 3)];
    toxic.direction(direction).probability(if kind.is_multiple_of(5) { 0.5 } else { 1.0 })
}

async fn run(steps: Vec<Step>, half_close_early: bool) {
    const NAMES: [&str; 3] = ["a", "b", "c"];
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
        match step {
            Step::Send(n) => {
                write.write_all(&data[sent..sent + n]).await.unwrap();
                sent += n;
            }
            // Names may be taken or missing: these are the errors to expect.
            Step::Add(name, kind) => drop(toxics.add(NAMES[name], harmless(kind))),
            Step::Update(name, kind) => drop(toxics.update(NAMES[name], harmless(kind))),
            Step::Remove(name) => drop(toxics.remove(NAMES[name])),
            Step::Clear => toxics.clear().unwrap(),
            Step::Wait(n) => tokio::time::sleep(ms(n)).await,
        }
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_changes_leave_the_stream_intact(steps in prop::collection::vec(step(), 1..25), early in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(run(steps, early));
    }
}
