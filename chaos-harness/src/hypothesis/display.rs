//! Claims in the words of `hypothesis!`, which reads them back.

use std::fmt;
use std::time::Duration;

use super::{Comparison, Hypothesis, Measure, Scope, Threshold};

impl fmt::Display for Hypothesis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.measure, self.comparison, self.threshold)?;
        match self.scope {
            Scope::Fault => Ok(()),
            scope => write!(f, " during {scope}"),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, argument) = match self {
            Self::Availability { route } => ("availability".to_owned(), route),
            Self::ErrorRate { route } => ("error_rate".to_owned(), route),
            Self::Degraded { route } => ("degraded".to_owned(), route),
            Self::Latency { quantile, route } => (quantile_name(*quantile), route),
            Self::Mttr => ("mttr".to_owned(), &None),
            Self::Mttd => ("mttd".to_owned(), &None),
            Self::Recovery => ("recovery".to_owned(), &None),
            Self::Peak { probe } => return write!(f, "peak({probe:?})"),
            Self::Lowest { probe } => return write!(f, "lowest({probe:?})"),
            Self::Last { probe } => return write!(f, "last({probe:?})"),
        };
        match argument {
            Some(route) => write!(f, "{name}({route:?})"),
            None => f.write_str(&name),
        }
    }
}

/// `p50`, `p99`, `p99_9`; `max` for 1.
fn quantile_name(quantile: f64) -> String {
    if quantile >= 1.0 {
        return "max".to_owned();
    }
    format!("p{}", trim(quantile * 100.0)).replace('.', "_")
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::AtLeast => ">=",
        })
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ratio(share) => write!(f, "{}%", trim(share * 100.0)),
            Self::Time(time) => f.write_str(&written(*time)),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Baseline => "baseline",
            Self::Fault => "fault",
            Self::Recovery => "recovery",
            Self::After => "after",
            Self::Overall => "overall",
        })
    }
}

/// As `hypothesis!` reads it back: minutes are `min` there, since `m` could be metres or milli.
fn written(time: Duration) -> String {
    let text = humantime::format_duration(time).to_string();
    let words = text.split(' ').map(|word| match word.strip_suffix('m') {
        Some(minutes) => format!("{minutes}min"),
        None => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// At most four decimals, without trailing zeros: 99.9, not 99.90000000000001.
fn trim(number: f64) -> String {
    let text = format!("{number:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
