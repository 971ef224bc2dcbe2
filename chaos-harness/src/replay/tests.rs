//! Commands for tests of every kind of target; the last test here runs them.

use std::fs;

use super::*;

fn test_in(target: &str) -> TestRef {
    TestRef {
        package: "shop-tests".to_owned(),
        target: target.to_owned(),
        test: "outages::slow".to_owned(),
        file: "shop/tests/outages/mod.rs".to_owned(),
        line: 3,
    }
}

fn again(kind: Compiled) -> Again {
    Again { manifest_dir: "/src/shop".to_owned(), kind, ignored: false }
}

fn target(name: &str, kind: &str, source: &str) -> Target {
    let (name, kind) = (name.to_owned(), vec![kind.to_owned()]);
    Target { name, kind, src_path: PathBuf::from(source), required_features: Vec::new() }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_program_is_started_as_it_was() {
    let words = ["target/debug/nightly", "--system", "the shop"].map(str::to_owned);
    assert_eq!(program(&words, "CHAOS_SEED=7"), "CHAOS_SEED=7 target/debug/nightly --system 'the shop'");
}

#[test]
fn every_kind_of_target_has_its_option() {
    for (kind, compiled, expected) in [
        ("test", Compiled::Test, "--test slow-stock"),
        ("bench", Compiled::Test, "--bench slow-stock"),
        ("bin", Compiled::Executable, "--bin slow-stock"),
        ("example", Compiled::Executable, "--example slow-stock"),
        ("lib", Compiled::Library, "--lib"),
        ("proc-macro", Compiled::Library, "--lib"),
    ] {
        let targets = vec![target("other", kind, "/src/shop/x.rs"), target("slow-stock", kind, "/src/shop/y.rs")];
        let found = chosen(targets, &test_in("slow_stock"), compiled, Path::new("/src"));
        let line = line(&test_in("slow_stock"), &again(compiled), found.as_ref(), &[], "A=1");
        assert_eq!(line, format!("A=1 cargo test -p shop-tests {expected} -- --exact outages::slow"));
    }
}

#[test]
fn without_an_answer_of_cargo_a_pattern_names_the_target() {
    let line = line(&test_in("slow_stock"), &again(Compiled::Test), None, &[], "A=1");
    assert_eq!(line, "A=1 cargo test -p shop-tests --test 'slow[-_]stock' -- --exact outages::slow");
}

#[test]
fn of_two_targets_of_one_name_the_nearer_is_meant() {
    let both = || {
        let example = target("stock", "example", "/src/shop/examples/stock.rs");
        vec![target("stock", "bin", "/src/shop/src/main.rs"), example]
    };
    let mut test = test_in("stock");
    for (file, kind) in [("shop/examples/stock.rs", "example"), ("shop/src/outages.rs", "bin")] {
        test.file = file.to_owned();
        let found = chosen(both(), &test, Compiled::Executable, Path::new("/src")).unwrap();
        assert_eq!(found.kind, [kind]);
    }
}

#[test]
fn the_same_is_built_again() {
    for (said, kept) in [
        ("test --features a,b --release stock -- --features no", "--features a,b --release"),
        ("test -F a -Fb --features=c --target=x86_64-musl -j 2", "-F a -Fb --features c --target x86_64-musl"),
        ("nextest run --profile ci --cargo-profile fast --all-features -E x", "--profile fast --all-features"),
        (
            "test --manifest-path a/Cargo.toml --no-default-features",
            "--manifest-path a/Cargo.toml --no-default-features",
        ),
        ("t --workspace --no-fail-fast", ""),
    ] {
        assert_eq!(build(&words(said)), words(kept), "{said}");
    }
}

#[test]
fn features_that_the_target_needs_are_added() {
    let mut needing = target("stock", "test", "/x.rs");
    needing.required_features = vec!["a".to_owned(), "b".to_owned()];
    for (said, expected) in [
        ("test", "--features a,b"),
        ("test --features b,c", "--features b,c --features a"),
        ("test --all-features", "--all-features"),
    ] {
        let line = line(&test_in("stock"), &again(Compiled::Test), Some(&needing), &words(said), "A=1");
        assert_eq!(line, format!("A=1 cargo test {expected} -p shop-tests --test stock -- --exact outages::slow"));
    }
}

#[test]
fn ignored_tests_are_asked_for_and_odd_words_are_quoted() {
    let mut test = test_in("stock");
    test.test = "r#in".to_owned();
    let again = Again { ignored: true, ..again(Compiled::Library) };
    let line = line(&test, &again, None, &words("test --config a='b'"), "A=1");
    let build = r"--config 'a='\''b'\'''";
    assert_eq!(line, format!("A=1 cargo test {build} -p shop-tests --lib -- --exact --include-ignored 'r#in'"));
}

/// A package of which every target has a name that the compiler changes, and one test.
fn package(folder: &Path) {
    let manifest = "[package]\nname = \"shop-tests\"\nedition = \"2024\"\n[features]\nslow = []\n\
        [lib]\nname = \"renamed_lib\"\n\
        [[bin]]\nname = \"serve-shop\"\npath = \"src/main.rs\"\n\
        [[test]]\nname = \"slow-stock\"\nrequired-features = [\"slow\"]\n\
        [[bench]]\nname = \"fast-stock\"\n\
        [[example]]\nname = \"show-stock\"\ntest = true\n[workspace]\n";
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    let files = ["src/lib.rs", "src/main.rs", "tests/slow-stock.rs", "benches/fast-stock.rs", "examples/show-stock.rs"];
    for file in files {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let main = if file.contains("main") || file.contains("examples") { "fn main() {}\n" } else { "" };
        let test = "mod outages {\n    #[test]\n    #[ignore]\n    fn r#in() {\n        \
            println!(\"compiled as {:?} {:?}\", option_env!(\"CARGO_BIN_NAME\").is_some(), \
            option_env!(\"CARGO_TARGET_TMPDIR\").is_some());\n    }\n}\n";
        fs::write(path, format!("{main}{test}")).unwrap();
    }
}

/// What is pasted runs the one test that is meant. This process itself has the names of its tests from libtest, too.
#[test]
fn the_commands_run_when_they_are_pasted() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().canonicalize().unwrap();
    package(&folder);
    for (target_name, file, kind, evidence) in [
        ("renamed_lib", "src/lib.rs", Compiled::Library, "false false"),
        ("serve_shop", "src/main.rs", Compiled::Executable, "true false"),
        ("slow_stock", "tests/slow-stock.rs", Compiled::Test, "false true"),
        ("fast_stock", "benches/fast-stock.rs", Compiled::Test, "false true"),
        ("show_stock", "examples/show-stock.rs", Compiled::Executable, "true false"),
    ] {
        let test = TestRef {
            package: "shop-tests".to_owned(),
            target: target_name.to_owned(),
            test: "outages::r#in".to_owned(),
            file: file.to_owned(),
            line: 1,
        };
        let again = Again { manifest_dir: folder.display().to_string(), kind, ignored: true };
        let found = super::target(&test, &again);
        assert!(found.is_some(), "cargo knows no target for {file}");
        let line = line(&test, &again, found.as_ref(), &[], "CHAOS_SEED=7 CHAOS_RUNTIME=process");
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("{line} --nocapture")).current_dir(&folder);
        shell.env("CARGO_NET_OFFLINE", "true").env("CARGO_TARGET_DIR", folder.join("target"));
        let output = shell.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("test result: ok. 1 passed; 0 failed; 0 ignored"), "{line}\n{said}\n{why}");
        assert!(said.contains(&format!("compiled as {evidence}")), "{line}\n{said}");
    }
}
