//! The root of a workspace, found as cargo finds it; cargo itself may not be there when a test runs.

use std::path::{Component, Path, PathBuf};

use toml::{Table, Value};

/// The root of the workspace that the package in folder `package` belongs to; the package itself where it is alone.
pub(super) fn root_of(package: &Path) -> PathBuf {
    for folder in package.ancestors() {
        let Some(manifest) = manifest(folder) else { continue };
        let root = manifest.get("package").and_then(|package| package.get("workspace")).and_then(Value::as_str);
        if let Some(root) = root {
            return without_dots(&folder.join(root));
        }
        if let Some(workspace) = manifest.get("workspace")
            && !is_excluded(workspace, folder, package)
        {
            return folder.to_owned();
        }
    }
    package.to_owned()
}

fn manifest(folder: &Path) -> Option<Table> {
    std::fs::read_to_string(folder.join("Cargo.toml")).ok()?.parse().ok()
}

/// As cargo reads `exclude` and `members`: by the beginning of the path; a member is not excluded.
fn is_excluded(workspace: &Value, root: &Path, package: &Path) -> bool {
    let listed = |key| {
        let paths = workspace.get(key).and_then(Value::as_array);
        let mut paths = paths.into_iter().flatten().filter_map(Value::as_str);
        paths.any(|path| package.starts_with(without_dots(&root.join(path))))
    };
    package != root && listed("exclude") && !listed("members")
}

fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// A workspace with packages of every kind, and what cargo itself says of each.
    #[test]
    fn the_root_is_the_one_that_cargo_finds() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path().canonicalize().unwrap();
        let package = |name: &str, more: &str| {
            let folder = place.join(name);
            std::fs::create_dir_all(folder.join("src")).unwrap();
            std::fs::write(folder.join("src/lib.rs"), "").unwrap();
            let last = name.rsplit('/').next().unwrap();
            let text = format!("[package]\nname = \"{last}\"\nedition = \"2024\"\n{more}\n");
            std::fs::write(folder.join("Cargo.toml"), text).unwrap();
        };
        std::fs::create_dir_all(place.join("apart")).unwrap();
        let root = "[workspace]\nmembers = [\"crates/*\", \"out/inside\", \"apart/pointing\"]\nexclude = [\"out\", \"./alone\"]\n";
        std::fs::write(place.join("Cargo.toml"), root).unwrap();
        package("crates/member", "");
        package("out/inside", "");
        package("out/excluded", "");
        package("alone", "");
        package("apart/pointing", "workspace = \"../..\"");
        package("nested", "[workspace]");
        package("nested/below", "");
        std::fs::write(
            place.join("nested/Cargo.toml"),
            "[workspace]\nmembers = [\"below\"]\n[package]\nname = \"nested\"\nedition = \"2024\"\n",
        )
        .unwrap();
        for folder in
            ["crates/member", "out/inside", "out/excluded", "alone", "apart/pointing", "nested", "nested/below"]
        {
            let folder = place.join(folder);
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["locate-project", "--workspace", "--message-format", "plain"]).current_dir(&folder);
            let said = cargo.output().unwrap();
            let said = String::from_utf8_lossy(&said.stdout).trim().to_owned();
            assert_eq!(root_of(&folder).join("Cargo.toml").display().to_string(), said, "{}", folder.display());
        }
    }

    #[test]
    fn a_package_alone_is_its_own_root() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("Cargo.toml"), "not = [toml").unwrap();
        assert_eq!(root_of(place.path()), place.path());
    }
}
