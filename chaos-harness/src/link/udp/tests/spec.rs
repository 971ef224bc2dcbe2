//! Toxics as data.

use super::*;

#[test]
fn toxics_are_flat_data_with_readable_durations() {
    let toxic = UdpToxic::new(Delay::new(ms(50)).jitter(ms(5))).direction(Direction::Down).probability(0.25);
    let json = serde_json::json!({
        "kind": "delay", "delay": "50ms", "jitter": "5ms", "direction": "down", "probability": 0.25
    });
    assert_eq!(serde_json::to_value(&toxic).unwrap(), json);
    assert_eq!(serde_json::from_value::<UdpToxic>(json).unwrap(), toxic);
}

#[test]
fn every_kind_survives_serialisation_and_is_in_the_schema() {
    let schema = serde_json::to_string(&schemars::schema_for!(UdpToxic)).unwrap();
    for spec in UdpToxicSpec::each() {
        let toxic = UdpToxic::new(spec);
        toxic.validate().unwrap();
        let json = serde_json::to_value(&toxic).unwrap();
        assert!(schema.contains(&format!("\"const\":{}", json["kind"])), "{} in {schema}", json["kind"]);
        assert_eq!(serde_json::from_value::<UdpToxic>(json).unwrap(), toxic);
    }
}

#[tokio::test]
async fn every_kind_comes_and_goes() {
    let callee = Callee::start().await;
    let link = link_to(&callee);
    let socket = caller(&link).await;
    for spec in UdpToxicSpec::each() {
        for direction in [Direction::Up, Direction::Down, Direction::Both] {
            for probability in [0.0, 0.5, 1.0] {
                let toxic = UdpToxic::new(spec.clone()).direction(direction).probability(probability);
                link.toxics().add("it", toxic.clone()).unwrap();
                assert_eq!(link.toxics().remove("it").unwrap(), toxic);
            }
        }
        assert_eq!(ask(&socket, b"a").await, b"a");
    }
    soon(link.shutdown()).await;
}

#[test]
fn unknown_kinds_and_fields_are_errors() {
    for json in [
        r#"{"kind": "latency", "latency": "1s"}"#,
        r#"{"delay": "1s"}"#,
        r#"{"kind": "delay"}"#,
        r#"{"kind": "loss", "share": 0.1}"#,
        r#"{"kind": "duplicate", "copies": -1}"#,
        r#"{"kind": "reorder", "gap": 1}"#,
    ] {
        serde_json::from_str::<UdpToxic>(json).expect_err(json);
    }
}

#[tokio::test]
async fn nonsense_is_named_and_changes_nothing() {
    let link = UdpLink::bind(LOCAL, 7).unwrap();
    let hour = Duration::from_secs(3600);
    for (toxic, field) in [
        (up(Loss {}).probability(1.1), "probability"),
        (up(Loss {}).probability(f64::NAN), "probability"),
        (up(PeriodicLoss { nth: 0 }), "nth"),
        (up(BurstLoss::new(1.0, 5.0)), "share"),
        (up(BurstLoss::new(0.6, 1.0)), "share"),
        (up(BurstLoss::new(f64::NAN, 1.0)), "share"),
        (up(BurstLoss::new(0.1, 0.5)), "length"),
        (up(Delay::new(hour + ms(1))), "delay"),
        (up(Delay::new(ms(1)).jitter(ms(2))), "jitter"),
        (up(Duplicate { copies: 0 }), "copies"),
        (up(Duplicate { copies: 9 }), "copies"),
        (up(Reorder::new(0)), "gap"),
        (up(Reorder::new(1).within(hour * 2)), "within"),
        (up(Corrupt { bits: 0 }), "bits"),
        (up(Bandwidth::new(0)), "rate"),
        (up(Bandwidth { rate: 1, queue: 1 << 30 }), "queue"),
    ] {
        match link.toxics().add("odd", toxic) {
            Err(LinkError::Invalid { name, source }) => assert_eq!((name.as_str(), source.field), ("odd", field)),
            other => panic!("{field}: {other:?}"),
        }
    }
    assert!(link.toxics().list().is_empty());
}

#[tokio::test]
async fn names_are_unique_and_known() {
    let link = UdpLink::bind(LOCAL, 7).unwrap();
    let toxics = link.toxics();
    toxics.add("a", up(Loss {})).unwrap();
    assert!(matches!(toxics.add("a", up(Loss {})), Err(LinkError::Duplicate(name)) if name == "a"));
    assert_eq!(toxics.update("b", up(Loss {})).unwrap_err().to_string(), "no toxic `b` on this link (there is: a)");
    assert!(matches!(toxics.remove("b"), Err(LinkError::Unknown { .. })));
    toxics.update("a", up(Duplicate::default())).unwrap();
    assert_eq!(toxics.list(), [("a".to_owned(), up(Duplicate::default()))]);
    toxics.clear().unwrap();
    assert!(toxics.list().is_empty());
}
