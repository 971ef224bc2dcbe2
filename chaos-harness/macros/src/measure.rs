//! What a hypothesis measures: a name, and the route or probe in brackets.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Ident, LitStr, Result, Token, parenthesized, token};

use crate::suggest;
use crate::threshold::Value;

/// The names as they are listed in messages; `p99` stands for every quantile.
const NAMES: [&str; 15] = [
    "availability",
    "error_rate",
    "degraded",
    "p50",
    "p90",
    "p95",
    "p99",
    "p99_9",
    "max",
    "mttr",
    "mttd",
    "recovery",
    "peak",
    "lowest",
    "last",
];

/// A measure as written.
pub(crate) struct Measure {
    pub(crate) name: Ident,
    pub(crate) kind: Kind,
    argument: Option<LitStr>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Availability,
    ErrorRate,
    Degraded,
    /// The quantile, greater than 0 and at most 1.
    Latency(f64),
    Mttr,
    Mttd,
    Recovery,
    Peak,
    Lowest,
    Last,
}

/// What may stand in the brackets behind a measure.
enum Takes {
    Route,
    Probe,
    Nothing,
}

impl Kind {
    fn named(name: &Ident) -> Result<Self> {
        let text = name.to_string();
        Ok(match text.as_str() {
            "availability" => Self::Availability,
            "error_rate" => Self::ErrorRate,
            "degraded" => Self::Degraded,
            "max" => Self::Latency(1.0),
            "mttr" => Self::Mttr,
            "mttd" => Self::Mttd,
            "recovery" => Self::Recovery,
            "peak" => Self::Peak,
            "lowest" => Self::Lowest,
            "last" => Self::Last,
            _ => match text.strip_prefix('p').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
                Some(percent) => Self::Latency(quantile(percent).map_err(|reason| Error::new(name.span(), reason))?),
                None => return Err(suggest::unknown(name.span(), "measure", &text, &NAMES)),
            },
        })
    }

    fn takes(self) -> Takes {
        match self {
            Self::Availability | Self::ErrorRate | Self::Degraded | Self::Latency(_) => Takes::Route,
            Self::Mttr | Self::Mttd | Self::Recovery => Takes::Nothing,
            Self::Peak | Self::Lowest | Self::Last => Takes::Probe,
        }
    }

    /// Whether it speaks of injections rather than of a part of the experiment.
    pub(crate) fn is_per_injection(self) -> bool {
        matches!(self.takes(), Takes::Nothing)
    }

    /// What it is compared with, where that is not what `value` is.
    pub(crate) fn mismatch(self, value: Value) -> Option<&'static str> {
        match self {
            Self::Availability | Self::ErrorRate | Self::Degraded => {
                (!matches!(value, Value::Ratio(_))).then_some("a percentage, such as 95%")
            }
            Self::Latency(_) | Self::Mttr | Self::Mttd | Self::Recovery => {
                (!matches!(value, Value::Time(_))).then_some("a time, such as 250ms or 2min")
            }
            Self::Peak | Self::Lowest | Self::Last => {
                (!matches!(value, Value::Number(_))).then_some("a plain number, such as 2")
            }
        }
    }
}

/// The quantile behind the `p`: `99`, `99_9`, and `999` as people say it for 99.9.
fn quantile(text: &str) -> std::result::Result<f64, String> {
    let (whole, decimals) = match text.split_once('_') {
        Some((whole, decimals)) => (whole, decimals),
        None if text.len() > 2 && text.bytes().all(|digit| digit == b'9') => text.split_at(2),
        None => (text, ""),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let complete = !text.ends_with('_') && digits(whole) && digits(decimals) && decimals.len() <= 4;
    let share = format!("{whole}.{decimals}e-2").parse::<f64>().ok().filter(|_| complete);
    match share {
        Some(share) if whole.len() <= 2 && share > 0.0 => Ok(share),
        Some(1.0) => Err("`p100` is the slowest request of all; write `max`".to_owned()),
        Some(_) => Err(format!("`p{text}` is no quantile; they lie between p0 and p100, as in p50, p99 or p99_9")),
        None => Err(format!("`p{text}` is no quantile; write p50, p99 or, with at most four decimals, p99_9")),
    }
}

impl Parse for Measure {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = input.call(Ident::parse_any).map_err(|error| {
            let message = "expected a claim: a measure, a comparison and a threshold, as in `availability > 95%`";
            Error::new(error.span(), message)
        })?;
        let kind = Kind::named(&name)?;
        if matches!(kind, Kind::Latency(_)) && input.peek(Token![.]) {
            return Err(input.error("write the decimals of a quantile behind `_`, as in p99_9"));
        }
        let argument = if input.peek(token::Paren) { argument(&name, kind, input)? } else { None };
        if argument.is_none() && matches!(kind.takes(), Takes::Probe) {
            return Err(Error::new(name.span(), format!("`{name}` needs a probe, as in `{name}(\"queue\")`")));
        }
        Ok(Self { name, kind, argument })
    }
}

fn argument(name: &Ident, kind: Kind, input: ParseStream<'_>) -> Result<Option<LitStr>> {
    let content;
    let brackets = parenthesized!(content in input);
    let what = match kind.takes() {
        Takes::Route => "route",
        Takes::Probe => "probe",
        Takes::Nothing => {
            let message = format!("`{name}` speaks of the whole experiment and takes no argument");
            return Err(Error::new(brackets.span.join(), message));
        }
    };
    if content.is_empty() {
        let message = format!("name the {what} in the brackets, as in `{name}(\"...\")`, or leave them out");
        return Err(Error::new(brackets.span.join(), message));
    }
    let expected = format!("expected the {what} as one string, as in `{name}(\"...\")`");
    let text: LitStr = content.parse().map_err(|error| Error::new(error.span(), &expected))?;
    if !content.is_empty() {
        return Err(content.error(expected));
    }
    if text.value().trim().is_empty() {
        return Err(Error::new(text.span(), format!("the name of a {what} is not empty")));
    }
    Ok(Some(text))
}

impl ToTokens for Measure {
    fn to_tokens(&self, out: &mut TokenStream) {
        let measure = quote!(__chaos_harness::Measure);
        let argument = &self.argument;
        let route = match argument {
            Some(route) => quote!(::core::option::Option::Some(::std::string::String::from(#route))),
            None => quote!(::core::option::Option::None),
        };
        let probe = quote!(::std::string::String::from(#argument));
        out.extend(match self.kind {
            Kind::Availability => quote!(#measure::Availability { route: #route }),
            Kind::ErrorRate => quote!(#measure::ErrorRate { route: #route }),
            Kind::Degraded => quote!(#measure::Degraded { route: #route }),
            Kind::Latency(quantile) => quote!(#measure::Latency { quantile: #quantile, route: #route }),
            Kind::Mttr => quote!(#measure::Mttr),
            Kind::Mttd => quote!(#measure::Mttd),
            Kind::Recovery => quote!(#measure::Recovery),
            Kind::Peak => quote!(#measure::Peak { probe: #probe }),
            Kind::Lowest => quote!(#measure::Lowest { probe: #probe }),
            Kind::Last => quote!(#measure::Last { probe: #probe }),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> std::result::Result<Kind, String> {
        syn::parse_str::<Measure>(text).map(|measure| measure.kind).map_err(|error| error.to_string())
    }

    #[test]
    fn quantiles_are_exact() {
        let cases = [
            ("p50", 0.5),
            ("p99", 0.99),
            ("p99_9", 0.999),
            ("p999", 0.999),
            ("p9999", 0.9999),
            ("p99_9999", 0.999_999),
            ("p5", 0.05),
            ("max", 1.0),
        ];
        for (text, quantile) in cases {
            assert_eq!(kind(text), Ok(Kind::Latency(quantile)), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantile_is_refused() {
        for text in ["p0", "p0_0", "p101", "p100", "p100_0", "p995", "p99_", "p99_99999", "p9x", "p_9"] {
            assert!(kind(text).is_err(), "{text}");
        }
        assert_eq!(kind("p100"), Err("`p100` is the slowest request of all; write `max`".to_owned()));
    }

    #[test]
    fn only_probes_must_be_named() {
        assert_eq!(kind("availability(\"/orders\")"), Ok(Kind::Availability));
        assert_eq!(kind("availability(\"checkout\")"), Ok(Kind::Availability));
        for text in ["peak", "availability()", "availability(\" \")", "availability(\"a\", \"b\")", "mttr(\"/a\")"] {
            assert!(kind(text).is_err(), "{text}");
        }
    }
}
