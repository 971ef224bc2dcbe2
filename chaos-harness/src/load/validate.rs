//! A load is checked before anything is sent.

use std::collections::HashSet;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue};

use super::{Load, LoadError, Rate, Request};

const MOST_PER_SECOND: f64 = 100_000.0;
const LONGEST_DEADLINE: Duration = Duration::from_secs(600);
const LONGEST_RAMP: Duration = Duration::from_secs(24 * 60 * 60);
const MOST_IN_FLIGHT: u32 = 1_000_000;

impl Load {
    /// Checks everything that can be known without the topology.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), LoadError> {
        match self.requests.len() {
            0 => return Err(LoadError::NoRequests),
            1..=0xffff => {}
            count => return Err(LoadError::TooManyRequests { count }),
        }
        self.rate.validate()?;
        self.validate_bounds()?;
        let mut names = HashSet::new();
        for request in &self.requests {
            request.validate()?;
            if !names.insert(&request.name) {
                return Err(LoadError::DuplicateRoute { route: request.name.clone() });
            }
        }
        Ok(())
    }

    fn validate_bounds(&self) -> Result<(), LoadError> {
        if self.deadline.is_zero() || self.deadline > LONGEST_DEADLINE {
            return Err(LoadError::Deadline { deadline: self.deadline, most: LONGEST_DEADLINE });
        }
        if !(1..=MOST_IN_FLIGHT).contains(&self.max_in_flight) {
            return Err(LoadError::MaxInFlight { given: self.max_in_flight, most: MOST_IN_FLIGHT });
        }
        if self.degraded_header.parse::<HeaderName>().is_err() {
            return Err(LoadError::DegradedHeader { header: self.degraded_header.clone() });
        }
        Ok(())
    }
}

impl Rate {
    /// Every rate lies within bounds, and the one that stays is more than nothing.
    fn validate(&self) -> Result<(), LoadError> {
        let rates = std::iter::once(self.start).chain(self.ramps.iter().map(|ramp| ramp.to));
        for rate in rates {
            if !(0.0..=MOST_PER_SECOND).contains(&rate) {
                return Err(LoadError::Rate { rate, most: MOST_PER_SECOND });
            }
        }
        if let Some(ramp) = self.ramps.iter().find(|ramp| ramp.over > LONGEST_RAMP) {
            return Err(LoadError::Ramp { over: ramp.over, most: LONGEST_RAMP });
        }
        if self.last() <= 0.0 {
            return Err(LoadError::Rate { rate: self.last(), most: MOST_PER_SECOND });
        }
        Ok(())
    }
}

impl Request {
    fn validate(&self) -> Result<(), LoadError> {
        let route = || self.name.clone();
        if !self.path.starts_with('/') || self.path.parse::<PathAndQuery>().is_err() {
            return Err(LoadError::Path { route: route(), path: self.path.clone() });
        }
        if self.weight == 0 {
            return Err(LoadError::Weight { route: route() });
        }
        if !self.expect.is_possible() {
            return Err(LoadError::Statuses { route: route(), statuses: self.expect.to_string() });
        }
        if let Some(reason) = &self.body_error {
            return Err(LoadError::Body { route: route(), reason: reason.clone() });
        }
        let invalid = |(name, value): &(&String, &String)| {
            name.parse::<HeaderName>().is_err() || value.parse::<HeaderValue>().is_err()
        };
        match self.headers.iter().find(invalid) {
            Some((header, _)) => Err(LoadError::Header { route: route(), header: header.clone() }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load() -> Load {
        Load::get("gateway", "/catalog")
    }

    #[track_caller]
    fn refused(load: Load, because: &str) {
        let error = load.validate().unwrap_err().to_string();
        assert!(error.contains(because), "{error}");
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        refused(load().rate(0), "a rate of 0 requests/s");
        refused(load().rate(-1), "a rate of -1 requests/s");
        refused(load().rate(f64::NAN), "a rate of NaN");
        refused(load().rate(100_001), "at most 100000");
        refused(load().ramp(10, 0, Duration::from_secs(1)), "a rate of 0");
        refused(load().deadline(Duration::ZERO), "a deadline of 0ns");
        refused(load().deadline(Duration::from_secs(601)), "a deadline of 601s");
        refused(load().max_in_flight(0), "`max_in_flight` must be");
        refused(load().degraded_header("not a header"), "`not a header`");
        refused(load().header("no spaces", "x"), "header `no spaces` of route `/catalog`");
        refused(load().header("x-a", "line\nbreak"), "header `x-a`");
        refused(load().expect([] as [u16; 0]), "accepts no status");
        refused(load().expect(std::ops::RangeInclusive::new(300, 200)), "`300..=200`");
        refused(load().weight(0), "route `/catalog` has weight 0");
        refused(load().also(Request::post("gateway", "/catalog")), "two requests are called `/catalog`");
        refused(Load::get("gateway", "catalog"), "path `catalog` of route `catalog`");
        refused(Load::get("gateway", "/cata log"), "path `/cata log`");
        refused(Load { requests: vec![], ..load() }, "no requests");
        let no_json = std::collections::HashMap::from([((1, 2), 3)]);
        refused(load().json(&no_json), "the body of route `/catalog` has no JSON form");
    }

    #[test]
    fn sense_is_accepted() {
        let load = Load::post("gateway", "/orders")
            .json(&serde_json::json!({ "sku": 1 }))
            .header("x-user", "7")
            .expect([200, 202])
            .ramp(0, 100, Duration::from_secs(2))
            .then(100, Duration::from_secs(5))
            .then(0.5, Duration::from_millis(1500))
            .also(Request::get("gateway", "/catalog?page=1").named("catalog").weight(3));
        load.validate().unwrap();
        assert_eq!(load.routes().collect::<Vec<_>>(), ["/orders", "catalog"]);
        assert_eq!(load.route("/nowhere"), None);
        let json = serde_json::to_string(&load).unwrap();
        assert!(json.contains(r#""over":"1s 500ms""#), "{json}");
        assert_eq!(serde_json::from_str::<Load>(&json).unwrap(), load);
        assert!(serde_json::from_str::<Load>(&json.replace("deadline", "dedline")).is_err());
    }
}
