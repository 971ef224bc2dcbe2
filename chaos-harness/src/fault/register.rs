//! The macro behind the list of fault kinds.

/// Declares [`Fault`](super::Fault): one variant a line, tagged by kind in data, dispatched to its [`FaultKind`](super::FaultKind).
/// A kind declared twice does not compile; an unknown kind in data is a typed error of serde.
macro_rules! faults {
    ($($(#[$doc:meta])* $variant:ident($kind:ty) = $tag:literal,)+) => {
        /// A fault as plain data.
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(tag = "fault")]
        #[allow(clippy::large_enum_variant, reason = "a plan has a handful of them")]
        pub enum Fault {
            $($(#[$doc])* #[serde(rename = $tag)] $variant($kind),)+
        }

        $(impl From<$kind> for Fault {
            fn from(kind: $kind) -> Self {
                Self::$variant(kind)
            }
        })+

        impl Fault {
            /// Every registered kind, by its name in data.
            pub const KINDS: &[&str] = &[$($tag),+];

            /// The name of this kind in data.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $tag,)+
                }
            }

            /// The list of all faults, in the order of registration.
            pub fn catalogue() -> Vec<Entry> {
                [$(<$kind as Catalogued>::entries()),+].concat()
            }

            fn inner(&self) -> &dyn FaultKind {
                match self {
                    $(Self::$variant(kind) => kind,)+
                }
            }
        }
    };
}

pub(super) use faults;

use super::{Fault, FaultError, FaultKind, Injected};
use crate::environment::Environment;
use crate::link::LinkName;
use crate::runtime::Capability;
use crate::safety::BlastRadius;
use crate::topology::Topology;

#[async_trait::async_trait]
impl FaultKind for Fault {
    fn describe(&self) -> String {
        self.inner().describe()
    }

    fn services(&self) -> Vec<&str> {
        self.inner().services()
    }

    fn link(&self) -> Option<LinkName> {
        self.inner().link()
    }

    fn requires(&self) -> &'static [Capability] {
        self.inner().requires()
    }

    fn members(&self) -> &[Fault] {
        self.inner().members()
    }

    fn radius(&self) -> BlastRadius {
        self.inner().radius()
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        self.inner().validate(topology)
    }

    fn check_machine(&self) -> Result<(), FaultError> {
        self.inner().check_machine()
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        self.inner().inject(environment).await
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.describe())
    }
}
