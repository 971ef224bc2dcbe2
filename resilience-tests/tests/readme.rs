//! The code that the README shows is code that runs.

/// The Rust blocks of the README.
fn blocks(readme: &str) -> Vec<&str> {
    let blocks = readme.split("```rust\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap_or_default()).collect()
}

#[test]
fn the_readme_shows_code_that_runs() {
    let sources = [include_str!("cascading_failure.rs"), include_str!("../src/lib.rs")];
    let blocks = blocks(include_str!("../../README.md"));
    assert_eq!(blocks.len(), sources.len());
    for block in blocks {
        assert!(sources.iter().any(|source| source.contains(block)), "no source holds this block:\n{block}");
    }
}
