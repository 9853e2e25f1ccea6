//! The bundle of a running service whose configuration has a secret wherever one may stand.

use e2e::product::Program;
use e2e::proof::Item;
use eclusa_testkit::ca::Ca;
use eclusa_testkit::netns::{Cluster, Shape, skipped};
use eclusa_testkit::process::{Scratch, binary};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A bcrypt hash, as `htpasswd -B` writes one.
const HASH: &str = "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";

/// The secrets that stand in the configuration, all of the same make.
const PLANTED: usize = 13;

fn secret(number: usize) -> String {
    format!("s3cr3t-{number:02}-qz")
}

fn config(certificates: &Path, token: &Path) -> String {
    let s = secret;
    format!(
        "# the password is {}\nworkers = 1\nobserve = {{ listen = [\"192.168.1.2:9644\"] }}\n\
         dashboard = {{ listen = [\"127.0.0.1:9902\"], token_file = {token:?} }}\n\
         [listener.web]\nlisten = [\"192.168.1.2:443\"]\npool = \"web\"\nhttp = true\n\
         tls = {{ certificates = [{certificates:?}] }}   # and {}\n\
         [[listener.web.rule]]\npath = [\"/hook/{}\"]\nset_header = {{ Authorization = \"Bearer {}\" }}\n\
         [[listener.web.rule]]\nheader = {{ X-Api-Key = \"{}\" }}\nredirect = {{ path = \"/x?key={}\" }}\n\
         [[listener.web.rule]]\nquery = {{ key = {{ prefix = [\"{}\"] }} }}\nanswer = {{ body = \"{}\" }}\n\
         [[listener.web.rule]]\ncookie = {{ session = \"{}\" }}\nset_response_header = {{ X-Key = \"{}\" }}\n\
         [[listener.web.rule]]\npath_prefix = [\"/admin\"]\n\
         basic_auth = {{ realm = \"{}\", users = [\"alice:{HASH}\"] }}\n\
         [pool.web]\nendpoints = [\"10.0.1.100:80\"]\nprobe = {{ kind = \"http\", path = \"/up?key={}\" }}\n\
         [[expect]]\nfrom = \"203.0.113.7\"\nlistener = \"web\"\nhost = \"a.test\"\npath = \"/hook/{}\"\npool = \"web\"\n",
        s(0),
        s(1),
        s(2),
        s(3),
        s(4),
        s(5),
        s(6),
        s(7),
        s(8),
        s(9),
        s(10),
        s(11),
        s(12)
    )
}

/// An archive that was read back.
struct Archive {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Archive {
    fn has(&self, text: &str) -> bool {
        self.bytes.windows(text.len()).any(|part| part == text.as_bytes())
    }

    /// A member of it, by `tar`.
    #[track_caller]
    fn part(&self, name: &str) -> String {
        let wanted = format!("*/{name}");
        let mut tar = Command::new("tar");
        let output =
            tar.arg("-xOf").arg(&self.path).args(["--wildcards", &wanted]).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.part(name)).unwrap()
    }
}

#[test]
fn a_bundle_has_what_helps_and_no_secret() {
    if skipped("a_bundle_has_what_helps_and_no_secret") {
        return;
    }
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let host = cluster.host("edge");
    let scratch = Scratch::new("bundle").unwrap();
    let leaf = Ca::new().leaf(&["a.test"]);
    let files = leaf.write(scratch.path(), "a").unwrap();
    let token = scratch.write("token", "d4shboard-token-of-many-letters\n").unwrap();
    let text = config(&files.certificate, &token);
    let edge = Program::Edge.start(Some(&host), &text);
    let socket = edge.run_directory().join("edge.sock");
    let run = |words: &[&str]| {
        let mut command = host.command(binary("eclusa-edge").unwrap());
        command.args(words).arg("--socket").arg(&socket).current_dir(scratch.path());
        command.output().unwrap()
    };
    // A reload that is refused quotes the line that it does not understand; then the file is right again.
    let file = edge.config().unwrap();
    std::fs::write(file, text.replace("realm = ", "realme = ")).unwrap();
    assert_eq!(run(&["reload"]).status.code(), Some(1));
    std::fs::write(file, &text).unwrap();
    let path = scratch.path().join("b.tar");
    let wanted = ["support-bundle", "-o", path.to_str().unwrap(), "-c", file.to_str().unwrap()];
    let output = run(&wanted);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    // What is there already is not written over.
    assert_eq!(run(&wanted).status.code(), Some(1));
    let archive = Archive { bytes: std::fs::read(&path).unwrap(), path };
    let mut secrets: Vec<String> = (0..PLANTED).map(secret).collect();
    secrets.extend([HASH.to_owned(), "d4shboard-token".to_owned()]);
    let key = leaf.key_pem.lines().filter(|line| !line.starts_with('-'));
    secrets.extend(key.map(str::to_owned));
    let leaked: Vec<_> = secrets.iter().filter(|secret| archive.has(secret)).collect();
    assert!(leaked.is_empty(), "{leaked:?}");
    is_of_use(&archive);
    Item::new("8.3 a support bundle of a configuration full of secrets")
        .bound("none of them in its bytes; mode 0600; all parts but the unit's, which is not installed")
        .n(secrets.len())
        .record(leaked.is_empty(), format!("0 found, {} KiB", archive.bytes.len() / 1024));
}

/// The form of the file, the refused reload with its place, figures, what was ordered.
fn is_of_use(archive: &Archive) {
    let manifest = archive.json("manifest.json");
    let members = manifest["members"].as_array().unwrap().iter();
    let missing: Vec<_> = members
        .filter(|it| it["missing"].is_string())
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    // No package is installed here.
    assert_eq!(missing, ["unit.txt"], "{manifest:#}");
    let configuration = archive.part("configuration.toml");
    let listen = "listen = [\"192.168.1.2:443\"]";
    for kept in [listen, "Authorization = \"<redacted-", "endpoints = [\"10.0.1.100:80\"]"] {
        assert!(configuration.contains(kept), "{kept} not in:\n{configuration}");
    }
    let audit = archive.json("audit.json");
    let refused = audit["events"].as_array().unwrap().iter().any(|event| {
        let message = event["message"].as_str().unwrap_or_default();
        let is_told = message.contains("eclusa.toml:") && message.contains("error: ");
        event["event"] == "reload_refused" && is_told
    });
    assert!(refused, "{audit:#}");
    assert_eq!(archive.json("status.json")["program"], "eclusa-edge");
    let examined = archive.json("doctor.json");
    assert!(examined["findings"].as_array().is_some_and(|found| found.len() > 10), "{examined:#}");
    assert!(archive.part("metrics.txt").contains("\neclusa_"), "{}", archive.part("metrics.txt"));
    assert!(archive.part("sysctl.txt").contains("net.core.somaxconn = "));
}
