//! Builds of tiny crates, with settings of their own.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use super::*;

/// A crate without dependencies, in a workspace of its own.
pub(in crate::runtime) fn write_crate(folder: &Path, name: &str, main: &str) {
    std::fs::create_dir_all(folder.join("src")).unwrap();
    let manifest = format!("[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n");
    std::fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    std::fs::write(folder.join("src/main.rs"), main).unwrap();
}

fn named(name: &str) -> CargoBin {
    CargoBin { package: name.to_owned(), bin: name.to_owned() }
}

fn says(executable: &Path) -> String {
    String::from_utf8(Command::new(executable).output().unwrap().stdout).unwrap()
}

#[test]
fn a_build_that_fails_says_so() {
    let message = build(&named("no-such-package"), &Build::default(), Linking::Usual).unwrap_err().to_string();
    assert!(message.starts_with("building `no-such-package` of package `no-such-package` failed:"), "{message}");
    assert!(message.contains("no-such-package` did not match any packages"), "{message}");
    let elsewhere = Build { manifest: Some("/no/such/folder/Cargo.toml".into()), ..Build::default() };
    let message = build(&named("x"), &elsewhere, Linking::Usual).unwrap_err().to_string();
    assert!(message.ends_with("there is no manifest at /no/such/folder/Cargo.toml"), "{message}");
}

const SETTINGS: &str = r#"fn main() {
    print!("{} {} {} {}", cfg!(mine), cfg!(for_target), cfg!(debug_assertions), cfg!(feature = "extra"));
    print!(" {}", cfg!(feature = "usual"));
}"#;

/// The flags of `build` and of a target, the linker, the profile and the features.
#[test]
fn a_build_keeps_the_settings_of_its_workspace() {
    let folder = tempfile::tempdir().unwrap();
    write_crate(folder.path(), "chaos-settings", SETTINGS);
    let manifest = folder.path().join("Cargo.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text + "[features]\ndefault = [\"usual\"]\nusual = []\nextra = []\n").unwrap();
    let (marker, linker) = (folder.path().join("linked"), folder.path().join("linker"));
    std::fs::write(&linker, format!("#!/bin/sh\ntouch {}\nexec cc \"$@\"\n", marker.display())).unwrap();
    std::fs::set_permissions(&linker, Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir_all(folder.path().join(".cargo")).unwrap();
    let config = |text: String| std::fs::write(folder.path().join(".cargo/config.toml"), text).unwrap();
    let of_target = |flags: &str| format!("[target.'cfg(unix)']\nlinker = {linker:?}\n{flags}\n");
    let built = |settings: Build, linking| {
        let settings = Build { manifest: Some(manifest.clone()), ..settings };
        says(&build_anew(&named("chaos-settings"), &settings, linking).unwrap())
    };
    let dev = || Build { profile: Some("dev".to_owned()), ..Build::default() };
    let all = || {
        let mut ways = vec![Linking::Usual];
        #[cfg(feature = "docker")]
        ways.push(Linking::Static);
        ways
    };
    for linking in all() {
        config(format!("[build]\nrustflags = [\"--cfg\", \"mine\"]\n{}", of_target("")));
        assert_eq!(built(Build::default(), linking), "true false false false true", "{linking:?}");
        assert!(marker.exists(), "the linker of the settings");
        config(of_target("rustflags = [\"--cfg\", \"for_target\"]"));
        let extra = Build { features: ["extra".to_owned()].into(), no_default_features: true, ..dev() };
        assert_eq!(built(extra, linking), "false true true true false", "{linking:?}");
        std::fs::remove_file(&marker).unwrap();
    }
}

/// What is built for one runtime is not put in the place of what is built for the other.
#[cfg(feature = "docker")]
#[test]
fn only_what_is_for_a_container_is_linked_statically_and_only_where_it_can_be() {
    let folder = tempfile::tempdir().unwrap();
    write_crate(folder.path(), "chaos-linking", "fn main() { print!(\"runs\"); }");
    let settings =
        Build { manifest: Some(folder.path().to_owned()), profile: Some("dev".to_owned()), ..Build::default() };
    let is_static = |executable: &Path| crate::runtime::docker::libraries_of(executable).unwrap().is_empty();
    let for_container = build_anew(&named("chaos-linking"), &settings, Linking::Static).unwrap();
    let for_process = build_anew(&named("chaos-linking"), &settings, Linking::Usual).unwrap();
    assert!(is_static(&for_container) && !is_static(&for_process));
    assert_eq!((says(&for_container), says(&for_process)), ("runs".to_owned(), "runs".to_owned()));

    // A library that there is to load only.
    let library = folder.path().join("libchaosshared.so");
    let source = folder.path().join("shared.c");
    std::fs::write(&source, "int chaos_shared(void) { return 7; }\n").unwrap();
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status().unwrap();
    assert!(compiled.success());
    let main = "#[link(name = \"chaosshared\")] unsafe extern \"C\" { safe fn chaos_shared() -> i32; }\n\
        fn main() { print!(\"{}\", chaos_shared()); }";
    write_crate(folder.path(), "chaos-linking", main);
    let script = "fn main() { let here = std::env::var(\"CARGO_MANIFEST_DIR\").unwrap();\n\
        println!(\"cargo::rustc-link-search={here}\"); println!(\"cargo::rustc-link-arg=-Wl,-rpath,{here}\"); }";
    std::fs::write(folder.path().join("build.rs"), script).unwrap();
    let loads = build_anew(&named("chaos-linking"), &settings, Linking::Static).unwrap();
    assert_eq!(says(&loads), "7");
    let libraries = crate::runtime::docker::libraries_of(&loads).unwrap();
    assert!(libraries.contains(&library), "{libraries:?}");
}
