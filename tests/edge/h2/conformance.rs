//! RFC 9113 and RFC 7541, section by section: what is right is answered, what is wrong is told with
//! the error that the standard names. The cases are in `cases/`.

use super::outcome::{Kept, Outcome, judge};
use super::peers::peers;
use super::run::{Tried, run};
use super::script::{Case, cases};
use crate::bed::{Bed, PLAIN};
use crate::reply::Wire;
use e2e::plain::try_connect;
use e2e::product::PATIENCE;
use e2e::proof::{Item, full, wrong_of};
use eclusa_testkit::http2::{Client, Seen};
use eclusa_testkit::netns::{Host, skipped};
use eclusa_testkit::tls::{ClientConfig, TlsClient};
use socket2::{Domain, SockAddr, Socket, Type};
use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

const TEXTS: [&str; 5] = [
    include_str!("cases/connection.txt"),
    include_str!("cases/streams.txt"),
    include_str!("cases/frames.txt"),
    include_str!("cases/http.txt"),
    include_str!("cases/hpack.txt"),
];

/// An endpoint that takes connections and reads nothing.
const STUCK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 1, 105)), 82);

/// Where the edge speaks TLS.
const SECURE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 168, 1, 2)), 443);

/// Who is asked, and how.
#[derive(Clone, Debug)]
struct Target {
    host: Host,
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
}

impl Target {
    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    fn connect(&self) -> io::Result<Client> {
        let stream = try_connect(&self.host, self.address, PATIENCE)?;
        match &self.tls {
            None => Client::plain(stream),
            Some(config) => Client::tls(stream, config, "app.test"),
        }
    }
}

#[test]
fn every_section_of_the_standards_is_kept() {
    const TEST: &str = "every_section_of_the_standards_is_kept";
    if skipped(TEST) {
        return;
    }
    let bed = Bed::without_nginx(&format!(
        "[[listener.plain.route]]\nhost = [\"stuck.test\"]\npool = \"stuck\"\n\
         [[listener.secure.route]]\nhost = [\"stuck.test\"]\npool = \"stuck\"\n\
         [pool.stuck]\nendpoints = [\"{STUCK}\"]\nprobe = {{ kind = \"none\" }}\n"
    ));
    let _stuck = stuck(&bed.worker());
    let plain = Target { host: bed.client.clone(), address: PLAIN, tls: None };
    let mut ways = vec![("1.1 RFC 9113 and RFC 7541 by prior knowledge", tried(&plain))];
    if full() {
        beside(&bed);
        let secure = Target { address: SECURE, tls: Some(bed.tls(&["h2"])), ..plain };
        ways.push(("1.1.1 the same over TLS", tried(&secure)));
    }
    for (name, found) in ways {
        assert!(found.count >= 140, "{} cases", found.count);
        let wrong: Vec<_> = found.unexpected().collect();
        Item::new(name)
            .bound("0 failed")
            .n(found.count)
            .note(found.note())
            .record(wrong.is_empty(), wrong_of(found.count, &wrong));
    }
}

/// Cases in which we know that we do not keep to the standard, and why that does no harm.
const KNOWN: [(&str, &str); 1] = [(
    "8.1 a pseudo-header in trailers",
    "the h2 crate leaves it out, so that it is neither seen nor passed on",
)];

/// What has come of all cases.
#[derive(Debug, Default)]
struct Found {
    count: usize,
    /// By section and name: why.
    wrong: Vec<(String, String)>,
    /// Stream errors that were treated as connection errors.
    wider: usize,
}

impl Found {
    /// What is wrong and not known, and what is known and no longer wrong.
    fn unexpected(&self) -> impl Iterator<Item = String> {
        let is_known = |name: &str| KNOWN.iter().any(|(known, _)| *known == name);
        let wrong = self.wrong.iter().filter(move |(name, _)| !is_known(name));
        let is_wrong = |known: &str| self.wrong.iter().any(|(name, _)| name == known);
        let kept = KNOWN.iter().filter(move |(known, _)| !is_wrong(known));
        let wrong = wrong.map(|(name, why)| format!("{name}: {why}"));
        wrong.chain(
            kept.map(|(known, _)| format!("{known}: kept, and still in the list of what is not")),
        )
    }

    fn note(&self) -> String {
        let known = KNOWN.map(|(name, why)| format!("known: {name}: {why}")).join("; ");
        format!(
            "{} sections; a request behind each; {} stream errors came as connection errors, as section 5.4.1 \
             permits; {known}",
            sections(),
            self.wider
        )
    }
}

#[test]
fn alpn_chooses_the_version() {
    if skipped("alpn_chooses_the_version") {
        return;
    }
    let bed = Bed::without_nginx("");
    for (offered, wanted) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["h2"], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let stream = try_connect(&bed.client, SECURE, PATIENCE).unwrap();
        let mut client = TlsClient::connect(stream, &bed.tls(offered), "app.test").unwrap();
        let chosen = client.protocol();
        assert_eq!(chosen.as_deref(), wanted.map(str::as_bytes), "{offered:?}");
        if wanted != Some("h2") {
            assert_eq!(Wire::over(client).get("app.test", "/one").unwrap().text(), "/one");
        } else {
            // HTTP/1 where HTTP/2 was chosen is no preface (RFC 9113, section 3.4).
            client.write_all(b"GET /one HTTP/1.1\r\nHost: app.test\r\n\r\n").unwrap();
            let mut heard = Vec::new();
            let _ = client.read_to_end(&mut heard);
            assert!(!heard.starts_with(b"HTTP/1."), "{}", heard.escape_ascii());
        }
    }
    let plain = Target { host: bed.client.clone(), address: PLAIN, tls: None };
    let mut client = plain.connect().unwrap();
    client.greet(&[]);
    client.ask(1, "http", "app.test", "/two");
    let ended = |seen: &Seen| seen.streams.get(&1).is_some_and(|stream| stream.ended);
    assert!(client.hear_until(PATIENCE, ended), "{}", client.seen().told_in_words());
    assert_eq!(client.seen().streams[&1].body, b"/two");
}

fn stuck(host: &Host) -> Socket {
    host.enter(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_recv_buffer_size(16_384)?;
        socket.set_reuse_address(true)?;
        socket.bind(&SockAddr::from(STUCK))?;
        socket.listen(128)?;
        Ok::<_, io::Error>(socket)
    })
    .unwrap()
}

fn all(scheme: &str) -> Vec<Case> {
    TEXTS.into_iter().flat_map(|text| cases(text, scheme)).collect()
}

fn sections() -> usize {
    all("http").iter().map(|case| case.section).collect::<BTreeSet<_>>().len()
}

fn tried(target: &Target) -> Found {
    let mut found = Found::default();
    for case in all(target.scheme()) {
        let name = format!("{} {}", case.section, case.name);
        found.count += 1;
        match attempt(target, &case) {
            Ok(Some(Kept::Wider)) => found.wider += 1,
            Ok(Some(Kept::AsSaid)) => {}
            Ok(None) => {
                println!("{name}: left out");
                found.count -= 1;
            }
            Err(why) => {
                println!("{name}: {why}; wanted {:?}", case.expected);
                found.wrong.push((name, why));
            }
        }
    }
    found
}

/// `None`: it could not be tried.
fn attempt(target: &Target, case: &Case) -> Result<Option<Kept>, String> {
    let mut client = target.connect().map_err(|error| error.to_string())?;
    if run(&mut client, &case.steps, target.scheme())? == Tried::No {
        return Ok(None);
    }
    let outcomes: Vec<_> = case.expected.iter().map(|line| Outcome::read(line)).collect();
    let asks =
        |client: &mut Client, stream| client.ask(stream, target.scheme(), "app.test", "/next");
    judge(&mut client, &outcomes, (!case.is_last).then_some(&asks)).map(Some)
}

/// The same cases against nginx and HAProxy; figures, no bounds.
fn beside(bed: &Bed) {
    let host = bed.worker();
    for (name, peer, address) in peers(&host) {
        let found = tried(&Target { host: host.clone(), address, tls: None });
        let wrong: Vec<_> =
            found.wrong.iter().map(|(name, why)| format!("{name}: {why}")).collect();
        Item::new(format!("1.1.2 the same cases against {name}"))
            .bound("none: for comparison")
            .n(found.count)
            .record(true, wrong_of(found.count, &wrong));
        drop(peer);
    }
}
