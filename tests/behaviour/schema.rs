//! The JSON Schemas in `docs/`, read by a public validator: whatever `check` takes they take, and
//! mistakes of names, types and ranges they refuse.

use e2e::python;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The TOML files of a folder that are of a program.
fn files(folder: &str, program: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(repository().join(folder)).unwrap();
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(program) && Path::new(name).extension().is_some_and(|e| e == "toml")
    };
    entries.map(|entry| entry.unwrap().path()).filter(is_ours).collect()
}

/// What the validator says of each file.
fn said(program: &str, files: &[PathBuf]) -> HashMap<PathBuf, String> {
    let mut command = python::here();
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("behaviour/schema.py"));
    command.arg(repository().join(format!("docs/{program}.schema.json"))).args(files);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once(": "));
    lines.map(|(path, said)| (PathBuf::from(path), said.to_owned())).collect()
}

#[test]
fn schemas_take_what_check_takes() {
    if python::missing("schemas_take_what_check_takes", &["jsonschema"]) {
        return;
    }
    let (mut taken, mut refused) = (0, 0);
    for program in ["apiserver", "edge"] {
        let examples = files("config", program);
        // Each has beside it what `check` says of it; the last line of one that is taken is `ok`.
        let golden = files("crates/config/tests/golden", program);
        let said = said(program, &[examples.clone(), golden].concat());
        for (path, said) in &said {
            let golden = fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
            if examples.contains(path) || golden.lines().last() == Some("ok") {
                assert_eq!(said, "ok", "{}", path.display());
                taken += 1;
            }
            let unknown = path.ends_with("apiserver-unknown-key.toml");
            assert!(!unknown || said.starts_with("refused"), "{}: {said}", path.display());
            refused += usize::from(said.starts_with("refused"));
        }
    }
    assert!(taken >= 15, "only {taken} files were taken");
    assert!(refused >= 30, "only {refused} files were refused");
}
