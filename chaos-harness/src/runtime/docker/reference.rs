//! Names of images, as the docker CLI reads them.

/// The name under which Docker Hub is known.
const HUB: &str = "docker.io";

/// A name of an image, complete: what it left out is filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// The registry: `docker.io`, `localhost:5000`.
    pub(super) registry: String,
    /// What stands before the version, as it was written.
    pub(super) repository: String,
    /// A tag, or a digest, which goes before a tag.
    pub(super) version: String,
}

impl Reference {
    /// Reads a name: `postgres`, `host:5000/team/app:1.2`, `app:1@sha256:...`.
    pub(super) fn parse(name: &str) -> Self {
        let (name, digest) = match name.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (name, None),
        };
        // The port of a registry is no tag.
        let (repository, tag) = match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, tag),
            _ => (name, "latest"),
        };
        let version = digest.unwrap_or(tag).to_owned();
        Self { registry: registry(repository).to_owned(), repository: repository.to_owned(), version }
    }

    /// The name with which it is asked for: with a digest the tag has no say.
    pub(super) fn name(&self) -> String {
        let separator = if self.version.contains(':') { '@' } else { ':' };
        format!("{}{separator}{}", self.repository, self.version)
    }

    /// The key of its registry among the CLI's credentials.
    pub(super) fn credentials_key(&self) -> &str {
        if self.registry == HUB { "https://index.docker.io/v1/" } else { &self.registry }
    }
}

/// The first part of a name is a registry when it looks like a host.
fn registry(repository: &str) -> &str {
    match repository.split_once('/') {
        Some(("index.docker.io", _)) | None => HUB,
        Some((host, _)) if host == "localhost" || host.contains(['.', ':']) || host != host.to_lowercase() => host,
        Some(_) => HUB,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_name_leaves_out_is_filled_in() {
        let digest = "sha256:1f2d3c";
        for (name, registry, complete) in [
            ("postgres", "docker.io", "postgres:latest".to_owned()),
            ("postgres:16", "docker.io", "postgres:16".to_owned()),
            ("team/app", "docker.io", "team/app:latest".to_owned()),
            ("docker.io/team/app:1", "docker.io", "docker.io/team/app:1".to_owned()),
            ("index.docker.io/app", "docker.io", "index.docker.io/app:latest".to_owned()),
            ("ghcr.io/team/app", "ghcr.io", "ghcr.io/team/app:latest".to_owned()),
            ("localhost/app", "localhost", "localhost/app:latest".to_owned()),
            ("host:5000/app", "host:5000", "host:5000/app:latest".to_owned()),
            ("host:5000/team/app:1.2", "host:5000", "host:5000/team/app:1.2".to_owned()),
            ("[::1]:5000/app", "[::1]:5000", "[::1]:5000/app:latest".to_owned()),
            ("HOST/app", "HOST", "HOST/app:latest".to_owned()),
            (&format!("app@{digest}"), "docker.io", format!("app@{digest}")),
            (&format!("host:5000/app:1@{digest}"), "host:5000", format!("host:5000/app@{digest}")),
        ] {
            let reference = Reference::parse(name);
            assert_eq!((reference.registry.as_str(), reference.name()), (registry, complete), "{name}");
        }
    }
}
