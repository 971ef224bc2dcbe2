//! Numbers and foreign text, as people read them.

use std::time::Duration;

pub(super) use super::foreign::{clean, line};
use crate::measure::Outcome;

/// A time with three digits at most: `850 µs`, `2.3 ms`, `250 ms`, `12.3 s`, `2 min 3 s`.
pub(super) fn time(time: Duration) -> String {
    let micros = time.as_micros();
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..9_950 => format!("{:.1} ms", micros as f64 / 1e3),
        9_950..999_500 => format!("{:.0} ms", micros as f64 / 1e3),
        999_500..9_995_000 => format!("{:.2} s", micros as f64 / 1e6),
        9_995_000..99_950_000 => format!("{:.1} s", micros as f64 / 1e6),
        _ => {
            let seconds = (micros + 500_000) / 1_000_000;
            format!("{} min {} s", seconds / 60, seconds % 60)
        }
    }
}

/// A moment of the experiment's clock, in seconds: `12.345 s`.
pub(super) fn moment(at: Duration) -> String {
    format!("{:.3} s", at.as_secs_f64())
}

/// The way from `from` to `to`: `+1.2 s`, or `-3 ms` when it came before.
pub(super) fn after(from: Duration, to: Duration) -> String {
    if to >= from { format!("+{}", time(to - from)) } else { format!("-{}", time(from - to)) }
}

/// A share in percent; what is not all is never written as 100%, what is not nothing never as 0%.
pub(super) fn share(share: f64) -> String {
    let percent = (share * 1e4).round() / 1e2;
    let percent = match percent {
        p if p >= 100.0 && share < 1.0 => 99.99,
        p if p <= 0.0 && share > 0.0 => 0.01,
        p => p,
    };
    format!("{percent}%")
}

/// How a request ended: `200`, `503`, `timeout`, `200 degraded`.
pub(super) fn outcome(outcome: Outcome) -> String {
    match outcome {
        Outcome::Good(status) | Outcome::Status(status) => status.to_string(),
        Outcome::Degraded(status) => format!("{status} degraded"),
        Outcome::Timeout => "timeout".to_owned(),
        Outcome::CutOff => "cut off".to_owned(),
        Outcome::Refused => "refused".to_owned(),
        Outcome::Reset => "reset".to_owned(),
        Outcome::Truncated => "truncated".to_owned(),
        Outcome::Unreachable => "unreachable".to_owned(),
        Outcome::Protocol => "no valid HTTP".to_owned(),
        Outcome::Unsent => "not sent".to_owned(),
    }
}

/// A number of bytes with three digits at most, in powers of 1000: `850 B`, `48.2 kB`, `1.24 MB`.
pub(super) fn bytes(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..1_000 => return format!("{bytes} B"),
        1_000..999_500 => (1e3, "kB"),
        999_500..999_500_000 => (1e6, "MB"),
        _ => (1e9, "GB"),
    };
    let number = bytes as f64 / unit;
    let digits = if number < 9.995 { 2 } else { usize::from(number < 99.95) };
    format!("{number:.digits$} {name}")
}

/// `1 request`, `2 requests`.
pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_three_digits() {
        let cases = [
            (999, "999 µs"),
            (2_345, "2.3 ms"),
            (9_990, "10 ms"),
            (250_400, "250 ms"),
            (999_700, "1.00 s"),
            (12_345_000, "12.3 s"),
            (99_960_000, "1 min 40 s"),
            (123_400_000, "2 min 3 s"),
        ];
        for (micros, text) in cases {
            assert_eq!(time(Duration::from_micros(micros)), text);
        }
        assert_eq!(after(Duration::from_millis(500), Duration::from_millis(200)), "-300 ms");
    }

    #[test]
    fn bytes_keep_three_digits() {
        let cases = [(999, "999 B"), (1_000, "1.00 kB"), (48_210, "48.2 kB"), (99_970, "100 kB"), (999_600, "1.00 MB")];
        for (count, text) in cases {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn shares_are_not_rounded_to_all_or_nothing() {
        assert_eq!(share(1.0), "100%");
        assert_eq!(share(0.999_999), "99.99%");
        assert_eq!(share(0.955), "95.5%");
        assert_eq!(share(0.000_001), "0.01%");
        assert_eq!(share(0.0), "0%");
    }
}
