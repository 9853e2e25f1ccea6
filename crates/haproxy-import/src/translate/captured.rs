//! What HAProxy captures of requests for its log.

use super::pool::pair;
use super::template;
use crate::model::acl::parenthesis;
use crate::model::{Proxy, Stage};
use crate::report::{Kind, Ledger};
use crate::toml;

/// `capture request header` and rules that capture, as what lines of the log have.
pub(super) fn read(front: &Proxy, ledger: &mut Ledger) -> Option<(String, String)> {
    let mut names: Vec<String> = Vec::new();
    let mut log = |name: &str, line: usize, ledger: &mut Ledger| {
        let name = name.trim().to_ascii_lowercase();
        if !template::is_field(&name) || name.contains("cookie") || name.contains("authorization") {
            let note = "it wrote a secret, or no header field, into the log; now nothing does; see who \
                        reads it";
            return ledger.tell(line, Kind::Unsupported, note);
        }
        let note = "`http.log_headers`: up to 256 bytes of it, whatever `len` says";
        ledger.tell(line, Kind::Improved, note);
        if !names.contains(&name) {
            names.push(name);
        }
    };
    for set in &front.captures {
        let words: Vec<&str> = set.value.iter().map(String::as_str).collect();
        match words[..] {
            ["request", "header", name, "len", _] => log(name, set.line, ledger),
            _ => {
                let note = "it wrote a cookie, or a field of the answer, into the log; now the log has \
                            fields of the request alone; log them in the application";
                ledger.tell(set.line, Kind::Unsupported, note);
            }
        }
    }
    for rule in front.rules_of(Stage::Request).filter(|rule| rule.when.is_none()) {
        let words: Vec<&str> = rule.words.iter().map(String::as_str).collect();
        let ["capture", sample, "len", _] = words[..] else { continue };
        if let ("hdr" | "req.hdr" | "req.fhdr", Some(name)) = parenthesis(sample) {
            log(name, rule.line, ledger);
        }
    }
    let names: Vec<_> = names.iter().map(|name| toml::text(name)).collect();
    (!names.is_empty()).then(|| pair("log_headers", toml::inline_list(&names)))
}
