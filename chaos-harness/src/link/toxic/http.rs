//! Chosen HTTP requests, or their responses, are aborted, delayed, broken or changed; see [`link::http`](crate::link::http).

use super::{Direction, InvalidField, Kind};
use crate::link::CountersSnapshot;
pub use crate::link::http::Http;

impl Kind for Http {
    fn validate(&self) -> Result<(), InvalidField> {
        self.validate()
    }

    fn describe(&self) -> String {
        self.to_string()
    }

    fn bites(&self, counted: &CountersSnapshot) -> (u64, &'static str) {
        self.bites(counted)
    }

    /// An exchange goes both ways.
    fn ways(&self, _: Direction) -> Direction {
        Direction::Both
    }
}
