//! Pages as exporters write them, good and bad.

use proptest::prelude::*;

use super::*;

const TEXT: &str = r#"
# HELP circuit_breaker_state 0 closed, 1 half-open, 2 open
# TYPE circuit_breaker_state gauge
circuit_breaker_state{callee="inventory",zone="a"} 2
circuit_breaker_state{callee="product",} 0
requests_total 1027 1395066363000
odd{path="C:\\DIR\n\"x\"} "} -4.5e-1
{"queue.depth",shard="1"} 7
"#;

const OPEN: &str = r#"# TYPE requests counter
# UNIT requests requests
requests_total{path="/a # b"} 1027 1395066363.123 # {trace_id="KOO5S4vxi0o"} 0.67 1520879607.789
requests_created{path="/a # b"} 1395066360.5
# TYPE lag_seconds histogram
lag_seconds_bucket{le="0.5"} 8 # {} 0.3
{"queue.depth","shard.name"="1"} 7
# EOF
requests_total{path="/late"} 1
"#;

fn read(selector: &str) -> Result<f64, ReadFailure> {
    Metric::parse(selector).unwrap().read(TEXT, Format::Prometheus)
}

fn open(selector: &str) -> Result<f64, ReadFailure> {
    Metric::parse(selector).unwrap().read(OPEN, Format::OpenMetrics)
}

fn of(page: &str, selector: &str, format: Format) -> Result<f64, String> {
    Metric::parse(selector).unwrap().read(page, format).map_err(|failure| failure.to_string())
}

#[test]
fn one_value_by_name_and_labels() {
    assert_eq!(read(r#"circuit_breaker_state{callee="inventory"}"#), Ok(2.0));
    assert_eq!(read(r#"circuit_breaker_state{ callee = "product" }"#), Ok(0.0));
    assert_eq!(read("requests_total"), Ok(1027.0));
    assert_eq!(read("odd"), Ok(-0.45));
    assert_eq!(read(r#"{"queue.depth"}"#), Ok(7.0));
}

#[test]
fn open_metrics_by_its_own_rules() {
    assert_eq!(open("requests_total"), Ok(1027.0), "with an exemplar, a time in seconds, and nothing after the end");
    assert_eq!(open("requests_created"), Ok(1_395_066_360.5));
    assert_eq!(open(r#"lag_seconds_bucket{le="0.5"}"#), Ok(8.0));
    assert_eq!(open(r#"{"queue.depth","shard.name"="1"}"#), Ok(7.0));
    // The same page taken for the older format: neither is a time there.
    let older = of(OPEN, r#"requests_total{path="/a # b"}"#, Format::Prometheus).unwrap_err();
    assert!(older.starts_with("line 3 of the page does not parse: `requests_total"), "{older}");
}

#[test]
fn a_page_that_was_cut_off_is_not_believed() {
    let cut = "requests_total 10\nqueue 1";
    assert_eq!(of(cut, "queue", Format::OpenMetrics).unwrap_err(), ReadFailure::CutOff.to_string());
    assert_eq!(of(cut, "queue", Format::Prometheus), Ok(1.0));
}

#[test]
fn the_content_type_decides_the_format() {
    let open = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(Format::of(Some(open)), Format::OpenMetrics);
    assert_eq!(Format::of(Some("Application/OpenMetrics-Text")), Format::OpenMetrics);
    for other in [Some("text/plain; version=0.0.4"), Some("text/html"), None] {
        assert_eq!(Format::of(other), Format::Prometheus);
    }
}

#[test]
fn foreign_lines_never_spoil_the_wanted_one() {
    let lines = ["<html>", "a{", "a b c", "1x 2", r#"a{b="\x"} 1"#, r#"b{c="d"} NaN 1 2 3"#, "\u{0}", "b{"];
    for line in lines {
        let page = format!("{line}\nb{{c=\"e\"}} 5\n{line}\n");
        assert_eq!(of(&page, r#"b{c="e"}"#, Format::Prometheus), Ok(5.0), "{line}");
        assert_eq!(of(&format!("{page}# EOF\n"), r#"b{c="e"}"#, Format::OpenMetrics), Ok(5.0), "{line}");
    }
}

#[test]
fn what_cannot_be_read_says_why() {
    let plain = |page: &str, selector: &str| of(page, selector, Format::Prometheus).unwrap_err();
    for line in ["a", "a x", "a 1 2 3", "a 1 1.5", r#"a{b="\x"} 1"#, r#"a{b="c" 1"#] {
        assert_eq!(plain(&format!("b 1\n{line}"), "a"), format!("line 2 of the page does not parse: `{line}`"));
    }
    assert_eq!(plain("a NaN", "a"), "the value `NaN` is not a finite number");
    assert_eq!(plain("a +Inf", "a"), "the value `inf` is not a finite number");
    let html = plain("<!DOCTYPE html>\n<p>a 1</p>", "a");
    assert_eq!(html, "the page holds no metrics in the Prometheus or OpenMetrics format; line 1 is `<!DOCTYPE html>`");
    assert_eq!(plain("", "a"), "no metric matches `a`");
    assert_eq!(read("circuit_braker_state").unwrap_err().to_string(), {
        "no metric matches `circuit_braker_state`; the page has `circuit_breaker_state`"
    });
    assert_eq!(read(r#"circuit_breaker_state{callee="order"}"#).unwrap_err().to_string(), {
        "no metric matches `circuit_breaker_state{callee=\"order\"}`; the page has \
         `circuit_breaker_state{callee=\"inventory\",zone=\"a\"}`, `circuit_breaker_state{callee=\"product\"}`"
    });
    assert_eq!(
        read("requests").unwrap_err().to_string(),
        "no metric matches `requests`; the page has `requests_total`"
    );
    let several = "2 metrics match `circuit_breaker_state`; name more of its labels";
    assert_eq!(read("circuit_breaker_state").unwrap_err().to_string(), several);
}

#[test]
fn selectors_that_select_nothing_are_refused() {
    for selector in
        ["", "1a", "a{", r#"a{b="c""#, r#"a{b=c}"#, r#"a{b="c" d="e"}"#, "a b", r#"a{b="1",b="2"}"#, "{}", r#"{a="b"}"#]
    {
        assert!(Metric::parse(selector).is_err(), "{selector}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[a.{}=\",\\\\ 1\n#]{0,40}") {
        if let Ok(metric) = Metric::parse(&text) {
            prop_assert_eq!(Metric::parse(&metric.to_string()).unwrap(), metric);
        }
        let _ = Metric::parse("a").unwrap().read(&text, Format::Prometheus);
        let _ = Metric::parse("a").unwrap().read(&text, Format::OpenMetrics);
    }
}
