//! `hypothesis!`: measure, comparison, threshold and scope.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Error, Ident, Result, Token};

use crate::measure::Measure;
use crate::suggest;
use crate::threshold::{Threshold, Value};

const SCOPES: [(&str, &str); 5] = [
    ("baseline", "Baseline"),
    ("fault", "Fault"),
    ("recovery", "Recovery"),
    ("after", "After"),
    ("overall", "Overall"),
];

/// The claim in `hypothesis!(...)`.
pub(crate) struct Claim {
    measure: Measure,
    comparison: Comparison,
    threshold: Threshold,
    /// The variant of `Scope`.
    scope: Ident,
}

struct Comparison {
    side: Side,
    tokens: TokenStream,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Side {
    Below,
    AtMost,
    Above,
    AtLeast,
}

impl Parse for Claim {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.is_empty() {
            return Err(Error::new(input.span(), "state a claim, as in `availability > 95%`"));
        }
        let measure: Measure = input.parse()?;
        if input.is_empty() {
            let message = format!("claim something of `{0}`, as in `{0} < ...`", measure.name);
            return Err(Error::new(measure.name.span(), message));
        }
        let comparison: Comparison = input.parse()?;
        if input.is_empty() {
            let message = "a threshold is missing behind this, such as 95%, 250ms or 2min";
            return Err(Error::new_spanned(&comparison.tokens, message));
        }
        let threshold: Threshold = input.parse()?;
        let scope = scope(&measure, input)?;
        if !input.is_empty() {
            let message = "the claim ends before this; state one claim in each `hypothesis!`, and its scope as in \
                `during recovery`";
            return Err(input.error(message));
        }
        let claim = Self { measure, comparison, threshold, scope };
        claim.check()?;
        Ok(claim)
    }
}

impl Parse for Comparison {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.peek(Token![=>]) {
            return Err(input.error("write `>=`"));
        }
        if input.peek(Token![=]) && input.peek2(Token![<]) {
            return Err(input.error("write `<=`"));
        }
        if input.peek(Token![=]) || input.peek(Token![!]) {
            let message = "a measured value is never exactly a given one; claim `<`, `<=`, `>` or `>=`";
            return Err(input.error(message));
        }
        let (side, tokens) = if input.peek(Token![<=]) {
            (Side::AtMost, input.parse::<Token![<=]>()?.into_token_stream())
        } else if input.peek(Token![>=]) {
            (Side::AtLeast, input.parse::<Token![>=]>()?.into_token_stream())
        } else if input.peek(Token![<]) {
            (Side::Below, input.parse::<Token![<]>()?.into_token_stream())
        } else if input.peek(Token![>]) {
            (Side::Above, input.parse::<Token![>]>()?.into_token_stream())
        } else {
            return Err(input.error("expected `<`, `<=`, `>` or `>=`"));
        };
        Ok(Self { side, tokens })
    }
}

/// `during recovery`, or nothing for the time that the fault is in force.
fn scope(measure: &Measure, input: ParseStream<'_>) -> Result<Ident> {
    if !input.peek(Ident) || input.fork().parse::<Ident>()? != "during" {
        return Ok(Ident::new("Fault", Span::call_site()));
    }
    let during: Ident = input.parse()?;
    if input.is_empty() {
        let names = SCOPES.map(|(name, _)| name).join(", ");
        return Err(Error::new(during.span(), format!("name the part of the experiment behind this: {names}")));
    }
    let scope: Ident = input.parse()?;
    let text = scope.to_string();
    let Some((_, variant)) = SCOPES.iter().find(|(name, _)| *name == text) else {
        return Err(suggest::unknown(scope.span(), "part of an experiment", &text, &SCOPES.map(|(name, _)| name)));
    };
    if measure.kind.is_per_injection() {
        let message = format!("`{}` speaks of every injection, whenever it was; leave the scope out", measure.name);
        return Err(Error::new(during.span(), message));
    }
    Ok(Ident::new(variant, Span::call_site()))
}

impl Claim {
    /// The threshold fits the measure, and the claim can turn out either way.
    fn check(&self) -> Result<()> {
        let written = &self.threshold.tokens;
        if let Some(expected) = self.measure.kind.mismatch(self.threshold.value) {
            let message = format!("`{}` is compared with {expected}", self.measure.name);
            return Err(Error::new_spanned(written, message));
        }
        let (lowest, highest) = match self.threshold.value {
            Value::Ratio(share) => (share == 0.0, share == 1.0),
            Value::Time(nanos) => (nanos == 0, false),
            Value::Number(_) => (false, false),
        };
        let message = match self.comparison.side {
            Side::AtLeast if lowest => "this claim holds for every run, so nothing could refute it",
            Side::AtMost if highest => "this claim holds for every run, so nothing could refute it",
            Side::Below if lowest => "this claim can hold for no run",
            Side::Above if highest => "this claim can hold for no run",
            _ => return Ok(()),
        };
        Err(Error::new_spanned(written, message))
    }
}

impl ToTokens for Claim {
    fn to_tokens(&self, out: &mut TokenStream) {
        let Self { measure, comparison, threshold, scope } = self;
        let side = match comparison.side {
            Side::Below => quote!(Below),
            Side::AtMost => quote!(AtMost),
            Side::Above => quote!(Above),
            Side::AtLeast => quote!(AtLeast),
        };
        let value = threshold.value;
        out.extend(quote! {
            __chaos_harness::claim(
                #measure,
                __chaos_harness::Comparison::#side,
                #value,
                __chaos_harness::Scope::#scope,
            )
        });
    }
}
