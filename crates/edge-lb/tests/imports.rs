//! `import`, by running it.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

const COMPLETE: &str = "\
# the web
frontend web
    mode tcp
    bind 127.0.0.1:8000
    default_backend pages
backend pages
    mode tcp
    server a 127.0.0.1:8001 check
";

fn output(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_eclusa-edge"));
    let Output { status, stdout, stderr } = program.args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// A directory of the test's own, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("eclusa-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_is_complete_ends_with_0_and_passes_the_check() {
    let folder = Folder::new("import-complete");
    let file = folder.write("haproxy.cfg", COMPLETE);
    let (code, toml, report) = output(&["import", &file]);
    assert_eq!(code, Some(0), "{report}");
    assert!(toml.contains("# the web\n[listener.web]\n"), "{toml}");
    assert!(report.ends_with("; complete\n"), "{report}");
    let out = folder.0.join("edge.toml");
    let out = out.to_str().unwrap();
    let (code, nothing, _) = output(&["import", &file, "-o", out]);
    assert_eq!((code, nothing.as_str()), (Some(0), ""));
    assert_eq!(fs::read_to_string(out).unwrap(), toml);
    let (code, _, wrong) = output(&["check", "--offline", "-c", out]);
    assert_eq!((code, wrong.as_str()), (Some(0), ""));
    // What somebody may have edited since is not overwritten.
    let (code, _, wrong) = output(&["import", &file, "-o", out]);
    assert_eq!(code, Some(2));
    assert!(wrong.contains("is not overwritten"), "{wrong}");
}

#[test]
fn what_is_lost_ends_with_1_and_what_cannot_be_read_with_2() {
    let folder = Folder::new("import-codes");
    let lossy = folder.write("a.cfg", &format!("{COMPLETE}    server b 127.0.0.1:8002 check send-proxy-v2 proxy-v2-options authority,ssl\n"));
    let (code, _, report) = output(&["import", &lossy]);
    assert_eq!(code, Some(1));
    assert!(report.contains("a.cfg:9") && report.contains("unsupported  server b"), "{report}");
    let (code, out, wrong) = output(&["import", "/nowhere/haproxy.cfg"]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(wrong.contains("/nowhere/haproxy.cfg: cannot be read"), "{wrong}");
    let empty = Folder::new("import-empty");
    let (code, _, wrong) = output(&["import", empty.0.to_str().unwrap()]);
    assert_eq!(code, Some(2));
    assert!(wrong.contains("no file in it ends in `.cfg`"), "{wrong}");
}

#[test]
fn directories_are_read_in_order_and_variables_are_those_of_the_command() {
    let folder = Folder::new("import-order");
    let (front, back) = COMPLETE.split_at(COMPLETE.find("\nbackend pages").unwrap() + 1);
    folder.write("20-back.cfg", back);
    folder.write("10-front.cfg", &front.replace("127.0.0.1:8000", "\"127.0.0.1:${WEB_PORT}\""));
    folder.write("30-none.txt", "nonsense");
    folder.write(".hidden.cfg", "nonsense");
    let mut program = Command::new(env!("CARGO_BIN_EXE_eclusa-edge"));
    let path = folder.0.to_str().unwrap();
    let Output { status, stdout, stderr } =
        program.args(["import", path]).env("WEB_PORT", "8080").output().unwrap();
    let (toml, report) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert_eq!(status.code(), Some(0), "{report}");
    assert!(toml.contains("listen = [\"127.0.0.1:8080\"]"), "{toml}");
    let at = |name: &str| report.find(name).unwrap();
    assert!(at("10-front.cfg:2") < at("20-back.cfg:1"), "{report}");
}

#[test]
fn reports_are_for_programs_and_beside_the_source_too() {
    let folder = Folder::new("import-forms");
    let file = folder.write("haproxy.cfg", COMPLETE);
    let conf =
        folder.write("keepalived.conf", "vrrp_script chk {\n    script \"pidof haproxy\"\n}\n");
    let (code, toml, json) = output(&["import", &file, "--report", "json", "--keepalived", &conf]);
    assert_eq!(code, Some(0));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["counts"]["unsupported"], 0);
    assert_eq!(json["lines"][0]["line"], 2);
    assert_eq!(json["keepalived"]["found"][0]["line"], 2);
    assert!(json["keepalived"]["found"][0]["instead"].as_str().unwrap().contains("/vip"));
    assert!(toml.contains("[observe]\nlisten = [\"127.0.0.1:9644\"]"), "{toml}");
    let (_, _, source) = output(&["import", &file, "--report", "source"]);
    assert!(source.starts_with("  # the web\n= frontend web\n"), "{source}");
}
