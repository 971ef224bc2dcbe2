//! Names that are not known, and what was probably meant.

use std::fmt::Display;

use proc_macro2::Span;
use syn::Error;

/// How alike two words must be (Jaro-Winkler, 0 to 1) for one to be taken as a slip for the other.
const ALIKE: f64 = 0.8;

/// The known word most like `given`, if one is like it at all.
pub(crate) fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|word| (strsim::jaro_winkler(given, word), word));
    let (score, word) = scored.max_by(|one, other| one.0.total_cmp(&other.0))?;
    (score >= ALIKE).then_some(word)
}

/// ``no measure is named `mtr`; did you mean `mttr`? Known are: ...``
pub(crate) fn unknown(span: Span, what: impl Display, given: &str, known: &[&str]) -> Error {
    let hint = nearest(given, known.iter().copied());
    let hint = hint.map(|word| format!("; did you mean `{word}`?")).unwrap_or_else(|| ";".to_owned());
    Error::new(span, format!("no {what} is named `{given}`{hint} known are: {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let known = ["availability", "error_rate", "mttr", "mttd", "recovery", "peak"];
        let cases = [("availabilty", Some("availability")), ("error", Some("error_rate")), ("mtr", Some("mttr"))];
        for (given, meant) in cases {
            assert_eq!(nearest(given, known), meant, "{given}");
        }
        assert_eq!(nearest("throughput", known), None);
    }
}
