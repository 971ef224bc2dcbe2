//! What owners have left that cannot be seen from here: a job in a container that uses this machine's engine.

use std::time::{Duration, SystemTime};

use chaos_harness::runtime::sweep;

use crate::common::{docker, engine_answers, not_run};

/// An owner in another process namespace.
const OWNER: &str = "chaos-harness.owner=7/1//elsewhere/pid:[1]";

fn network(name: &str, until: SystemTime) {
    let until = until.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let (until, environment) = (format!("chaos-harness.until={until}"), format!("chaos-harness.environment={name}"));
    docker(&["network", "create", "--label", OWNER, "--label", &until, "--label", &environment, name]);
}

fn is_there(name: &str) -> bool {
    docker(&["network", "ls", "--format", "{{.Name}}"]).lines().any(|line| line == name)
}

#[tokio::test]
async fn is_taken_away_once_its_time_is_up() {
    if !engine_answers() {
        return not_run("no docker engine");
    }
    let [left, at_work] = ["left", "at-work"].map(|name| format!("chaos-test-{name}-{}", std::process::id()));
    network(&left, SystemTime::now() - Duration::from_secs(5));
    network(&at_work, SystemTime::now() + Duration::from_secs(600));
    let swept = sweep(false).await;
    let remain = (is_there(&left), is_there(&at_work));
    docker(&["network", "rm", &at_work]);
    assert!(swept.unwrap().iter().any(|leftover| leftover.name == left));
    assert_eq!(remain, (false, true));
}
