//! Connections end after a number of bytes.

use std::time::Instant;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Birth, CountersSnapshot, Cut, Direction, InvalidField, Item, Kind, Schedule, Shaper};

/// Each connection ends once it has passed `bytes` in the toxic's direction; these arrive whole.
///
/// They count from the opening of the connection or, when it was live already, from the moment the toxic
/// was added or changed. With a budget of zero the connection ends at the first byte, which does not arrive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitData {
    /// The budget of each connection, in bytes; of each way, when the toxic acts both ways.
    pub bytes: u64,
    /// How the connection ends.
    #[serde(default)]
    pub then: Ending,
}

/// How a toxic ends a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It is closed: both ends get a FIN.
    #[default]
    End,
    /// It is reset: both ends get an RST.
    Reset,
}

impl Kind for LimitData {
    fn validate(&self) -> Result<(), InvalidField> {
        Ok(())
    }

    fn shaper(&self, _birth: &Birth<'_>) -> Box<dyn Shaper> {
        Box::new(Purse::new(self.bytes, Cut::Spent(self.then)))
    }

    fn describe(&self) -> String {
        let then = if self.then == Ending::Reset { ", then reset" } else { "" };
        format!("limit of {} bytes{then}", self.bytes)
    }

    fn bites(&self, counted: &CountersSnapshot) -> (u64, &'static str) {
        (counted.limited, "connections ended by the limit")
    }

    fn usual(&self) -> Direction {
        Direction::Down
    }
}

/// A budget of bytes, behind which the connection is cut.
pub(super) struct Purse {
    left: u64,
    then: Cut,
    spent: bool,
}

impl Purse {
    pub(super) fn new(bytes: u64, then: Cut) -> Self {
        Self { left: bytes, then, spent: false }
    }

    pub(super) fn is_spent(&self) -> bool {
        self.spent
    }

    /// Passes what the budget allows, then the cut; what comes behind that is lost.
    pub(super) fn spend(&mut self, now: Instant, mut data: Bytes, schedule: &mut Schedule<'_>) {
        let pass = data.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= pass as u64;
        let rest = data.split_off(pass);
        if !data.is_empty() {
            schedule.at(now, Item::Data(data));
        }
        schedule.discard(&rest);
        if self.left == 0 && !std::mem::replace(&mut self.spent, true) {
            schedule.at(now, Item::Abort(self.then));
        }
    }
}

impl Shaper for Purse {
    fn shape(&mut self, now: Instant, item: Item, schedule: &mut Schedule<'_>) {
        match item {
            Item::Data(data) => self.spend(now, data, schedule),
            other => schedule.at(now, other),
        }
    }
}
