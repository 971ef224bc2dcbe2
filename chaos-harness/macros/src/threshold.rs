//! Thresholds as people write them: `95%`, `250ms`, `2min 30s`, `-3`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Error, Ident, Lit, Result, Token};

/// More decimals of a percentage than this would be rounded away where a claim is printed.
const MOST_DECIMALS: usize = 4;

/// What a threshold is counted in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    /// A share, from 0 to 1.
    Ratio(f64),
    /// A length of time in nanoseconds.
    Time(u64),
    /// A plain number.
    Number(f64),
}

/// A value with the tokens that it was written as.
pub(crate) struct Threshold {
    pub(crate) value: Value,
    pub(crate) tokens: TokenStream,
}

/// A length of time, such as `30s` or `2min 30s`.
pub(crate) struct Time {
    pub(crate) nanos: u64,
    pub(crate) tokens: TokenStream,
}

/// The units of time; a time of several parts names them in this order.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Unit {
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
}

/// One number with its sign, and the unit of time directly behind it.
struct Quantity {
    digits: String,
    negative: bool,
    unit: Option<Unit>,
    tokens: TokenStream,
}

impl Parse for Threshold {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let first: Quantity = input.parse()?;
        if first.unit.is_some() {
            let Time { nanos, tokens } = time(first, input)?;
            return Ok(Self { value: Value::Time(nanos), tokens });
        }
        let percent: Option<Token![%]> = input.parse()?;
        let mut tokens = first.tokens.clone();
        percent.to_tokens(&mut tokens);
        let value = match percent {
            Some(_) => Value::Ratio(first.ratio(&tokens)?),
            None => Value::Number(first.scaled(0)?),
        };
        Ok(Self { value, tokens })
    }
}

impl Parse for Time {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        time(input.parse()?, input)
    }
}

impl ToTokens for Time {
    fn to_tokens(&self, out: &mut TokenStream) {
        let nanos = self.nanos;
        out.extend(quote!(::core::time::Duration::from_nanos(#nanos)));
    }
}

impl ToTokens for Value {
    fn to_tokens(&self, out: &mut TokenStream) {
        let kind = quote!(__chaos_harness::Threshold);
        out.extend(match *self {
            Self::Ratio(share) => quote!(#kind::Ratio(#share)),
            Self::Number(number) => quote!(#kind::Number(#number)),
            Self::Time(nanos) => quote!(#kind::Time(::core::time::Duration::from_nanos(#nanos))),
        });
    }
}

/// The parts of a time from the largest unit to the smallest, the first of which is read already.
fn time(first: Quantity, input: ParseStream<'_>) -> Result<Time> {
    let mut tokens = first.tokens.clone();
    let mut nanos = first.nanos()?;
    let mut last = first.unit;
    while input.peek(Lit) {
        let part: Quantity = input.parse()?;
        let more = part.nanos()?;
        if part.unit <= last {
            return Err(Error::new_spanned(
                &part.tokens,
                "the parts of a time go from the largest unit to the smallest",
            ));
        }
        part.tokens.to_tokens(&mut tokens);
        nanos = nanos.checked_add(more).ok_or_else(|| too_long(&tokens))?;
        last = part.unit;
    }
    Ok(Time { nanos, tokens })
}

fn too_long(tokens: &TokenStream) -> Error {
    Error::new_spanned(tokens, "this time is longer than any experiment")
}

impl Parse for Quantity {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let minus: Option<Token![-]> = input.parse()?;
        let negative = minus.is_some();
        let mut tokens = minus.into_token_stream();
        let literal: Lit = input.parse().map_err(|error| Error::new(error.span(), EXPECTED))?;
        literal.to_tokens(&mut tokens);
        let (digits, suffix, span) = match &literal {
            Lit::Int(int) => (int.base10_digits().to_owned(), int.suffix().to_owned(), int.span()),
            Lit::Float(float) => (float.base10_digits().to_owned(), float.suffix().to_owned(), float.span()),
            other => return Err(Error::new_spanned(other, EXPECTED)),
        };
        let unit =
            if suffix.is_empty() { separate_unit(input, &mut tokens)? } else { Some(Unit::named(&suffix, span)?) };
        Ok(Self { digits, negative, unit, tokens })
    }
}

const EXPECTED: &str = "expected a threshold, such as 95%, 250ms or 2min";

/// The unit in `2 min`; the `during` of a scope is none.
fn separate_unit(input: ParseStream<'_>, tokens: &mut TokenStream) -> Result<Option<Unit>> {
    if !input.peek(Ident) || input.fork().parse::<Ident>()? == "during" {
        return Ok(None);
    }
    let unit: Ident = input.parse()?;
    unit.to_tokens(tokens);
    Unit::named(&unit.to_string(), unit.span()).map(Some)
}

impl Quantity {
    /// The number times ten to the power of `exponent`, rounded once: `99.9` and -2 give the double nearest to 0.999.
    fn scaled(&self, exponent: i32) -> Result<f64> {
        let (mantissa, own) = self.digits.split_once(['e', 'E']).unwrap_or((&self.digits, "0"));
        let sign = if self.negative { "-" } else { "" };
        let number = own.parse::<i32>().ok().and_then(|own| own.checked_add(exponent));
        let number = number.and_then(|exponent| format!("{sign}{mantissa}e{exponent}").parse::<f64>().ok());
        number
            .filter(|number| number.is_finite())
            .ok_or_else(|| Error::new_spanned(&self.tokens, "this number is too large"))
    }

    fn ratio(&self, tokens: &TokenStream) -> Result<f64> {
        let share = self.scaled(-2)?;
        if self.negative || share > 1.0 {
            return Err(Error::new_spanned(tokens, "a share lies between 0% and 100%"));
        }
        let decimals = self.digits.split_once('.').map_or("", |(_, decimals)| decimals.trim_end_matches('0'));
        if decimals.len() > MOST_DECIMALS || self.digits.contains(['e', 'E']) {
            let message = format!("write a percentage with at most {MOST_DECIMALS} decimals, such as 99.9%");
            return Err(Error::new_spanned(tokens, message));
        }
        Ok(share)
    }

    fn nanos(&self) -> Result<u64> {
        let refuse = |message: &str| Err(Error::new_spanned(&self.tokens, message));
        let Some(unit) = self.unit else {
            return refuse("a time needs a unit: h, min, s, ms, us or ns, as in 250ms");
        };
        if self.negative {
            return refuse("a time is not negative");
        }
        let (factor, exponent) = unit.nanos();
        let nanos = factor * self.scaled(exponent)?;
        if nanos.fract() != 0.0 {
            return refuse("a time is a whole number of nanoseconds");
        }
        if nanos >= u64::MAX as f64 {
            return Err(too_long(&self.tokens));
        }
        Ok(nanos as u64)
    }
}

impl Unit {
    fn named(name: &str, span: Span) -> Result<Self> {
        Ok(match name {
            "h" => Self::Hour,
            "min" => Self::Minute,
            "s" => Self::Second,
            "ms" => Self::Millisecond,
            "us" | "µs" | "μs" => Self::Microsecond,
            "ns" => Self::Nanosecond,
            "m" => return Err(Error::new(span, "`m` could mean two things; write `min` or `ms`")),
            other => return Err(unknown_unit(other, span)),
        })
    }

    /// How many nanoseconds it has: a factor, and a power of ten.
    fn nanos(self) -> (f64, i32) {
        match self {
            Self::Hour => (3600.0, 9),
            Self::Minute => (60.0, 9),
            Self::Second => (1.0, 9),
            Self::Millisecond => (1.0, 6),
            Self::Microsecond => (1.0, 3),
            Self::Nanosecond => (1.0, 0),
        }
    }
}

fn unknown_unit(name: &str, span: Span) -> Error {
    let beginnings =
        [("mil", "ms"), ("mic", "us"), ("nan", "ns"), ("min", "min"), ("sec", "s"), ("ho", "h"), ("hr", "h")];
    let lower = name.to_lowercase();
    let meant = beginnings.iter().find(|(beginning, _)| lower.starts_with(beginning));
    let hint = meant.map(|(_, unit)| format!("; did you mean `{unit}`?")).unwrap_or_default();
    Error::new(span, format!("`{name}` is not a unit{hint} (units are %, h, min, s, ms, us and ns)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> std::result::Result<Value, String> {
        syn::parse_str::<Threshold>(text).map(|threshold| threshold.value).map_err(|error| error.to_string())
    }

    #[test]
    fn thresholds_have_the_values_that_people_mean() {
        let (ms, s) = (1_000_000, 1_000_000_000);
        let cases = [
            ("95%", Value::Ratio(0.95)),
            ("99.9%", Value::Ratio(0.999)),
            ("99.9999%", Value::Ratio(0.999_999)),
            ("95 %", Value::Ratio(0.95)),
            ("0%", Value::Ratio(0.0)),
            ("100%", Value::Ratio(1.0)),
            ("2min", Value::Time(120 * s)),
            ("2 min", Value::Time(120 * s)),
            ("250ms", Value::Time(250 * ms)),
            ("1_500ms", Value::Time(1500 * ms)),
            ("1.5s", Value::Time(1500 * ms)),
            ("0.1s", Value::Time(100 * ms)),
            ("1.1us", Value::Time(1100)),
            ("500us", Value::Time(500_000)),
            ("500µs", Value::Time(500_000)),
            ("7ns", Value::Time(7)),
            ("1h", Value::Time(3600 * s)),
            ("2min 30s", Value::Time(150 * s)),
            ("1h 2min 3s 4ms", Value::Time(3_723_004 * ms)),
            ("0s", Value::Time(0)),
            ("2", Value::Number(2.0)),
            ("-3", Value::Number(-3.0)),
            ("-0.25", Value::Number(-0.25)),
            ("2e3", Value::Number(2000.0)),
        ];
        for (text, value) in cases {
            assert_eq!(parse(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_is_no_threshold_is_refused_with_a_reason() {
        let cases = [
            ("120%", "a share lies between 0% and 100%"),
            ("-5%", "a share lies between 0% and 100%"),
            ("99.99999%", "write a percentage with at most 4 decimals, such as 99.9%"),
            ("-2s", "a time is not negative"),
            ("5m", "`m` could mean two things; write `min` or `ms`"),
            ("5 parsecs", "`parsecs` is not a unit (units are %, h, min, s, ms, us and ns)"),
            ("5secs", "`secs` is not a unit; did you mean `s`? (units are %, h, min, s, ms, us and ns)"),
            ("30s 2min", "the parts of a time go from the largest unit to the smallest"),
            ("2min 30", "a time needs a unit: h, min, s, ms, us or ns, as in 250ms"),
            ("0.1ns", "a time is a whole number of nanoseconds"),
            ("9e30h", "this time is longer than any experiment"),
            ("1e999", "this number is too large"),
            ("\"95%\"", EXPECTED),
            ("limit", EXPECTED),
        ];
        for (text, reason) in cases {
            assert_eq!(parse(text), Err(reason.to_owned()), "{text}");
        }
    }
}
