//! Names of topologies and services: an identifier, or a string where it has a `-`.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Ident, LitStr, Result, Token};

/// The name under which the load calls a service (`chaos_harness::topology::USERS`).
pub(crate) const USERS: &str = "users";

/// A name and where it stands.
#[derive(Clone)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) span: Span,
}

impl Name {
    /// Whether one comes next.
    pub(crate) fn peek(input: ParseStream<'_>) -> bool {
        input.peek(Ident::peek_any) || input.peek(LitStr)
    }

    /// The rule of `Topology::validate`: names go into host names, container names and variables.
    pub(crate) fn check(&self) -> Result<()> {
        let name = &self.text;
        if is_usable(name) {
            return Ok(());
        }
        let better = name.to_lowercase().replace('_', "-");
        let hint = if is_usable(&better) { format!("; write \"{better}\"") } else { String::new() };
        let message = format!(
            "`{name}` is not a usable name; use 1 to 40 lower-case letters, digits and `-`, starting with a letter, \
             and not `{USERS}`{hint}"
        );
        Err(Error::new(self.span, message))
    }
}

fn is_usable(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    let rest = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    starts && rest && name.len() <= 40 && name != USERS
}

impl Parse for Name {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.peek(LitStr) {
            let text: LitStr = input.parse()?;
            return Ok(Self { text: text.value(), span: text.span() });
        }
        let ident = input.call(Ident::parse_any)?;
        let text = ident.unraw().to_string();
        if input.peek(Token![-]) && !input.peek(Token![->]) {
            return Err(input.error(format!("write a name with `-` as a string, such as \"{text}-...\"")));
        }
        Ok(Self { text, span: ident.span() })
    }
}
