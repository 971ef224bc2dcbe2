//! New connections are refused, live ones reset.

use std::time::Instant;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Birth, CountersSnapshot, Cut, InvalidField, Item, Kind, Schedule, Shaper};

/// New connections get `ECONNREFUSED` from the kernel, as from a host where nobody listens; live ones are reset.
///
/// With a probability under one somebody has to listen, so the unlucky connections are accepted and
/// reset at once. The direction means nothing here: a refusal works both ways.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refuse {}

impl Kind for Refuse {
    fn validate(&self) -> Result<(), InvalidField> {
        Ok(())
    }

    fn shaper(&self, birth: &Birth<'_>) -> Box<dyn Shaper> {
        Box::new(Rejection { at: Some(birth.now) })
    }

    fn refuses(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        "refused connections".to_owned()
    }

    fn bites(&self, counted: &CountersSnapshot) -> (u64, &'static str) {
        (counted.refused, "connections cut")
    }
}

struct Rejection {
    at: Option<Instant>,
}

impl Shaper for Rejection {
    fn shape(&mut self, now: Instant, item: Item, schedule: &mut Schedule<'_>) {
        schedule.at(now, item);
    }

    fn deadline(&self) -> Option<Instant> {
        self.at
    }

    fn expire(&mut self, _now: Instant, schedule: &mut Schedule<'_>) {
        self.at = None;
        schedule.cut(Cut::Refused);
    }
}
