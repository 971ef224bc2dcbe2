//! `#[chaos_test]`: an experiment as a plain `#[test]`.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Attribute, Error, FnArg, ItemFn, LitInt, LitStr, Meta, PatType, Path, Result, ReturnType, Token, Type};

use crate::suggest;
use crate::threshold::Time;

const ARGUMENTS: [&str; 4] = ["seed", "timeout", "runtime", "crate"];
const RUNTIMES: [&str; 3] = ["auto", "docker", "process"];

/// Attributes that make tests of a function with parameters, and put `#[test]` on them themselves.
const TABLES: [&str; 4] = ["rstest", "apply", "test_case", "test_matrix"];

/// DESIGN 7: no experiment takes longer.
const LONGEST_NANOS: u64 = 30 * 60 * 1_000_000_000;

/// What stands in the brackets of the attribute.
#[derive(Default)]
pub(crate) struct Arguments {
    seed: Option<u64>,
    timeout: Option<Time>,
    runtime: Option<String>,
    /// Where the library is; found by the type of the lab without this.
    library: Option<Path>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut arguments = Self::default();
        while !input.is_empty() {
            arguments.argument(input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(arguments)
    }
}

impl Arguments {
    fn argument(&mut self, input: ParseStream<'_>) -> Result<()> {
        let key = input.call(syn::Ident::parse_any)?;
        let name = key.to_string();
        if !ARGUMENTS.contains(&name.as_str()) {
            return Err(suggest::unknown(key.span(), "argument of `chaos_test`", &name, &ARGUMENTS));
        }
        input.parse::<Token![=]>()?;
        let twice = match name.as_str() {
            "seed" => self.seed.replace(seed(input)?).is_some(),
            "timeout" => self.timeout.replace(timeout(input)?).is_some(),
            "crate" => self.library.replace(library(input)?).is_some(),
            _ => self.runtime.replace(runtime(input)?).is_some(),
        };
        if twice { Err(Error::new(key.span(), format!("`{name}` is given twice"))) } else { Ok(()) }
    }
}

fn seed(input: ParseStream<'_>) -> Result<u64> {
    let expected = "expected a seed: a whole number from 0 to 18446744073709551615";
    let number: LitInt = input.parse().map_err(|error| Error::new(error.span(), expected))?;
    number.base10_parse().map_err(|_| Error::new(number.span(), expected))
}

/// A path, or one in quotes as other macros write it.
fn library(input: ParseStream<'_>) -> Result<Path> {
    let expected = "expected the path of chaos-harness, such as `my_tests::chaos_harness`";
    let path = if input.peek(LitStr) {
        input.parse::<LitStr>()?.parse_with(Path::parse_mod_style)
    } else {
        Path::parse_mod_style(input)
    };
    path.map_err(|error| Error::new(error.span(), expected))
}

fn timeout(input: ParseStream<'_>) -> Result<Time> {
    let limit = if input.peek(LitStr) {
        let text: LitStr = input.parse()?;
        let Time { nanos, .. } = text.parse_with(|input: ParseStream<'_>| {
            let limit = input.parse()?;
            if input.is_empty() { Ok(limit) } else { Err(input.error("expected one time, such as \"5min\"")) }
        })?;
        Time { nanos, tokens: quote!(#text) }
    } else {
        input.parse()?
    };
    let message = match limit.nanos {
        0 => "nothing ends in no time",
        nanos if nanos > LONGEST_NANOS => "an experiment takes at most 30 minutes",
        _ => return Ok(limit),
    };
    Err(Error::new_spanned(&limit.tokens, message))
}

fn runtime(input: ParseStream<'_>) -> Result<String> {
    let name: LitStr = input.parse()?;
    if RUNTIMES.contains(&name.value().as_str()) {
        return Ok(name.value());
    }
    Err(suggest::unknown(name.span(), "runtime", &name.value(), &RUNTIMES))
}

/// The error, and the function without its attributes, so that nothing it mentions is reported as unused.
pub(crate) fn refuse(error: &Error, mut function: ItemFn) -> TokenStream {
    let error = error.to_compile_error();
    function.attrs.clear();
    for parameter in &mut function.sig.inputs {
        match parameter {
            FnArg::Receiver(this) => this.attrs.clear(),
            FnArg::Typed(parameter) => parameter.attrs.clear(),
        }
    }
    quote!(#error #[allow(dead_code)] #function)
}

/// The test that runs `function`.
pub(crate) fn expand(arguments: &Arguments, mut function: ItemFn) -> Result<TokenStream> {
    let lab = check(&mut function)?;
    let ItemFn { attrs, vis, sig, block } = &function;
    let (name, parameters, output) = (&sig.ident, &sig.inputs, &sig.output);
    let lab_type = match &arguments.library {
        Some(library) => quote!(#library::Lab),
        None => lab.ty.to_token_stream(),
    };
    let settings = settings(arguments, &name.to_string(), is_ignored(attrs));
    let run = quote!(<#lab_type>::__chaos_test(#settings, async move |#lab| #output #block));
    let test = if attrs.iter().any(is_table) { quote!() } else { quote!(#[::core::prelude::v1::test]) };
    // rustc wants a test that should panic to return nothing.
    if attrs.iter().any(|attribute| attribute.path().is_ident("should_panic")) {
        return Ok(quote! {
            #(#attrs)*
            #test
            #vis fn #name(#parameters) {
                if let ::core::result::Result::Err(failure) = #run {
                    ::core::panic!("{failure}");
                }
            }
        });
    }
    // The type of the failure has no name here: nothing but the lab's own type tells where the library is.
    Ok(quote! {
        #(#attrs)*
        #test
        #vis fn #name(#parameters) -> ::core::result::Result<(), impl ::core::fmt::Debug + ::core::fmt::Display> {
            #run
        }
    })
}

/// What `TestSettings::of` takes, and the settings that the attribute gives.
fn settings(arguments: &Arguments, name: &str, ignored: bool) -> TokenStream {
    let seed = arguments.seed.map(|seed| quote!(.seed(#seed)));
    let timeout = arguments.timeout.as_ref().map(|limit| quote!(.timeout(#limit)));
    let runtime = arguments.runtime.as_ref().map(|runtime| quote!(.runtime(#runtime)));
    let ignored = ignored.then(|| quote!(.ignored()));
    quote! {
        |settings| settings
            .test(::core::concat!(::core::module_path!(), "::", #name), ::core::file!(), ::core::line!())
            .package(::core::env!("CARGO_PKG_NAME"), ::core::env!("CARGO_MANIFEST_DIR"))
            .target(
                ::core::env!("CARGO_CRATE_NAME"),
                ::core::option_env!("CARGO_BIN_NAME"),
                ::core::option_env!("CARGO_TARGET_TMPDIR"),
            )
            #seed #timeout #runtime #ignored
    }
}

/// Whether the test is run only when asked for, be it under a condition.
fn is_ignored(attributes: &[Attribute]) -> bool {
    let conditional = |attribute: &Attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg_attr") => {
            list.tokens.clone().into_iter().any(|token| matches!(token, TokenTree::Ident(name) if name == "ignore"))
        }
        _ => false,
    };
    attributes.iter().any(|attribute| attribute.path().is_ident("ignore") || conditional(attribute))
}

/// Takes the lab out of the parameters; everything that a plain test cannot be is refused.
fn check(function: &mut ItemFn) -> Result<PatType> {
    let sig = &function.sig;
    if let Some(unexpected) = sig.unsafety.map(|token| token.span()).or(sig.abi.as_ref().map(Spanned::span)) {
        return Err(Error::new(unexpected, "a chaos test is a plain `async fn`"));
    }
    if sig.asyncness.is_none() {
        return Err(Error::new(sig.fn_token.span, "a chaos test is an `async fn`"));
    }
    if !sig.generics.params.is_empty() || sig.generics.where_clause.is_some() {
        return Err(Error::new_spanned(&sig.generics, "a chaos test is not generic; nobody would choose the types"));
    }
    if returns_nothing(&sig.output) {
        let message = "a chaos test returns its verdict, because one that nobody looks at could never fail; \
            add `-> chaos_harness::Result<Verdict>`";
        return Err(Error::new(output_span(function), message));
    }
    if let Some(test) = function.attrs.iter().find(|attribute| last(attribute.path()) == "test") {
        return Err(Error::new_spanned(test, "`#[chaos_test]` makes this a test by itself; remove this attribute"));
    }
    take_lab(function)
}

fn returns_nothing(output: &ReturnType) -> bool {
    match output {
        ReturnType::Default => true,
        ReturnType::Type(_, kind) => matches!(&**kind, Type::Tuple(tuple) if tuple.elems.is_empty()),
    }
}

fn output_span(function: &ItemFn) -> Span {
    match &function.sig.output {
        ReturnType::Default => function.sig.ident.span(),
        ReturnType::Type(_, kind) => kind.span(),
    }
}

fn take_lab(function: &mut ItemFn) -> Result<PatType> {
    let takes = "a chaos test takes `lab: Lab`";
    let mut lab = None;
    let mut others = syn::punctuated::Punctuated::new();
    for parameter in std::mem::take(&mut function.sig.inputs) {
        match parameter {
            FnArg::Receiver(this) => {
                return Err(Error::new_spanned(this, "a chaos test is no method; it has no `self`"));
            }
            FnArg::Typed(parameter) => match &*parameter.ty {
                Type::Path(path) if lab.is_none() && last(&path.path) == "Lab" => lab = Some(parameter),
                Type::Reference(_) if is_lab_behind_reference(&parameter.ty) => {
                    return Err(Error::new_spanned(&parameter.ty, format!("{takes} by value")));
                }
                _ => others.push(FnArg::Typed(parameter)),
            },
        }
    }
    let lab = lab.ok_or_else(|| Error::new(function.sig.ident.span(), takes))?;
    if let Some(parameter) = others.first()
        && !function.attrs.iter().any(is_table)
    {
        let message = "nothing supplies this parameter; add an attribute that does, such as `#[rstest]`, below \
            `#[chaos_test]`";
        return Err(Error::new_spanned(parameter, message));
    }
    function.sig.inputs = others;
    Ok(lab)
}

fn is_lab_behind_reference(kind: &Type) -> bool {
    matches!(kind, Type::Reference(reference) if matches!(&*reference.elem, Type::Path(path) if last(&path.path) == "Lab"))
}

fn is_table(attribute: &Attribute) -> bool {
    TABLES.contains(&last(attribute.path()).as_str())
}

fn last(path: &Path) -> String {
    path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn expanded(arguments: Arguments, function: ItemFn) -> String {
        expand(&arguments, function).unwrap().to_string().replace(' ', "")
    }

    #[test]
    fn arguments_reach_the_settings() {
        let arguments =
            parse_quote!(seed = 18446744073709551615, timeout = "2min 30s", runtime = "docker", crate = my::chaos);
        let text = expanded(
            arguments,
            parse_quote!(
                async fn r#in(lab: Lab) -> R {
                    body
                }
            ),
        );
        for setting in [
            ".seed(18446744073709551615u64)",
            ".timeout(::core::time::Duration::from_nanos(150000000000u64))",
            ".runtime(\"docker\")",
            "<my::chaos::Lab>::__chaos_test(",
            "::core::concat!(::core::module_path!(),\"::\",\"r#in\")",
        ] {
            assert!(text.contains(setting), "{setting} is not in {text}");
        }
        let text = expanded(
            parse_quote!(),
            parse_quote!(
                async fn t(lab: Lab) -> R {
                    body
                }
            ),
        );
        for setting in [".seed(", ".timeout(", ".runtime(", ".ignored("] {
            assert!(!text.contains(setting), "{setting} is in {text}");
        }
        assert!(text.contains("<Lab>::__chaos_test("), "{text}");
    }

    #[test]
    fn attributes_stay_in_order_and_tables_bring_the_test() {
        let plain = parse_quote!(
            /// Words.
            #[ignore]
            pub async fn t(lab: Lab) -> R {}
        );
        let text = expanded(parse_quote!(), plain);
        assert!(text.starts_with("#[doc=r\"Words.\"]#[ignore]#[::core::prelude::v1::test]pubfnt()->"), "{text}");
        assert!(text.contains(".ignored()"), "{text}");
        let table = parse_quote!(
            #[rstest::rstest]
            #[case(1)]
            async fn t(#[case] n: u8, lab: chaos_harness::prelude::Lab, other: u8) -> R {}
        );
        let text = expanded(parse_quote!(), table);
        assert!(text.starts_with("#[rstest::rstest]#[case(1)]fnt(#[case]n:u8,other:u8)->"), "{text}");
        assert!(text.contains("asyncmove|lab:chaos_harness::prelude::Lab|->R"), "{text}");
    }
}
