//! Chosen HTTP requests, or their responses, are aborted, delayed, broken or changed; see [`link::http`](crate::link::http).

use super::{InvalidField, Kind};
pub use crate::link::http::Http;

impl Kind for Http {
    fn validate(&self) -> Result<(), InvalidField> {
        self.validate()
    }
}
