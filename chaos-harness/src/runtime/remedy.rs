//! What can be done about what a Docker engine refuses.

/// What can be done about what the engine says.
pub(super) fn remedy(reason: &str) -> &'static str {
    let reason = reason.to_lowercase();
    let known = [
        ("no space left on device", "; free the engine's disk: `docker system df`, `docker system prune`"),
        ("too many open files", "; raise the engine's limit on open files, or `fs.inotify.max_user_instances`"),
        (
            "resource temporarily unavailable",
            "; the engine can start no more processes: see its `pids.max` and `ulimit -u`",
        ),
        (
            "toomanyrequests",
            "; the registry lets no more pulls through: log in with `docker login`, or build the image here",
        ),
        ("permission denied while trying to connect", "; add this user to the group that may talk to the engine"),
    ];
    known.iter().find(|(words, _)| reason.contains(words)).map_or("", |(_, remedy)| remedy)
}

#[cfg(test)]
mod tests {
    use crate::runtime::RuntimeError;

    #[test]
    fn what_the_engine_says_is_told_with_its_remedy() {
        let told =
            |reason: &str| RuntimeError::Engine { action: "start x".to_owned(), reason: reason.to_owned() }.to_string();
        assert!(told("write /x: no space left on device").ends_with("`docker system prune`"));
        assert!(told("fork/exec /x: Resource temporarily unavailable").contains("pids.max"));
        assert_eq!(told("no such container"), "docker could not start x: no such container");
    }
}
