//! `doctor` and `support-bundle` against what they are for: real listeners that want a PROXY header or
//! none, a host that is not in order, masters of which each has something else; and a bundle without secrets.

mod bundle;
mod edge;
mod masters;
mod migration;

use e2e::product::ConfigFile;
use eclusa_testkit::netns::Host;
use eclusa_testkit::process::binary;
use serde_json::Value;
use std::path::Path;

/// What `doctor --json` has said.
struct Report {
    code: Option<i32>,
    report: Value,
}

impl Report {
    /// Asks on a host, as root. `options`: beside the file.
    #[track_caller]
    fn on(host: &Host, program: &str, file: &Path, options: &[&str]) -> Self {
        let mut command = host.command(binary(program).unwrap());
        command.args(["doctor", "--json", "-c"]).arg(file).args(options);
        let output = command.output().unwrap();
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{error}: {}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()))
        });
        Self { code: output.status.code(), report }
    }

    fn findings(&self) -> impl Iterator<Item = &Value> {
        self.report["findings"].as_array().into_iter().flatten()
    }

    /// What a check has told that is no `ok` and has these words in it.
    fn told(&self, check: &str, words: &[&str]) -> Vec<&Value> {
        let is_it = |finding: &&Value| {
            let text = finding.to_string();
            finding["check"] == check
                && finding["severity"] != "ok"
                && words.iter().all(|word| text.contains(word))
        };
        self.findings().filter(is_it).collect()
    }

    /// The one finding of a check with these words, of this severity, with a remedy.
    #[track_caller]
    fn one(&self, check: &str, severity: &str, words: &[&str]) -> &Value {
        let told = self.told(check, words);
        assert_eq!(told.len(), 1, "{check} {words:?}: {:#}", self.report);
        assert_eq!(told[0]["severity"], severity, "{:#}", told[0]);
        assert!(
            told[0]["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()),
            "{:#}",
            told[0]
        );
        told[0]
    }
}

/// A report of a file that nobody runs.
#[track_caller]
fn offline(host: &Host, program: &str, text: &str) -> Report {
    let file = ConfigFile::new(text);
    Report::on(host, program, file.path(), &["--offline"])
}
