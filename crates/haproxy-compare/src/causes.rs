//! Why something differs: what the importer's report says of the lines in question, or what holds for
//! every file. What neither explains is a difference.

use crate::client::Request;
use crate::judge::{Aspect, Made, Raw};
use eclusa_haproxy_import::outline::Outline;
use eclusa_haproxy_import::{Kind, Report, Told};

/// How a difference is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// The report says that it is better so.
    Improved,
    /// The report says that the line is not carried over.
    Unsupported,
    /// Nothing says so.
    Differs,
}

impl Class {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Improved => "improved",
            Self::Unsupported => "unsupported",
            Self::Differs => "differs",
        }
    }
}

/// A difference that was judged.
#[derive(Clone, Debug)]
pub(crate) struct Difference {
    pub(crate) class: Class,
    pub(crate) raw: Raw,
    /// What the report says.
    pub(crate) why: String,
    /// The line, as the report names it, and its text.
    pub(crate) line: Option<String>,
}

/// Words of lines by which routes and answers are decided.
const DECIDING: [&str; 16] = [
    "acl",
    "bind",
    "block",
    "default_backend",
    "disabled",
    "errorfile",
    "filter",
    "http-request",
    "monitor",
    "monitor-net",
    "redirect",
    "server",
    "stick",
    "tcp-request",
    "use-server",
    "use_backend",
];

/// What is said in a note of how something is decided otherwise.
const OTHERWISE: [&str; 5] = [
    "whatever the query",
    "compared without their port",
    "narrowest network",
    "in circles",
    "not after `timeout tarpit`",
];

/// Fields that tell endpoints of the client.
const OF_THE_CLIENT: [&str; 3] = ["forwarded", "x-forwarded-for", "x-original-to"];

/// What the report says of each line.
pub(crate) struct Causes<'c> {
    outline: &'c Outline,
    report: &'c Report,
    /// By the number of the line in the outline.
    told: Vec<Option<&'c Told>>,
}

impl<'c> Causes<'c> {
    pub(crate) fn new(outline: &'c Outline, report: &'c Report) -> Self {
        let mut told = vec![None; outline.lines.len()];
        for line in &report.lines {
            if let Some(id) = outline.line(line.file, line.number) {
                told[id] = Some(line);
            }
        }
        Self { outline, report, told }
    }

    /// What is told of a line.
    pub(crate) fn kind(&self, line: usize) -> Option<Kind> {
        self.told.get(line).copied().flatten().map(|told| told.kind)
    }

    /// Judges what was seen of a request that came to a section and, with one of the two programs, went
    /// to others.
    pub(crate) fn of_request(
        &self,
        raw: Raw,
        (request, front, backs): (&Request, usize, &[usize]),
        (haproxy, ours): (&Made, &Made),
    ) -> Difference {
        let lines = self.lines(Some(front), backs);
        let decided = matches!(raw.aspect, Aspect::Route | Aspect::Status);
        if let Some(odd) = request.odd {
            let why = format!(
                "{odd}: what two readers could read in two ways is refused, and paths are compared as \
                 endpoints read them (docs/edge.md)"
            );
            return Difference { class: Class::Improved, raw, why, line: None };
        }
        let named_port = request.host.as_deref().is_some_and(|host| host.contains(':'));
        if decided && named_port {
            let why = "hosts are compared without their port".to_owned();
            return Difference { class: Class::Improved, raw, why, line: None };
        }
        let head = self.outline.fronts[front].head;
        let unserved = haproxy.seen.is_none() && ours.seen.is_none();
        if decided
            && unserved
            && (haproxy.status(), ours.status()) == (Some(503), Some(404))
            && let Some(difference) =
                self.says(head, &raw, Kind::Improved, |note| note.contains("404"))
        {
            return difference;
        }
        if raw.aspect == Aspect::Location && is_other_port(&raw, request) {
            let why =
                "the port that the client named is left out where it is sent to another scheme: \
                       there it would lead to the wrong one"
                    .to_owned();
            return Difference { class: Class::Improved, raw, why, line: None };
        }
        let is_page = unserved
            && matches!(haproxy.status(), Some(200 | 401))
            && !self.outline.fronts[front].pages.is_empty();
        if is_page && (decided || raw.aspect == Aspect::Body) {
            let of_page = |line: &&usize| {
                self.outline.lines[**line].words.first().is_some_and(|word| word == "stats")
            };
            let mut lines = lines.iter().filter(of_page);
            if let Some(found) =
                lines.find_map(|line| self.says(*line, &raw, Kind::Improved, |_| true))
            {
                return found;
            }
        }
        self.explained(raw, &lines)
    }

    /// Judges what was seen of a section's endpoints.
    pub(crate) fn of_endpoints(&self, raw: Raw, back: usize) -> Difference {
        let lines = self.lines(None, &[back]);
        self.explained(raw, &lines)
    }

    /// The lines that have a part in a request: those of sections, of all `defaults`, of `global`.
    fn lines(&self, front: Option<usize>, backs: &[usize]) -> Vec<usize> {
        let mut all = Vec::new();
        if let Some(front) = front.map(|front| &self.outline.fronts[front]) {
            all.push(front.head);
            all.extend(&front.lines);
        }
        for back in backs.iter().map(|back| &self.outline.backs[*back]) {
            all.push(back.head);
            all.extend(&back.lines);
        }
        let sections = self.outline.sections.iter().enumerate();
        let common = sections.filter(|(_, (kind, _))| kind == "defaults" || kind == "global");
        all.extend(common.map(|(line, _)| line));
        all
    }

    fn explained(&self, raw: Raw, lines: &[usize]) -> Difference {
        for kind in [Kind::Improved, Kind::Unsupported] {
            for line in lines {
                let words = &self.outline.lines[*line].words;
                if let Some(difference) =
                    self.says(*line, &raw, kind, |note| explains(&raw.aspect, kind, words, note))
                {
                    return difference;
                }
            }
        }
        Difference { class: Class::Differs, raw, why: String::new(), line: None }
    }

    /// The difference, if a note of this kind at the line explains it.
    fn says(
        &self,
        line: usize,
        raw: &Raw,
        kind: Kind,
        explains: impl Fn(&str) -> bool,
    ) -> Option<Difference> {
        let told = self.told.get(line).copied().flatten().filter(|told| told.kind == kind)?;
        let note = told.notes.iter().find(|note| explains(note))?;
        let class = if kind == Kind::Improved { Class::Improved } else { Class::Unsupported };
        let file = self.report.files.get(told.file).map_or("haproxy.cfg", String::as_str);
        let line = Some(format!("{file}:{}: {}", told.number, told.text));
        Some(Difference { class, raw: raw.clone(), why: note.to_string(), line })
    }
}

/// Whether redirects differ by the port of the request's host alone.
fn is_other_port(raw: &Raw, request: &Request) -> bool {
    let port = request.host.as_deref().and_then(|host| host.split_once(':'));
    port.is_some_and(|(_, port)| raw.haproxy.replacen(&format!(":{port}"), "", 1) == raw.ours)
}

/// Whether what the report says of a line is about this.
fn explains(aspect: &Aspect, kind: Kind, words: &[String], note: &str) -> bool {
    let bare = if words.first().is_some_and(|it| it == "no") { &words[1..] } else { words };
    let first = bare.first().map_or("", String::as_str);
    let has = |name: &str| words.iter().any(|word| word.to_ascii_lowercase().contains(name));
    let unsupported = kind == Kind::Unsupported;
    match aspect {
        Aspect::Route | Aspect::Status => {
            OTHERWISE.iter().any(|it| note.contains(it))
                || (unsupported && DECIDING.contains(&first))
        }
        Aspect::Location => unsupported && (has("location") || first == "redirect"),
        Aspect::Forwarded(name) => {
            let told = has("forwardfor") && OF_THE_CLIENT.contains(&name.as_str());
            let rule = ["http-request", "reqadd", "unique-id-header"].contains(&first);
            told || (rule && has(name))
                || (unsupported && first == "compression" && name == "accept-encoding")
        }
        Aspect::Answered(name) => {
            let kept =
                first == "cookie" && ["set-cookie", "cache-control"].contains(&name.as_str());
            let packed = ["content-encoding", "etag", "vary"].contains(&name.as_str());
            let rule = ["http-response", "http-after-response", "rspadd"].contains(&first);
            kept || (rule && has(name)) || (unsupported && first == "compression" && packed)
        }
        Aspect::Body => unsupported && ["compression", "http-error"].contains(&first),
        Aspect::Asked => unsupported && (has("path") || has("uri") || has("method")),
        Aspect::Sent => unsupported && first == "filter",
        Aspect::Proxied => unsupported && has("proxy"),
        Aspect::Tls => has("ssl") || has("sni"),
        Aspect::Certificate => unsupported && has("crt"),
        Aspect::Endpoints => {
            let chosen = ["balance", "cookie", "stick", "stick-table", "use-server", "hash-type"];
            chosen.contains(&first) || (first == "server" && note.contains("backup"))
        }
        Aspect::Verdict => {
            ["probe", "check"].iter().any(|it| note.contains(it)) && !note.contains("probe.timeout")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eclusa_config::plan::Program;
    use eclusa_haproxy_import::outline::outline;
    use eclusa_haproxy_import::{Elsewhere, File, Options, import};

    #[test]
    fn what_the_report_says_explains_and_nothing_else_does() {
        let text = "\
defaults
    mode http
    option forwardfor
frontend web
    bind *:80
    http-request lua.check
    use_backend a if { hdr(host) a.test }
backend a
    server x 10.0.0.1:80
";
        let files = [File { name: "a.cfg".to_owned(), text: text.to_owned() }];
        let outline = outline(&files, &Options::default());
        let report = import(Program::Edge, &files, &Options::default(), &Elsewhere).report;
        let causes = Causes::new(&outline, &report);
        let raw = |aspect| Raw { aspect, haproxy: String::new(), ours: String::new() };
        let of = |aspect| {
            let lines = causes.lines(Some(0), &[0]);
            let found = causes.explained(raw(aspect), &lines);
            (found.class, found.line.unwrap_or_default())
        };
        let (class, line) = of(Aspect::Forwarded("x-forwarded-for".into()));
        assert_eq!((class, line.as_str()), (Class::Improved, "a.cfg:3: option forwardfor"));
        assert_eq!(of(Aspect::Forwarded("x-other".into())).0, Class::Differs);
        let (class, line) = of(Aspect::Status);
        assert_eq!(class, Class::Unsupported, "{line}");
        assert!(line.starts_with("a.cfg:6"), "{line}");
        assert_eq!(of(Aspect::Body).0, Class::Differs);
        assert_eq!(causes.kind(2), Some(Kind::Improved));
    }
}
