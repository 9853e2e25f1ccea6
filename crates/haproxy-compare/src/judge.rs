//! What two programs made of the same request, side by side.

use crate::client::{Got, Outcome, Request};
use crate::endpoint::Seen;
use crate::http::Message;
use crate::layout::{Layout, Side};
use std::collections::BTreeMap;

/// Fields that concern one connection, frame a message, or belong to the bed.
const OF_CONNECTIONS: [&str; 10] = [
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    crate::endpoint::ID,
    crate::endpoint::WANTED,
];

/// Fields of answers that a program itself gave.
const OF_OWN_ANSWERS: [&str; 2] = ["location", "www-authenticate"];

/// What one side made of a request.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) outcome: Outcome,
    /// What the endpoint saw that got it.
    pub(crate) seen: Option<Seen>,
}

impl Made {
    pub(crate) fn status(&self) -> Option<u16> {
        match &self.outcome.got {
            Got::Answer(message) => message.status(),
            _ => None,
        }
    }

    fn answer(&self) -> Option<&Message> {
        match &self.outcome.got {
            Got::Answer(message) => Some(message),
            _ => None,
        }
    }
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Aspect {
    /// Which section's endpoints it goes to.
    Route,
    /// What becomes of the client.
    Status,
    Location,
    /// A field of the answer, in lower case.
    Answered(String),
    Body,
    Certificate,
    /// Method and target, as the endpoint saw them.
    Asked,
    /// A field of the request there, in lower case.
    Forwarded(String),
    Sent,
    /// The PROXY header.
    Proxied,
    /// TLS towards the endpoint.
    Tls,
    /// Which endpoints get clients.
    Endpoints,
    /// Whether an endpoint is up.
    Verdict,
}

impl Aspect {
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Route => "route".to_owned(),
            Self::Status => "status".to_owned(),
            Self::Location => "redirect".to_owned(),
            Self::Answered(name) => format!("`{name}` of the answer"),
            Self::Body => "body of the answer".to_owned(),
            Self::Certificate => "certificate".to_owned(),
            Self::Asked => "method and target at the endpoint".to_owned(),
            Self::Forwarded(name) => format!("`{name}` at the endpoint"),
            Self::Sent => "body at the endpoint".to_owned(),
            Self::Proxied => "PROXY header at the endpoint".to_owned(),
            Self::Tls => "TLS at the endpoint".to_owned(),
            Self::Endpoints => "endpoints that get clients".to_owned(),
            Self::Verdict => "verdict".to_owned(),
        }
    }
}

/// A difference, as it was seen.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub(crate) aspect: Aspect,
    pub(crate) haproxy: String,
    pub(crate) ours: String,
}

/// Compares.
pub(crate) struct Judge<'j> {
    layout: &'j Layout,
    /// Names of sections and endpoints, by the place.
    names: Vec<String>,
    /// Fields whose values are made by chance.
    chance: Vec<String>,
    /// Cookies whose values say where a client was sent.
    cookies: Vec<String>,
    /// Addresses of the bed in values, and what they stand for; of each side.
    shown: [Vec<(String, String)>; 2],
}

impl<'j> Judge<'j> {
    pub(crate) fn new(
        layout: &'j Layout,
        names: Vec<String>,
        chance: Vec<String>,
        cookies: Vec<String>,
    ) -> Self {
        let shown = Side::BOTH.map(|side| {
            let mut all = Vec::new();
            for open in &layout.opens {
                let bed = open.bed[side as usize];
                all.push((bed.to_string(), open.address.to_string()));
                all.push((bed.ip().to_string(), open.address.ip().to_string()));
            }
            for (place, name) in layout.places.iter().zip(&names) {
                let bed = place.bed[side as usize];
                all.push((bed.to_string(), name.clone()));
                all.push((bed.ip().to_string(), name.clone()));
            }
            all
        });
        Self { layout, names, chance, cookies, shown }
    }

    /// What differs; at most one of route and status, as all the rest follows from these.
    pub(crate) fn differences(&self, request: &Request, haproxy: &Made, ours: &Made) -> Vec<Raw> {
        let place = |made: &Made| made.seen.as_ref().map(|seen| self.place(seen.place));
        let (from, to) = (place(haproxy), place(ours));
        if from != to {
            return vec![Raw {
                aspect: Aspect::Route,
                haproxy: self.told(haproxy),
                ours: self.told(ours),
            }];
        }
        if end(haproxy) != end(ours) {
            return vec![Raw {
                aspect: Aspect::Status,
                haproxy: self.told(haproxy),
                ours: self.told(ours),
            }];
        }
        let mut all = Differing::default();
        self.answers(haproxy, ours, &mut all);
        let certificate = |made: &Made| made.outcome.certificate.as_ref().map(|der| hash(der));
        let (theirs, our) = (certificate(haproxy), certificate(ours));
        if theirs.is_some() && our.is_some() {
            all.compare(Aspect::Certificate, &theirs, &our);
        }
        if let (Some(theirs), Some(our)) = (&haproxy.seen, &ours.seen) {
            self.requests(request, (theirs, our), &mut all);
        }
        all.raw
    }

    /// Whose endpoint a place is: the sections that it is of.
    fn place(&self, place: usize) -> Vec<usize> {
        let mut backs: Vec<usize> =
            self.layout.places[place].owners.iter().map(|(back, _)| *back).collect();
        backs.dedup();
        backs
    }

    /// What became of a request, in words.
    fn told(&self, made: &Made) -> String {
        let end = match &made.outcome.got {
            Got::Answer(message) => {
                format!("answer {}", message.status().map_or("?".to_owned(), |it| it.to_string()))
            }
            Got::Refused => "nobody listens".to_owned(),
            Got::Closed => "closed without an answer".to_owned(),
            Got::Silence => "no answer".to_owned(),
            Got::Garbage(what) => format!("no HTTP ({what})"),
        };
        match &made.seen {
            Some(seen) => format!("{end}, from {}", self.names[seen.place]),
            None => format!("{end}, from no endpoint"),
        }
    }

    fn plain(&self, side: Side, text: &str) -> String {
        let mut text = text.to_owned();
        for (bed, meant) in &self.shown[side as usize] {
            if text.contains(bed.as_str()) {
                text = text.replace(bed.as_str(), meant);
            }
        }
        text
    }

    fn answers(&self, haproxy: &Made, ours: &Made, all: &mut Differing) {
        let (Some(theirs), Some(our)) = (haproxy.answer(), ours.answer()) else { return };
        let status = theirs.status().unwrap_or(0);
        let own = haproxy.seen.is_none();
        let kept = |name: &str| {
            !OF_CONNECTIONS.contains(&name) && (!own || OF_OWN_ANSWERS.contains(&name))
        };
        let theirs_of = self.fields(Side::Haproxy, theirs, &kept);
        let our_of = self.fields(Side::Ours, our, &kept);
        for (name, one, two) in differing(&theirs_of, &our_of) {
            if name != "location" {
                all.compare(Aspect::Answered(name), &one, &two);
                continue;
            }
            let (one, two) = (one.map(|it| small_host(&it)), two.map(|it| small_host(&it)));
            all.compare(Aspect::Location, &one, &two);
        }
        // The text of an error page, or of a redirect, is each program's own.
        if !own || status < 300 {
            let text = |message: &Message| String::from_utf8_lossy(&message.body).into_owned();
            all.compare(Aspect::Body, &Some(text(theirs)), &Some(text(our)));
        }
        if own && status < 300 {
            let kind = |message: &Message| message.field("content-type").map(str::to_owned);
            let aspect = Aspect::Answered("content-type".to_owned());
            if !theirs.body.is_empty() {
                all.compare(aspect, &kind(theirs), &kind(our));
            }
        }
    }

    fn requests(&self, request: &Request, (theirs, our): (&Seen, &Seen), all: &mut Differing) {
        let asked = |seen: &Seen| {
            let (method, target) = seen.message.asked();
            Some(format!("{method} {target}"))
        };
        all.compare(Aspect::Asked, &asked(theirs), &asked(our));
        let kept = |name: &str| !OF_CONNECTIONS.contains(&name);
        let theirs_of = self.fields(Side::Haproxy, &theirs.message, &kept);
        let our_of = self.fields(Side::Ours, &our.message, &kept);
        for (name, one, two) in differing(&theirs_of, &our_of) {
            all.compare(Aspect::Forwarded(name), &one, &two);
        }
        let sent = |seen: &Seen| Some(String::from_utf8_lossy(&seen.message.body).into_owned());
        all.compare(Aspect::Sent, &sent(theirs), &sent(our));
        let proxied = |seen: &Seen| {
            let (version, source) = seen.proxied?;
            let source = source.map_or("nobody".to_owned(), |it| it.to_string());
            Some(format!("version {version}, {source}"))
        };
        all.compare(Aspect::Proxied, &proxied(theirs), &proxied(our));
        let tls = |seen: &Seen| {
            let name = seen.tls.as_ref()?;
            Some(name.clone().unwrap_or_else(|| "without a name".to_owned()))
        };
        let (one, two) = (tls(theirs), tls(our));
        // A name that the client did not say is each program's own to make up.
        if one.is_some() != two.is_some() || request.tls.is_some() {
            all.compare(Aspect::Tls, &one, &two);
        }
    }

    /// Fields by their names in lower case, their values in order.
    fn fields(
        &self,
        side: Side,
        message: &Message,
        kept: &dyn Fn(&str) -> bool,
    ) -> BTreeMap<String, Vec<String>> {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in &message.fields {
            let name = name.to_ascii_lowercase();
            if !kept(&name) {
                continue;
            }
            let mut value = self.plain(side, value);
            let known = |cookie: &String| value.starts_with(&format!("{cookie}="));
            if name == "set-cookie" && self.cookies.iter().any(known) {
                value = format!("{}=...", value.split('=').next().unwrap_or_default());
            }
            if self.chance.iter().any(|it| it.eq_ignore_ascii_case(&name)) {
                "...".clone_into(&mut value);
            }
            all.entry(name).or_default().push(value);
        }
        all
    }
}

/// How it ended for the client: turned away is turned away, in a handshake or behind it.
fn end(made: &Made) -> (u8, Option<u16>) {
    match &made.outcome.got {
        Got::Answer(message) => (0, message.status()),
        Got::Refused => (1, None),
        Got::Closed => (2, None),
        Got::Silence => (3, None),
        Got::Garbage(_) => (4, None),
    }
}

/// A URL with its host in small letters, in which it means the same.
fn small_host(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    format!("{scheme}://{}{path}", host.to_ascii_lowercase())
}

fn hash(der: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    let bytes: Vec<String> =
        digest.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("SHA-256 {}...", bytes.concat())
}

type Fields = BTreeMap<String, Vec<String>>;

/// Fields that are not the same, with both values.
fn differing(one: &Fields, two: &Fields) -> Vec<(String, Option<String>, Option<String>)> {
    let mut names: Vec<&String> = one.keys().chain(two.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let of = |fields: &Fields, name: &String| fields.get(name).map(|values| values.join(", "));
    names
        .into_iter()
        .map(|name| (name.clone(), of(one, name), of(two, name)))
        .filter(|(_, one, two)| one != two)
        .collect()
}

#[derive(Default)]
struct Differing {
    raw: Vec<Raw>,
}

impl Differing {
    fn compare(&mut self, aspect: Aspect, haproxy: &Option<String>, ours: &Option<String>) {
        if haproxy != ours {
            let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
            self.raw.push(Raw { aspect, haproxy: shown(haproxy), ours: shown(ours) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eclusa_config::plan::Program;
    use eclusa_haproxy_import::outline::outline;
    use eclusa_haproxy_import::{File, Options};

    fn message(text: &str) -> Message {
        let mut lines = text.lines();
        let start = lines.next().unwrap().to_owned();
        let fields = lines.map(|it| it.split_once(": ").unwrap());
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Message { start, fields, body: Vec::new() }
    }

    fn made(answer: &str, seen: Option<(usize, &str)>) -> Made {
        let seen = seen.map(|(place, request)| Seen {
            place,
            proxied: None,
            tls: None,
            message: message(request),
        });
        let got = if answer.is_empty() { Got::Closed } else { Got::Answer(message(answer)) };
        Made { outcome: Outcome { got, certificate: None }, seen }
    }

    #[test]
    fn what_differs_is_found_and_what_is_of_a_connection_is_not() {
        let text = "listen a\n mode http\n bind *:80\n server x 10.0.0.1:80\n server y 10.0.0.2:80\n\
                    listen b\n bind *:81\n server x 10.0.0.1:80\n";
        let files = [File { name: "a.cfg".to_owned(), text: text.to_owned() }];
        let outline = outline(&files, &Options::default());
        let mut random = fastrand::Rng::with_seed(1);
        let layout = Layout::new(&outline, Program::Edge, &mut random).unwrap();
        let names = ["a/x", "a/y", "b/x"].map(str::to_owned).to_vec();
        let judge = Judge::new(&layout, names, vec!["X-Id".into()], vec!["SRV".into()]);
        let request = crate::traffic::requests((&outline, &layout), 2, &mut random).remove(0);
        let aspects = |one: &Made, two: &Made| -> Vec<Aspect> {
            judge.differences(&request, one, two).into_iter().map(|raw| raw.aspect).collect()
        };
        let asked = "GET / HTTP/1.1\nX-Id: 1\nX-A: 1\nConnection: close";
        let good = made("HTTP/1.1 200 OK\nSet-Cookie: SRV=1", Some((0, asked)));
        let other = made(
            "HTTP/1.1 200 OK\nset-cookie: SRV=2\nKeep-Alive: 5",
            Some((1, "GET / HTTP/1.1\nx-id: 2\nx-a: 1")),
        );
        assert_eq!(aspects(&good, &other), []);
        let moved = made("HTTP/1.1 200 OK", Some((2, asked)));
        assert_eq!(aspects(&good, &moved), [Aspect::Route]);
        let (refused, page) = (made("HTTP/1.1 403 A\nX: 1", None), made("HTTP/1.1 403 B", None));
        assert_eq!(aspects(&refused, &page), []);
        assert_eq!(aspects(&refused, &made("", None)), [Aspect::Status]);
        let bed = layout.opens[0].bed;
        let with = |ip: std::net::IpAddr, more: &str| {
            made(
                "HTTP/1.1 200 OK\nSet-Cookie: SRV=1",
                Some((0, &format!("{asked}\nX-To: {ip}{more}"))),
            )
        };
        assert_eq!(aspects(&with(bed[0].ip(), ""), &with(bed[1].ip(), "")), []);
        assert_eq!(
            aspects(&with(bed[0].ip(), ""), &with(bed[1].ip(), "x")),
            [Aspect::Forwarded("x-to".into())]
        );
        let to = |to: &str| made(&format!("HTTP/1.1 302 F\nLocation: {to}"), None);
        assert_eq!(aspects(&to("/a"), &to("/b")), [Aspect::Location]);
    }
}
