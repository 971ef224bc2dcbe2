//! What injections did to users, in words.

use super::{Impact, Measures, words};
use crate::journal::InjectionRecord;
use crate::measure::{Outage, Outages, Recovery};

/// Where less than this share of the requests in an outage went bad, it was a partial one.
const PARTIAL: f64 = 0.95;

/// What one injection did to users.
pub(super) fn recovery_words(made: &InjectionRecord) -> String {
    let what = match made.recovery {
        None => return "recovery not measured".to_owned(),
        Some(Recovery::NoImpact) if made.reached == Some(false) => {
            "no impact on availability: nothing passed on any of its links, so no request can have felt it".to_owned()
        }
        Some(Recovery::NoImpact) => "no impact on availability".to_owned(),
        Some(Recovery::TooFewSamples(too_few)) => {
            format!("impact not measured: {} samples, {} needed", too_few.have, too_few.need)
        }
        Some(Recovery::AlreadyDown { .. }) => "users were down already; its own impact cannot be told".to_owned(),
        Some(Recovery::Recovered { first_bad, steady }) => {
            format!("recovered in {}", words::time(steady.saturating_sub(first_bad)))
        }
        Some(Recovery::NotRecovered { first_bad, observed_until }) => {
            format!("not recovered within the {} watched", words::time(observed_until.saturating_sub(first_bad)))
        }
    };
    let told = made.outages.as_ref().map(|outages| outage_words(made, outages)).unwrap_or_default();
    [what].into_iter().chain(told).collect::<Vec<_>>().join("; ")
}

fn outage_words(made: &InjectionRecord, outages: &Outages) -> Vec<String> {
    let mut told = Vec::new();
    if outages.count > 1 {
        let (longest, total) = (words::time(outages.longest), words::time(outages.total));
        told.push(format!("{} outages, longest {longest}, down {total} in all", outages.count));
    }
    let share = outages.bad as f64 / outages.requests.max(1) as f64;
    if outages.count > 0 && share < PARTIAL {
        told.push(format!("{} of the {} requests in that time went bad", words::share(share), outages.requests));
    }
    if outages.stray > 0 {
        let strays = words::count(outages.stray as usize, "more request");
        told.push(format!("{strays} went bad alone, within what the steady state allows"));
    }
    if let Some(Outage { from, to }) = outages.begun_before {
        let end = to.map_or("did not end".to_owned(), |to| format!("ended {}", words::after(made.began, to)));
        told.push(format!("an outage that began {} before it {end}", words::time(made.began.saturating_sub(from))));
    }
    told
}

/// The mean time to recover from all injections, for a table.
pub(super) fn mean_words(measures: &Measures) -> Option<String> {
    let time = |millis: f64| words::time(std::time::Duration::from_secs_f64(millis.max(0.0) / 1e3));
    match measures.impact? {
        Impact::None => Some("no impact".to_owned()),
        Impact::NotRecovered => Some("not recovered".to_owned()),
        Impact::Recovered => {
            let mut told = time(measures.mttr_ms?);
            if measures.injections > 1 {
                told += &format!(" (mean of {})", measures.injections);
            }
            if measures.outages > measures.injections {
                let down = measures.downtime_ms.map(time).unwrap_or_default();
                told += &format!(", {} outages, down {down}", measures.outages);
            }
            Some(told)
        }
    }
}
