//! The log on disk: what can be read back, and what cannot be written.

use super::*;
use crate::runtime::docker_undo::DockerUndo;

fn unpause(container: &str) -> UndoStep {
    UndoStep::Docker(DockerUndo::Unpause { container: container.to_owned() })
}

fn read(folder: &Path) -> Pending {
    let logs = pending(folder).unwrap();
    assert_eq!(logs.len(), 1);
    logs.into_iter().next().unwrap().unwrap()
}

#[test]
fn what_is_noted_and_not_done_can_be_read_by_others() {
    let folder = tempfile::tempdir().unwrap();
    let id = EnvironmentId::new("shop");
    let log = UndoLog::begin_in(folder.path(), &id, RuntimeKind::Docker).unwrap();
    log.note(unpause("a")).unwrap();
    log.note(unpause("b")).unwrap();
    log.note(unpause("b")).unwrap();
    log.done(&unpause("a")).unwrap();
    let pending = read(folder.path());
    assert_eq!(pending.steps(), [unpause("b")]);
    assert_eq!((pending.environment(), pending.runtime()), (id.name(), RuntimeKind::Docker));
    assert!(pending.is_of(&owner_of_this_process()));
    assert!(!pending.is_orphaned() && !pending.is_overdue());
    log.close().unwrap();
    log.close().unwrap();
    assert!(super::pending(folder.path()).unwrap().is_empty());
}

#[test]
fn a_log_is_read_up_to_where_it_was_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let log = UndoLog::begin_in(folder.path(), &EnvironmentId::new("shop"), RuntimeKind::Docker).unwrap();
    log.note(unpause("a")).unwrap();
    log.note(unpause("b")).unwrap();
    let whole = std::fs::read(&log.path).unwrap();
    let ends: Vec<usize> = (1..=whole.len()).filter(|end| whole[end - 1] == b'\n').collect();
    for cut in 0..=whole.len() {
        std::fs::write(&log.path, &whole[..cut]).unwrap();
        let logs = pending(folder.path()).unwrap();
        let steps = logs.into_iter().next().map(|log| log.unwrap().steps().len());
        let complete = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(steps, complete.checked_sub(1), "cut after {cut} bytes");
    }
}

#[test]
fn what_is_no_log_is_named_and_hides_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let _log = UndoLog::begin_in(folder.path(), &EnvironmentId::new("shop"), RuntimeKind::Docker).unwrap();
    std::fs::write(folder.path().join("zzz.jsonl"), "nonsense\n").unwrap();
    let logs = pending(folder.path()).unwrap();
    assert!(logs[0].is_ok());
    let message = logs[1].as_ref().unwrap_err().to_string();
    assert!(message.contains("zzz.jsonl cannot be read"), "{message}");
}

#[test]
fn nothing_may_be_done_that_cannot_be_noted() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = UndoLog::begin_in(&file.path().join("undo"), &EnvironmentId::new("shop"), RuntimeKind::Docker);
    assert!(error.unwrap_err().to_string().contains("cannot be written"));
}

#[test]
fn time_is_up_a_minute_after_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let id = EnvironmentId::new("shop").with_limit(Duration::ZERO);
    let _log = UndoLog::begin_in(folder.path(), &id, RuntimeKind::Docker).unwrap();
    let mut pending = read(folder.path());
    assert!(!pending.is_overdue());
    pending.header.until_ms -= 60_001;
    assert!(pending.is_overdue());
}
