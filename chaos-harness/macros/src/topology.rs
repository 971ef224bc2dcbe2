//! `topology!`: a name, services and links.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Ident, Result, Token, token};

use crate::name::{Name, USERS};
use crate::service::{Service, separator};
use crate::suggest;

/// What stands in `topology! { ... }`.
pub(crate) struct Topology {
    name: Name,
    services: Vec<Service>,
    links: Vec<Link>,
}

struct Link {
    caller: Name,
    callee: Name,
    protocol: Protocol,
}

/// What is spoken on a link; TCP where nothing else is said.
struct Protocol {
    text: String,
    written: bool,
}

const PROTOCOLS: [&str; 3] = ["tcp", "http", "udp"];

impl Protocol {
    /// Reads what may stand behind a callee, as in `: http`.
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.parse::<Option<Token![:]>>()?.is_none() {
            return Ok(Self { text: "tcp".to_owned(), written: false });
        }
        let name = input.call(Ident::parse_any).map_err(|error| {
            Error::new(error.span(), format!("expected what is spoken on the link: {}", PROTOCOLS.join(", ")))
        })?;
        let text = name.to_string();
        if !PROTOCOLS.contains(&text.as_str()) {
            return Err(suggest::unknown(name.span(), "protocol", &text, &PROTOCOLS));
        }
        Ok(Self { text, written: true })
    }

    fn is_stream(&self) -> bool {
        self.text != "udp"
    }
}

impl ToTokens for Protocol {
    fn to_tokens(&self, out: &mut TokenStream) {
        let variant = match self.text.as_str() {
            "http" => quote!(Http),
            "udp" => quote!(Udp),
            _ => quote!(Tcp),
        };
        out.extend(quote!(__chaos_harness::Protocol::#variant));
    }
}

impl Parse for Topology {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.is_empty() {
            return Err(Error::new(input.span(), "begin with the name of the topology, as in `shop: gateway { ... }`"));
        }
        let name: Name = input.parse()?;
        name.check()?;
        if !input.peek(Token![:]) {
            let message = "expected `:` behind the name of the topology, as in `shop: gateway { ... }`";
            return Err(Error::new(name.span, message));
        }
        input.parse::<Token![:]>()?;
        let mut topology = Self { name, services: Vec::new(), links: Vec::new() };
        while !input.is_empty() {
            topology.item(input)?;
        }
        topology.check()?;
        Ok(topology)
    }
}

impl Topology {
    /// `service { ... }` or `caller -> callee, callee: protocol`.
    fn item(&mut self, input: ParseStream<'_>) -> Result<()> {
        let name: Name = input.parse()?;
        if input.peek(token::Brace) {
            self.services.push(Service::parse(name, input)?);
            // Braces end an item by themselves.
            input.parse::<Option<Token![,]>>()?;
            input.parse::<Option<Token![;]>>()?;
            return Ok(());
        }
        if !input.peek(Token![->]) {
            let message = format!("expected a service, `{0} {{ ... }}`, or a link, `{0} -> ...`", name.text);
            return Err(Error::new(name.span, message));
        }
        input.parse::<Token![->]>()?;
        loop {
            let (callee, protocol) = (input.parse()?, Protocol::parse(input)?);
            self.links.push(Link { caller: name.clone(), callee, protocol });
            if input.peek(Token![->]) {
                return Err(input.error("write one link for each arrow, as in `a -> b; b -> c`"));
            }
            separator(input)?;
            if !begins_callee(input) {
                return Ok(());
            }
        }
    }

    fn check(&self) -> Result<()> {
        if self.services.is_empty() {
            let message = format!("topology `{}` declares no service", self.name.text);
            return Err(Error::new(self.name.span, message));
        }
        all((0..self.services.len()).map(|position| self.check_unique(position)))?;
        all((0..self.links.len()).map(|position| self.check_link(position)))
    }

    fn check_unique(&self, position: usize) -> Result<()> {
        let Name { text, span } = &self.services[position].name;
        if self.services[..position].iter().any(|earlier| earlier.name.text == *text) {
            return Err(Error::new(*span, format!("service `{text}` is declared twice")));
        }
        Ok(())
    }

    fn check_link(&self, position: usize) -> Result<()> {
        let Link { caller, callee, protocol } = &self.links[position];
        let from_users = caller.text == USERS;
        if from_users && !protocol.written {
            let message = format!(
                "`{USERS}` may call every service; leave this link out, or say what is spoken, as in \
                 `{USERS} -> {}: http`",
                callee.text
            );
            return Err(Error::new(caller.span, message));
        }
        let known: Vec<&str> = self.services.iter().map(|service| service.name.text.as_str()).collect();
        for name in [caller, callee].into_iter().skip(usize::from(from_users)) {
            if !known.contains(&name.text.as_str()) {
                return Err(suggest::unknown(name.span, "service", &name.text, &known));
            }
        }
        if caller.text == callee.text {
            return Err(Error::new(callee.span, format!("service `{}` is linked to itself", callee.text)));
        }
        let same = |link: &Link| {
            let pair = link.caller.text == caller.text && link.callee.text == callee.text;
            pair && link.protocol.is_stream() == protocol.is_stream()
        };
        if self.links[..position].iter().any(same) {
            let over = if protocol.is_stream() { "" } else { " over udp" };
            let message = format!("link {} -> {} is declared twice{over}", caller.text, callee.text);
            return Err(Error::new(callee.span, message));
        }
        Ok(())
    }
}

/// The errors of all checks together, so that one compilation shows them all.
fn all(checks: impl Iterator<Item = Result<()>>) -> Result<()> {
    let errors = checks.filter_map(Result::err).reduce(|mut all, error| {
        all.combine(error);
        all
    });
    errors.map_or(Ok(()), Err)
}

/// Whether a name comes next that neither begins a service nor another link.
fn begins_callee(input: ParseStream<'_>) -> bool {
    Name::peek(input) && !input.peek2(token::Brace) && !input.peek2(Token![->])
}

impl ToTokens for Topology {
    fn to_tokens(&self, out: &mut TokenStream) {
        let Self { name: Name { text: name, .. }, services, links } = self;
        let callers = links.iter().map(|link| &link.caller.text);
        let callees = links.iter().map(|link| &link.callee.text);
        let protocols = links.iter().map(|link| &link.protocol);
        out.extend(quote! {
            __chaos_harness::Topology::new(#name)
                #(.service(#services))*
                #(.link_over(#callers, #callees, #protocols))*
        });
    }
}
