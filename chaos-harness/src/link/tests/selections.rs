//! Which connections toxics act on by number, and what each toxic counts for itself.

use super::*;

/// Whether a toxic cuts the next connection.
async fn next_is_cut(link: &LinkProxy) -> bool {
    let mut stream = connect(link).await;
    stream.write_all(b"x").await.is_err() || soon(stream.read_exact(&mut [0])).await.is_err()
}

async fn cuts(link: &LinkProxy, n: usize) -> Vec<bool> {
    let mut cuts = Vec::new();
    for _ in 0..n {
        cuts.push(next_is_cut(link).await);
    }
    cuts
}

#[tokio::test]
async fn the_first_are_refused_and_those_after_them_served() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let mut before = live(&link).await;
    for name in ["once", "again"] {
        link.toxics().add(name, refuse().connections(Selection::First(3))).unwrap();
        assert_eq!(cuts(&link, 5).await, [true, true, true, false, false]);
    }
    assert_eq!(ping(&mut before, b"left alone").await, b"left alone");
    assert_eq!((link.counters().refused, link.counters().closings), (6, 0));
}

#[tokio::test]
async fn every_nth_is_reset_counted_from_the_addition() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let mut before = live(&link).await;
    live(&link).await;
    link.toxics().add("third", reset().connections(Selection::Every(3))).unwrap();
    assert_eq!(cuts(&link, 4).await, [false, false, true, false]);
    link.toxics().update("third", reset().connections(Selection::Every(2))).unwrap();
    assert_eq!(cuts(&link, 4).await, [false, true, false, true], "an update goes on counting");
    assert_eq!(ping(&mut before, b"left alone").await, b"left alone");
}

#[tokio::test]
async fn a_probability_is_a_share_of_the_selected() {
    let server = Server::echo().await;
    let run = async || {
        let link = link_to(&server);
        link.toxics().add("some", reset().connections(Selection::Every(2)).probability(0.5)).unwrap();
        cuts(&link, 80).await
    };
    let cut = run().await;
    assert_eq!(cut, run().await, "the seed decides");
    assert!(cut.iter().step_by(2).all(|cut| !cut));
    let hit = cut.iter().filter(|cut| **cut).count();
    assert!((8..=32).contains(&hit), "{hit} of 40 at 50%");
}

#[tokio::test]
async fn each_toxic_counts_what_it_did_itself() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let toxics = link.toxics();
    let later = Profile::Pulse { after: Duration::from_secs(3600), lasts: ms(1) };
    toxics.add("slow", latency(ms(2)).direction(Direction::Down)).unwrap();
    toxics.add("never", black_hole().profile(later)).unwrap();
    toxics.add("even", reset().connections(Selection::Every(2))).unwrap();
    toxics.add("first", reset().connections(Selection::First(1))).unwrap();
    assert_eq!(cuts(&link, 4).await, [true, true, false, true]);

    let own = |name| toxics.counters(name).unwrap();
    assert_eq!(own("never"), CountersSnapshot::default());
    assert_eq!(own("even"), CountersSnapshot { reset: 2, affected: 2, ..Default::default() });
    assert_eq!(own("first"), CountersSnapshot { reset: 1, affected: 1, ..Default::default() });
    let slow = CountersSnapshot { delayed_bytes: 1, delayed_chunks: 1, affected: 1, ..Default::default() };
    assert_eq!(own("slow"), slow);
    let all = link.counters();
    assert_eq!((all.reset, all.delayed_bytes, all.affected), (3, 1, 4));
    assert_eq!(toxics.remove("slow").unwrap().counters, slow);
    assert!(matches!(toxics.counters("slow"), Err(LinkError::Unknown { .. })));
}

#[tokio::test]
async fn of_two_that_would_cut_the_one_that_did_counts() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let budget = |bytes| {
        Toxic::new(toxic::Reset { after: None, after_bytes: Some(bytes), on_data: false }).direction(Direction::Up)
    };
    link.toxics().add("tight", budget(2)).unwrap();
    link.toxics().add("wide", budget(4)).unwrap();
    let mut stream = connect(&link).await;
    stream.write_all(b"12345678").await.unwrap();
    assert_reset(&mut stream).await;
    let reset = |name| link.toxics().counters(name).unwrap().reset;
    assert_eq!((reset("tight"), reset("wide"), link.counters().reset), (1, 0, 1));
}
