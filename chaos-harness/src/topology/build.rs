//! How the binaries of `cargo` services are built.

use std::collections::BTreeSet;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Image, Program, Service, TopologyError};

/// What of cargo's build is not as the user's settings have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Build {
    /// The manifest of the package or workspace; the test's own unless named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<PathBuf>,
    /// The profile; `release` unless named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Features of the package, beside its default ones.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub features: BTreeSet<String>,
    /// Whether its default features are off.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_default_features: bool,
}

impl Build {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Service {
    /// The manifest of another workspace or package whose binary it is; a relative path begins at the test's package. That
    /// one's own `.cargo/config.toml` and toolchain apply.
    ///
    /// ```
    /// use chaos_harness::topology::Service;
    ///
    /// let billing = Service::new("billing").cargo("billing", "billing").manifest("../billing/Cargo.toml").profile("dev");
    /// assert_eq!(billing.build.profile.as_deref(), Some("dev"));
    /// ```
    #[must_use]
    pub fn manifest(mut self, path: impl Into<PathBuf>) -> Self {
        self.build.manifest = Some(path.into());
        self
    }

    /// Builds its binary with this profile instead of `release`.
    #[must_use]
    pub fn profile(mut self, name: impl Into<String>) -> Self {
        self.build.profile = Some(name.into());
        self
    }

    /// Builds its binary with these features, beside the default ones.
    #[must_use]
    pub fn features<S: Into<String>>(mut self, features: impl IntoIterator<Item = S>) -> Self {
        self.build.features.extend(features.into_iter().map(Into::into));
        self
    }

    /// Builds its binary without the default features of its package.
    #[must_use]
    pub fn no_default_features(mut self) -> Self {
        self.build.no_default_features = true;
        self
    }

    /// Runs its image for this platform, such as `linux/arm64`: the engine pulls that one, and emulates it where it can.
    #[must_use]
    pub fn platform(mut self, platform: impl Into<String>) -> Self {
        self.platform = Some(platform.into());
        self
    }

    pub(super) fn validate_build(&self) -> Result<(), TopologyError> {
        let name = || self.name.clone();
        let is_built = matches!(self.image, Some(Image::Cargo(_))) || matches!(self.program, Some(Program::Cargo(_)));
        if !is_built && !self.build.is_default() {
            return Err(TopologyError::NothingToBuild { name: name() });
        }
        match &self.platform {
            Some(platform) if !is_platform(platform) => {
                Err(TopologyError::BadPlatform { name: name(), platform: platform.clone() })
            }
            _ => Ok(()),
        }
    }
}

/// `os/architecture`, and perhaps its variant.
fn is_platform(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    let is_word =
        |part: &&str| !part.is_empty() && part.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit());
    (2..=3).contains(&parts.len()) && parts.iter().all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_a_build_need_something_to_build() {
        let image = Service::new("db").image("postgres").profile("dev");
        let message = image.validate().unwrap_err().to_string();
        assert!(
            message.starts_with("service `db` has settings for cargo's build, but nothing for it to build"),
            "{message}"
        );
        let built = Service::new("a").profile("dev").features(["x"]).no_default_features().cargo("p", "b");
        assert!(built.validate().is_ok(), "in any order");
    }

    #[test]
    fn a_platform_is_an_os_and_an_architecture() {
        let of = |platform: &str| Service::new("db").image("postgres").platform(platform).validate();
        for platform in ["linux/amd64", "linux/arm/v7", "windows/amd64"] {
            assert!(of(platform).is_ok(), "{platform}");
        }
        for platform in ["", "linux", "linux/", "Linux/amd64", "linux/arm/v7/x"] {
            assert!(of(platform).unwrap_err().to_string().contains("is no platform"), "{platform}");
        }
    }
}
