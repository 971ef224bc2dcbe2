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

#[tokio::test]
async fn a_line_that_cannot_be_read_is_kept_and_hides_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let id = EnvironmentId::new("shop");
    let log = UndoLog::begin_in(folder.path(), &id, RuntimeKind::Process).unwrap();
    let of_nobody = |of: &str| {
        let process = crate::runtime::Process { pid: u32::MAX, started: 1 };
        UndoStep::Process(crate::runtime::ProcessUndo::Descriptors { process, of: of.to_owned(), soft: 1 })
    };
    log.note(of_nobody("a")).unwrap();
    let mut file = OpenOptions::new().append(true).open(&log.path).unwrap();
    file.write_all(b"{\"note\": \xff\n").unwrap();
    log.note(of_nobody("b")).unwrap();
    let pending = read(folder.path());
    assert_eq!(pending.steps(), [of_nobody("a"), of_nobody("b")]);
    assert_eq!(pending.unread(), ["{\"note\": \u{fffd}"]);
    for _ in 0..2 {
        let left = read(folder.path()).revert().await.unwrap_err().to_string();
        assert!(left.contains(id.name()) && left.contains("a line of the undo log"), "{left}");
        assert_eq!((read(folder.path()).steps().len(), read(folder.path()).unread().len()), (0, 1));
    }
}

#[test]
fn a_guard_knows_what_it_was_told_without_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let id = EnvironmentId::new("shop");
    let log = UndoLog::begin_in(folder.path(), &id, RuntimeKind::Docker).unwrap();
    log.note(unpause("only on disk")).unwrap();
    let header = read(folder.path()).header;
    let told = |line| Told::Written { environment: id.name().to_owned(), line };
    let lines = [
        Told::Begun(header),
        told(Line::Note(unpause("a"))),
        told(Line::Note(unpause("b"))),
        told(Line::Done(unpause("a"))),
    ];
    let bytes: Vec<u8> =
        lines.iter().flat_map(|it| [serde_json::to_vec(it).unwrap(), b"\n".to_vec()].concat()).collect();
    // However it is cut up on its way, and whatever is between.
    for length in [1, 7, bytes.len()] {
        let mut memory = Memory::new(folder.path().to_owned());
        memory.hear(b"no line\n");
        bytes.chunks(length).for_each(|piece| memory.hear(piece));
        let logs: Vec<Pending> = memory.logs().cloned().collect();
        assert_eq!((logs.len(), logs[0].steps()), (1, &[unpause("b")][..]));
        let with_file = logs[0].clone().with_file();
        assert_eq!(with_file.steps(), [unpause("only on disk"), unpause("b")]);
        memory.hear(
            &[serde_json::to_vec(&Told::Closed { environment: id.name().to_owned() }).unwrap(), b"\n".to_vec()]
                .concat(),
        );
        assert_eq!(memory.logs().count(), 0);
    }
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
