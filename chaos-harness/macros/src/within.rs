//! A macro's input behind the path of the crate that it is for.
//!
//! `macro_rules!` alone knows that path, whatever the crate is called where it is used, so `chaos-harness` has a wrapper
//! around each macro which puts it there.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Result, bracketed};

/// `[crate path] input`
pub(crate) struct Within<Input> {
    path: TokenStream,
    input: Input,
}

impl<Input: Parse> Parse for Within<Input> {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let path;
        bracketed!(path in input);
        Ok(Self { path: path.parse()?, input: input.parse()? })
    }
}

impl<Input: ToTokens> ToTokens for Within<Input> {
    fn to_tokens(&self, out: &mut TokenStream) {
        let Self { path, input } = self;
        out.extend(quote!({
            use #path::__private::paths as __chaos_harness;
            #input
        }));
    }
}
