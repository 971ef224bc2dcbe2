//! The macros of `chaos-harness`; use them through that crate.

mod chaos_test;
mod hypothesis;
mod measure;
mod name;
mod service;
mod suggest;
mod threshold;
mod topology;
mod within;

use proc_macro::TokenStream;
use quote::ToTokens;
use syn::parse_macro_input;

/// `chaos_harness::hypothesis!`, with the path of that crate in brackets before the claim.
#[doc(hidden)]
#[proc_macro]
pub fn hypothesis(input: TokenStream) -> TokenStream {
    parse_macro_input!(input as within::Within<hypothesis::Claim>).into_token_stream().into()
}

/// `chaos_harness::topology!`, with the path of that crate in brackets before the topology.
#[doc(hidden)]
#[proc_macro]
pub fn topology(input: TokenStream) -> TokenStream {
    parse_macro_input!(input as within::Within<topology::Topology>).into_token_stream().into()
}

/// Makes a test of an `async fn` that takes a lab and returns a verdict.
///
/// ```no_run
/// # extern crate resilience as chaos_harness;
/// use chaos_harness::hypothesis::Verdict;
/// use chaos_harness::Lab;
/// use chaos_harness::chaos_test;
/// # async fn experiment(_: Lab) -> Result<Verdict, std::io::Error> { Ok(Verdict::Upheld) }
///
/// #[chaos_test(seed = 42, timeout = "5min")]
/// async fn slow_inventory_does_not_cascade(lab: Lab) -> Result<Verdict, std::io::Error> {
///     experiment(lab).await
/// }
/// ```
///
/// It becomes a plain `#[test]` that `cargo test` and cargo-nextest run like any other, on a multi-thread
/// runtime of its own. It passes when the verdict is `Upheld`, or when a function that returns
/// `Result<(), _>` returns `Ok`; otherwise it fails with what was found.
///
/// # Arguments
///
/// | argument | value | without it |
/// |---|---|---|
/// | `seed` | a whole number; decides every random choice | a fresh one, printed and journalled |
/// | `timeout` | at most `"30min"` | the library's default |
/// | `runtime` | `"docker"`, `"process"` or `"auto"` | what `CHAOS_RUNTIME` says |
/// | `crate` | the path of `chaos-harness`, as in `crate = my_tests::chaos_harness` | found by the type of the `lab` parameter, so a renamed or re-exported crate needs nothing |
///
/// # Other attributes
///
/// Attributes such as `#[ignore]` or `#[should_panic]` stay on the test. Tables of cases work when
/// `#[chaos_test]` stands above them; parameters beside the lab then come from the table:
///
/// ```ignore
/// #[chaos_test]
/// #[rstest]
/// #[case(2)]
/// #[case(5)]
/// async fn slow_inventory(lab: Lab, #[case] seconds: u64) -> chaos_harness::Result<Verdict> { ... }
/// ```
#[proc_macro_attribute]
pub fn chaos_test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as syn::ItemFn);
    let expanded = syn::parse(arguments).and_then(|arguments| chaos_test::expand(&arguments, function.clone()));
    expanded.unwrap_or_else(|error| chaos_test::refuse(&error, function)).into()
}
