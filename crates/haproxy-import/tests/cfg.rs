//! Real files: golden configurations and reports, the programs' own check, and the table of all.
//!
//! `BLESS=1 cargo test -p eclusa-haproxy-import` writes `tests/golden/` anew.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use eclusa_config::plan::Program;
use eclusa_haproxy_import::table::{Language, render};
use eclusa_haproxy_import::{Elsewhere, File, Imported, Kind, Options, import};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()
}

fn imported(program: Program, path: &Path) -> Imported {
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let files = [File { name, text: read(path) }];
    import(program, &files, &Options::default(), &Elsewhere)
}

fn compare(name: &str, actual: &str, wrong: &mut Vec<String>) {
    let path = tests().join("golden").join(name);
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, actual).unwrap();
        return;
    }
    if fs::read_to_string(&path).unwrap_or_default() != actual {
        wrong.push(format!("{name} is no longer so; BLESS=1 writes it:\n{actual}"));
    }
}

/// Number and role of the files, in order.
fn index() -> Vec<(String, String)> {
    let text = read(&tests().join("cfg/INDEX.tsv"));
    let row = |line: &str| {
        let mut fields = line.split('\t').map(str::to_owned);
        Some((fields.next()?, fields.next()?))
    };
    text.lines().skip(1).filter_map(row).collect()
}

/// The configurations pass the programs' own check, are as the golden ones, and most are complete.
#[test]
fn all_real_files() {
    let mut wrong = Vec::new();
    let mut table = String::from(
        "| file | set | program | lines | same | default | improved | ignored | unsupported | carried over |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    let mut complete: Vec<(String, bool)> = Vec::new();
    for (number, role) in index() {
        let path = tests().join("cfg").join(format!("{number}.cfg"));
        for (program, short) in [(Program::Edge, "edge"), (Program::Apiserver, "apiserver")] {
            if short == "apiserver" && role != "api" {
                continue;
            }
            let imported = imported(program, &path);
            if let Some(mistakes) = &imported.mistakes {
                wrong.push(format!("{number} {short}: {mistakes}\n{}", imported.toml));
            }
            compare(&format!("cfg/{number}-{short}.toml"), &imported.toml, &mut wrong);
            compare(&format!("cfg/{number}-{short}.txt"), &imported.report.human(), &mut wrong);
            let report = &imported.report;
            if short == "edge" {
                complete.push((role.clone(), report.is_complete()));
            }
            let _ = write!(table, "| {number} | {role} | {short} | {} |", report.lines.len());
            for kind in Kind::ALL {
                let _ = write!(table, " {} |", report.count(kind));
            }
            let _ = writeln!(table, " {} % |", report.percent());
        }
    }
    assert_eq!(complete.len(), 41);
    let share = |roles: &[&str]| {
        let of: Vec<_> =
            complete.iter().filter(|(role, _)| roles.contains(&role.as_str())).collect();
        (of.iter().filter(|(_, complete)| *complete).count(), of.len())
    };
    let (clusters, of_clusters) = share(&["api", "both"]);
    let (edges, of_edges) = share(&["edge"]);
    let _ = write!(
        table,
        "\nComplete for eclusa-edge: {clusters} of {of_clusters} files of the sets `api` and `both`, {edges} \
         of {of_edges} of `edge`.\n"
    );
    println!("{table}");
    compare("table.md", &table, &mut wrong);
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(clusters * 100 >= of_clusters * 95, "{clusters} of {of_clusters}");
    assert!(edges * 100 >= of_edges * 85, "{edges} of {of_edges}");
}

/// Each kind of line, one file for each subject.
#[test]
fn lines_of_every_kind() {
    let mut wrong = Vec::new();
    let mut count = 0;
    let mut entries: Vec<_> =
        fs::read_dir(tests().join("lines")).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let program =
            if name.starts_with("apiserver") { Program::Apiserver } else { Program::Edge };
        let imported = imported(program, &path);
        let mistakes = imported.mistakes.clone().unwrap_or_default();
        let whole = format!("{}\n{}{mistakes}", imported.toml, imported.report.human());
        compare(&format!("lines/{name}.txt"), &whole, &mut wrong);
        count += 1;
    }
    assert!(count >= 17, "only {count}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Everything that is said is said in all forms.
#[test]
fn forms_of_the_report() {
    let path = tests().join("cfg/003.cfg");
    let imported = imported(Program::Edge, &path);
    let json: serde_json::Value = serde_json::from_str(&imported.report.json()).unwrap();
    assert_eq!(json["lines"].as_array().unwrap().len(), imported.report.lines.len());
    assert_eq!(json["complete"], true);
    let text = read(&path);
    let source = imported.report.source(&[&text]);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        assert!(source.contains(line.trim_end()), "{line}");
    }
    let marked = source.lines().filter(|line| !line.starts_with(' ') && !line.is_empty()).count();
    assert_eq!(marked, imported.report.lines.len());
}

#[test]
fn the_pages_are_up_to_date() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    for (folder, language) in [("", Language::English), ("pt-BR", Language::Portuguese)] {
        let path = docs.join(folder).join("coming-from-haproxy.md");
        let page = render(language);
        if std::env::var_os("BLESS").is_some() {
            fs::write(&path, page).unwrap();
            continue;
        }
        let written = fs::read_to_string(&path).unwrap_or_default();
        assert!(written == page, "{folder}: BLESS=1 cargo test -p eclusa-haproxy-import");
    }
}
