//! Rules and fail points as people say them.

use std::fmt;
use std::time::Duration;

use crate::point::{FailPoint, PointAct};
use crate::rule::{Act, HeaderMatch, Rule, When};

fn time(duration: &Duration) -> humantime::FormattedDuration {
    humantime::format_duration(*duration)
}

/// `20% of `, or nothing when it is all.
fn share(f: &mut fmt::Formatter<'_>, share: f64) -> fmt::Result {
    if share < 1.0 { write!(f, "{}% of ", (share * 1000.0).round() / 10.0) } else { Ok(()) }
}

impl fmt::Display for Rule {
    /// `delay 2s on 20% of GET /stock/* with x-tenant: a`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on ", self.act)?;
        share(f, self.share)?;
        self.when.fmt(f)
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delay { by, jitter } if jitter.is_zero() => write!(f, "delay {}", time(by)),
            Self::Delay { by, jitter } => write!(f, "delay {} +/- {}", time(by), time(jitter)),
            Self::Error { status, grpc: None } => write!(f, "error {status}"),
            Self::Error { status, grpc: Some(code) } => write!(f, "error {status}, gRPC code {code},"),
            Self::Hang { at_most } => write!(f, "hang of at most {}", time(at_most)),
            Self::RateLimit { requests, per } => write!(f, "limit of {requests} per {}", time(per)),
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.method, &self.path) {
            (Some(method), Some(path)) => write!(f, "{method} {path}")?,
            (Some(one), None) | (None, Some(one)) => f.write_str(one)?,
            (None, None) => f.write_str("requests")?,
        }
        for (index, HeaderMatch { name, value }) in self.headers.iter().enumerate() {
            write!(f, " {} {name}", if index == 0 { "with" } else { "and" })?;
            value.as_ref().map_or(Ok(()), |value| write!(f, ": {value}"))?;
        }
        Ok(())
    }
}

impl fmt::Display for FailPoint {
    /// `sleep 2s in 20% of calls`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.act {
            PointAct::Return { value } => write!(f, "return {value:?} in ")?,
            PointAct::Sleep { time: by } => write!(f, "sleep {} in ", time(by))?,
            PointAct::Panic { .. } => f.write_str("panic in ")?,
        }
        share(f, self.share)?;
        f.write_str("calls")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_read_as_people_say_it() {
        let by = Duration::from_secs(2);
        let headers = vec![
            HeaderMatch { name: "x-tenant".to_owned(), value: Some("a".to_owned()) },
            HeaderMatch { name: "x-b".to_owned(), value: None },
        ];
        let when = When { method: Some("GET".to_owned()), path: Some("/stock/*".to_owned()), headers };
        let chosen = Rule { when, share: 0.2, ..Act::Delay { by, jitter: by / 2 }.into() };
        for (rule, text) in [
            (chosen, "delay 2s +/- 1s on 20% of GET /stock/* with x-tenant: a and x-b"),
            (Act::Error { status: 503, grpc: None }.into(), "error 503 on requests"),
            (Act::Error { status: 503, grpc: Some(14) }.into(), "error 503, gRPC code 14, on requests"),
            (Act::Hang { at_most: by }.into(), "hang of at most 2s on requests"),
            (Act::RateLimit { requests: 5, per: by }.into(), "limit of 5 per 2s on requests"),
        ] {
            assert_eq!(rule.to_string(), text);
        }
        let point = FailPoint { share: 0.25, ..PointAct::Sleep { time: by }.into() };
        assert_eq!(point.to_string(), "sleep 2s in 25% of calls");
    }
}
