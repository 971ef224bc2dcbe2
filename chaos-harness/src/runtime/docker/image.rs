//! Images: named ones are looked for, those of this workspace are made from a static binary alone.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use bollard::Docker;
use bollard::query_parameters::{
    BuildImageOptionsBuilder, CreateImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptions,
};
use futures::TryStreamExt;

use super::client::{engine, status_code};
use crate::runtime::session::PREFIX;
use crate::runtime::{RuntimeError, artifact};
use crate::topology::CargoBin;

/// How long an image of an earlier build is kept, in seconds.
const KEPT_FOR: i64 = 24 * 60 * 60;

/// The image of a binary of this workspace, made when its content is new. Its tag is the content's
/// digest, so that processes that make it at the same time make the same one.
pub(super) async fn of_binary(docker: &Docker, bin: &CargoBin, executable: &Path) -> Result<String, RuntimeError> {
    let digest = artifact::digest(executable)?;
    let name = format!("chaos-harness/{}-{}:{digest}", bin.package, bin.bin).to_lowercase();
    // Two builds at once would make the same image twice, one of them without a name.
    let _lock = lock(executable.with_extension("lock")).await?;
    if !is_here(docker, &name).await? {
        let context = context(executable).map_err(RuntimeError::io(format!("pack {}", executable.display())))?;
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

/// A named image: a local one wins over a pull.
pub(super) async fn named(docker: &Docker, name: &str) -> Result<String, RuntimeError> {
    if !is_here(docker, name).await? {
        let options = CreateImageOptionsBuilder::new().from_image(name).build();
        let pull = docker.create_image(Some(options), None, None);
        pull.try_collect::<Vec<_>>()
            .await
            .map_err(|error| RuntimeError::NoImage { image: name.to_owned(), reason: error.to_string() })?;
    }
    Ok(name.to_owned())
}

async fn is_here(docker: &Docker, name: &str) -> Result<bool, RuntimeError> {
    match docker.inspect_image(name).await {
        Ok(_) => Ok(true),
        Err(error) if status_code(&error) == Some(404) => Ok(false),
        Err(error) => Err(engine(format!("inspect image {name}"))(error)),
    }
}

/// The build context: the binary and three lines. `STOPSIGNAL` is spelt out and nothing else is in the
/// image, so that it stays as small as the binary.
fn context(executable: &Path) -> std::io::Result<Vec<u8>> {
    let dockerfile =
        format!("FROM scratch\nCOPY app /app\nLABEL {PREFIX}image=1\nSTOPSIGNAL SIGTERM\nENTRYPOINT [\"/app\"]\n");
    let mut archive = tar::Builder::new(Vec::new());
    // The engine's own tar reader does not know sparse files, which linkers like to write.
    archive.sparse(false);
    let mut header = tar::Header::new_gnu();
    header.set_size(dockerfile.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    archive.append_data(&mut header, "Dockerfile", dockerfile.as_bytes())?;
    archive.append_path_with_name(executable, "app")?;
    archive.into_inner()
}
