//! What must hold whatever conditions a configuration has and whatever a request says. Shared by the
//! fuzz targets and by the replay of their corpora in `cargo test`.

use eclusa_policy::condition::path::{encoded, normal};
use eclusa_policy::condition::{
    Asked, CertificatePatterns, ClientCertificate, Condition, Expression, Facts, Fingerprint,
    Named, Networks, PathPattern, TextPattern, Unknown, Values, Written,
};
use eclusa_policy::name::NamePattern;
use eclusa_policy::route::{RouteTable, Split, Target, Trace};
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Bytes that one part of a condition may print, and what stands around it.
const SHOWN_MAX: usize = 400;

/// Panics if a property does not hold for the routes and the request that `data` makes.
pub fn check_route(data: &[u8]) {
    let mut source = Source(data);
    let known = Known::read(&mut source);
    let conditions: Vec<_> = (0..source.up_to(12)).map(|_| source.condition(3)).collect();
    known.with(|facts| {
        let first = conditions.iter().position(|condition| condition.holds(&facts));
        let routes = conditions.iter().cloned().zip((0..).map(Target::Pool));
        let mut tried = Tried { times: vec![0; conditions.len()], held: None };
        let table = RouteTable::new(routes);
        let found = table.choose(&facts, &mut tried).map(|target| target.pool(0));
        assert_eq!(found, first, "{conditions:?} with {facts:?}");
        assert_eq!(tried.held, first, "the trace tells another story");
        for (condition, times) in conditions.iter().zip(&tried.times) {
            let places = places(condition);
            assert!(*times <= places, "{condition} was tried {times} times, not {places}");
        }
    });
    split_gives_to_those_with_a_share(&mut source);
}

/// Panics if a property does not hold for the condition and the request that `data` makes.
pub fn check_condition(data: &[u8]) {
    let mut source = Source(data);
    let known = Known::read(&mut source);
    let condition = source.condition(5);
    let shown = condition.to_string();
    assert!(shown.len() <= (1 + parts(&condition)) * SHOWN_MAX, "{} bytes", shown.len());
    known.with(|facts| {
        let held = condition.holds(&facts);
        let whole = plain(&condition, &facts);
        assert_eq!(held, whole, "{condition} with {facts:?}");
        let not = Condition::Not(Box::new(condition.clone()));
        assert_eq!(not.holds(&facts), !held);
        let name = Arc::new(Named { name: "it".into(), condition: condition.clone() });
        let twice = Condition::All(vec![condition.clone(), Condition::Named(name)]);
        assert_eq!(twice.holds(&facts), held);
        // What is not looked at makes no difference.
        let without = [
            (condition.needs_request(), Facts { request: None, ..facts }),
            (condition.needs_hello(), Facts { server_name: None, ..facts }),
            (condition.needs_client_certificate(), Facts { client_certificate: None, ..facts }),
        ];
        for (needed, without) in without {
            assert!(needed || condition.holds(&without) == held, "{condition} needs more");
        }
    });
    no_way_round(known, &condition);
}

/// The same path, written in another way, is the same to every condition.
fn no_way_round(mut known: Known, condition: &Condition) {
    let held = known.with(|facts| condition.holds(&facts));
    let Some(request) = &mut known.request else { return };
    let path = normal(&request.path).into_owned();
    assert!(encoded(&path).is_ascii());
    if !path.starts_with('/') {
        return;
    }
    let hidden = path.bytes().map(|byte| match byte {
        b'/' => "//./".to_owned(),
        byte => format!("%{byte:02x}"),
    });
    request.path = hidden.collect();
    let way = request.path.clone();
    assert_eq!(known.with(|facts| condition.holds(&facts)), held, "{condition}: {path}, {way}");
}

fn split_gives_to_those_with_a_share(source: &mut Source<'_>) {
    let shares: Vec<_> = (0..source.up_to(4)).map(|pool| (source.number(), pool)).collect();
    let Some(split) = Split::new(shares.clone()) else {
        assert!(shares.iter().all(|(share, _)| *share == 0));
        return;
    };
    let number = u64::from(source.number()) << 32 | u64::from(source.number());
    for number in [number, 0, u64::MAX] {
        let pool = Target::Split(split.clone()).pool(number);
        assert!(shares.iter().any(|(share, other)| *share > 0 && *other == pool));
    }
}

/// How often each route was tried, and the first of those that held.
struct Tried {
    times: Vec<usize>,
    held: Option<usize>,
}

impl eclusa_policy::condition::Trace for Tried {}

impl Trace for Tried {
    fn tried(&mut self, index: usize, _: &Condition, held: bool) {
        self.times[index] += 1;
        if held {
            self.held = Some(self.held.map_or(index, |first| first.min(index)));
        }
    }
}

/// Places of the index under which a route can be found at most.
fn places(condition: &Condition) -> usize {
    let (mut names, mut paths) = (HashSet::new(), HashSet::new());
    leaves(condition, &mut |leaf| match leaf {
        Condition::Host(patterns) | Condition::ServerName(patterns) => names.extend(patterns),
        Condition::Path(patterns) => paths.extend(patterns.iter().map(|one| format!("{one:?}"))),
        _ => {}
    });
    names.len().max(1) * paths.len().max(1)
}

fn leaves<'c>(condition: &'c Condition, see: &mut dyn FnMut(&'c Condition)) {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => {
            parts.iter().for_each(|part| leaves(part, see));
        }
        Condition::Not(inner) => leaves(inner, see),
        Condition::Named(named) => leaves(&named.condition, see),
        leaf => see(leaf),
    }
}

fn parts(condition: &Condition) -> usize {
    1 + match condition {
        Condition::All(inner) | Condition::Any(inner) => inner.iter().map(parts).sum(),
        Condition::Not(inner) => parts(inner),
        _ => 0,
    }
}

/// A second evaluation, as plain as can be.
fn plain(condition: &Condition, facts: &Facts<'_>) -> bool {
    let any = |names: &[NamePattern], name: &str| names.iter().any(|one| plain_name(one, name));
    let request = facts.request.map(Asked::request);
    match condition {
        Condition::All(inner) => !inner.iter().any(|part| !plain(part, facts)),
        Condition::Any(inner) => inner.iter().filter(|part| plain(part, facts)).count() > 0,
        Condition::Not(inner) => !plain(inner, facts),
        Condition::Named(named) => plain(&named.condition, facts),
        Condition::Source(networks) => {
            let address = facts.source.to_canonical();
            networks.written().iter().any(|network| network.contains(&address))
        }
        Condition::ServerName(names) => facts.server_name.is_some_and(|name| any(names, name)),
        Condition::Host(names) => request.is_some_and(|request| any(names, request.host())),
        Condition::Path(patterns) => request.is_some_and(|request| {
            let path = plain_path(request.path());
            patterns.iter().any(|pattern| match pattern {
                PathPattern::Exact(text) => **text == path,
                PathPattern::Prefix(text) => {
                    path == **text && !text.is_empty() || path.starts_with(&format!("{text}/"))
                }
                PathPattern::Suffix(text) => path.ends_with(&**text),
                PathPattern::Regex(expression) => expression.matches(&path),
            })
        }),
        // Comparisons without anything to get wrong.
        leaf => leaf.holds(facts),
    }
}

fn plain_name(pattern: &NamePattern, name: &str) -> bool {
    match pattern {
        NamePattern::Exact(exact) => **exact == *name,
        NamePattern::Wildcard(suffix) => {
            let end = format!(".{suffix}");
            name.ends_with(&end) && name.len() > end.len()
        }
    }
}

/// The form in which paths are compared.
fn plain_path(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let [byte, after @ ..] = rest {
        let hexadecimal = after.get(..2).filter(|two| two.iter().all(u8::is_ascii_hexdigit));
        let octet =
            hexadecimal.and_then(|two| u8::from_str_radix(str::from_utf8(two).ok()?, 16).ok());
        let (byte, used) = match octet {
            Some(octet) if *byte == b'%' => (octet, 3),
            _ => (*byte, 1),
        };
        bytes.push(byte);
        rest = &rest[used..];
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if !text.starts_with('/') {
        return text;
    }
    let (mut kept, mut last) = (Vec::new(), "");
    for segment in text.split('/') {
        last = segment;
        if segment == ".." {
            kept.pop();
        } else if !segment.is_empty() && segment != "." {
            kept.push(segment);
        }
    }
    let end = if ["", ".", ".."].contains(&last) { "/" } else { "" };
    let path: String = kept.iter().map(|segment| format!("/{segment}")).collect();
    path + end
}

/// What is known, and owned.
struct Known {
    source: IpAddr,
    port: u16,
    server_name: Option<String>,
    certificate: Option<ClientCertificate>,
    request: Option<Written>,
}

impl Known {
    fn read(source: &mut Source<'_>) -> Self {
        let certificate = source.flag().then(|| ClientCertificate {
            common_name: source.flag().then(|| source.text().into()),
            dns_names: (0..source.up_to(2)).map(|_| source.name().into()).collect(),
            fingerprint: [source.byte() % 2; 32],
        });
        Self {
            source: source.address(),
            port: [80, 443][source.up_to(1)],
            server_name: source.flag().then(|| source.name()),
            certificate,
            request: source.flag().then(|| source.request()),
        }
    }

    fn with<T>(&self, see: impl FnOnce(Facts<'_>) -> T) -> T {
        let asked = self.request.as_ref().map(|request| Asked::new(request));
        see(Facts {
            source: self.source,
            destination: SocketAddr::new(IpAddr::from([192, 168, 1, 2]), self.port),
            server_name: self.server_name.as_deref(),
            client_certificate: self.certificate.as_ref(),
            request: asked.as_ref(),
            world: &Unknown,
        })
    }
}

/// Bytes that become choices; when they are used up every choice is the first.
struct Source<'d>(&'d [u8]);

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    fn number(&mut self) -> u32 {
        u32::from_be_bytes([0; 4].map(|_: u8| self.byte()))
    }

    /// 0 to `most`.
    fn up_to(&mut self, most: usize) -> usize {
        usize::from(self.byte()) % (most + 1)
    }

    fn one<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.up_to(of.len() - 1)]
    }

    /// Whatever text; short, as it is looked at again and again.
    fn text(&mut self) -> String {
        let length = self.up_to(24).min(self.0.len());
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        String::from_utf8_lossy(text).into_owned()
    }

    /// A host name in the form in which they are compared, or what somebody sends for one.
    fn name(&mut self) -> String {
        match self.one(&["a.t", "x.a.t", "y.x.a.t", "b.t", "t", "", "."]) {
            "." => self.text().to_ascii_lowercase(),
            name => name.to_owned(),
        }
    }

    fn path(&mut self) -> String {
        let known =
            ["/", "/a", "/a/b", "/a/", "//a", "/x/../a", "/%61", "/ab", "*", "/a/%2e%2e", ""];
        match self.one(&known) {
            "" => self.text(),
            path => path.to_owned(),
        }
    }

    fn address(&mut self) -> IpAddr {
        match self.up_to(3) {
            0 => IpAddr::from([10, 0, self.byte(), 1]),
            1 => IpAddr::from([self.byte(), 0, 0, 1]),
            2 => IpAddr::from([0x2001, 0xdb8, u16::from(self.byte()), 0, 0, 0, 0, 1]),
            _ => IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0x0a00, u16::from(self.byte())]),
        }
    }

    fn request(&mut self) -> Written {
        let query = self.flag().then(|| match self.one(&["a=1", "b=2&a=%31", "a", ""]) {
            "" => self.text(),
            query => query.to_owned(),
        });
        let (host, path) = (self.name(), self.path());
        let method = self.one(&["GET", "POST", "get"]).to_owned();
        let mut request = Written { method, host, path, query, headers: Vec::new() };
        for _ in 0..self.up_to(3) {
            let (name, value) =
                (self.one(&["x", "cookie", "Cookie"]), self.one(&["1", "a=1; b=\"2\"", ""]));
            let value = if value.is_empty() { self.text() } else { value.to_owned() };
            request = request.with_header(name, &value);
        }
        request
    }

    fn condition(&mut self, depth: usize) -> Condition {
        let kind = self.byte() % if depth > 0 { 14 } else { 10 };
        let inner = |source: &mut Self| -> Vec<_> {
            (0..source.up_to(3)).map(|_| source.condition(depth - 1)).collect()
        };
        match kind {
            0 => Condition::Always,
            1 => Condition::Source(Networks::new(self.networks())),
            2 => Condition::ServerName(self.names()),
            3 => Condition::Port(vec![[80, 443, 0][self.up_to(2)]]),
            4 => Condition::ClientCertificate(self.certificate()),
            5 => Condition::Host(self.names()),
            6 => Condition::Path((0..self.up_to(3)).map(|_| self.path_pattern()).collect()),
            7 => Condition::Method(vec![self.one(&["GET", "POST", "PUT"]).into()]),
            8 => Condition::Header(self.one(&["x", "cookie", "y"]).into(), self.values()),
            9 if self.flag() => Condition::Query(self.one(&["a", "b", ""]).into(), self.values()),
            9 => Condition::Cookie(self.one(&["a", "b", ""]).into(), self.values()),
            10 => Condition::All(inner(self)),
            11 => Condition::Any(inner(self)),
            12 => Condition::Not(Box::new(self.condition(depth - 1))),
            _ => {
                let condition = self.condition(depth - 1);
                Condition::Named(Arc::new(Named { name: "named".into(), condition }))
            }
        }
    }

    fn networks(&mut self) -> Vec<ipnet::IpNet> {
        let known =
            ["10.0.0.0/8", "10.0.0.0/24", "0.0.0.0/0", "::/0", "2001:db8::/48", "10.0.1.1/32"];
        (0..self.up_to(3)).filter_map(|_| self.one(&known).parse().ok()).collect()
    }

    fn names(&mut self) -> Vec<NamePattern> {
        let known = ["a.t", "*.a.t", "x.a.t", "*.t", "B.T", ""];
        let count = self.up_to(3);
        let read = |text: &str| NamePattern::parse(text).ok();
        let name = |_| match self.one(&known) {
            "" => read(&self.text()),
            name => read(name),
        };
        (0..count).filter_map(name).collect()
    }

    fn certificate(&mut self) -> CertificatePatterns {
        CertificatePatterns {
            common_name: (0..self.up_to(1)).map(|_| self.text_pattern()).collect(),
            dns_name: if self.flag() { self.names() } else { Vec::new() },
            fingerprint: (0..self.up_to(1)).map(|_| Fingerprint([self.byte() % 2; 32])).collect(),
        }
    }

    fn path_pattern(&mut self) -> PathPattern {
        let path = match self.one(&["/a", "/", "/a/b", "/a/", "a", ""]) {
            "" => self.text(),
            path => path.to_owned(),
        };
        match self.up_to(3) {
            0 => PathPattern::Exact(path.into()),
            1 => PathPattern::prefix(&path),
            2 => PathPattern::Suffix(path.into()),
            _ => PathPattern::Regex(self.expression()),
        }
    }

    fn values(&mut self) -> Values {
        match self.up_to(2) {
            0 => Values::Present,
            count => Values::OneOf((0..count).map(|_| self.text_pattern()).collect()),
        }
    }

    fn text_pattern(&mut self) -> TextPattern {
        let text = match self.one(&["1", "2", "a b", ""]) {
            "" => self.text(),
            text => text.to_owned(),
        };
        match self.up_to(3) {
            0 => TextPattern::Exact(text.into()),
            1 => TextPattern::Prefix(text.into()),
            2 => TextPattern::Suffix(text.into()),
            _ => TextPattern::Regex(self.expression()),
        }
    }

    /// As the configuration compiles them: of bytes, within a bound of their size.
    fn expression(&mut self) -> Expression {
        let text = match self.one(&["^/a", "b$", "", "(a|b)*c", "."]) {
            "." => self.text(),
            text => text.to_owned(),
        };
        let compile = |text: &str| {
            regex::bytes::RegexBuilder::new(text).unicode(false).size_limit(1 << 16).build()
        };
        let compiled = compile(&text).or_else(|_| compile("x"));
        Expression::new(compiled.expect("an expression of one letter"))
    }
}
