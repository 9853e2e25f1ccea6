//! What must hold whatever the importer of haproxy.cfg is given. Shared by the fuzz target and by the
//! replay of its corpus in `cargo test`.

use eclusa_config::plan::Program;
use eclusa_haproxy_import::{Elsewhere, File, Kind, Options, import, keepalived};

/// Bytes of a configuration for each byte of haproxy.cfg, at most, beside a first handful: routes are
/// said again in the conditions of the rules behind them.
const GROWTH: usize = 200;

/// Panics if a property does not hold for `data`.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let spoken = spoken(&text);
    let file = |text: &str| File { name: "haproxy.cfg".to_owned(), text: text.to_owned() };
    for program in [Program::Apiserver, Program::Edge] {
        let options = Options::default();
        let one = import(program, &[file(&text)], &options, &Elsewhere);
        let other = import(program, &[file(&text)], &options, &Elsewhere);
        assert_eq!(one.toml, other.toml, "the same file, another configuration");
        assert_eq!(one.report, other.report);
        // Each line that says something is told, in order, with a reason where one is due.
        let told: Vec<usize> = one.report.lines.iter().map(|line| line.number).collect();
        assert_eq!(told, spoken);
        for line in &one.report.lines {
            let wants = matches!(line.kind, Kind::Ignored | Kind::Improved | Kind::Unsupported);
            assert!(!wants || !line.notes.is_empty(), "{line:?}");
            assert!(line.notes.iter().all(|note| !note.is_empty()), "{line:?}");
        }
        assert!(one.toml.len() <= 2_000 + text.len() * GROWTH, "{} bytes", one.toml.len());
        let human = one.report.human();
        // Nothing that a terminal would obey.
        assert!(!human.chars().any(|c| c.is_control() && c != '\n'), "{human:?}");
        let _ = one.report.json();
        let _ = one.report.source(&[&text]);
        let looked = keepalived::look(program, "keepalived.conf", &text, &one.ports, &Elsewhere);
        let _ = (looked.human(), looked.json());
    }
}

/// The numbers of the lines that say something.
fn spoken(text: &str) -> Vec<usize> {
    let says = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with('#');
    (1..).zip(text.lines()).filter(|(_, line)| says(line)).map(|(number, _)| number).collect()
}
