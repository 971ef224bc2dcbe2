//! For which platform the images of services are.

use crate::runtime::RuntimeError;
use crate::topology::{CargoBin, Image, Service};

/// The platform for a service without one of its own, as for the docker CLI.
const DEFAULT: &str = "DOCKER_DEFAULT_PLATFORM";

/// The platform of a named image; `None` for the engine's own.
pub(super) fn of(service: &Service) -> Option<String> {
    let default = || std::env::var(DEFAULT).ok().filter(|platform| !platform.is_empty());
    service.platform.clone().or_else(default)
}

/// The platform with which a container is made: binaries of a workspace are for the one on which they are built.
pub(super) fn of_container(service: &Service) -> Option<String> {
    if matches!(service.image, Some(Image::Named(_))) { of(service) } else { None }
}

/// Refuses a binary of a workspace for another platform than this machine's.
pub(super) fn check_own(service: &Service, bin: &CargoBin) -> Result<(), RuntimeError> {
    let built = format!("linux/{}", engines_word(std::env::consts::ARCH));
    match &service.platform {
        Some(platform) if *platform != built && !platform.starts_with(&format!("{built}/")) => {
            let (service, bin, platform) = (service.name.clone(), bin.bin.clone(), platform.clone());
            Err(RuntimeError::Platform { service, bin, built, platform })
        }
        _ => Ok(()),
    }
}

/// Rust's word for an architecture as the engine's.
fn engines_word(architecture: &str) -> &str {
    match architecture {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        "x86" => "386",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_is_for_the_platform_on_which_it_is_built() {
        let bin = CargoBin { package: "p".to_owned(), bin: "b".to_owned() };
        let service = |platform: &str| Service::new("s").cargo("p", "b").platform(platform);
        let own = format!("linux/{}", engines_word(std::env::consts::ARCH));
        assert!(check_own(&service(&own), &bin).is_ok());
        let message = check_own(&service("linux/s390x"), &bin).unwrap_err().to_string();
        assert!(
            message.starts_with(&format!("`b` is built for {own}, and service `s` asks for linux/s390x")),
            "{message}"
        );
        assert_eq!(of_container(&service("linux/s390x")), None);
        assert_eq!(of_container(&Service::new("s").image("i").platform("linux/s390x")).as_deref(), Some("linux/s390x"));
    }
}
