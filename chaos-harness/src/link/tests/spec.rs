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
fn profiles_and_selections_are_data_and_have_words() {
    let toxic = |profile| latency(ms(1)).profile(profile).connections(Selection::Every(3));
    let second = Duration::from_secs(1);
    for (profile, json, words) in [
        (Profile::Ramp { over: second }, serde_json::json!({"ramp": {"over": "1s"}}), "ramped over 1s"),
        (
            Profile::Pulse { after: ms(5), lasts: second },
            serde_json::json!({"pulse": {"after": "5ms", "lasts": "1s"}}),
            "after 5ms for 1s",
        ),
        (
            Profile::Square { period: second, on: ms(5) },
            serde_json::json!({"square": {"period": "1s", "on": "5ms"}}),
            "5ms of every 1s",
        ),
        (
            Profile::windows(ms(5), second),
            serde_json::json!({"windows": {"on": "5ms", "off": "1s", "jitter": 0.5}}),
            "about 5ms on, 1s off",
        ),
    ] {
        let toxic = toxic(profile);
        toxic.validate().unwrap();
        let data = serde_json::to_value(&toxic).unwrap();
        assert_eq!((&data["profile"], &data["connections"]), (&json, &serde_json::json!({"every": 3})));
        assert_eq!(serde_json::from_value::<Toxic>(data).unwrap(), toxic);
        assert_eq!(toxic.to_string(), format!("latency 1ms both ways, every 3rd, {words}"));
    }
    let words = [1, 2, 11, 12, 13, 21, 101, 111].map(|n| Selection::Every(n).to_string());
    assert_eq!(
        words.join(" "),
        "every 1st every 2nd every 11th every 12th every 13th every 21st every 101st every 111th"
    );
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
                for profile in [Profile::Always, Profile::Ramp { over: ms(5) }, Profile::windows(ms(1), ms(1))] {
                    let toxic = Toxic::new(spec.clone()).direction(direction).probability(probability).profile(profile);
                    link.toxics().add("it", toxic.clone()).unwrap();
                    tokio::task::yield_now().await;
                    assert_eq!(link.toxics().remove("it").unwrap().toxic, toxic);
                }
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
        r#"{"kind": "reset", "profile": "sometimes"}"#,
        r#"{"kind": "reset", "profile": {"ramp": {"over": "1s", "under": "1s"}}}"#,
        r#"{"kind": "reset", "profile": {"square": {"period": "1s"}}}"#,
        r#"{"kind": "reset", "connections": {"last": 3}}"#,
        r#"{"kind": "reset", "connections": {"first": -3}}"#,
        r#"{"kind": "latency", "latency": "1s", "distribution": "zipf"}"#,
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
        (Toxic::new(toxic::Reset { after: Some(hour * 2), after_bytes: None, on_data: false }), "after"),
        (reset().connections(Selection::First(0)), "connections.first"),
        (reset().connections(Selection::Every(0)), "connections.every"),
        (reset().profile(Profile::Ramp { over: ms(0) }), "profile.over"),
        (reset().profile(Profile::Ramp { over: Duration::MAX }), "profile.over"),
        (reset().profile(Profile::Pulse { after: hour * 2, lasts: ms(1) }), "profile.after"),
        (reset().profile(Profile::Pulse { after: ms(0), lasts: ms(0) }), "profile.lasts"),
        (reset().profile(Profile::Square { period: ms(0), on: ms(1) }), "profile.period"),
        (reset().profile(Profile::Square { period: Duration::MAX, on: ms(1) }), "profile.period"),
        (reset().profile(Profile::Square { period: ms(9), on: ms(0) }), "profile.on"),
        (reset().profile(Profile::Square { period: ms(9), on: ms(9) }), "profile.on"),
        (reset().profile(Profile::Square { period: ms(9), on: ms(10) }), "profile.on"),
        (reset().profile(Profile::windows(ms(0), ms(1))), "profile.on"),
        (reset().profile(Profile::windows(ms(1), hour * 2)), "profile.off"),
        (reset().profile(Profile::Windows { on: ms(1), off: ms(1), jitter: f64::NAN }), "profile.jitter"),
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
    assert_eq!(toxics.remove("a").unwrap().toxic, black_hole());
    assert!(toxics.list().is_empty());
}
