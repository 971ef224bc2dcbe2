//! Nothing but a regular file is a journal, whatever somebody else has put into the folder: nothing hangs, no link is
//! followed, no file is replaced, and each thing is named.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

#[path = "report_fixtures/mod.rs"]
mod fixtures;

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use chaos_harness::journal::{Journal, Writer, read_dir, read_file, runs};
use chaos_harness::report::Report;

/// What `action` gives, which nothing may hold up.
fn at_once<T: Send + 'static>(action: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(action()));
    receiver.recv_timeout(Duration::from_secs(20)).expect("it hangs")
}

fn pipe(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn what_is_no_file_is_named_and_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("a-run");
    fs::create_dir(&run).unwrap();
    let good = fixtures::write(folder.path(), &fixtures::upheld());
    let mut expected = Vec::new();
    for place in [folder.path().to_owned(), run] {
        for ending in ["json", "partial"] {
            let at = |name: &str| place.join(format!("{name}.{ending}"));
            pipe(&at("pipe"));
            symlink("/dev/zero", at("endless")).unwrap();
            symlink(&good, at("link")).unwrap();
            symlink("nowhere", at("dangling")).unwrap();
            fs::create_dir(at("folder")).unwrap();
            let _socket = UnixListener::bind(at("socket")).unwrap();
            File::create(at("huge")).unwrap().set_len(1 << 40).unwrap();
            File::create(at("zeros")).unwrap().set_len(1 << 28).unwrap();
            for (name, what) in [
                ("pipe", "a pipe"),
                ("endless", "a link"),
                ("link", "a link"),
                ("dangling", "a link"),
                ("folder", "a folder"),
                ("socket", "a socket"),
                ("huge", "a file of more than 2 GiB"),
                ("zeros", "no readable journal"),
            ] {
                expected.push((at(name), what));
            }
        }
    }
    // A link to a folder is none, and nobody looks into it.
    symlink("/", folder.path().join("everything")).unwrap();
    let of = folder.path().to_owned();
    let entries = at_once(move || read_dir(&of).unwrap());
    assert_eq!(entries.len(), expected.len() + 1, "{entries:#?}");
    for (path, what) in expected {
        let entry = entries.iter().find(|entry| entry.path == path).unwrap();
        let error = entry.journal.as_ref().unwrap_err().to_string();
        assert!(error.contains(what) && error.contains(path.to_str().unwrap()), "{error}");
    }
    assert!(entries.iter().any(|entry| entry.path == good && entry.journal.is_ok()));
    let of = folder.path().to_owned();
    assert_eq!(at_once(move || runs(&of).unwrap().iter().map(|run| run.journals()).sum::<usize>()), entries.len());
    let of = folder.path().to_owned();
    at_once(move || Report::read(&of).unwrap());
    let device = Path::new("/dev/zero");
    assert!(at_once(move || read_file(device)).unwrap_err().to_string().contains("it is a device"));
}

#[test]
fn a_journal_replaces_no_other_and_follows_no_link() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = folder.path().join("elsewhere");
    fs::write(&elsewhere, "of somebody else").unwrap();
    let journal = fixtures::in_run("r", 0, fixtures::refuted());
    let (whole, partial) = (journal.file_name(), journal.partial_file_name());
    let run = folder.path().join(journal.folder());
    fs::create_dir(&run).unwrap();
    let begin = |journal: &Journal| {
        let (folder, journal) = (folder.path().to_owned(), journal.clone());
        at_once(move || Writer::begin(&folder, journal))
    };

    let link: fn(&Path) = |path| symlink("../elsewhere", path).unwrap();
    let file: fn(&Path) = |path| fs::write(path, "x").unwrap();
    for plant in [pipe, link, file] {
        plant(&run.join(&partial));
        let error = begin(&journal).unwrap_err().to_string();
        assert!(error.contains(&partial) && error.contains("exists"), "{error}");
        fs::remove_file(run.join(&partial)).unwrap();
    }
    let writer = begin(&journal).unwrap();
    symlink("../elsewhere", run.join(&whole)).unwrap();
    let error = at_once(move || writer.complete()).unwrap_err().to_string();
    assert!(error.contains("exists"), "{error}");
    assert!(run.join(&partial).is_file(), "what was written is still there");
    fs::remove_file(run.join(&whole)).unwrap();
    fs::remove_file(run.join(&partial)).unwrap();

    // The same run of the same experiment twice: the refuted one stays.
    begin(&journal).unwrap().complete().unwrap();
    let upheld = fixtures::in_run("r", 0, Journal { verdict: fixtures::upheld().verdict, ..journal.clone() });
    let again = Journal { run: journal.run.clone(), ..upheld };
    assert!(begin(&again).unwrap().complete().is_err());
    assert_eq!(read_file(&run.join(&whole)).unwrap().verdict, journal.verdict);

    fs::remove_dir_all(&run).unwrap();
    fs::create_dir(folder.path().join("target")).unwrap();
    symlink("target", &run).unwrap();
    let error = begin(&journal).unwrap_err().to_string();
    assert!(error.contains("it is a link, no folder"), "{error}");
    assert_eq!(fs::read_dir(folder.path().join("target")).unwrap().count(), 0);
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "of somebody else");
}
