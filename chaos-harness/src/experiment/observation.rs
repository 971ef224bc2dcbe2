//! What was seen, in a sentence or two.

use std::fmt::Write as _;

use crate::journal::Journal;
use crate::measure::{Recovery, Sample, Tally};

/// Sums up a run in words, from its measurements alone.
pub(super) fn write(journal: &Journal, samples: &[Sample]) -> String {
    let tally = Tally::of(samples);
    let mut text = format!(
        "{} requests: {} good, {} degraded, {} failed.",
        tally.all(),
        tally.good,
        tally.degraded,
        tally.failed()
    );
    for injection in &journal.injections {
        let bite = injection.bite.as_ref().map_or("not measured", |bite| bite.looked_at.as_str());
        // Writing to a string cannot fail.
        let _ = write!(text, " {} ({bite})", injection.fault);
        match injection.recovery {
            Some(Recovery::NoImpact) if injection.reached == Some(false) => {
                text.push_str(": nothing passed on any of its links, so no request can have felt it.");
            }
            Some(Recovery::NoImpact) => text.push_str(": no request went bad."),
            Some(Recovery::Recovered { first_bad, steady }) => {
                let _ = write!(
                    text,
                    ": steady again {:.2} s after the first bad request.",
                    (steady - first_bad).as_secs_f64()
                );
            }
            Some(Recovery::NotRecovered { first_bad, observed_until }) => {
                let watched = observed_until.saturating_sub(first_bad).as_secs_f64();
                let _ = write!(text, ": not steady again in the {watched:.1} s after the first bad request.");
            }
            Some(Recovery::TooFewSamples(too_few)) => {
                let _ = write!(text, ": no request went bad among {}, too few to tell.", too_few.have);
            }
            Some(Recovery::AlreadyDown { .. }) => text.push_str(": users were down already."),
            None => text.push('.'),
        }
    }
    text
}
