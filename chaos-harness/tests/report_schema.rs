//! The checked-in JSON Schema describes the journals that are written.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod report_fixtures;

use std::fs;
use std::path::{Path, PathBuf};

use chaos_harness::journal::{Journal, Writer, runs};
use report_fixtures as fixtures;
use serde_json::Value;

fn checked_in() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schema").join("journal.schema.json")
}

fn schema() -> Value {
    serde_json::from_str(&fs::read_to_string(checked_in()).unwrap()).unwrap()
}

/// After a change of the journal, `CHAOS_BLESS=1 cargo test --test report_schema` writes the schema again.
#[test]
fn the_schema_is_that_of_the_journal() {
    let generated = serde_json::to_string_pretty(&schemars::schema_for!(Journal)).unwrap() + "\n";
    let bless =
        std::env::var_os("CHAOS_BLESS").is_some_and(|value| value != "0" && value != "false" && !value.is_empty());
    if bless {
        fs::create_dir_all(checked_in().parent().unwrap()).unwrap();
        fs::write(checked_in(), &generated).unwrap();
    }
    let checked_in = fs::read_to_string(checked_in()).unwrap_or_default();
    assert!(
        checked_in == generated,
        "the schema has drifted; run this test with CHAOS_BLESS=1 and read the difference"
    );
}

#[test]
fn journals_fit_the_schema() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for journal in fixtures::journals() {
        let (_, path) = Writer::begin(folder.path(), journal).unwrap().complete().unwrap();
        check(&validator, &path);
    }
}

/// Whatever other tests have left in the latest run; the experiments of this repository among them.
#[test]
fn journals_of_real_experiments_fit_the_schema() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let runs = runs(&chaos_harness::folders::journal_dir()).unwrap();
    let Some(latest) = runs.last() else {
        println!("not run: no journal of a real experiment");
        return;
    };
    let paths = latest.read().into_iter().map(|entry| entry.path);
    let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let checked = paths.inspect(|path| check(&validator, path)).count();
    println!("{checked} journals of real experiments fit");
}

#[test]
fn what_is_no_journal_does_not_fit() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let mut journal = serde_json::to_value(fixtures::upheld()).unwrap();
    assert!(validator.is_valid(&journal));
    journal["samples"]["route"][0] = Value::from("a name");
    assert!(!validator.is_valid(&journal));
    journal.as_object_mut().unwrap().remove("samples");
    assert!(!validator.is_valid(&journal));
}

fn check(validator: &jsonschema::Validator, path: &Path) {
    let journal: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(&journal).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{}: {errors:#?}", path.display());
}
