//! Each rule against the smallest tree that breaks it, and against one that does not.

use super::*;

fn file(path: &str, text: &str) -> SourceFile {
    SourceFile { path: path.to_owned(), text: text.to_owned() }
}

/// `path:line` of what the rule finds.
fn places(rule: Rule, files: &[SourceFile]) -> Vec<String> {
    rule(files).into_iter().map(|finding| format!("{}:{}", finding.path, finding.line)).collect()
}

#[test]
fn a_source_of_401_lines_is_too_long_and_a_test_is_not() {
    let text = "//! x\n".repeat(401);
    let files = [file("a/src/long.rs", &text), file("a/tests/long.rs", &text), file("a/src/fits.rs", &text[6..])];
    assert_eq!(places(short_files, &files), ["a/src/long.rs:0"]);
}

#[test]
fn a_path_of_one_machine_is_found_and_a_longer_path_is_not() {
    let text = format!("see {}someone/x\nand docs{}page\n", MACHINE_PATHS[0], MACHINE_PATHS[0]);
    assert_eq!(places(no_machine_paths, &[file("notes.md", &text)]), ["notes.md:1"]);
}

#[test]
fn unfinished_marks_are_found_as_words_only() {
    let text = format!("// {}: later\nlet MY_{} = 1;\n{}\n", UNFINISHED[0], UNFINISHED[0], UNFINISHED[2]);
    assert_eq!(places(no_unfinished_marks, &[file("a/src/x.rs", &text)]), ["a/src/x.rs:1", "a/src/x.rs:3"]);
}

#[test]
fn a_source_without_module_doc_is_found_and_a_compile_fail_case_is_not() {
    let files =
        [file("a/src/x.rs", "use std;\n"), file("a/tests/ui/case.rs", "fn main() {}\n"), file("b.rs", "//! Doc.\n")];
    assert_eq!(places(module_docs, &files), ["a/src/x.rs:0"]);
}

#[test]
fn lifting_the_unsafe_lint_needs_an_entry_in_the_list() {
    let text = format!("//! Doc.\n#[{}, reason = \"fast\")]\n", UNSAFE_MARKS[0]);
    assert_eq!(places(unsafe_only_where_allowed, &[file("a/src/x.rs", &text)]), ["a/src/x.rs:2"]);
}

#[test]
fn a_module_that_nothing_declares_is_found() {
    let files = [
        file("a/src/lib.rs", "pub mod fault;\n"),
        file("a/src/fault/mod.rs", "mod kill;\n"),
        file("a/src/fault/kill.rs", ""),
        file("a/src/fault/pause.rs", ""),
        file("a/Cargo.toml", "path = \"src/tool.rs\"\n"),
        file("a/src/tool.rs", ""),
    ];
    assert_eq!(places(no_orphan_modules, &files), ["a/src/fault/pause.rs:0"]);
}

#[test]
fn a_module_beside_its_folder_may_declare_what_is_in_the_folder() {
    let files =
        [file("a/src/main.rs", "mod tidy;\n"), file("a/src/tidy.rs", "mod rules;\n"), file("a/src/tidy/rules.rs", "")];
    assert_eq!(places(no_orphan_modules, &files), [""; 0]);
}

#[test]
fn the_readme_may_only_name_commands_and_tests_that_exist() {
    let readme = "cargo xtask missing is prose\n```sh\ncargo xtask tidy\ncargo xtask nonsense\n\
                  cargo test --test here\ncargo test --test gone\n```\n";
    let files = [file("README.md", readme), file("a/tests/here.rs", "")];
    assert_eq!(places(readme_commands_exist, &files), ["README.md:4", "README.md:6"]);
}
