//! Any changes of harmless toxics over any datagrams: each arrives once, unchanged.

use std::collections::BTreeMap;

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
        5 => prop_oneof![Just(0), 1..200_usize, 1000..3000_usize].prop_map(Step::Send),
        3 => (0_usize..3, any::<u8>()).prop_map(|(name, kind)| Step::Add(name, kind)),
        1 => (0_usize..3, any::<u8>()).prop_map(|(name, kind)| Step::Update(name, kind)),
        2 => (0_usize..3).prop_map(Step::Remove),
        1 => Just(Step::Clear),
        1 => (0_u64..4).prop_map(Step::Wait),
    ]
}

fn harmless(kind: u8) -> UdpToxic {
    let spec: UdpToxicSpec = match kind % 4 {
        0 => Delay::new(ms(u64::from(kind / 20))).into(),
        1 => Delay::new(ms(3)).jitter(ms(3)).into(),
        2 => Reorder::new(u32::from(kind / 40) + 1).within(ms(u64::from(kind) * 10)).into(),
        _ => Bandwidth { rate: 20_000 + u64::from(kind) * 1000, queue: 1 << 20 }.into(),
    };
    let direction = [Direction::Up, Direction::Down, Direction::Both][usize::from(kind / 4 % 3)];
    UdpToxic::new(spec).direction(direction).probability(if kind.is_multiple_of(5) { 0.5 } else { 1.0 })
}

/// How often each datagram was seen.
fn tally(datagrams: impl IntoIterator<Item = Vec<u8>>) -> BTreeMap<Vec<u8>, usize> {
    let mut tally = BTreeMap::new();
    datagrams.into_iter().for_each(|data| *tally.entry(data).or_default() += 1);
    tally
}

async fn run(steps: Vec<Step>) {
    const NAMES: [&str; 3] = ["a", "b", "c"];
    let callee = Callee::start().await;
    let link = link_to(&callee);
    let (toxics, sockets) = (link.toxics(), [caller(&link).await, caller(&link).await]);
    let mut sent = Vec::new();
    for step in steps {
        match step {
            Step::Send(size) => {
                let data: Vec<u8> = (0..size).map(|n| (n * 31 + sent.len()).to_le_bytes()[0]).collect();
                sockets[sent.len() % 2].send(&data).await.unwrap();
                sent.push(data);
            }
            // Names may be taken or missing: these are the errors to expect.
            Step::Add(name, kind) => drop(toxics.add(NAMES[name], harmless(kind))),
            Step::Update(name, kind) => drop(toxics.update(NAMES[name], harmless(kind))),
            Step::Remove(name) => drop(toxics.remove(NAMES[name])),
            Step::Clear => toxics.clear().unwrap(),
            Step::Wait(n) => tokio::time::sleep(ms(n)).await,
        }
    }
    toxics.clear().unwrap();
    let mut answers = Vec::new();
    for (parity, socket) in sockets.iter().enumerate() {
        let mine = sent.iter().skip(parity).step_by(2).cloned();
        let mut heard = Vec::new();
        for _ in mine.clone() {
            heard.push(receive(socket).await);
        }
        assert_eq!(tally(mine), tally(heard.clone()));
        answers.extend(heard);
    }
    assert_eq!(tally(callee.got()), tally(sent.clone()));
    let counted = || (link.counters().datagrams_up, link.counters().datagrams_down, answers.len());
    until(|| counted() == (sent.len() as u64, sent.len() as u64, sent.len())).await;
    soon(link.shutdown()).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_changes_leave_each_datagram_as_it_is(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}
