//! Traffic made from what a haproxy.cfg asks: every way in which a route or rule holds, every value that
//! is compared, what misses it by a little, and random mixtures of all that. The same seed makes the
//! same traffic.

mod values;

use crate::client::Request;
use crate::layout::Layout;
use crate::material::PASSWORD;
use data_encoding::BASE64;
use eclusa_haproxy_import::outline::{Ask, Case, Front, How, Outline, What};
use fastrand::Rng;
use std::net::{Ipv4Addr, SocketAddr};
use values::{near, outside, target, text};

/// Values of one question that are each tried.
const VALUES_MAX: usize = 40;

/// Methods, those that are usual more often.
const METHODS: [&str; 10] =
    ["GET", "GET", "GET", "GET", "POST", "POST", "HEAD", "PUT", "DELETE", "OPTIONS"];

/// Statuses that endpoints answer.
const STATUSES: [u16; 16] =
    [200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 201, 204, 301, 302, 404, 500];

/// A field that clients claim to be somebody else by.
const CLAIM: (&str, &str) = ("X-Forwarded-For", "192.0.2.66");

/// Requests, `count` of them, numbered from 0.
pub(crate) fn requests(
    (outline, layout): (&Outline, &Layout),
    count: usize,
    random: &mut Rng,
) -> Vec<Request> {
    if layout.opens.is_empty() {
        return Vec::new();
    }
    let mut making = Making { outline, layout, random };
    let mut first: Vec<Request> = Vec::new();
    let mut rest = Vec::new();
    for open in 0..layout.opens.len() {
        let base = making.base(open);
        first.push(base);
    }
    for (index, front) in outline.fronts.iter().enumerate() {
        for case in &front.cases {
            rest.extend(making.systematic(index, case));
        }
        if front.http && count >= 100 {
            rest.extend(making.odd(index, front));
        }
    }
    making.random.shuffle(&mut rest);
    first.extend(rest);
    first.truncate(count.max(layout.opens.len()));
    for open in (0..layout.opens.len()).cycle().take(count.saturating_sub(first.len())) {
        let request = making.mixed(open);
        first.push(request);
    }
    for (id, request) in first.iter_mut().enumerate() {
        request.id = id;
    }
    first
}

struct Making<'m> {
    outline: &'m Outline,
    layout: &'m Layout,
    random: &'m mut Rng,
}

impl Making<'_> {
    fn client(&mut self) -> SocketAddr {
        let ip = Ipv4Addr::new(198, 51, 100, self.random.u8(1..=200));
        SocketAddr::new(ip.into(), self.random.u16(10_000..60_000))
    }

    /// A request that asks for nothing in particular.
    fn base(&mut self, open: usize) -> Request {
        let source = self.client();
        let place = &self.layout.opens[open];
        let front = &self.outline.fronts[place.front];
        let opening = &front.openings[place.opening];
        let asks_name = asks(front).any(|ask| ask.what == What::ServerName);
        let port = place.address.port();
        let secure =
            opening.tls || (!front.http && (asks_name || [443, 6443, 8443].contains(&port)));
        let host = "site.test".to_owned();
        Request {
            id: 0,
            open,
            source,
            tls: secure.then(|| host.clone()),
            method: "GET".to_owned(),
            target: "/".to_owned(),
            host: Some(host),
            fields: self.authorization(),
            body: Vec::new(),
            wanted: 200,
            odd: None,
        }
    }

    /// A name and the password that all users of the bed have.
    fn authorization(&mut self) -> Vec<(String, String)> {
        let lines = self.outline.lines.iter().zip(&self.outline.sections);
        let lines = lines.filter(|(_, (section, _))| section == "userlist");
        let users = lines.filter_map(|(line, _)| match line.words.as_slice() {
            [word, name, ..] if word == "user" => Some(name),
            _ => None,
        });
        let users: Vec<&String> = users.collect();
        if users.is_empty() || self.random.u8(0..4) == 0 {
            return Vec::new();
        }
        let name = users[self.random.usize(0..users.len())];
        let secret = BASE64.encode(format!("{name}:{PASSWORD}").as_bytes());
        vec![("Authorization".to_owned(), format!("Basic {secret}"))]
    }

    /// One of the addresses of a section that a case can hold at.
    fn open_for(&mut self, front: usize, case: &Case) -> Option<usize> {
        let ports = case.terms.iter().filter(|(not, _)| !not).flat_map(|(_, asks)| asks);
        let ports: Vec<&String> =
            ports.filter(|ask| ask.what == What::Port).flat_map(|ask| &ask.values).collect();
        let opens = self.layout.opens.iter().enumerate();
        let opens: Vec<usize> =
            opens.filter(|(_, open)| open.front == front).map(|(index, _)| index).collect();
        let fits = |open: &&usize| {
            let port = self.layout.opens[**open].address.port().to_string();
            ports.is_empty() || ports.iter().any(|text| **text == port)
        };
        let fitting: Vec<usize> = opens.iter().filter(fits).copied().collect();
        let list = if fitting.is_empty() { opens } else { fitting };
        (!list.is_empty()).then(|| list[self.random.usize(0..list.len())])
    }

    /// The case with each of its values, and with each term missed by a little.
    fn systematic(&mut self, front: usize, case: &Case) -> Vec<Request> {
        let mut all = Vec::new();
        let Some(open) = self.open_for(front, case) else { return all };
        let whole = self.holding(open, case);
        all.push(whole.clone());
        for (not, asks) in &case.terms {
            for ask in asks {
                for value in ask.values.iter().take(VALUES_MAX) {
                    let mut request = whole.clone();
                    self.apply(&mut request, ask, value);
                    all.push(request);
                }
                let value = self.random.choice(&ask.values).cloned().unwrap_or_default();
                let mut request = whole.clone();
                if *not {
                    self.apply(&mut request, ask, &value)
                } else {
                    self.miss(&mut request, ask, &value)
                }
                all.push(request);
            }
        }
        all
    }

    /// A request for which all terms hold, as far as that can be had.
    fn holding(&mut self, open: usize, case: &Case) -> Request {
        let mut request = self.base(open);
        let (negated, plain): (Vec<_>, Vec<_>) = case.terms.iter().partition(|(not, _)| *not);
        for (_, asks) in negated {
            asks.iter().for_each(|ask| self.avoid(&mut request, ask));
        }
        for (_, asks) in plain {
            let Some(ask) = self.random.choice(asks) else { continue };
            let value = self.random.choice(&ask.values).cloned().unwrap_or_default();
            self.apply(&mut request, ask, &value);
        }
        request
    }

    /// Makes the question hold.
    fn apply(&mut self, request: &mut Request, ask: &Ask, value: &str) {
        let Some(mut made) = text(&ask.what, ask.how, value) else { return };
        if ask.insensitive && self.random.u8(0..4) == 0 {
            made = made.to_ascii_uppercase();
        }
        self.set(request, ask, made);
    }

    /// Makes it fail by a little.
    fn miss(&mut self, request: &mut Request, ask: &Ask, value: &str) {
        match ask.what {
            What::Source => request.source.set_ip(outside(value)),
            What::Method => "PATCH".clone_into(&mut request.method),
            _ => {
                let made = text(&ask.what, ask.how, value).unwrap_or_default();
                let made = near(&ask.what, ask.how, value, &made, self.random.bool());
                self.set(request, ask, made);
            }
        }
    }

    fn avoid(&mut self, request: &mut Request, ask: &Ask) {
        match &ask.what {
            What::Method => {
                let mut free = METHODS.iter().filter(|it| !ask.values.iter().any(|v| v == *it));
                (*free.next().unwrap_or(&"PATCH")).clone_into(&mut request.method);
            }
            What::Source => request.source.set_ip(outside(ask.values.first().map_or("", |it| it))),
            _ => {}
        }
    }

    fn set(&mut self, request: &mut Request, ask: &Ask, made: String) {
        let sendable = !made.is_empty() && made.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if !sendable {
            return;
        }
        match &ask.what {
            What::Host => {
                let (name, port) = made.split_once(':').unwrap_or((&made, "80"));
                let is_name =
                    name.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
                if is_name && !name.is_empty() && port.parse::<u16>().is_ok() {
                    if request.tls.is_some() {
                        request.tls = Some(name.to_owned());
                    }
                    request.host = Some(made);
                }
            }
            What::ServerName => {
                request.tls = Some(made.clone());
                request.host = Some(made);
            }
            What::Path => {
                if let Some(path) = target(&made) {
                    request.target = path;
                }
            }
            What::Method => {
                if made.bytes().all(|byte| byte.is_ascii_uppercase()) {
                    request.method = made;
                    let bodied = ["POST", "PUT"].contains(&request.method.as_str());
                    request.body = if bodied { b"body=1".to_vec() } else { Vec::new() };
                }
            }
            What::Header(name) => {
                request.fields.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
                request.fields.push((name.clone(), made.trim().to_owned()));
            }
            What::Cookie(name) => {
                request.fields.push(("Cookie".to_owned(), format!("{name}={made}")));
            }
            What::Query(name) => {
                let mark = if request.target.contains('?') { '&' } else { '?' };
                if made.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
                {
                    request.target.push_str(&format!("{mark}{name}={made}"));
                }
            }
            What::Source => {
                if let Ok(ip) = made.parse() {
                    request.source.set_ip(ip);
                }
            }
            What::Port | What::Other => {}
        }
    }

    /// Some of everything that the section asks.
    fn mixed(&mut self, open: usize) -> Request {
        let mut request = self.base(open);
        let front = self.layout.opens[open].front;
        let front = &self.outline.fronts[front];
        if front.http {
            let method = METHODS[self.random.usize(0..METHODS.len())];
            method.clone_into(&mut request.method);
            if ["POST", "PUT"].contains(&method) {
                request.body = format!("body={}", self.random.u32(..)).into_bytes();
            }
            request.wanted = STATUSES[self.random.usize(0..STATUSES.len())];
            request.target = format!("/{}", self.random.u32(0..1_000));
            if self.random.u8(0..4) == 0 {
                request.target.push_str(&format!("?page={}", self.random.u8(..)));
            }
        }
        let all: Vec<&Ask> = asks(front).collect();
        let likely = (all.len() / 3).clamp(1, 6);
        for ask in &all {
            if self.random.usize(0..all.len().max(1)) >= likely {
                continue;
            }
            let Some(value) = self.random.choice(&ask.values).cloned() else { continue };
            if self.random.u8(0..5) == 0 {
                self.miss(&mut request, ask, &value);
            } else {
                self.apply(&mut request, ask, &value);
            }
        }
        // Where nothing takes the rest few would get anywhere.
        if let Some(case) = self.random.choice(&front.cases).filter(|_| front.http)
            && (!front.usual || self.random.bool())
        {
            let held = self.holding(open, case);
            (request.host, request.tls, request.source) = (held.host, held.tls, held.source);
            if !front.usual {
                (request.target, request.method, request.body) =
                    (held.target, held.method, held.body);
            }
        }
        if front.pages.iter().any(|page| request.target.starts_with(page.as_str())) {
            "/".clone_into(&mut request.target);
        }
        request
    }

    /// What two programs may well read differently: once for each section.
    fn odd(&mut self, index: usize, front: &Front) -> Vec<Request> {
        let opens = self.layout.opens.iter().enumerate();
        let Some(open) = opens.filter(|(_, open)| open.front == index).map(|(it, _)| it).next()
        else {
            return Vec::new();
        };
        let mut claims = self.base(open);
        claims.fields.push((CLAIM.0.to_owned(), CLAIM.1.to_owned()));
        let mut twice = self.base(open);
        twice.fields.push(("Host".to_owned(), "other.test".to_owned()));
        twice.odd = Some("two hosts");
        let mut spaced = self.base(open);
        spaced.fields.push(("X-Odd ".to_owned(), "1".to_owned()));
        spaced.odd = Some("a blank before a colon");
        let mut all = vec![claims];
        all.push(if self.random.bool() { twice } else { spaced });
        let path = asks(front).filter(|ask| ask.what == What::Path && ask.how == How::Exact);
        let path = path.flat_map(|ask| &ask.values).find(|path| path.len() > 2).cloned();
        if let Some(path) = path {
            let mut queried = self.base(open);
            queried.target = format!("{path}?page=1");
            all.push(queried);
            let mut encoded = self.base(open);
            let (begin, last) = path.split_at(path.len() - 1);
            let last = last.bytes().next().unwrap_or(b'/');
            encoded.target = format!("{begin}%{last:02X}");
            encoded.odd = Some("a path that is written in another way");
            all.push(encoded);
        }
        all
    }
}

/// Everything that a section asks.
fn asks(front: &Front) -> impl Iterator<Item = &Ask> {
    front.cases.iter().flat_map(|case| &case.terms).flat_map(|(_, asks)| asks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use eclusa_config::plan::Program;
    use eclusa_haproxy_import::outline::outline;
    use eclusa_haproxy_import::{File, Options};

    const TEXT: &str = "\
defaults
    mode http
frontend web
    bind *:80
    bind *:443 ssl crt /x.pem
    acl shop hdr(host) -i shop.test
    acl api path_beg /api
    use_backend api if shop api !{ method POST }
    http-request deny if { src 10.0.0.0/8 }
    http-request deny if { hdr(X-Kind) -m reg ^k[0-9]$ }
    default_backend api
backend api
    server a 10.0.0.1:80
frontend raw
    mode tcp
    bind *:6443
    use_backend api if { req.ssl_sni -i a.test }
";

    fn made(count: usize, seed: u64) -> (Layout, Vec<Request>) {
        let files = [File { name: "a.cfg".to_owned(), text: TEXT.to_owned() }];
        let outline = outline(&files, &Options::default());
        let mut random = Rng::with_seed(seed);
        let layout = Layout::new(&outline, Program::Edge, &mut random).unwrap();
        let all = requests((&outline, &layout), count, &mut random);
        (layout, all)
    }

    #[test]
    fn everything_that_is_asked_is_tried_and_missed() {
        let (layout, all) = made(300, 1);
        assert_eq!(all.len(), 300);
        let any = |holds: &dyn Fn(&Request) -> bool| all.iter().any(holds);
        let is_host = |it: &Request, host: &str| {
            it.host.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(host))
        };
        assert!(any(&|it| is_host(it, "shop.test") && it.target.starts_with("/api")));
        assert!(any(&|it| !is_host(it, "shop.test") && it.target.starts_with("/api")));
        assert!(any(&|it| is_host(it, "shop.test") && it.method == "POST"));
        assert!(any(&|it| it.source.ip().to_string().starts_with("10.")));
        assert!(any(&|it| it.fields.iter().any(|(name, value)| name == "X-Kind" && value == "k0")));
        assert!(any(&|it| it.tls.as_deref() == Some("a.test")));
        assert!(any(&|it| it.odd.is_some()));
        for open in 0..layout.opens.len() {
            assert!(any(&|it| it.open == open), "{open}");
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_traffic() {
        let shown = |seed| format!("{:?}", made(50, seed).1);
        assert_eq!(shown(7), shown(7));
        assert_ne!(shown(7), shown(8));
        assert_eq!(made(1, 1).1.len(), 3, "each address is tried");
    }
}
