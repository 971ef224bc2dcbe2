//! Images: named ones are looked for and pulled, those of binaries are made on the spot, without a registry.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

use bollard::Docker;
use bollard::query_parameters::{
    BuildImageOptionsBuilder, CreateImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptions,
};
use futures::TryStreamExt;
use http::HeaderValue;

use super::client::{engine, status_code};
use super::credentials::{self, Credentials};
use super::endpoint::Surroundings;
use super::libraries;
use super::reference::Reference;
use super::rootfs::{Entry, Rootfs};
use crate::progress;
use crate::runtime::session::PREFIX;
use crate::runtime::{RuntimeError, artifact};

/// Marks an image as one of ours.
pub(super) const LABEL: &str = "chaos-harness.image";

/// How long an image of an earlier build is kept, in seconds.
const KEPT_FOR: i64 = 24 * 60 * 60;

/// The image of an executable, made when its content is new. Its tag is the content's digest, so that processes that
/// make it at the same time make the same one.
pub(super) async fn of_executable(docker: &Docker, name: &str, executable: &Path) -> Result<String, RuntimeError> {
    let (path, repository) = (executable.to_owned(), format!("chaos-harness/{name}").to_lowercase());
    let packing = tokio::task::spawn_blocking(move || Packing::of(path)).await;
    let packing = packing.map_err(engine("finish looking at a binary"))??;
    let name = format!("{repository}:{}", packing.digest);
    // Two builds at once would make the same image twice, one of them without a name.
    let _lock = lock(executable.with_extension("lock")).await?;
    if !is_here(docker, &name, None).await? {
        packing.tell(&name);
        let context = packing.context().map_err(RuntimeError::io(format!("pack {}", executable.display())))?;
        let options = BuildImageOptionsBuilder::new().dockerfile("Dockerfile").t(&name).rm(true).build();
        let build = docker.build_image(options, None, Some(bollard::body_full(context.into())));
        build.try_collect::<Vec<_>>().await.map_err(engine(format!("build image {name}")))?;
        forget_old(docker, &name).await;
    }
    Ok(name)
}

/// Waits for the lock on `path`, which other test processes may hold; it is given up when the file is dropped.
async fn lock(path: PathBuf) -> Result<File, RuntimeError> {
    let action = format!("lock {}", path.display());
    let locked = tokio::task::spawn_blocking(move || {
        let file = File::create(path)?;
        file.lock()?;
        Ok(file)
    });
    locked.await.unwrap_or_else(|error| Err(error.into())).map_err(RuntimeError::io(action))
}

/// Removes the images of the same binary that are older than [`KEPT_FOR`], so that a day of work does not fill the disk.
/// Younger ones may be another checkout's; what is in use the engine keeps. A failure is no reason to fail a test.
async fn forget_old(docker: &Docker, name: &str) {
    let repository = name.split(':').next().unwrap_or(name);
    let filters = HashMap::from([("reference".to_owned(), vec![repository.to_owned()])]);
    let options = ListImagesOptionsBuilder::new().filters(&filters).build();
    let before = jiff::Timestamp::now().as_second() - KEPT_FOR;
    let images = docker.list_images(Some(options)).await.unwrap_or_default();
    let old = images.into_iter().filter(|image| image.created < before).flat_map(|image| image.repo_tags);
    for tag in old.filter(|tag| tag != name) {
        if let Err(error) = docker.remove_image(&tag, None::<RemoveImageOptions>, None).await {
            tracing::debug!(%error, tag, "an old image stays");
        }
    }
}

/// A named image, for `platform`: a local one wins over a pull.
pub(super) async fn named(docker: &Docker, name: &str, platform: Option<&str>) -> Result<String, RuntimeError> {
    if is_here(docker, name, platform).await? {
        return Ok(name.to_owned());
    }
    let reference = Reference::parse(name);
    let complete = reference.name();
    if complete == name || !is_here(docker, &complete, platform).await? {
        pull(docker, &reference, platform, &Surroundings::here()).await?;
    }
    Ok(complete)
}

/// Pulls the one image that `reference` names, with the credentials that `docker login` has left.
async fn pull(
    docker: &Docker,
    reference: &Reference,
    platform: Option<&str>,
    at: &Surroundings,
) -> Result<(), RuntimeError> {
    let (surroundings, key) = (at.clone(), reference.credentials_key().to_owned());
    let known = tokio::task::spawn_blocking(move || credentials::of_registry(&surroundings, &key)).await;
    let known = known.map_err(engine("finish asking for credentials"))?;
    // Public images need none, so what went wrong is told once the registry has refused.
    let without = match &known {
        Ok(Some(_)) => String::new(),
        Ok(None) => format!("; there are no credentials for {}, which `docker login` adds", reference.registry),
        Err(reason) => format!("; there are no credentials for {}: {reason}", reference.registry),
    };
    let docker = match known.ok().flatten() {
        Some(credentials) => with_credentials(docker.clone(), &credentials),
        None => docker.clone(),
    };
    let image = reference.name();
    progress::print(&format!("pulling {image}"));
    let options = CreateImageOptionsBuilder::new().from_image(&reference.repository).tag(&reference.version);
    let options = options.platform(platform.unwrap_or_default()).build();
    let pulled = docker.create_image(Some(options), None, None).try_collect::<Vec<_>>().await;
    pulled.map(drop).map_err(|error| RuntimeError::NoImage { image, reason: format!("{error}{without}") })
}

/// Sends the header itself: bollard writes it in an alphabet that the engine does not read.
fn with_credentials(docker: Docker, credentials: &Credentials) -> Docker {
    let Ok(value) = HeaderValue::from_str(&credentials.header()) else { return docker };
    docker.with_request_modifier(move |mut request| {
        request.headers_mut().insert("X-Registry-Auth", value.clone());
        request
    })
}

/// Whether the engine has the image, for `platform` where one is named.
async fn is_here(docker: &Docker, name: &str, platform: Option<&str>) -> Result<bool, RuntimeError> {
    match docker.inspect_image(name).await {
        Ok(image) => {
            let parts = [image.os, image.architecture, image.variant].into_iter().flatten();
            let has = parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
            // A platform without a variant takes any.
            Ok(platform.is_none_or(|wanted| has == wanted || has.starts_with(&format!("{wanted}/"))))
        }
        Err(error) if status_code(&error) == Some(404) => Ok(false),
        Err(error) => Err(engine(format!("inspect image {name}"))(error)),
    }
}

/// An executable, and all that goes with it into its image.
struct Packing {
    executable: PathBuf,
    libraries: Vec<PathBuf>,
    rootfs: Rootfs,
    digest: String,
}

impl Packing {
    fn of(executable: PathBuf) -> Result<Self, RuntimeError> {
        let libraries = libraries::of(&executable);
        let libraries =
            libraries.map_err(RuntimeError::io(format!("find the libraries of {}", executable.display())))?;
        let rootfs = Rootfs::here();
        let mut parts = vec![artifact::digest(&executable)?, rootfs.digest()];
        for library in &libraries {
            parts.push(artifact::digest(library)?);
        }
        let digest = artifact::digest_of(parts.concat().as_bytes());
        Ok(Self { executable, libraries, rootfs, digest })
    }

    /// Says what is not as it might be expected.
    fn tell(&self, name: &str) {
        if !self.libraries.is_empty() {
            progress::print(&format!("image {name}: not static, packed with its {} libraries", self.libraries.len()));
        }
        if !self.rootfs.lacks.is_empty() {
            let lacks = self.rootfs.lacks.join(" and no ");
            progress::print(&format!("image {name}: it has no {lacks}, since this machine has none"));
        }
    }

    /// The build context. Two layers, since what goes beside the binary is the same for all of them. `STOPSIGNAL` is
    /// spelt out.
    fn context(&self) -> std::io::Result<Vec<u8>> {
        let linked = if self.libraries.is_empty() { "static" } else { "dynamic" };
        let mut dockerfile = format!(
            "FROM scratch\nCOPY base /\nCOPY program /\nLABEL {LABEL}=1 {PREFIX}linked={linked}\nSTOPSIGNAL SIGTERM\n"
        );
        if !self.libraries.is_empty() {
            let folders: BTreeSet<_> = self.libraries.iter().filter_map(|library| library.parent()?.to_str()).collect();
            let folders = folders.into_iter().collect::<Vec<_>>().join(":");
            dockerfile.push_str(&format!("ENV LD_LIBRARY_PATH={folders}\n"));
        }
        dockerfile.push_str("ENTRYPOINT [\"/app\"]\n");
        let mut archive = tar::Builder::new(Vec::new());
        // The engine's own tar reader does not know sparse files, which linkers like to write.
        archive.sparse(false);
        let mut header = tar::Header::new_gnu();
        header.set_size(dockerfile.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, "Dockerfile", dockerfile.as_bytes())?;
        for entry in &self.rootfs.entries {
            entry.append(&mut archive, Path::new("base"))?;
        }
        let within = |path: &Path| path.strip_prefix("/").unwrap_or(path).to_owned();
        let libraries = self.libraries.iter().map(|library| Entry::copy(within(library), library));
        for entry in [Entry::copy("app", &self.executable)].into_iter().chain(libraries) {
            entry.append(&mut archive, Path::new("program"))?;
        }
        archive.into_inner()
    }
}

#[cfg(test)]
mod tests;
