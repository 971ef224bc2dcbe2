//! Services from images of testcontainers.

use std::borrow::Cow;

use testcontainers::core::ContainerPort;
use testcontainers::{ContainerRequest, Image};

use super::{Service, TopologyError};

impl Service {
    /// Runs an image that is written for [testcontainers](https://docs.rs/testcontainers), on the docker runtime: one of
    /// `testcontainers-modules`, a `GenericImage`, or an `Image` of your own, with what `ImageExt` changed of it.
    ///
    /// Its name and tag, environment, entrypoint, command, platform and time to start are taken over, and its first TCP port
    /// is where the service listens. It is healthy when that port takes connections, or as [`http`](Self::http) says;
    /// the image's own conditions and the commands that it runs after a start are not used. No port is published.
    ///
    /// ```
    /// use chaos_harness::topology::Service;
    /// use testcontainers::core::{ImageExt, IntoContainerPort};
    /// use testcontainers::GenericImage;
    ///
    /// let redis = GenericImage::new("redis", "7").with_exposed_port(6379.tcp()).with_env_var("REDIS_ARGS", "--save ''");
    /// let cache = Service::new("cache").testcontainers(redis)?;
    /// assert_eq!(cache.port, 6379);
    /// # Ok::<(), chaos_harness::topology::TopologyError>(())
    /// ```
    ///
    /// # Errors
    /// [`TopologyError::NotTaken`] names the first setting that cannot be taken over.
    pub fn testcontainers<I: Image>(mut self, image: impl Into<ContainerRequest<I>>) -> Result<Self, TopologyError> {
        let request = image.into();
        if let Some(setting) = not_taken(&request) {
            return Err(TopologyError::NotTaken { name: self.name, image: request.descriptor(), setting });
        }
        self = self.image(request.descriptor());
        self.entrypoint = request.entrypoint().map(str::to_owned).into_iter().collect();
        self.command = request.cmd().map(Cow::into_owned).collect();
        self.env.extend(request.env_vars().map(|(key, value)| (key.into_owned(), literal(value))));
        self.platform = request.platform().clone().or(self.platform);
        if let Some(port) = request.expose_ports().iter().find_map(tcp) {
            self = self.port(port);
        }
        Ok(match request.startup_timeout() {
            Some(within) => self.within(within),
            None => self,
        })
    }
}

/// What is given to the service as it stands: a brace would begin a placeholder.
fn literal(text: Cow<'_, str>) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

fn tcp(port: &ContainerPort) -> Option<u16> {
    match port {
        ContainerPort::Tcp(port) => Some(*port),
        _ => None,
    }
}

/// The first setting that has no counterpart in a [`Service`].
fn not_taken<I: Image>(request: &ContainerRequest<I>) -> Option<&'static str> {
    let given = [
        (request.mounts().next().is_some(), "a mount"),
        (request.copy_to_sources().next().is_some(), "files to copy"),
        (request.ports().is_some_and(|ports| !ports.is_empty()), "a mapped port"),
        (request.hosts().next().is_some(), "a host entry"),
        (request.network().is_some(), "a network"),
        (request.container_name().is_some(), "a container name"),
        (request.hostname().is_some(), "a host name"),
        (!request.labels().is_empty(), "labels"),
        (request.privileged(), "privileges"),
        (request.cap_add().is_some() || request.cap_drop().is_some(), "capabilities"),
        (request.cgroupns_mode().is_some() || request.userns_mode().is_some(), "a namespace mode"),
        (request.shm_size().is_some(), "a size of shared memory"),
        (request.working_dir().is_some(), "a working folder"),
        (request.user().is_some(), "a user"),
        (request.security_opts().is_some(), "security options"),
        (request.readonly_rootfs(), "a read-only root"),
        (request.health_check().is_some(), "a health check"),
        (request.host_config_modifier().is_some(), "a modifier of the host's configuration"),
        (request.open_stdin() == Some(true), "an open standard input"),
    ];
    given.into_iter().find_map(|(is_given, what)| is_given.then_some(what))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use testcontainers::GenericImage;
    use testcontainers::core::{ImageExt, IntoContainerPort, Mount};

    use super::*;
    use crate::topology::Image as Runs;

    fn image() -> GenericImage {
        GenericImage::new("registry.example:5000/shop", "3").with_exposed_port(53.udp()).with_exposed_port(6000.tcp())
    }

    #[test]
    fn an_image_becomes_a_service() {
        let request = image()
            .with_entrypoint("/serve")
            .with_cmd(["--level", "{info}"])
            .with_env_var("MODE", "a{b}")
            .with_platform("linux/arm64")
            .with_startup_timeout(Duration::from_secs(7));
        let service = Service::new("shop").testcontainers(request).unwrap();
        assert_eq!(service.image, Some(Runs::Named("registry.example:5000/shop:3".to_owned())));
        assert_eq!(
            (service.entrypoint, service.command),
            (vec!["/serve".into()], vec!["--level".into(), "{info}".into()])
        );
        assert_eq!((service.env["MODE"].as_str(), service.platform.as_deref()), ("a{{b}}", Some("linux/arm64")));
        assert_eq!((service.port, service.health.within()), (6000, Duration::from_secs(7)));
    }

    #[test]
    fn what_cannot_be_taken_over_is_named() {
        let refused = |error: Result<Service, TopologyError>| error.unwrap_err().to_string();
        let named = refused(Service::new("shop").testcontainers(image().with_mount(Mount::tmpfs_mount("/data"))));
        assert!(named.contains("`shop`") && named.contains("shop:3") && named.contains("a mount"), "{named}");
        assert!(refused(Service::new("shop").testcontainers(image().with_user("1000"))).contains("a user"));
        assert!(refused(Service::new("shop").testcontainers(image().with_privileged(true))).contains("privileges"));
        assert!(
            refused(Service::new("shop").testcontainers(image().with_mapped_port(80, 6000.tcp()))).contains("port")
        );
    }
}
