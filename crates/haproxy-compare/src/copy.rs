//! haproxy.cfg for the bed: addresses moved to loopback, and everything left out by which HAProxy would
//! reach out of it: its user and root, its log, sockets, peers, resolvers, programs, and all code that it
//! would load. Lines keep their numbers.

mod code;
mod options;
mod words;

use crate::layout::{Layout, Side};
use crate::material::{HASH, Material, PASSWORD, is_here};
use code::Code;
use eclusa_haproxy_import::File;
use eclusa_haproxy_import::lexer::lex;
use eclusa_haproxy_import::outline::{Outline, Port};
use options::{Options, without};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use words::line;

/// Words of `global` that concern the process, or what is outside of it.
const GLOBAL: [&str; 32] = [
    "chroot",
    "cluster-secret",
    "cpu-map",
    "daemon",
    "default-path",
    "external-check",
    "fd-hard-limit",
    "gid",
    "group",
    "grace",
    "hard-stop-after",
    "insecure-fork-wanted",
    "localpeer",
    "log",
    "log-send-hostname",
    "master-worker",
    "maxconn",
    "mworker-max-reloads",
    "nbthread",
    "noreuseport",
    "numa-cpu-mapping",
    "pidfile",
    "server-state-base",
    "server-state-file",
    "set-dumpable",
    "setcap",
    "stats",
    "uid",
    "ulimit-n",
    "unix-bind",
    "user",
    "strict-limits",
];

/// Words of sections of proxies that do.
const PROXY: [&str; 7] = [
    "bind-process",
    "email-alert",
    "external-check",
    "load-server-state-from-file",
    "log",
    "server-state-file-name",
    "source",
];

/// Options of theirs that run programs, or connect wherever a client wants.
const SWITCHES: [&str; 3] = ["external-check", "http_proxy", "transparent"];

/// Options of endpoints by which HAProxy would reach out of the bed, and times of checks.
const ENDPOINT: [&str; 21] = [
    "addr",
    "agent-addr",
    "agent-check",
    "agent-inter",
    "agent-port",
    "agent-send",
    "crl-file",
    "init-addr",
    "log-proto",
    "namespace",
    "port",
    "resolve-net",
    "resolve-opts",
    "resolve-prefer",
    "resolvers",
    "socks4",
    "source",
    "downinter",
    "fastinter",
    "inter",
    "slowstart",
];

/// Sections that reach out of the bed.
const SECTIONS: [&str; 7] =
    ["log-forward", "mailers", "peers", "program", "ring", "traces", "log-profile"];

/// How long HAProxy waits for a ClientHello, holds what it refuses, and waits between checks that decide, in
/// milliseconds.
const SOON: &str = "300";

/// How often HAProxy checks who is well, in milliseconds. It is also how long connecting may take.
const INTERVAL: &str = "2000";

/// The copies, in the order of the files.
pub(crate) struct Copies {
    pub(crate) texts: Vec<String>,
    /// What was left out that has a part in what clients see.
    pub(crate) notes: Vec<String>,
}

/// What becomes of a line.
enum Now {
    Same,
    Words(Vec<String>),
    Gone,
}

/// Makes the copies.
///
/// # Errors
/// A certificate cannot be made.
pub(crate) fn copies(
    files: &[File],
    outline: &Outline,
    layout: &Layout,
    material: &mut Material<'_>,
) -> Result<Copies, String> {
    let tarpits = outline.lines.iter().any(|it| it.words.iter().any(|word| word == "tarpit"));
    let code = Code::of(outline);
    let mut copying = Copying { outline, layout, material, notes: BTreeSet::new(), tarpits, code };
    let mut texts = Vec::new();
    for (file, source) in files.iter().enumerate() {
        let mut text = String::new();
        for (index, written) in source.text.lines().enumerate() {
            // What says nothing is a comment, or blank.
            let now = match outline.line(file, index + 1) {
                Some(id) => copying.now(id)?,
                None => Now::Same,
            };
            match now {
                Now::Same => text.push_str(written),
                Now::Words(words) => text.push_str(&line(&words)),
                Now::Gone => text.push_str("# left out on the bed"),
            }
            text.push('\n');
        }
        texts.push(text);
    }
    Ok(Copies { texts, notes: copying.notes.into_iter().collect() })
}

struct Copying<'c, 'm> {
    outline: &'c Outline,
    layout: &'c Layout,
    material: &'c mut Material<'m>,
    notes: BTreeSet<String>,
    /// Something is held before it is refused.
    tarpits: bool,
    code: Code,
}

impl Copying<'_, '_> {
    fn note(&mut self, note: &str) {
        self.notes.insert(note.to_owned());
    }

    fn now(&mut self, id: usize) -> Result<Now, String> {
        let line = &self.outline.lines[id];
        // HAProxy would judge conditions anew, and may take what was not made harmless here.
        if line.is_skipped {
            return Ok(Now::Gone);
        }
        let words = &line.words;
        if words.is_empty() {
            return self.unread(id);
        }
        let (section, _) = &self.outline.sections[id];
        if let Some(note) = self.code.note(section, words) {
            self.note(note);
            return Ok(Now::Gone);
        }
        let bare = match words.split_first() {
            Some((first, rest)) if first == "no" && !rest.is_empty() => rest,
            _ => words.as_slice(),
        };
        let Some((word, rest)) = bare.split_first() else { return Ok(Now::Same) };
        let known = |list: &[&str]| list.contains(&word.as_str());
        Ok(match section.as_str() {
            of if SECTIONS.contains(&of) => Now::Gone,
            "global" if known(&GLOBAL) => Now::Gone,
            // It stays, for newer ones refuse it.
            "global" if word == "nbproc" => Now::Words(vec![word.clone(), "1".to_owned()]),
            "resolvers" if known(&["nameserver", "parse-resolv-conf"]) => Now::Gone,
            "userlist" if word == "user" => user(bare),
            "http-errors" if word == "errorfile" => self.page(words),
            "defaults" | "frontend" | "backend" | "listen" => self.of_proxy(id, word, rest)?,
            _ => Now::Same,
        })
    }

    /// A line without words, which HAProxy is to refuse by itself.
    fn unread(&self, id: usize) -> Result<Now, String> {
        let line = &self.outline.lines[id];
        // One that is too much for us alone could be none that it refuses.
        if !line.text.starts_with('.') && lex(&line.text, &|_| None).is_ok() {
            return Err(format!("`{}` is not read with what its variables bring", line.text));
        }
        Ok(Now::Same)
    }

    fn of_proxy(&mut self, id: usize, word: &str, rest: &[String]) -> Result<Now, String> {
        let words = self.outline.lines[id].words.as_slice();
        let first = rest.first().map_or("", String::as_str);
        Ok(match word {
            _ if PROXY.contains(&word) => Now::Gone,
            "option" if SWITCHES.contains(&first) => {
                self.note("programs that check endpoints are not run: HAProxy connects");
                Now::Gone
            }
            "bind" => self.bind(id, rest)?,
            "server" | "default-server" | "server-template" | "dispatch" => {
                self.endpoint(id, word, rest)?
            }
            "errorfile" | "errorfiles" | "http-error" => self.page(words),
            "timeout" => self.timeout(words),
            "tcp-request" => self.connection(words, rest),
            "http-check" | "tcp-check" if first == "connect" => {
                Now::Words(without(words, &["port", "addr", "via-socks4"]))
            }
            "stick-table" => Now::Words(without(words, &["peers"])),
            "acl" | "http-request" | "http-response" | "use_backend" | "redirect" => {
                self.ports(words)
            }
            _ => Now::Same,
        })
    }

    /// A page that is not on this host: HAProxy would not start.
    fn page(&mut self, words: &[String]) -> Now {
        let missing = words.iter().skip(1).find(|word| word.starts_with('/') && !is_here(word));
        match missing.cloned() {
            Some(path) => {
                self.note(&format!(
                    "{path} is not on this host: HAProxy answers with its own page"
                ));
                Now::Gone
            }
            None => Now::Same,
        }
    }

    fn timeout(&self, words: &[String]) -> Now {
        match words {
            [word, name, _, ..] if name == "tarpit" || (name == "connect" && self.tarpits) => {
                Now::Words(vec![word.clone(), name.clone(), SOON.to_owned()])
            }
            _ => Now::Same,
        }
    }

    fn connection(&mut self, words: &[String], rest: &[String]) -> Now {
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        match rest[..] {
            ["inspect-delay", _] => {
                let now = ["tcp-request", "inspect-delay", SOON];
                Now::Words(now.map(str::to_owned).to_vec())
            }
            ["connection", action, ..] if action.starts_with("expect-") => Now::Gone,
            // Rules of sessions see the address that the PROXY header tells, those of connections
            // see the bed's.
            ["connection", ..] => {
                let mut words = words.to_vec();
                "session".clone_into(&mut words[1]);
                match self.ports(&words) {
                    Now::Words(words) => Now::Words(words),
                    _ => Now::Words(words),
                }
            }
            _ => self.ports(words),
        }
    }

    /// `dst_port`, with the ports of the bed.
    fn ports(&self, words: &[String]) -> Now {
        let Some(at) = words.iter().position(|word| word.starts_with("dst_port")) else {
            return Now::Same;
        };
        let mut now = words[..=at].to_vec();
        for word in &words[at + 1..] {
            let (first, last) = word.split_once(':').unwrap_or((word, word));
            let Ok(first) = first.parse::<u16>() else {
                now.push(word.clone());
                continue;
            };
            let last: u16 = last.parse().unwrap_or(first);
            let known = (first..=last).filter(|port| self.layout.is_port(*port));
            let moved: Vec<String> = known.map(|port| self.layout.port(port).to_string()).collect();
            // A port that nobody comes to holds for nobody.
            if moved.is_empty() { now.push("1".to_owned()) } else { now.extend(moved) }
        }
        Now::Words(now)
    }

    fn bind(&mut self, id: usize, rest: &[String]) -> Result<Now, String> {
        let bed: Vec<String> = self
            .layout
            .opens
            .iter()
            .filter(|open| self.outline.fronts[open.front].openings[open.opening].line == id)
            .map(|open| open.bed[Side::Haproxy as usize].to_string())
            .collect();
        if bed.is_empty() {
            return Ok(Now::Gone);
        }
        let mut options = Options::read(true, rest.get(1..).unwrap_or_default());
        options.remove(&[
            "accept-netscaler-cip",
            "ca-verify-file",
            "crl-file",
            "gid",
            "group",
            "interface",
            "level",
            "mode",
            "namespace",
            "nice",
            "process",
            "shards",
            "thread",
            "transparent",
            "uid",
            "user",
            "v4v6",
            "v6only",
            "tls-ticket-keys",
        ]);
        for (name, arguments) in &mut options.all {
            let Some(path) = arguments.first_mut() else { continue };
            match name.as_str() {
                "crt" | "crt-list" => {
                    let whole = self.outline.path(false, path);
                    if name == "crt-list" && !is_here(&whole) {
                        "crt".clone_into(name);
                    }
                    *path = self.material.certificate(&whole)?;
                }
                "ca-file" => *path = self.material.client_ca(&self.outline.path(true, path)),
                _ => {}
            }
        }
        // Clients tell by a PROXY header who they are: so the copy sees addresses of all networks.
        options.add("accept-proxy", &[]);
        let mut words = vec!["bind".to_owned(), bed.join(",")];
        words.extend(options.into_words());
        Ok(Now::Words(words))
    }

    fn endpoint(&mut self, id: usize, word: &str, rest: &[String]) -> Result<Now, String> {
        let at = match word {
            "server" => 1,
            "server-template" => 2,
            _ => 0,
        };
        let takes_address = word != "default-server";
        let fixed = if takes_address { at + 1 } else { 0 };
        let mut words = vec![word.to_owned()];
        words.extend(rest.iter().take(fixed).cloned());
        let mut checks = true;
        if takes_address && words.len() > fixed {
            (words[at + 1], checks) = self.dialled(id);
        }
        let mut options = Options::read(false, rest.get(fixed..).unwrap_or_default());
        options.remove(&ENDPOINT);
        for (name, arguments) in &mut options.all {
            let Some(path) = arguments.first_mut() else { continue };
            match name.as_str() {
                "crt" => *path = self.material.certificate(&self.outline.path(false, path))?,
                "ca-file" => *path = self.material.ca(),
                _ => {}
            }
        }
        if !checks {
            options.remove(&["check", "track"]);
            if word == "server" {
                options.add("no-check", &[]);
            }
        }
        if word != "dispatch" {
            // When endpoints are asked is no matter of this comparison.
            options.add("inter", &[INTERVAL]);
            options.add("fastinter", &[SOON]);
            options.add("downinter", &[SOON]);
        }
        words.extend(options.into_words());
        Ok(Now::Words(words))
    }

    /// Where HAProxy dials an endpoint, and whether its checks are such that the bed answers them.
    fn dialled(&mut self, id: usize) -> (String, bool) {
        // A socket of this host, or wherever a client wants: nobody answers there on the bed.
        let nowhere = "127.0.0.1:1".to_owned();
        let backs = self.outline.backs.iter().enumerate();
        let mut found = backs.flat_map(|(back, section)| {
            section.members.iter().filter(move |it| it.line == id).map(move |it| (back, it))
        });
        let Some((back, member)) = found.next() else { return (nowhere, false) };
        let host = self.layout.host_of(Side::Haproxy, back, &member.host);
        let address = match (host, member.port) {
            (None, _) | (_, Port::Range(..)) => {
                self.note("endpoints that are wherever clients want to go are left out");
                return (nowhere, false);
            }
            (Some(ip), Port::One(port)) => {
                SocketAddr::new(ip.into(), self.layout.port(port)).to_string()
            }
            (Some(ip), Port::None) => ip.to_string(),
            (Some(ip), Port::Offset(offset)) => format!("{ip}:{offset:+}"),
        };
        let section = &self.outline.backs[back];
        let checks = section.good.is_some();
        if !checks && member.checked {
            let name = section.name.clone();
            self.note(&format!(
                "checks of `{name}` are none that the bed answers: they are left out"
            ));
        }
        (address, checks)
    }
}

/// A user whose password is known here.
fn user(words: &[String]) -> Now {
    let mut now = words.to_vec();
    for at in 1..now.len().saturating_sub(1) {
        let secret = match now[at].as_str() {
            "password" => HASH,
            "insecure-password" => PASSWORD,
            _ => continue,
        };
        secret.clone_into(&mut now[at + 1]);
        break;
    }
    Now::Words(now)
}

#[cfg(test)]
mod tests;
