//! Toxics as data.

use super::*;

#[test]
fn toxics_are_flat_data_with_readable_durations() {
    let toxic = Toxic::new(toxic::Latency::new(ms(50)).jitter(ms(5))).direction(Direction::Down).probability(0.25);
    let json = serde_json::json!({
        "kind": "latency", "latency": "50ms", "jitter": "5ms", "direction": "down", "probability": 0.25
    });
    assert_eq!(serde_json::to_value(&toxic).unwrap(), json);
    assert_eq!(serde_json::from_value::<Toxic>(json).unwrap(), toxic);
}

#[test]
fn toxics_have_names_for_people() {
    let half = |spec: ToxicSpec| Toxic::new(spec).direction(Direction::Down);
    for (toxic, name) in [
        (latency(ms(50)).direction(Direction::Down), "latency 50ms"),
        (latency(ms(50)), "latency 50ms both ways"),
        (black_hole().direction(Direction::Up).probability(0.25), "25% black hole upwards"),
        (Toxic::new(toxic::SlowOpen { delay: ms(5) }).direction(Direction::Down), "slow open 5ms"),
        (half(toxic::LimitData { bytes: 9, then: toxic::Ending::Reset }.into()), "limit of 9 bytes, then reset"),
        (Toxic::new(toxic::Bandwidth::new(1_500_000).shared()), "bandwidth 1.5 MB/s shared"),
        (Toxic::new(toxic::Slicer { size: 9, variation: 2, delay: ms(1) }), "slices of 9 +/- 2 bytes, 1ms apart"),
        (Toxic::new(toxic::Corrupt::default()), "corruption of one byte in 1000"),
        (Toxic::new(toxic::HalfOpen::default()), "half-open connections"),
        (half(toxic::HalfOpen::default().into()), "half-open connections downwards"),
        (Toxic::new(toxic::ConnectionLimit::default()), "limit of 100 connections"),
    ] {
        assert_eq!(toxic.to_string(), name);
    }
}

#[test]
fn every_kind_survives_serialisation_and_is_in_the_schema() {
    let schema = serde_json::to_string(&schemars::schema_for!(Toxic)).unwrap();
    for spec in ToxicSpec::each() {
        let toxic = Toxic::new(spec);
        toxic.validate().unwrap();
        let json = serde_json::to_value(&toxic).unwrap();
        assert!(schema.contains(&format!("\"const\":{}", json["kind"])), "{} in {schema}", json["kind"]);
        assert_eq!(serde_json::from_value::<Toxic>(json).unwrap(), toxic);
    }
}

#[tokio::test]
async fn every_kind_comes_and_goes() {
    let server = Server::echo().await;
    // What is no HTTP passes such a link too, and it takes every kind.
    let link = LinkProxy::bind_http(LOCAL, 7).unwrap();
    link.set_upstream(Some(server.addr));
    for spec in ToxicSpec::each() {
        let _live = live(&link).await;
        for direction in [Direction::Up, Direction::Down, Direction::Both] {
            for probability in [0.0, 0.5, 1.0] {
                let toxic = Toxic::new(spec.clone()).direction(direction).probability(probability);
                link.toxics().add("it", toxic.clone()).unwrap();
                assert_eq!(link.toxics().remove("it").unwrap(), toxic);
            }
        }
        live(&link).await;
    }
    soon(link.shutdown()).await;
}

#[test]
fn unknown_kinds_and_fields_are_errors() {
    for json in [
        r#"{"kind": "gremlin"}"#,
        r#"{"latency": "1s"}"#,
        r#"{"kind": "latency"}"#,
        r#"{"kind": "latency", "latency": "-1s"}"#,
        r#"{"kind": "latency", "latency": "1s", "jiter": "1s"}"#,
        r#"{"kind": "refuse", "after": "1s"}"#,
        r#"{"kind": "bandwidth", "rate": -1}"#,
        r#"{"kind": "bandwidth", "rate": 0.5}"#,
        r#"{"kind": "slicer", "size": 4294967296}"#,
        r#"{"kind": "limit_data", "bytes": 1, "then": "explode"}"#,
        r#"{"kind": "corrupt", "bytes": {"share": 0.1, "one_of": 10}}"#,
        r#"{"kind": "connection_limit", "max": -1}"#,
        r#"{"kind": "reset", "direction": "sideways"}"#,
    ] {
        let error = serde_json::from_str::<Toxic>(json).expect_err(json);
        println!("{json}: {error}");
    }
}

fn corrupt(bytes: toxic::Victims, bit: Option<u8>) -> Toxic {
    Toxic::new(toxic::Corrupt { bytes, bit })
}

#[tokio::test]
async fn nonsense_is_named_and_changes_nothing() {
    let link = LinkProxy::bind(LOCAL, 7).unwrap();
    let toxics = link.toxics();
    let hour = Duration::from_secs(3600);
    for (toxic, field) in [
        (latency(hour + ms(1)), "latency"),
        (Toxic::new(toxic::Latency::new(ms(1)).jitter(ms(2))), "jitter"),
        (latency(ms(1)).probability(1.1), "probability"),
        (latency(ms(1)).probability(f64::NAN), "probability"),
        (Toxic::new(toxic::BlackHole { after: Some(hour * 2), ..Default::default() }), "after"),
        (Toxic::new(toxic::BlackHole { close_after: Some(hour * 2), ..Default::default() }), "close_after"),
        (Toxic::new(toxic::SlowOpen { delay: hour * 2 }), "delay"),
        (Toxic::new(toxic::SlowClose { delay: hour * 2 }), "delay"),
        (Toxic::new(toxic::HalfOpen { after: Some(hour * 2) }), "after"),
        (Toxic::new(toxic::Bandwidth::new(0)), "rate"),
        (Toxic::new(toxic::Bandwidth::new(u64::MAX)), "rate"),
        (Toxic::new(toxic::Slicer { size: 0, ..Default::default() }), "size"),
        (Toxic::new(toxic::Slicer { size: 2 << 20, ..Default::default() }), "size"),
        (Toxic::new(toxic::Slicer { size: 5, variation: 5, delay: ms(0) }), "variation"),
        (Toxic::new(toxic::Slicer { size: 5, variation: 0, delay: hour * 2 }), "delay"),
        (corrupt(toxic::Victims::Share(1.5), None), "bytes"),
        (corrupt(toxic::Victims::Share(0.0), None), "bytes"),
        (corrupt(toxic::Victims::Share(-0.1), None), "bytes"),
        (corrupt(toxic::Victims::Share(f64::NAN), None), "bytes"),
        (corrupt(toxic::Victims::OneOf(0), None), "bytes"),
        (corrupt(toxic::Victims::OneOf(9), Some(8)), "bit"),
        (Toxic::new(toxic::Reset { after: Some(hour * 2), after_bytes: None }), "after"),
    ] {
        match toxics.add("odd", toxic) {
            Err(LinkError::Invalid { name, source }) => assert_eq!((name.as_str(), source.field), ("odd", field)),
            other => panic!("{field}: {other:?}"),
        }
    }
    assert!(toxics.list().is_empty());
}

#[tokio::test]
async fn names_are_unique_and_known() {
    let link = LinkProxy::bind(LOCAL, 7).unwrap();
    let toxics = link.toxics();
    toxics.add("a", latency(ms(1))).unwrap();
    assert!(matches!(toxics.add("a", black_hole()), Err(LinkError::Duplicate(name)) if name == "a"));
    let error = toxics.update("b", black_hole()).unwrap_err();
    assert_eq!(error.to_string(), "no toxic `b` on this link (there is: a)");
    assert!(matches!(toxics.remove("b"), Err(LinkError::Unknown { .. })));
    toxics.update("a", black_hole()).unwrap();
    assert_eq!(toxics.list(), [("a".to_owned(), black_hole())]);
    assert_eq!(toxics.remove("a").unwrap(), black_hole());
    assert!(toxics.list().is_empty());
}
