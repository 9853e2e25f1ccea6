//! What a haproxy.cfg says, section by section: defaults inherited, last words winning, options of
//! `default-server` handed on. Lines are known by their number in the sources; what each becomes is
//! written down when it is made use of.

pub(crate) mod acl;
pub(crate) mod endpoint;
pub(crate) mod global;
mod inherit;
mod keywords;

use crate::report::{Kind, Ledger};
use crate::sections::{Section, Sources};
use crate::table::{OTHER_SECTIONS, find};
use acl::{Acl, Condition};
use endpoint::{Bind, Endpoint, Settings};
use global::{Global, LogLine};
use std::collections::{BTreeMap, HashMap};

/// A value and the line that says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Set<T> {
    pub(crate) value: T,
    pub(crate) line: usize,
}

/// What a section of proxies is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    #[default]
    Defaults,
    /// `frontend`
    Front,
    /// `backend`
    Back,
    /// `listen`: both.
    Both,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    #[default]
    Tcp,
    Http,
}

/// How endpoints are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CheckKind {
    Tcp,
    Hello,
    Http,
    /// One of those that the probe cannot do.
    Other,
}

/// `http-request ...`, `http-response ...`, `tcp-request ...`, `redirect ...`
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// The words up to the condition, without those that name the list.
    pub(crate) words: Vec<String>,
    pub(crate) when: Option<Condition>,
    pub(crate) line: usize,
}

/// Which list of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Connection,
    Request,
    /// `redirect`, which comes behind `http-request`.
    Redirect,
    Response,
    /// `stats http-request`, `stats admin`.
    Stats,
}

/// `use_backend NAME if ...`
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) pool: String,
    pub(crate) when: Option<Condition>,
    pub(crate) line: usize,
}

/// An option that is on or off.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flag {
    pub(crate) on: bool,
    pub(crate) words: Vec<String>,
    pub(crate) line: usize,
}

/// A `frontend`, `backend`, `listen` or `defaults`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxy {
    pub(crate) role: Role,
    pub(crate) name: String,
    pub(crate) head: usize,
    /// Its own lines, in order.
    pub(crate) lines: Vec<usize>,
    pub(crate) mode: Option<Set<Mode>>,
    /// `timeout NAME`, in milliseconds.
    pub(crate) times: BTreeMap<String, Set<u64>>,
    /// `retries`, `maxconn` and others.
    pub(crate) numbers: BTreeMap<&'static str, Set<u64>>,
    /// Words of which the last line counts, with what follows them.
    pub(crate) words: BTreeMap<String, Set<Vec<String>>>,
    pub(crate) options: BTreeMap<String, Flag>,
    pub(crate) check: Option<Set<CheckKind>>,
    /// Lines of `http-check` and `tcp-check`.
    pub(crate) checks: Vec<Set<Vec<String>>>,
    pub(crate) binds: Vec<Bind>,
    /// `bind` of addresses of QUIC.
    pub(crate) quic: Vec<Set<Vec<String>>>,
    pub(crate) endpoints: Vec<Endpoint>,
    /// Endpoints at places that are not carried over.
    pub(crate) lost: usize,
    pub(crate) usual: Settings,
    pub(crate) acls: Vec<Acl>,
    pub(crate) rules: Vec<(Stage, Rule)>,
    pub(crate) routes: Vec<Route>,
    /// `compression` with its words.
    pub(crate) compression: Vec<Set<Vec<String>>>,
    /// `capture` with its words.
    pub(crate) captures: Vec<Set<Vec<String>>>,
    /// `stats` with its words.
    pub(crate) stats: Vec<Set<Vec<String>>>,
    /// Status, path and line of error pages.
    pub(crate) pages: Vec<(u16, String, usize)>,
    pub(crate) logs: Vec<LogLine>,
    pub(crate) disabled: Option<usize>,
}

impl Proxy {
    pub(crate) fn is_front(&self) -> bool {
        matches!(self.role, Role::Front | Role::Both)
    }

    pub(crate) fn is_back(&self) -> bool {
        matches!(self.role, Role::Back | Role::Both)
    }

    pub(crate) fn is_http(&self) -> bool {
        self.mode.as_ref().is_some_and(|mode| mode.value == Mode::Http)
    }

    /// An option that is on.
    pub(crate) fn option(&self, name: &str) -> Option<&Flag> {
        self.options.get(name).filter(|flag| flag.on)
    }

    pub(crate) fn time(&self, name: &str) -> Option<&Set<u64>> {
        self.times.get(name)
    }

    pub(crate) fn rules_of(&self, stage: Stage) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(move |(of, _)| *of == stage).map(|(_, rule)| rule)
    }

    /// `stats NAME`, the last of them.
    pub(crate) fn stat(&self, name: &str) -> Option<&Set<Vec<String>>> {
        self.stats.iter().rev().find(|set| set.value.first().is_some_and(|word| word == name))
    }

    /// Whether HAProxy's page is served here.
    pub(crate) fn has_stats(&self) -> bool {
        ["enable", "uri", "auth", "realm", "scope"].iter().any(|name| self.stat(name).is_some())
    }

    /// What section it is, in HAProxy's words.
    pub(crate) fn kind(&self) -> &'static str {
        match self.role {
            Role::Defaults => "defaults",
            Role::Front => "frontend",
            Role::Back => "backend",
            Role::Both => "listen",
        }
    }
}

/// Users with their passwords.
#[derive(Clone, Debug, Default)]
pub(crate) struct UserList {
    pub(crate) name: String,
    pub(crate) head: usize,
    pub(crate) users: Vec<User>,
    /// The lines `group`.
    pub(crate) groups: Vec<usize>,
}

#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) name: String,
    /// The hash; `None`: the password is written in the clear.
    pub(crate) hash: Option<String>,
    pub(crate) line: usize,
}

/// `load crt FILE` of a `crt-store`.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// `@STORE/FILE`, or an alias.
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) lines: Vec<usize>,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    pub(crate) global: Global,
    /// Without `defaults`.
    pub(crate) proxies: Vec<Proxy>,
    pub(crate) users: Vec<UserList>,
    pub(crate) stored: Vec<Stored>,
    /// Sections with endpoints by their names; of several the first.
    pub(crate) backs: HashMap<String, usize>,
}

impl Config {
    /// The ports that clients come in by.
    pub(crate) fn ports(&self) -> Vec<u16> {
        let binds = self.proxies.iter().flat_map(|proxy| &proxy.binds);
        let places = binds.flat_map(|bind| &bind.places);
        let mut ports: Vec<u16> = places.filter_map(|place| place.port.one()).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }
}

/// Reads all sections.
pub(crate) fn read(sources: &Sources, ledger: &mut Ledger) -> Config {
    let mut config = Config::default();
    let mut defaults = inherit::Known::default();
    for section in &sources.sections {
        match section.kind.as_str() {
            "" => outside(section, ledger),
            "global" => {
                ledger.same(section.head);
                global::read(&mut config.global, sources, section, ledger);
            }
            "defaults" | "frontend" | "backend" | "listen" => {
                let mut proxy = defaults.begin(sources, section, ledger);
                for line in &section.lines {
                    keywords::read(&mut proxy, &sources.lines[*line], *line, ledger);
                }
                match proxy.role {
                    Role::Defaults => defaults.add(proxy),
                    _ => config.proxies.push(proxy),
                }
            }
            "userlist" => config.users.push(user_list(sources, section, ledger)),
            "crt-store" => crt_store(&mut config.stored, sources, section, ledger),
            _ => other(sources, section, ledger),
        }
    }
    for (index, proxy) in config.proxies.iter().enumerate() {
        if proxy.is_back() && proxy.disabled.is_none() {
            config.backs.entry(proxy.name.clone()).or_insert(index);
        }
    }
    config
}

fn outside(section: &Section, ledger: &mut Ledger) {
    for line in section.lines.iter().filter(|line| !ledger.is_judged(**line)).collect::<Vec<_>>() {
        let note = "it stands in no section: HAProxy refuses it";
        ledger.tell(*line, Kind::Unsupported, note);
    }
}

/// A section of which nothing is carried over.
fn other(sources: &Sources, section: &Section, ledger: &mut Ledger) {
    let row = find(OTHER_SECTIONS, &section.kind);
    let (kind, says) = row.map_or((Kind::Unsupported, "a section that is not known"), |row| {
        (row.fate.kind().unwrap_or(Kind::Unsupported), row.says)
    });
    for line in std::iter::once(&section.head).chain(&section.lines) {
        let is_resolver = section.kind == "resolvers"
            && sources.lines[*line].words.first().is_some_and(|word| word == "nameserver");
        if is_resolver {
            let note = "names were asked of this server; now the host's own resolver is asked \
                        (`/etc/resolv.conf`); write the server there, if it knows names that others do not";
            ledger.tell(*line, Kind::Unsupported, note);
        } else if !ledger.is_judged(*line) {
            ledger.tell(*line, kind, says);
        }
    }
}

fn user_list(sources: &Sources, section: &Section, ledger: &mut Ledger) -> UserList {
    let mut list =
        UserList { name: section.name.clone(), head: section.head, ..UserList::default() };
    ledger.known(section.head);
    for line in &section.lines {
        let words: Vec<&str> = sources.lines[*line].words.iter().map(String::as_str).collect();
        let after = |key: &str| words.iter().skip_while(move |word| **word != key).nth(1).copied();
        match words[..] {
            ["user", name, ..] => {
                let hash = after("password").map(str::to_owned);
                list.users.push(User { name: name.to_owned(), hash, line: *line });
                ledger.known(*line);
            }
            ["group", ..] => {
                list.groups.push(*line);
                ledger.known(*line);
            }
            _ => {}
        }
    }
    list
}

fn crt_store(stored: &mut Vec<Stored>, sources: &Sources, section: &Section, ledger: &mut Ledger) {
    ledger.known(section.head);
    let (mut base, mut lines) = (String::new(), vec![section.head]);
    for line in &section.lines {
        let words: Vec<&str> = sources.lines[*line].words.iter().map(String::as_str).collect();
        ledger.known(*line);
        match words[..] {
            ["crt-base", path, ..] => {
                path.clone_into(&mut base);
                lines.push(*line);
            }
            ["key-base", ..] => lines.push(*line),
            ["load", ..] => {
                let after = |key: &str| words.iter().skip_while(|w| **w != key).nth(1).copied();
                let Some(file) = after("crt") else { continue };
                let path = if file.starts_with('/') || base.is_empty() {
                    file.to_owned()
                } else {
                    format!("{}/{file}", base.trim_end_matches('/'))
                };
                let called = after("alias").unwrap_or(file);
                let name = if section.name.is_empty() {
                    format!("@/{called}")
                } else {
                    format!("@{}/{called}", section.name)
                };
                let lines = lines.iter().chain([line]).copied().collect();
                stored.push(Stored { name, path, lines });
            }
            _ => {}
        }
    }
}
