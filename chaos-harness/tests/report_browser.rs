//! The HTML report in a real browser: it opens without errors and fetches nothing.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod report_fixtures;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use chaos_harness::report::{Report, html};
use report_fixtures as fixtures;

const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

fn browser() -> Option<PathBuf> {
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    BROWSERS.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|path| path.is_file())
}

/// What a browser made of a page.
struct Opened {
    dom: String,
    /// Errors and warnings of the page.
    console: Vec<String>,
    /// What the page asked a network for.
    requests: Vec<String>,
}

/// Opens `page` in a browser that cannot find any other machine.
fn open(browser: &Path, page: &Path) -> Opened {
    let profile = tempfile::tempdir().unwrap();
    let net_log = profile.path().join("net.log");
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--dump-dom"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--v=0"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--log-net-log={}", net_log.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    // Requests of the browser itself belong to no site; those of a page carry the key of the page's site.
    let of_page = |line: &&str| line.contains("\"network_isolation_key\":\"file://");
    let requests = fs::read_to_string(&net_log).unwrap();
    Opened {
        dom: String::from_utf8_lossy(&output.stdout).into_owned(),
        console: log.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect(),
        requests: requests.lines().filter(of_page).map(str::to_owned).collect(),
    }
}

#[test]
fn opens_without_errors_and_without_requests() {
    let Some(browser) = browser() else {
        println!("not run: no chromium");
        return;
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report_browser");
    let _ = fs::remove_dir_all(&folder);
    fixtures::write_all(&folder);
    let page = folder.join("report.html");
    fs::write(&page, html::render(&Report::read(&folder).unwrap()).into_string()).unwrap();
    let opened = open(&browser, &page);
    assert!(
        opened.dom.contains("Timeline of slow_inventory_does_not_cascade") && opened.dom.contains("<svg"),
        "{}",
        opened.dom
    );
    assert_eq!(opened.console, [""; 0]);
    assert_eq!(opened.requests, [""; 0]);
    the_browser_would_have_noticed(&browser, &folder);
}

/// A page that does what the report must not: without this, a change in the browser's logs would go unnoticed.
fn the_browser_would_have_noticed(browser: &Path, folder: &Path) {
    let page = folder.join("noisy.html");
    fs::write(&page, "<img src='http://127.0.0.1:9/'><script>console.error('noise')</script>").unwrap();
    let opened = open(browser, &page);
    assert!(opened.console.iter().any(|line| line.contains("noise")), "{:?}", opened.console);
    assert!(opened.requests.iter().any(|line| line.contains("127.0.0.1:9")), "{:?}", opened.requests);
}
