//! From a method, a path and a body to what is asked for: pure, for any bytes.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::ApiError;
use super::attributes::{Attributes, Stream, Toxicity};
use super::fields::{self, Fields};

/// A body, read. What is wrong with it is told after what is wrong with the path, as toxiproxy does.
pub type Body<T> = Result<T, ApiError>;

/// What a request asks for. Names come first the proxy's, then the toxic's.
#[derive(Debug, PartialEq)]
#[allow(missing_docs)] // one variant for each endpoint; the module's documentation has them in a table
pub enum Call {
    ListProxies,
    CreateProxy(Body<NewProxy>),
    Populate(Body<Vec<NewProxy>>),
    ShowProxy(String),
    UpdateProxy(String, Body<ProxyChange>),
    DeleteProxy(String),
    ListToxics(String),
    AddToxic(String, Body<NewToxic>),
    ShowToxic(String, String),
    UpdateToxic(String, String, Body<ToxicChange>),
    DeleteToxic(String, String),
    Reset,
    Version,
    Metrics,
}

impl Call {
    /// Reads a request; the path is as it came, with its escapes and without a query.
    ///
    /// # Errors
    /// There is no such path, or it does not take this method.
    pub fn parse(method: &str, path: &str, body: &[u8]) -> Result<Self, ApiError> {
        let names: Vec<_> = path.split('/').skip(1).map(|name| percent_decode_str(name).decode_utf8_lossy()).collect();
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        if names.contains(&"") {
            return Err(ApiError::NoSuchPath);
        }
        let own = |name: &&str| (*name).to_owned();
        Ok(match (method, &names[..]) {
            ("GET", ["proxies"]) => Self::ListProxies,
            ("POST", ["proxies"]) => Self::CreateProxy(NewProxy::parse(body)),
            ("POST", ["populate"]) => Self::Populate(populate(body)),
            ("GET", ["proxies", proxy]) => Self::ShowProxy(own(proxy)),
            ("POST" | "PATCH", ["proxies", proxy]) => Self::UpdateProxy(own(proxy), ProxyChange::parse(body)),
            ("DELETE", ["proxies", proxy]) => Self::DeleteProxy(own(proxy)),
            ("GET", ["proxies", proxy, "toxics"]) => Self::ListToxics(own(proxy)),
            ("POST", ["proxies", proxy, "toxics"]) => Self::AddToxic(own(proxy), NewToxic::parse(body)),
            ("GET", ["proxies", proxy, "toxics", toxic]) => Self::ShowToxic(own(proxy), own(toxic)),
            ("POST" | "PATCH", ["proxies", proxy, "toxics", toxic]) => {
                Self::UpdateToxic(own(proxy), own(toxic), ToxicChange::parse(body))
            }
            ("DELETE", ["proxies", proxy, "toxics", toxic]) => Self::DeleteToxic(own(proxy), own(toxic)),
            ("POST", ["reset"]) => Self::Reset,
            ("GET", ["version"]) => Self::Version,
            (_, ["metrics"]) => Self::Metrics,
            (_, ["proxies" | "populate" | "reset" | "version"]) => return Err(ApiError::MethodNotAllowed),
            (_, ["proxies", _] | ["proxies", _, "toxics"] | ["proxies", _, "toxics", _]) => {
                return Err(ApiError::MethodNotAllowed);
            }
            _ => return Err(ApiError::NoSuchPath),
        })
    }
}

/// A proxy to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewProxy {
    pub(super) name: String,
    pub(super) listen: String,
    pub(super) upstream: String,
    pub(super) enabled: bool,
}

impl NewProxy {
    fn parse(body: &[u8]) -> Body<Self> {
        Self::read(&Fields::parse(body)?)?.complete("")
    }

    fn read(fields: &Fields) -> Body<Self> {
        Ok(Self {
            name: fields.get("name")?.unwrap_or_default(),
            listen: fields.get("listen")?.unwrap_or_default(),
            upstream: fields.get("upstream")?.unwrap_or_default(),
            enabled: fields.get("enabled")?.unwrap_or(true),
        })
    }

    fn complete(self, place: &str) -> Body<Self> {
        match [(&self.name, "name"), (&self.upstream, "upstream")].iter().find(|(value, _)| value.is_empty()) {
            Some((_, field)) => Err(ApiError::MissingField(format!("{field}{place}"))),
            None => Ok(self),
        }
    }
}

/// Reads a list of proxies, which is also the format of the configuration file.
pub(super) fn populate(body: &[u8]) -> Body<Vec<NewProxy>> {
    let list = match fields::value(body)? {
        Value::Null => Vec::new(),
        Value::Array(list) => list,
        _ => return Err(ApiError::BadBody("expected an array of proxies".to_owned())),
    };
    let read = |value| NewProxy::read(&Fields::from_value(value)?);
    let proxies = list.into_iter().map(read).collect::<Body<Vec<_>>>()?;
    proxies.into_iter().enumerate().map(|(i, proxy)| proxy.complete(&format!(" at proxy {}", i + 1))).collect()
}

/// What changes about a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyChange {
    pub(super) listen: Option<String>,
    pub(super) upstream: Option<String>,
    pub(super) enabled: Option<bool>,
}

impl ProxyChange {
    fn parse(body: &[u8]) -> Body<Self> {
        let fields = Fields::parse(body)?;
        Ok(Self { listen: fields.get("listen")?, upstream: fields.get("upstream")?, enabled: fields.get("enabled")? })
    }
}

/// A toxic to be.
#[derive(Clone, Debug, PartialEq)]
pub struct NewToxic {
    pub(super) name: String,
    pub(super) stream: Stream,
    pub(super) toxicity: Toxicity,
    /// What is wrong with them is told after that the name is taken.
    pub(super) attributes: Body<Attributes>,
}

impl NewToxic {
    fn parse(body: &[u8]) -> Body<Self> {
        let fields = Fields::parse(body)?;
        let name: Option<String> = fields.get("name")?;
        let kind: String = fields.get("type")?.unwrap_or_default();
        let stream: Option<String> = fields.get("stream")?;
        let toxicity = fields.get("toxicity")?.unwrap_or(Toxicity(1.0));
        let attributes: Fields = fields.get("attributes")?.unwrap_or_default();
        let stream = stream.map_or(Ok(Stream::Downstream), |stream| Stream::parse(&stream))?;
        let zero = Attributes::zero(&kind).ok_or(ApiError::InvalidToxicType)?;
        let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| format!("{kind}_{}", stream.name()));
        Ok(Self { name, stream, toxicity, attributes: zero.changed(&attributes) })
    }
}

/// What changes about a toxic.
#[derive(Clone, Debug, PartialEq)]
pub struct ToxicChange {
    pub(super) toxicity: Option<Toxicity>,
    attributes: Fields,
}

impl ToxicChange {
    fn parse(body: &[u8]) -> Body<Self> {
        let fields = Fields::parse(body)?;
        Ok(Self { toxicity: fields.get("toxicity")?, attributes: fields.get("attributes")?.unwrap_or_default() })
    }

    /// The attributes of a toxic after the change.
    ///
    /// # Errors
    /// A value makes no sense for its type.
    pub fn applied_to(&self, attributes: Attributes) -> Result<Attributes, ApiError> {
        attributes.changed(&self.attributes)
    }
}
