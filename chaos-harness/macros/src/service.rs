//! One service of `topology!`: the settings between its braces.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, Ident, Lit, LitStr, Result, Token, braced, bracketed, parenthesized, token};

use crate::name::Name;
use crate::suggest;
use crate::threshold::Time;

const KEYS: [&str; 22] = [
    "cargo",
    "manifest",
    "profile",
    "features",
    "image",
    "platform",
    "program",
    "entrypoint",
    "args",
    "env",
    "port",
    "udp_port",
    "control_port",
    "health",
    "within",
    "instances",
    "standby",
    "restart",
    "stop_grace",
    "init",
    "volumes",
    "disks",
];

/// What sizes are counted in.
const UNITS: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// `gateway { port: 8080, ... }`
pub(crate) struct Service {
    pub(crate) name: Name,
    settings: Vec<Setting>,
}

struct Setting {
    key: Ident,
    value: Setter,
}

/// What a setting becomes: calls of the builder.
struct Setter(TokenStream);

impl Service {
    /// Reads the braces behind `name`.
    pub(crate) fn parse(name: Name, input: ParseStream<'_>) -> Result<Self> {
        name.check()?;
        let content;
        braced!(content in input);
        let mut settings: Vec<Setting> = Vec::new();
        while !content.is_empty() {
            let setting: Setting = content.parse()?;
            if settings.iter().any(|earlier| earlier.key == setting.key) {
                let message = format!("`{}` of service `{}` is set twice", setting.key, name.text);
                return Err(Error::new(setting.key.span(), message));
            }
            settings.push(setting);
            separator(&content)?;
        }
        let service = Self { name, settings };
        service.has_something_to_run()?;
        Ok(service)
    }

    fn has_something_to_run(&self) -> Result<()> {
        if self.settings.iter().any(|setting| ["cargo", "image", "program"].iter().any(|key| setting.key == key)) {
            return Ok(());
        }
        let message = format!("service `{}` has nothing to run; give it `cargo`, `image` or `program`", self.name.text);
        Err(Error::new(self.name.span, message))
    }
}

/// What may stand between two settings or two items; at the end it may be left out.
pub(crate) fn separator(input: ParseStream<'_>) -> Result<()> {
    if input.is_empty() {
        return Ok(());
    }
    let found = input.parse::<Option<Token![,]>>()?.is_some() || input.parse::<Option<Token![;]>>()?.is_some();
    if found { Ok(()) } else { Err(input.error("expected `,` before this")) }
}

impl ToTokens for Service {
    fn to_tokens(&self, out: &mut TokenStream) {
        let name = &self.name.text;
        // `cargo` sets image and program, so an explicit one of these comes after it.
        let (cargo, others): (Vec<_>, Vec<_>) = self.settings.iter().partition(|setting| setting.key == "cargo");
        let setters = cargo.into_iter().chain(others).map(|setting| &setting.value.0);
        out.extend(quote!(__chaos_harness::Service::new(#name) #(#setters)*));
    }
}

impl Parse for Setting {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let key = input.call(Ident::parse_any)?;
        let text = key.to_string();
        if !KEYS.contains(&text.as_str()) {
            return Err(suggest::unknown(key.span(), "setting of a service", &text, &KEYS));
        }
        input.parse::<Token![:]>()?;
        let value = match text.as_str() {
            "cargo" => cargo(input)?,
            "args" | "entrypoint" => words(&key, input)?,
            "env" => env(input)?,
            "port" | "udp_port" | "control_port" => number(&key, input, 1..=u64::from(u16::MAX))?,
            "instances" => number(&key, input, 1..=32)?,
            "standby" => number(&key, input, 0..=31)?,
            "health" => health(input)?,
            "within" => within(input)?,
            "stop_grace" => stop_grace(input)?,
            "restart" => restart(input)?,
            "volumes" => volumes(input)?,
            "disks" => disks(input)?,
            _ => {
                let value: Expr = input.parse()?;
                quote!(.#key(#value))
            }
        };
        Ok(Self { key, value: Setter(value) })
    }
}

/// `"package" / "binary"`, or one string where both have the same name.
fn cargo(input: ParseStream<'_>) -> Result<TokenStream> {
    let expected = "expected a package and a binary of this workspace, as in \"shop\" / \"gateway\"";
    let part = || input.parse::<LitStr>().map_err(|error| Error::new(error.span(), expected));
    let package = part()?;
    let slash: Option<Token![/]> = input.parse()?;
    let bin = if slash.is_some() { part()? } else { package.clone() };
    Ok(quote!(.cargo(#package, #bin)))
}

/// A list of texts, numbers and switches, or an expression of the type that `Service::args` takes.
fn words(key: &Ident, input: ParseStream<'_>) -> Result<TokenStream> {
    let value: Expr = input.parse()?;
    let Expr::Array(list) = &value else {
        return Ok(quote!(.#key(#value)));
    };
    if list.elems.is_empty() {
        return Ok(TokenStream::new());
    }
    let texts = list.elems.iter().map(text);
    Ok(quote!(.#key([#(::std::string::String::from(#texts)),*])))
}

/// `{ KEY: value, "other.key": value }`
fn env(input: ParseStream<'_>) -> Result<TokenStream> {
    if !input.peek(token::Brace) {
        return Err(input.error("expected variables in braces, as in { BREAKER: \"on\" }"));
    }
    let content;
    braced!(content in input);
    let variables: Punctuated<Variable, Token![,]> = content.parse_terminated(Variable::parse, Token![,])?;
    let mut seen: Vec<&str> = Vec::new();
    for Variable { key, .. } in &variables {
        if seen.contains(&key.text.as_str()) {
            return Err(Error::new(key.span, format!("variable `{}` is set twice", key.text)));
        }
        seen.push(&key.text);
    }
    let keys = variables.iter().map(|variable| &variable.key.text);
    let values = variables.iter().map(|variable| text(&variable.value));
    Ok(quote!(#(.env(#keys, #values))*))
}

/// `{ "/data": 64 MiB, "/cache": bytes }`
fn volumes(input: ParseStream<'_>) -> Result<TokenStream> {
    if !input.peek(token::Brace) {
        return Err(input.error("expected folders and their sizes in braces, as in { \"/data\": 64 MiB }"));
    }
    let content;
    braced!(content in input);
    let volumes: Punctuated<Volume, Token![,]> = content.parse_terminated(Volume::parse, Token![,])?;
    let folders: Vec<&LitStr> = volumes.iter().map(|volume| &volume.folder).collect();
    check_folders(&folders)?;
    let bytes = volumes.iter().map(|volume| &volume.bytes);
    Ok(quote!(#(.volume(#folders, #bytes))*))
}

/// `["/data", "/logs"]`
fn disks(input: ParseStream<'_>) -> Result<TokenStream> {
    if !input.peek(token::Bracket) {
        return Err(input.error("expected folders in brackets, as in [\"/data\"]"));
    }
    let content;
    bracketed!(content in input);
    let folders: Punctuated<LitStr, Token![,]> = content.parse_terminated(|input| input.parse(), Token![,])?;
    let folders: Vec<&LitStr> = folders.iter().collect();
    check_folders(&folders)?;
    Ok(quote!(#(.disk(#folders))*))
}

fn check_folders(folders: &[&LitStr]) -> Result<()> {
    for (at, folder) in folders.iter().enumerate() {
        let text = folder.value();
        if !text.starts_with('/') {
            return Err(Error::new(folder.span(), "expected an absolute path, such as \"/data\""));
        }
        if folders[..at].iter().any(|earlier| earlier.value() == text) {
            return Err(Error::new(folder.span(), format!("`{text}` is named twice")));
        }
    }
    Ok(())
}

struct Volume {
    folder: LitStr,
    bytes: TokenStream,
}

impl Parse for Volume {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let folder = input.parse()?;
        input.parse::<Token![:]>()?;
        let size: Expr = input.parse()?;
        if !input.peek(Ident) {
            return Ok(Self { folder, bytes: quote!(#size) });
        }
        let unit: Ident = input.parse()?;
        let text = unit.to_string();
        let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == text) else {
            return Err(suggest::unknown(unit.span(), "unit of size", &text, &UNITS.map(|(name, _)| name)));
        };
        Ok(Self { folder, bytes: quote!((#size) * #factor) })
    }
}

struct Variable {
    key: Name,
    value: Expr,
}

impl Parse for Variable {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let key: Name = input.parse()?;
        input.parse::<Token![:]>()?;
        Ok(Self { key, value: input.parse()? })
    }
}

/// Numbers and switches are written as they are; other expressions are left to the type checker.
fn text(value: &Expr) -> TokenStream {
    let literal = match value {
        Expr::Lit(literal) => &literal.lit,
        other => return other.to_token_stream(),
    };
    match literal {
        Lit::Int(int) if int.suffix().is_empty() => int.base10_digits().to_token_stream(),
        Lit::Float(float) if float.suffix().is_empty() => float.base10_digits().to_token_stream(),
        Lit::Bool(switch) => switch.value().to_string().to_token_stream(),
        other => other.to_token_stream(),
    }
}

/// A number in `range`; what is no literal is left to `Topology::validate`.
fn number(key: &Ident, input: ParseStream<'_>, range: std::ops::RangeInclusive<u64>) -> Result<TokenStream> {
    let value: Expr = input.parse()?;
    if let Some(literal) = plain_number(&value) {
        let number = literal.parse::<u64>().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let message = format!("`{key}` lies between {} and {}", range.start(), range.end());
            return Err(Error::new_spanned(&value, message));
        }
    }
    Ok(quote!(.#key(#value)))
}

/// The digits of a literal number, with its sign.
fn plain_number(value: &Expr) -> Option<String> {
    match value {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(int) => Some(int.base10_digits().to_owned()),
            Lit::Float(float) => Some(float.base10_digits().to_owned()),
            _ => None,
        },
        Expr::Unary(unary) => plain_number(&unary.expr).map(|digits| format!("-{digits}")),
        _ => None,
    }
}

/// `tcp`, which is the default, or the path of a page that answers when the service is healthy.
fn health(input: ParseStream<'_>) -> Result<TokenStream> {
    if input.peek(Ident) && !input.peek2(Token![::]) && !input.peek2(token::Paren) {
        let kind: Ident = input.parse()?;
        if kind == "tcp" {
            return Ok(TokenStream::new());
        }
        return Err(Error::new(kind.span(), HEALTH));
    }
    let path: Expr = input.parse()?;
    if let Expr::Lit(literal) = &path
        && !matches!(&literal.lit, Lit::Str(text) if text.value().starts_with('/'))
    {
        return Err(Error::new_spanned(literal, HEALTH));
    }
    Ok(quote!(.http(#path)))
}

const HEALTH: &str = "expected `tcp` or a path, such as \"/health/ready\"";

fn within(input: ParseStream<'_>) -> Result<TokenStream> {
    let limit: Time = input.parse()?;
    if limit.nanos == 0 {
        return Err(Error::new_spanned(&limit.tokens, "nothing starts in no time"));
    }
    Ok(quote!(.within(#limit)))
}

fn stop_grace(input: ParseStream<'_>) -> Result<TokenStream> {
    let grace: Time = input.parse()?;
    Ok(quote!(.stop_grace(#grace)))
}

fn restart(input: ParseStream<'_>) -> Result<TokenStream> {
    let expected =
        "expected `always`, `never`, `unless_stopped`, `on_failure` or, with a number of retries, `on_failure(3)`";
    let policy: Ident = input.parse().map_err(|error| Error::new(error.span(), expected))?;
    match policy.to_string().as_str() {
        "always" => Ok(quote!(.restarts())),
        "never" => Ok(TokenStream::new()),
        "unless_stopped" => Ok(quote!(.restart(::chaos_harness::topology::RestartPolicy::UnlessStopped))),
        "on_failure" => {
            let retries = if input.peek(token::Paren) {
                let content;
                parenthesized!(content in input);
                content.parse::<Expr>()?.to_token_stream()
            } else {
                quote!(0)
            };
            Ok(quote!(.restart(::chaos_harness::topology::RestartPolicy::OnFailure { retries: #retries })))
        }
        _ => Err(Error::new(policy.span(), expected)),
    }
}
