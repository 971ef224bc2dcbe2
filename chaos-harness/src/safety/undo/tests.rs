//! The log on disk: what can be read back, and what cannot be written.

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use super::*;
use crate::runtime::docker_undo::DockerUndo;
use crate::trusted::me;

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
        assert_eq!(steps, Some(complete.saturating_sub(1)), "cut after {cut} bytes");
    }
}

#[tokio::test]
async fn a_log_that_was_cut_off_in_its_first_line_goes_with_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "chaos-shop-4294967295-1-1", &[line(&dead_header("chaos-shop-4294967295-1-1"))]);
    let whole = std::fs::read(&path).unwrap();
    for cut in [0, 1, whole.len() - 1] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let log = read(folder.path());
        assert!(log.is_orphaned() && log.steps().is_empty() && log.unread().is_empty());
        log.revert().await.unwrap();
        assert!(!path.exists(), "cut after {cut} bytes");
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
    // Its owner holds a lock.
    assert!(read(folder.path()).revert().await.is_ok() && read(folder.path()).steps().len() == 2);
    drop(log);
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
    let header = read(folder.path()).contents.header.unwrap();
    let told = |line| Told::Written { environment: id.name().to_owned(), line };
    let lines = [
        Told::Begun { header, allowed: vec!["db".to_owned()] },
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
        assert_eq!(logs[0].allowed, Some(AllowList::of_names(vec!["db".to_owned()])));
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
    pending.contents.header.as_mut().unwrap().until_ms -= 60_001;
    assert!(pending.is_overdue());
}

/// A step on a process that has ended.
fn harmless(of: &str) -> UndoStep {
    let process = crate::runtime::Process { pid: u32::MAX, started: 1 };
    UndoStep::Process(crate::runtime::ProcessUndo::Descriptors { process, of: of.to_owned(), soft: 1 })
}

fn line(line: &impl Serialize) -> String {
    serde_json::to_string(line).unwrap()
}

/// The header of an environment whose owner is gone.
fn dead_header(environment: &str) -> Header {
    let owner = owner_of_this_process();
    let (pid, machine) = (owner.split('/').next().unwrap(), owner.splitn(3, '/').nth(2).unwrap());
    let owner = format!("{pid}/1/{machine}");
    Header { environment: environment.to_owned(), owner, runtime: RuntimeKind::Process, until_ms: 1 }
}

fn write(folder: &Path, environment: &str, lines: &[String]) -> PathBuf {
    let path = path_in(folder, environment);
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path
}

#[tokio::test]
async fn without_a_first_line_every_other_one_is_taken_and_the_rest_is_kept_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let gone = "chaos-shop-4294967295-1-1";
    let noted = |step: UndoStep| line(&Line::Note(step));
    let later = r#"{"note":{"on":"moon","undo":"phase"}}"#;
    let taken = [r#"{"note":{"on":"sun"}}"#, r#"{"done":{"on":"sun"}}"#].map(str::to_owned);
    let huge = format!("{{\"note\":\"{}\"", "x".repeat(100_000));
    let garbled = "{\"environment\":\"chaos-shop\x1b[31m".to_owned();
    let lines = [garbled, noted(harmless("a")), noted(harmless("a")), later.to_owned(), huge, noted(harmless("b"))];
    let path = write(folder.path(), gone, &[&lines[..], &taken].concat());
    let log = read(folder.path());
    assert_eq!((log.environment(), log.steps()), (gone, &[harmless("a"), harmless("b")][..]));
    assert!(log.is_orphaned());
    assert_eq!((log.unread().len(), log.unread()[1].as_str()), (3, later));
    assert!(log.unread().iter().all(|line| line.len() < 1000 && !line.contains('\x1b')), "{:?}", log.unread());
    for _ in 0..2 {
        let left = read(folder.path()).revert().await;
        // Labelled things are looked for wherever there is an engine.
        let left = left.unwrap_err().to_string();
        assert!(left.contains(&path.display().to_string()) && left.contains("3 lines"), "{left}");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("moon") && !text.contains("sun") && !text.contains("descriptors"), "{text}");
        // Nothing is left that says whose it was, so it is named as it is.
        let named = pending(folder.path()).unwrap().remove(0).unwrap_err().to_string();
        assert!(named.contains(&path.display().to_string()), "{named}");
        std::fs::write(&path, format!("{}\n{text}", noted(harmless("c")))).unwrap();
    }
}

#[test]
fn without_a_first_line_a_lock_tells_that_the_owner_lives() {
    let folder = tempfile::tempdir().unwrap();
    let log = UndoLog::begin_in(folder.path(), &EnvironmentId::new("shop"), RuntimeKind::Process).unwrap();
    log.note(harmless("a")).unwrap();
    let text = std::fs::read_to_string(&log.path).unwrap();
    // As what has this process's number by then.
    let path = path_in(folder.path(), "chaos-shop-4294967295-1-1");
    std::fs::rename(&log.path, &path).unwrap();
    std::fs::write(&path, text.lines().skip(1).map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    assert!(!read(folder.path()).is_orphaned());
    drop(log);
    assert!(read(folder.path()).is_orphaned());
}

#[test]
fn a_header_anywhere_and_twice_is_one_and_another_environments_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let (own, other) = (line(&dead_header("shop")), line(&dead_header("other")));
    let note = line(&Line::Note(harmless("a")));
    write(folder.path(), "shop", &["?".to_owned(), note.clone(), own.clone(), own]);
    assert_eq!(
        (read(folder.path()).unread(), read(folder.path()).contents.header),
        (vec!["?".to_owned()], Some(dead_header("shop")))
    );
    write(folder.path(), "shop", &[other.clone(), note]);
    assert_eq!((read(folder.path()).unread(), read(folder.path()).contents.header), (vec![other], None));
}

#[test]
fn a_log_that_others_may_have_written_is_named_and_hides_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let lines = [line(&dead_header("b")), line(&Line::Note(harmless("b")))];
    write(folder.path(), "zzz", &[line(&dead_header("zzz"))]);
    let path = write(folder.path(), "b", &lines);
    let refused = || {
        let logs = pending(folder.path()).unwrap();
        assert!(logs.iter().any(|log| log.as_ref().is_ok_and(|log| log.environment() == "zzz")), "{logs:?}");
        logs.into_iter().find_map(Result::err).unwrap().to_string()
    };
    let is_named = |words: &str| {
        let refused = refused();
        assert!(refused.contains(words) && refused.contains(&path.display().to_string()), "{refused}");
    };
    for mode in [0o620, 0o602, 0o666] {
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        is_named("may be written by others");
    }
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    std::fs::hard_link(&path, folder.path().join("other name")).unwrap();
    is_named("2 names");
    let elsewhere = folder.path().join("elsewhere");
    std::fs::rename(folder.path().join("other name"), &elsewhere).unwrap();
    std::fs::remove_file(&path).unwrap();
    symlink(&elsewhere, &path).unwrap();
    is_named("is a link");
    std::fs::remove_file(&path).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    is_named("is a pipe");
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
    is_named("larger than");
    if me() == 0 {
        write(folder.path(), "b", &lines);
        chown(&path, Some(54321), Some(54321)).unwrap();
        is_named("belongs to user 54321, and this process runs as user 0");
        chown(&path, Some(0), Some(0)).unwrap();
        chown(folder.path(), Some(54321), None).unwrap();
        assert!(pending(folder.path()).unwrap_err().to_string().contains("belongs to user 54321"));
        chown(folder.path(), Some(0), None).unwrap();
    }
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    assert!(pending(folder.path()).unwrap_err().to_string().contains("may be written by others"));
}

#[test]
fn a_log_and_its_folder_are_for_this_user_alone() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("a/undo");
    let log = UndoLog::begin_in(&folder, &EnvironmentId::new("shop"), RuntimeKind::Process).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&folder), mode(&log.path)), (0o700, 0o600));
    symlink(&folder, place.path().join("link")).unwrap();
    let refused = UndoLog::begin_in(&place.path().join("link"), &EnvironmentId::new("shop"), RuntimeKind::Process);
    assert!(refused.unwrap_err().to_string().contains("is a link, and no folder"));
}

proptest::proptest! {
    #[test]
    fn any_lines_are_read_and_what_is_kept_says_the_same(picks: Vec<(u8, String)>) {
        let header = line(&Header { environment: "chaos-fuzz-1-1-1".to_owned(), ..dead_header("") });
        let pieces = [header, line(&Line::Note(harmless("a"))), line(&Line::Done(harmless("a"))),
            line(&Line::Note(unpause("b"))), r#"{"note":{"on":"moon"}}"#.to_owned(), r#"{"done":{"on":"moon"}}"#.to_owned()];
        let lines = picks.iter().map(|(pick, text)| pieces.get(usize::from(pick % 8)).unwrap_or(text).as_bytes());
        fuzz_undo_log(&lines.collect::<Vec<_>>().join(&b'\n'));
    }
}
