//! Lists in files, as they are read with a configuration.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use eclusa_config::plan::Program;
use eclusa_config::{Diagnostics, Loaded, Mode, parse};
use eclusa_policy::condition::{Condition, Facts, List as _};
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// A list file that goes with the test.
struct File(PathBuf);

impl File {
    fn new(label: &str, text: &[u8]) -> Self {
        let name = format!("eclusa-lists-{}-{label}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn load(file: &File, mode: Mode) -> Result<Loaded, Diagnostics> {
    let list = file.0.display();
    let text = format!(
        "[listener.a]\nlisten = [\"127.0.0.1:7000\"]\n[[listener.a.route]]\n\
         source = [\"10.0.0.0/22\", \"@{list}\"]\npool = \"p\"\n\
         [listener.b]\nlisten = [\"127.0.0.1:7001\"]\n[[listener.b.route]]\n\
         source = [\"@{list}\"]\npool = \"p\"\n\
         [pool.p]\nendpoints = [\"127.0.0.1:7002\"]\n"
    );
    parse(Program::Edge, "edge.toml", &text, mode)
}

fn holds(condition: &Condition, source: &str) -> bool {
    let to: SocketAddr = "127.0.0.1:7000".parse().unwrap();
    condition.holds(&Facts::of_connection(source.parse().unwrap(), to, None))
}

#[test]
fn a_list_is_read_once_and_shared() {
    let file = File::new("good", b"# partners\n192.0.2.0/24\n");
    let plan = load(&file, Mode::Start).unwrap().plan;
    let [list] = &plan.lists[..] else { panic!("one list: {:?}", plan.lists) };
    assert_eq!((list.file(), list.entries()), (&*file.0, 1));
    assert!(plan.files().any(|named| named == file.0), "the keeper may open it");
    let [a, b] = [0, 1].map(|index: usize| plan.listeners[index].routes[0].when.clone());
    assert!(holds(&a, "10.0.0.1") && holds(&a, "192.0.2.1") && !holds(&a, "198.51.100.1"));
    assert!(!holds(&b, "10.0.0.1") && holds(&b, "192.0.2.1"));
    Arc::clone(list).take(b"198.51.100.0/24\n").unwrap();
    assert!(holds(&a, "198.51.100.1") && holds(&b, "198.51.100.1") && !holds(&b, "192.0.2.1"));
    // Another machine has no such file.
    let offline = load(&File(PathBuf::from("/nowhere/partners.txt")), Mode::Offline).unwrap();
    assert_eq!(offline.plan.lists[0].entries(), 0);
}

#[test]
fn what_is_wrong_with_a_list_is_told_once_with_its_line() {
    let said = |file: &File| load(file, Mode::Start).unwrap_err().to_string();
    let file = File::new("line", b"192.0.2.0/24\n192.0.2.1/24\n");
    let text = said(&file);
    assert!(text.contains("line 2: `192.0.2.1/24` has host bits set"), "{text}");
    assert!(text.contains("192.0.2.0/24"), "the remedy: {text}");
    assert_eq!(text.matches("has host bits set").count(), 1, "{text}");
    let text = said(&File::new("empty", b""));
    assert!(text.contains("it is empty") && text.contains("begins with `#`"), "{text}");
    let text = said(&File(PathBuf::from("/nowhere/partners.txt")));
    assert!(text.contains("`/nowhere/partners.txt` cannot be read: No such file"), "{text}");
}
