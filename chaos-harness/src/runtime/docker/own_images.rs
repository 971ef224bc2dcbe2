//! The images that the harness has made of binaries, which carry a label and are kept for the next run.

use std::collections::{BTreeSet, HashMap};

use bollard::Docker;
use bollard::models::ImageSummary;
use bollard::query_parameters::{ListContainersOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptions};

use super::client::{connect, engine, status_code};
use super::image::LABEL;
use crate::runtime::{OwnImage, RuntimeError};

/// The images that no container uses; unless `check` is set they are removed.
pub(crate) async fn remove_unused(check: bool) -> Result<Vec<OwnImage>, RuntimeError> {
    let docker = connect().await?;
    let used = used(&docker).await?;
    let filters = HashMap::from([("label".to_owned(), vec![format!("{LABEL}=1")])]);
    let options = ListImagesOptionsBuilder::new().filters(&filters).build();
    let images = docker.list_images(Some(options)).await.map_err(engine("list images"))?;
    let (mut unused, mut failed) = (Vec::new(), Vec::new());
    for image in images.into_iter().filter(|image| !used.contains(&image.id)) {
        let gone = if check { Ok(true) } else { remove(&docker, &image).await };
        match gone {
            Ok(true) => unused.push(OwnImage { name: name(&image), bytes: image.size.unsigned_abs() }),
            // A container has come meanwhile.
            Ok(false) => {}
            Err(error) => failed.push(format!("image {} ({error})", name(&image))),
        }
    }
    unused.sort();
    if failed.is_empty() { Ok(unused) } else { Err(RuntimeError::LeftBehind { what: failed }) }
}

/// The images of all containers, running or not.
async fn used(docker: &Docker) -> Result<BTreeSet<String>, RuntimeError> {
    let options = ListContainersOptionsBuilder::new().all(true).build();
    let containers = docker.list_containers(Some(options)).await.map_err(engine("list containers"))?;
    Ok(containers.into_iter().filter_map(|container| container.image_id).collect())
}

fn name(image: &ImageSummary) -> String {
    image.repo_tags.first().unwrap_or(&image.id).clone()
}

/// Removes an image with all its names, without force; `false` when it is in use.
async fn remove(docker: &Docker, image: &ImageSummary) -> Result<bool, bollard::errors::Error> {
    let names = if image.repo_tags.is_empty() { std::slice::from_ref(&image.id) } else { &image.repo_tags };
    for name in names {
        match docker.remove_image(name, None::<RemoveImageOptions>, None).await {
            Err(error) if status_code(&error) == Some(409) => return Ok(false),
            Err(error) if status_code(&error) != Some(404) => return Err(error),
            _ => {}
        }
    }
    Ok(true)
}
