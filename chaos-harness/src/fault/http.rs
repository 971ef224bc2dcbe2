//! Faults on chosen HTTP requests of a link.

use crate::link::CountersSnapshot;
use crate::link::http::HttpAction;

/// What shows that an action has bitten: which counter, and what it counts.
pub(super) fn bite(action: &HttpAction) -> (fn(&CountersSnapshot) -> u64, &'static str) {
    match action {
        HttpAction::Abort { .. } | HttpAction::GrpcAbort { .. } => (|c| c.http_aborted, "requests aborted"),
        HttpAction::Delay { .. } => (|c| c.http_delayed, "responses delayed"),
        HttpAction::Truncate { .. } => (|c| c.http_truncated, "responses truncated"),
        HttpAction::Corrupt { .. } => (|c| c.http_corrupted, "responses corrupted"),
        HttpAction::SetHeader { .. } | HttpAction::DropHeader { .. } => (|c| c.http_rewritten, "messages rewritten"),
        HttpAction::RateLimit { .. } => (|c| c.http_rate_limited, "requests turned away"),
    }
}
