//! Checks of keepalived that name HAProxy or go through it, and what takes their place: asking `/vip`.
//!
//! A check that looks for HAProxy's process lets go of the address for good once HAProxy is gone. One
//! that goes through the balancer lets go of it when the masters are down, although the other host
//! reaches none of them either.

use crate::Host;
use eclusa_config::plan::Program;
use serde_json::{Value, json};
use std::fmt::Write;

/// What was found in a keepalived.conf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// The name of the file.
    pub file: String,
    /// In order.
    pub found: Vec<Found>,
    /// Where `/vip` is asked.
    pub url: String,
    /// Addresses of the other hosts (`unicast_peer`).
    pub peers: Vec<String>,
}

/// A check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The line of `script` or `process`, from 1.
    pub line: usize,
    /// `vrrp_script` or `vrrp_track_process`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What it runs or looks for.
    pub runs: String,
    /// Why it must not stay.
    pub why: String,
}

/// Looks through a keepalived.conf. `ports`: where the balancer listens.
#[must_use]
pub fn look(program: Program, file: &str, text: &str, ports: &[u16], host: &dyn Host) -> Looked {
    let own = if program == Program::Apiserver { 9643 } else { 9644 };
    let mut looked = Looked {
        file: file.to_owned(),
        found: Vec::new(),
        url: format!("http://127.0.0.1:{own}/vip"),
        peers: Vec::new(),
    };
    let addresses = virtual_addresses(text);
    let mut blocks: Vec<Vec<String>> = Vec::new();
    // The words since the last brace or line end; those of the line before, for a brace on its own.
    let (mut statement, mut before): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        let line = line.split(['#', '!']).next().unwrap_or_default();
        for word in line.replace('{', " { ").replace('}', " } ").split_whitespace() {
            match word {
                "{" => {
                    let head = std::mem::take(&mut statement);
                    blocks.push(if head.is_empty() { std::mem::take(&mut before) } else { head });
                }
                "}" => {
                    let words = std::mem::take(&mut statement);
                    looked.statement((index + 1, &words), &blocks, (ports, &addresses), host);
                    blocks.pop();
                }
                word => statement.push(word.to_owned()),
            }
        }
        let words = std::mem::take(&mut statement);
        looked.statement((index + 1, &words), &blocks, (ports, &addresses), host);
        before = words;
    }
    looked
}

fn is_address(word: &str) -> bool {
    word.parse::<std::net::IpAddr>().is_ok()
}

/// The addresses that move.
fn virtual_addresses(text: &str) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        inside =
            (inside && !line.contains('}')) || line.trim_start().starts_with("virtual_ipaddress");
        for word in line.split_whitespace().filter(|_| inside) {
            let bare = word.split('/').next().unwrap_or(word);
            if is_address(bare) {
                found.push(bare.to_owned());
            }
        }
    }
    found
}

/// Why a script must not stay; the text of a file that it runs counts, too.
fn reason(runs: &str, ports: &[u16], addresses: &[String], host: &dyn Host) -> Option<String> {
    if let Some(why) = of_text(runs, ports, addresses) {
        return Some(why.to_owned());
    }
    let paths = runs.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
    for path in paths.filter(|word| word.starts_with('/') && !word.starts_with("/usr/bin/")) {
        if path.contains("haproxy") {
            return Some("its name says that it looks for HAProxy".to_owned());
        }
        if let Some(why) = host.read(path).and_then(|text| of_text(&text, ports, addresses)) {
            return Some(format!("{path}: {why}"));
        }
    }
    None
}

fn of_text(text: &str, ports: &[u16], addresses: &[String]) -> Option<&'static str> {
    if text.contains("/vip") {
        return None;
    }
    if text.contains("haproxy") {
        return Some("it looks for HAProxy, which will not be there");
    }
    let asks = ["curl", "wget", "nc ", "ncat", "/dev/tcp", "telnet", "openssl s_client"];
    let number = |port: &u16| {
        let port = port.to_string();
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        text.match_indices(&port).any(|(at, _)| {
            !digit(text[..at].chars().next_back()) && !digit(text[at + port.len()..].chars().next())
        })
    };
    let through = ports.iter().any(number) || addresses.iter().any(|it| text.contains(it.as_str()));
    (through && asks.iter().any(|word| text.contains(word))).then_some(
        "it goes through the balancer: when no endpoint answers it lets go of the address, although the \
         other host reaches none either",
    )
}

impl Looked {
    /// A statement inside of blocks.
    fn statement(
        &mut self,
        (line, words): (usize, &[String]),
        blocks: &[Vec<String>],
        (ports, addresses): (&[u16], &[String]),
        host: &dyn Host,
    ) {
        let inner = blocks.last().and_then(|block| block.first()).map(String::as_str);
        if inner == Some("unicast_peer") {
            self.peers.extend(words.iter().filter(|word| is_address(word)).cloned());
        }
        let [kind, name, ..] = blocks.first().map_or(&[][..], Vec::as_slice) else { return };
        let Some((word, rest)) = words.split_first().filter(|(_, rest)| !rest.is_empty()) else {
            return;
        };
        let runs = rest.join(" ").trim_matches(['"', '\'']).to_owned();
        let why = match (kind.as_str(), word.as_str()) {
            ("vrrp_script", "script") => reason(&runs, ports, addresses, host),
            ("vrrp_track_process", "process") if runs.contains("haproxy") => {
                Some("it looks for HAProxy's process, which will not be there".to_owned())
            }
            _ => None,
        };
        let (kind, name) = (kind.clone(), name.clone());
        self.found.extend(why.map(|why| Found { line, kind, name, runs, why }));
    }

    /// What takes the place of a check.
    #[must_use]
    pub fn instead(&self, found: &Found) -> String {
        format!(
            "vrrp_script {} {{\n    script \"/usr/bin/curl --fail --silent --max-time 2 --output /dev/null \
             {}\"\n    user nobody\n    interval 2\n    timeout 3\n    fall 2\n    rise 2\n}}\n",
            found.name, self.url
        )
    }

    /// For people.
    #[must_use]
    pub fn human(&self) -> String {
        let mut text = String::new();
        if self.found.is_empty() {
            let _ = writeln!(text, "{}: no check names HAProxy or goes through it", self.file);
            return text;
        }
        for found in &self.found {
            let _ = writeln!(
                text,
                "{}:{}  {} {}: {}",
                self.file, found.line, found.kind, found.name, found.runs
            );
            let _ = writeln!(text, "  {}", found.why);
            let _ = writeln!(
                text,
                "  write instead (without `weight`: a check that fails lets go of the address):"
            );
            text.push_str(&self.instead(found));
            if found.kind == "vrrp_track_process" {
                let _ = writeln!(
                    text,
                    "  and track it by `track_script {{ {} }}` in place of `track_process`",
                    found.name
                );
            }
        }
        let peer = self.peers.first().map_or("the other host", String::as_str);
        let _ = writeln!(
            text,
            "`/vip` says no only while this host reaches no endpoint and {peer} does: `observe.peer` must \
             name that one's `observe.listen` (docs/metrics.md)"
        );
        text
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let found: Vec<_> = self
            .found
            .iter()
            .map(|found| {
                json!({
                    "line": found.line,
                    "kind": found.kind,
                    "name": found.name,
                    "runs": found.runs,
                    "why": found.why,
                    "instead": self.instead(found),
                })
            })
            .collect();
        json!({ "file": self.file, "found": found, "peers": self.peers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Elsewhere;

    const CONF: &str = r#"
vrrp_script chk_haproxy {   # by process
    script "killall -0 haproxy"
    interval 2
    weight -20
}
vrrp_script through {
    script "/usr/bin/curl -k https://10.0.0.10:6443/healthz"
}
vrrp_script other {
    script "/usr/bin/curl http://127.0.0.1:9100/"
}
vrrp_script ours {
    script "/usr/bin/curl --fail http://127.0.0.1:9643/vip"
}
vrrp_track_process gone { process haproxy
}
vrrp_script file { script "/etc/keepalived/check_apiserver.sh" }
vrrp_instance a {
    unicast_peer {
        10.0.0.9
    }
    virtual_ipaddress {
        10.0.0.10/22
    }
}
"#;

    struct Files;

    impl Host for Files {
        fn read(&self, path: &str) -> Option<String> {
            (path == "/etc/keepalived/check_apiserver.sh").then(|| {
                "#!/bin/sh\ncurl -sfk https://localhost:6443/healthz || exit 1\n".to_owned()
            })
        }
    }

    #[test]
    fn checks_that_must_not_stay_are_found() {
        let looked = look(Program::Apiserver, "k.conf", CONF, &[6443], &Files);
        let names: Vec<_> = looked.found.iter().map(|found| found.name.as_str()).collect();
        assert_eq!(names, ["chk_haproxy", "through", "gone", "file"]);
        assert_eq!(looked.found[0].line, 3);
        assert_eq!(looked.peers, ["10.0.0.9"]);
        let human = looked.human();
        assert!(human.contains("k.conf:3  vrrp_script chk_haproxy: killall -0 haproxy"), "{human}");
        assert!(human.contains("http://127.0.0.1:9643/vip"), "{human}");
        assert!(human.contains("track_script { gone }"), "{human}");
        assert_eq!(looked.json()["found"].as_array().unwrap().len(), 4);
    }

    #[test]
    fn what_is_fine_stays() {
        let looked = look(
            Program::Edge,
            "k.conf",
            "vrrp_script a { script \"/bin/true\" }",
            &[443],
            &Elsewhere,
        );
        assert!(looked.found.is_empty());
        assert!(looked.human().contains("no check names HAProxy"));
    }
}
