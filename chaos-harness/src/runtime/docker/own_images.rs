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
    remove_those(&connect().await?, check, |_| true).await
}

async fn remove_those(
    docker: &Docker,
    check: bool,
    is_meant: impl Fn(&str) -> bool,
) -> Result<Vec<OwnImage>, RuntimeError> {
    let used = used(docker).await?;
    let filters = HashMap::from([("label".to_owned(), vec![format!("{LABEL}=1")])]);
    let options = ListImagesOptionsBuilder::new().filters(&filters).build();
    let images = docker.list_images(Some(options)).await.map_err(engine("list images"))?;
    let (mut unused, mut failed) = (Vec::new(), Vec::new());
    for image in images.into_iter().filter(|image| !used.contains(&image.id) && is_meant(&name(image))) {
        let gone = if check { Ok(true) } else { remove(docker, &image).await };
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    fn docker(arguments: &[&str], input: &str) -> String {
        let mut docker = Command::new("docker");
        let mut docker = docker.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        docker.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = docker.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[tokio::test]
    async fn only_own_images_that_no_container_uses_are_removed() {
        if !Command::new("docker").arg("version").output().is_ok_and(|output| output.status.success()) {
            return std::io::stderr().lock().write_all(b"not run: no docker engine\n").unwrap();
        }
        let own = format!("chaos-harness/test-unused-{}", std::process::id());
        let image = |kind: &str| format!("{own}:{kind}");
        for (kind, label) in [("unused", LABEL), ("used", LABEL), ("somebody-elses", "other")] {
            let dockerfile = format!("FROM scratch\nLABEL {label}=1 kind={kind}\nCMD [\"/none\"]\n");
            docker(&["build", "--quiet", "--tag", &image(kind), "-"], &dockerfile);
        }
        let container = docker(&["create", &image("used")], "");
        let engine = connect().await.unwrap();
        let remove = async |check| remove_those(&engine, check, |name| name.starts_with(&own)).await.unwrap();
        let names = |found: Vec<OwnImage>| found.into_iter().map(|image| image.name).collect::<Vec<_>>();
        assert_eq!(names(remove(true).await), [image("unused")]);
        assert_eq!(names(remove(true).await), [image("unused")], "a look changes nothing");
        assert_eq!(names(remove(false).await), [image("unused")]);
        let left = docker(&["images", "--format", "{{.Tag}}", &own], "");
        assert_eq!(left.lines().collect::<BTreeSet<_>>(), ["somebody-elses", "used"].into());
        docker(&["rm", &container], "");
        assert_eq!(names(remove(false).await), [image("used")]);
        docker(&["rmi", &image("somebody-elses")], "");
    }
}
