//! Asks `observe.listen` over HTTP/1.1, and reads the page of metrics strictly.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// An address to listen on that nobody else takes meanwhile: its port is none of those that the
/// system gives to connections and to whoever asks for port 0.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id().wrapping_mul(97) + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(21_000 + number % 10_000).expect("a port");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Lower case.
    pub head: String,
    pub body: String,
}

/// Sends a GET and reads the answer to its end.
pub fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
}

/// Sends these bytes and reads the answer to its end.
pub fn request(address: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).expect("somebody can be asked");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket option");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("it answers");
    let text = String::from_utf8(bytes).expect("UTF-8");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

/// The page of metrics, read.
#[derive(Debug, Default)]
pub struct Page {
    /// Name and type of each family, in order.
    pub families: Vec<(String, String)>,
    /// By name and sorted labels: `name{a="1",b="2"}`.
    samples: HashMap<String, f64>,
}

impl Page {
    pub fn of(address: SocketAddr) -> Self {
        let answer = get(address, "/metrics");
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
        Self::parse(&answer.body)
    }

    /// Reads the text format (version 0.0.4) and holds it to everything that it promises.
    pub fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line has an end");
        let (mut page, mut helped) = (Self::default(), BTreeSet::new());
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').expect("a name and a help");
                assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("a name and a type");
                assert!(helped.contains(name), "TYPE without HELP: {line}");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                page.families.push((name.to_owned(), kind.to_owned()));
            } else {
                page.sample(line);
            }
        }
        let names: BTreeSet<_> = page.families.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), page.families.len(), "a family is there twice");
        assert_eq!(helped.len(), names.len(), "HELP without TYPE");
        page.check_histograms();
        page
    }

    fn sample(&mut self, line: &str) {
        let end = line.find(['{', ' ']).expect("a name and a value");
        let (name, rest) = line.split_at(end);
        let (family, kind) = self.families.last().expect("TYPE stands first");
        let suffixes: &[&str] =
            if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        let belongs = suffixes.iter().any(|suffix| *name == format!("{family}{suffix}"));
        assert!(belongs, "{line} in the family {family}");
        let (labels, value) = match rest.strip_prefix('{') {
            Some(rest) => labels(rest),
            None => (BTreeMap::new(), rest),
        };
        let value: f64 = value.strip_prefix(' ').expect("a blank").parse().expect("a number");
        assert!(value.is_finite(), "{line}");
        assert!(kind == "gauge" || value >= 0.0, "{line}");
        let known = self.samples.insert(key(name, &labels), value);
        assert!(known.is_none(), "twice: {line}");
    }

    fn check_histograms(&self) {
        for (name, _) in self.families.iter().filter(|(_, kind)| kind == "histogram") {
            let count = format!("{name}_count");
            for (series, total) in self.samples.iter().filter(|(key, _)| of(key, &count)) {
                let own = series.strip_prefix(&count).expect("its name").trim_matches(['{', '}']);
                let mut buckets: Vec<(f64, f64)> = self
                    .samples
                    .iter()
                    .filter(|(key, _)| of(key, &format!("{name}_bucket")))
                    .filter_map(|(key, value)| Some((bound(key, own)?, *value)))
                    .collect();
                buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
                assert!(buckets.len() > 10, "{series}: {buckets:?}");
                assert!(buckets.is_sorted_by(|a, b| a.1 <= b.1), "{series}: {buckets:?}");
                assert_eq!(buckets.last(), Some(&(f64::INFINITY, *total)), "{series}");
            }
        }
    }

    /// The value of a sample, such as `name{a="1",b="2"}` with labels in the order of the alphabet.
    pub fn get(&self, sample: &str) -> Option<f64> {
        self.samples.get(sample).copied()
    }

    /// The same; 0 where it is not there.
    pub fn count(&self, sample: &str) -> u64 {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small counts")]
        let count = self.get(sample).unwrap_or(0.0) as u64;
        count
    }

    /// Families without a sample.
    pub fn empty(&self) -> Vec<&str> {
        let has = |name: &str, kind: &str| {
            let name = if kind == "histogram" { format!("{name}_count") } else { name.to_owned() };
            self.samples.keys().any(|key| of(key, &name))
        };
        let empty = self.families.iter().filter(|(name, kind)| !has(name, kind));
        empty.map(|(name, _)| name.as_str()).collect()
    }

    pub fn len(&self) -> usize {
        self.samples.len()
    }
}

fn of(key: &str, name: &str) -> bool {
    key.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
}

/// The bound of a bucket whose other labels are these.
fn bound(key: &str, own: &str) -> Option<f64> {
    let labels = key.split_once('{')?.1.strip_suffix('}')?;
    let others: Vec<&str> = labels.split(',').filter(|label| !label.starts_with("le=")).collect();
    let le = labels.split(',').find_map(|label| label.strip_prefix("le=\""))?;
    (others.join(",") == own).then(|| le.trim_end_matches('"').parse().expect("a bound"))
}

fn key(name: &str, labels: &BTreeMap<String, String>) -> String {
    let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    if labels.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", labels.join(",")) }
}

/// Labels up to the closing brace, and the rest.
fn labels(text: &str) -> (BTreeMap<String, String>, &str) {
    let (mut labels, mut rest) = (BTreeMap::new(), text);
    loop {
        let (name, after) = rest.split_once("=\"").expect("a label");
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        assert!(!name.is_empty() && name.chars().all(plain), "label {name:?}");
        let (mut value, mut characters) = (String::new(), after.char_indices());
        let end = loop {
            match characters.next().expect("a closing quote") {
                (at, '"') => break at,
                (_, '\\') => match characters.next().expect("an escaped character").1 {
                    'n' => value.push('\n'),
                    c @ ('\\' | '"') => value.push(c),
                    other => panic!("escape {other:?}"),
                },
                (_, c) => value.push(c),
            }
        };
        assert!(labels.insert(name.to_owned(), value).is_none(), "label {name} twice");
        rest = &after[end + 1..];
        match rest.chars().next() {
            Some(',') => rest = &rest[1..],
            Some('}') => return (labels, &rest[1..]),
            other => panic!("{other:?} after a label"),
        }
    }
}
