//! What a container runs: the program of its image, or another one, and the arguments after it.

use bollard::Docker;

use super::client::engine;
use crate::runtime::{InstanceSpec, RuntimeError};

/// What a container is created with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Command {
    /// Instead of that of the image.
    pub(super) entrypoint: Option<String>,
    /// Instead of that of the image, unless it is empty.
    pub(super) cmd: Vec<String>,
}

/// What an instance of `image` runs.
pub(super) async fn of(docker: &Docker, image: &str, spec: &InstanceSpec) -> Result<Command, RuntimeError> {
    let (entrypoint, args) = (&spec.service.entrypoint, &spec.args);
    if let Some(command) = without_image(entrypoint, &spec.service.command, args) {
        return Ok(command);
    }
    let details = docker.inspect_image(image).await.map_err(engine(format!("inspect image {image}")))?;
    let config = details.config.unwrap_or_default();
    let of_image = (config.entrypoint.unwrap_or_default(), config.cmd.unwrap_or_default());
    with_arguments((&of_image.0, &of_image.1), args).map_err(|reason| RuntimeError::NoProgram {
        service: spec.id.service.clone(),
        image: image.to_owned(),
        reason,
    })
}

/// Where the image need not be asked.
fn without_image(entrypoint: &[String], command: &[String], args: &[String]) -> Option<Command> {
    let cmd = [command, args].concat();
    match entrypoint.split_first() {
        Some((program, first)) => Some(Command { entrypoint: Some(program.clone()), cmd: [first, &cmd].concat() }),
        None => (!command.is_empty() || args.is_empty()).then_some(Command { entrypoint: None, cmd }),
    }
}

/// The program of an image with `args` after it.
fn with_arguments(image: (&[String], &[String]), args: &[String]) -> Result<Command, &'static str> {
    let (entrypoint, cmd) = image;
    let program = if entrypoint.is_empty() { cmd } else { entrypoint };
    match program {
        [] => Err("has no program of its own"),
        // `sh -c` takes what stands after its one line for the line's own arguments.
        [shell, minus_c, _] if shell.ends_with("sh") && minus_c == "-c" => {
            Err("has its program in shell form, which takes no arguments")
        }
        [program, ..] if entrypoint.is_empty() => {
            Ok(Command { entrypoint: Some(program.clone()), cmd: args.to_owned() })
        }
        _ => Ok(Command { entrypoint: None, cmd: args.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn on(entrypoint: &str, cmd: &str, args: &str) -> Result<(Option<String>, String), &'static str> {
        let command = with_arguments((&words(entrypoint), &words(cmd)), &words(args))?;
        Ok((command.entrypoint, command.cmd.join(" ")))
    }

    #[test]
    fn arguments_stand_after_the_program() {
        assert_eq!(on("/entry.sh", "postgres", "-c fsync=off"), Ok((None, "-c fsync=off".to_owned())));
        assert_eq!(on("", "redis-server /etc/conf", "--port 1"), Ok((Some("redis-server".into()), "--port 1".into())));
        assert!(on("", "", "--port 1").is_err());
        assert!(on("", "/bin/sh -c redis-server", "--port 1").unwrap_err().contains("shell form"));
        assert!(on("/bin/bash -c serve", "", "--port 1").unwrap_err().contains("shell form"));
        assert_eq!(on("/bin/sh /serve.sh", "x", "--port 1"), Ok((None, "--port 1".to_owned())));
    }

    #[test]
    fn another_program_takes_the_place_of_the_image_s() {
        let command = without_image(&words("nc -l"), &[], &words("-p 80")).unwrap();
        assert_eq!((command.entrypoint.as_deref(), command.cmd.join(" ")), (Some("nc"), "-l -p 80".to_owned()));
        assert_eq!(without_image(&[], &[], &[]), Some(Command::default()));
        assert_eq!(without_image(&[], &[], &words("-p 80")), None);
    }

    #[test]
    fn a_command_takes_the_place_of_the_image_s() {
        let with =
            |entrypoint: &str, args: &str| without_image(&words(entrypoint), &words("serve -v"), &words(args)).unwrap();
        assert_eq!(with("", "-p 80"), Command { entrypoint: None, cmd: words("serve -v -p 80") });
        assert_eq!(with("sh -e", ""), Command { entrypoint: Some("sh".to_owned()), cmd: words("-e serve -v") });
    }
}
