//! Asks endpoints, each with a PROXY header and without, all side by side and none for longer than 2 s.

use super::facts::{Answer, Asked, Network};
use super::question::{Question, Speaks};
use crate::any_certificate::AnyCertificate;
use crate::pool::source_for;
use crate::probe::{Seen, local_header, seen};
use eclusa_config::plan::{EndpointAddress, Plan, ProxyTlvs, SendProxy};
use eclusa_sys::socket::connect;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig, Error};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream as StdTcpStream};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

/// How long an endpoint may take for everything that it is asked on one connection.
const DEADLINE: Duration = Duration::from_secs(2);
/// Connections at once.
const AT_ONCE: usize = 64;
/// Endpoints that are asked.
const ENDPOINTS_MAX: usize = 256;
/// Addresses of which port 6443 is asked.
const SUSPECTS_MAX: usize = 64;
/// The port of apiservers.
const APISERVER: u16 = 6443;
/// Bytes of an answer that are looked at.
const ANSWER_MAX: usize = 8 << 10;
/// The beginning of HTTP/2 (RFC 9113, section 3.4), and an empty SETTINGS frame.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The type of a SETTINGS frame.
const SETTINGS: u8 = 4;

/// Asks all endpoints of the plan, and `suspects` about their port 6443.
///
/// # Errors
/// There is no reactor to be had.
pub(super) fn ask(plan: &Plan, suspects: Vec<IpAddr>) -> io::Result<Network> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let network = runtime.block_on(all(plan, suspects));
    // A resolver that does not answer is left behind.
    runtime.shutdown_background();
    Ok(network)
}

async fn all(plan: &Plan, suspects: Vec<IpAddr>) -> Network {
    let mut network = Network::default();
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut asking = JoinSet::new();
    let mut number = 0;
    for (index, pool) in plan.pools.iter().enumerate() {
        let question = Arc::new(Question::of(plan, index, pool));
        for endpoint in &pool.endpoints {
            let addresses = resolved(&endpoint.address).await;
            if addresses.is_empty() {
                network.unresolved.push((pool.name.clone(), endpoint.name.clone()));
            }
            for address in addresses {
                number += 1;
                if number > ENDPOINTS_MAX {
                    network.left_out += 1;
                    continue;
                }
                let host = match &endpoint.address {
                    EndpointAddress::Name { host, .. } => Some(host.to_string()),
                    EndpointAddress::Socket(_) => None,
                };
                let whose = (pool.name.clone(), endpoint.name.clone(), address);
                let (question, places) = (question.clone(), places.clone());
                asking.spawn(async move {
                    (number, Box::pin(endpoint_of(whose, host, &question, &places)).await)
                });
            }
        }
    }
    let mut reaching = JoinSet::new();
    for address in suspects.into_iter().take(SUSPECTS_MAX) {
        let places = places.clone();
        reaching.spawn(async move {
            let _place = places.acquire().await;
            let to = SocketAddr::new(address, APISERVER);
            (address, timeout(DEADLINE, connected(to, None)).await.is_ok_and(|it| it.is_ok()))
        });
    }
    let mut asked = asking.join_all().await;
    asked.sort_by_key(|(number, _)| *number);
    network.asked = asked.into_iter().map(|(_, asked)| asked).collect();
    network.apiservers = reaching.join_all().await;
    network.apiservers.sort();
    network
}

/// Where an endpoint is now.
async fn resolved(address: &EndpointAddress) -> Vec<SocketAddr> {
    match address {
        EndpointAddress::Socket(address) => vec![*address],
        EndpointAddress::Name { host, port } => {
            let found = timeout(DEADLINE, tokio::net::lookup_host((&**host, *port))).await;
            let mut found: Vec<_> = found.ok().and_then(Result::ok).into_iter().flatten().collect();
            found.sort();
            found.dedup();
            found
        }
    }
}

async fn endpoint_of(
    (pool, name, address): (Arc<str>, Arc<str>, SocketAddr),
    host: Option<String>,
    question: &Question,
    places: &Semaphore,
) -> Asked {
    let header =
        question.send_proxy.unwrap_or(SendProxy { version: 2, tlvs: ProxyTlvs::default() });
    let one = |header: Option<SendProxy>| {
        let host = host.clone();
        async move {
            let _place = places.acquire().await;
            let bytes = header.map(local_header).unwrap_or_default();
            converse(address, question, host.as_deref(), &bytes).await
        }
    };
    let (without, with) = tokio::join!(one(None), one(Some(header)));
    // The way of the file first: the other may end in an error that has a certificate all the same.
    let (first, second) = match question.send_proxy {
        Some(_) => (&with, &without),
        None => (&without, &with),
    };
    let certificate = first.certificate.clone().or_else(|| second.certificate.clone());
    let clock_ahead = first.clock_ahead.or(second.clock_ahead);
    let send_proxy = question.send_proxy.map(|it| it.version);
    let (without, with) = (without.answer, with.answer);
    Asked { pool, name, address, send_proxy, without, with, certificate, clock_ahead }
}

/// What was heard on one connection.
struct Heard {
    answer: Answer,
    certificate: Option<Seen>,
    clock_ahead: Option<i64>,
}

impl From<Answer> for Heard {
    fn from(answer: Answer) -> Self {
        Self { answer, certificate: None, clock_ahead: None }
    }
}

async fn connected(address: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = connect(address, source)?;
    let stream = TcpStream::from_std(StdTcpStream::from(socket))?;
    stream.writable().await?;
    match stream.take_error()? {
        Some(error) => Err(error),
        None => Ok(stream),
    }
}

/// Connects, says `header`, then asks.
async fn converse(
    address: SocketAddr,
    question: &Question,
    host: Option<&str>,
    header: &[u8],
) -> Heard {
    let deadline = Instant::now() + DEADLINE;
    let source = source_for(&question.sources, address, 0);
    let mut stream = match timeout_at(deadline, connected(address, source)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Answer::Unreachable(error.to_string()).into(),
        Err(_) => return Answer::Unreachable("no answer within 2 s".to_owned()).into(),
    };
    let asking = async {
        if !header.is_empty() && stream.write_all(header).await.is_err() {
            return Heard::from(Answer::Closed);
        }
        match &question.speaks {
            Speaks::Tls(name) => {
                let name = name.as_deref().or(host).map(str::to_owned);
                over_tls(stream, address, name, question).await
            }
            Speaks::Http => match request(&mut stream, address, question).await {
                Ok(head) => heard_http(&head),
                Err(answer) => answer.into(),
            },
            Speaks::Http2 => http2(&mut stream).await.into(),
            Speaks::Unknown => greeting(&mut stream).await.into(),
        }
    };
    match timeout_at(deadline, asking).await {
        Ok(heard) => heard,
        Err(_) if question.speaks == Speaks::Unknown => Answer::Unasked.into(),
        Err(_) => Answer::Silent.into(),
    }
}

async fn over_tls(
    stream: TcpStream,
    address: SocketAddr,
    name: Option<String>,
    question: &Question,
) -> Heard {
    let name = name.and_then(|name| ServerName::try_from(name).ok());
    // Of an address no server name is sent.
    let name = name.unwrap_or_else(|| ServerName::IpAddress(address.ip().into()));
    let Ok(connector) = connector(question.request.is_some()) else {
        return Answer::Unasked.into();
    };
    let mut stream = match connector.connect(name, stream).await {
        Ok(stream) => stream,
        Err(error) => return refused(&error).into(),
    };
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let certificate = chain.first().and_then(|leaf| seen(leaf));
    // The handshake says enough, whatever comes of the request.
    let head = match question.request {
        Some(_) => request(&mut stream, address, question).await.ok(),
        None => None,
    };
    let clock_ahead = head.as_deref().and_then(clock_ahead);
    Heard { answer: Answer::Understood("TLS".to_owned()), certificate, clock_ahead }
}

fn connector(http: bool) -> Result<TlsConnector, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate::new(provider)))
        .with_no_client_auth();
    if http {
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
    }
    Ok(TlsConnector::from(Arc::new(config)))
}

/// What a handshake that failed says: an endpoint that takes us for the wrong client has understood us.
fn refused(error: &io::Error) -> Answer {
    let Some(tls) = error.get_ref().and_then(|error| error.downcast_ref::<Error>()) else {
        return Answer::Closed;
    };
    match tls {
        Error::AlertReceived(
            AlertDescription::UnexpectedMessage
            | AlertDescription::DecodeError
            | AlertDescription::ProtocolVersion
            | AlertDescription::RecordOverflow,
        )
        | Error::InvalidMessage(_)
        | Error::InappropriateMessage { .. } => Answer::Strange(tls.to_string()),
        _ => Answer::Understood(format!("TLS, and it refuses: {tls}")),
    }
}

/// The head of the answer to the request, or what came in its place.
async fn request(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    address: SocketAddr,
    question: &Question,
) -> Result<Vec<u8>, Answer> {
    let (method, path) = match &question.request {
        Some((method, path)) => (*method, path.as_str()),
        None => ("HEAD", "/"),
    };
    let host = question.host.clone().unwrap_or_else(|| address.to_string());
    let text = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: eclusa-doctor\r\nAccept: */*\r\n\
         Connection: close\r\n\r\n"
    );
    let written = stream.write_all(text.as_bytes()).await;
    written.map_err(|_| Answer::Closed)?;
    // TLS may hold a record back.
    stream.flush().await.map_err(|_| Answer::Closed)?;
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while head.len() < ANSWER_MAX && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => break,
            Ok(read) => head.extend_from_slice(&part[..read]),
        }
    }
    if head.is_empty() { Err(Answer::Closed) } else { Ok(head) }
}

fn heard_http(head: &[u8]) -> Heard {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let status =
        line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)?.parse::<u16>().ok());
    let answer = match status {
        // What HTTP says to what is none.
        Some(400) => Answer::Strange("HTTP 400".to_owned()),
        Some(status) => Answer::Understood(format!("HTTP {status}")),
        None => Answer::Strange(shown(head)),
    };
    Heard { answer, certificate: None, clock_ahead: clock_ahead(head) }
}

/// The first bytes of what is no HTTP.
fn shown(bytes: &[u8]) -> String {
    let first: Vec<_> = bytes.iter().take(16).copied().collect();
    format!("it says \"{}\"", first.escape_ascii())
}

async fn http2(stream: &mut TcpStream) -> Answer {
    if stream.write_all(HTTP2).await.is_err() {
        return Answer::Closed;
    }
    let mut frame = [0; 9];
    let mut got = 0;
    while got < frame.len() {
        match stream.read(&mut frame[got..]).await {
            Ok(0) | Err(_) if got == 0 => return Answer::Closed,
            Ok(0) | Err(_) => break,
            Ok(read) => got += read,
        }
    }
    match frame.get(3) {
        Some(&SETTINGS) if got == frame.len() => Answer::Understood("HTTP/2".to_owned()),
        _ => Answer::Strange(shown(&frame[..got])),
    }
}

/// What an endpoint says that speaks first.
async fn greeting(stream: &mut TcpStream) -> Answer {
    let mut bytes = [0; 64];
    match stream.read(&mut bytes).await {
        Ok(0) | Err(_) => Answer::Closed,
        Ok(read) => Answer::Understood(format!("it greets: {}", shown(&bytes[..read]))),
    }
}

/// How far the clock that wrote `Date` is before ours, in milliseconds.
fn clock_ahead(head: &[u8]) -> Option<i64> {
    let text = String::from_utf8_lossy(head);
    let date = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("date").then(|| value.trim().to_owned())
    })?;
    let there = date_of(&date)?;
    let now = SystemTime::now();
    let milliseconds = |time: Duration| i64::try_from(time.as_millis()).ok();
    match there.duration_since(now) {
        Ok(ahead) => milliseconds(ahead),
        Err(behind) => Some(-milliseconds(behind.duration())?),
    }
}

/// A date as HTTP writes it (RFC 9110, section 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
fn date_of(text: &str) -> Option<SystemTime> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.split_once(", ")?;
    let words: Vec<_> = rest.split(' ').collect();
    let [day, month, year, time, "GMT"] = words[..] else { return None };
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    humantime::parse_rfc3339(&format!("{year}-{month:02}-{day}T{time}Z")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_http_are_read() {
        let at = date_of("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(humantime::format_rfc3339(at).to_string(), "1994-11-06T08:49:37Z");
        for wrong in ["", "Sun, 06 Nov 1994", "Sun, 06 Foo 1994 08:49:37 GMT", "784111777"] {
            assert_eq!(date_of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_answer_tells_its_clock_and_whether_it_was_understood() {
        let now = |ahead: u64| SystemTime::now() + Duration::from_secs(ahead);
        let head = |status: u16, at: SystemTime| {
            // RFC 3339 has no names of days, and nobody looks at them.
            let text = humantime::format_rfc3339_seconds(at).to_string();
            let (day, time) = text.split_once('T').unwrap();
            let day: Vec<_> = day.split('-').collect();
            let months = [
                "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
            ];
            let month = months[day[1].parse::<usize>().unwrap() - 1];
            format!(
                "HTTP/1.1 {status} x\r\ndate: Mon, {} {month} {} {} GMT\r\n\r\n",
                day[2],
                day[0],
                time.trim_end_matches('Z')
            )
        };
        let heard = heard_http(head(204, now(100)).as_bytes());
        assert_eq!(heard.answer, Answer::Understood("HTTP 204".into()));
        assert!(
            (98_000..=100_000).contains(&heard.clock_ahead.unwrap()),
            "{:?}",
            heard.clock_ahead
        );
        let heard = heard_http(head(400, now(0)).as_bytes());
        assert_eq!(heard.answer, Answer::Strange("HTTP 400".into()));
        assert!((-2_000..=0).contains(&heard.clock_ahead.unwrap()));
        assert!(matches!(heard_http(b"SSH-2.0-x\r\n").answer, Answer::Strange(_)));
    }

    #[test]
    fn who_refuses_our_certificate_has_understood_us() {
        let refused = |alert| refused(&io::Error::other(Error::AlertReceived(alert)));
        for alert in [AlertDescription::CertificateRequired, AlertDescription::UnrecognisedName] {
            assert!(matches!(refused(alert), Answer::Understood(_)), "{alert:?}");
        }
        for alert in [AlertDescription::UnexpectedMessage, AlertDescription::DecodeError] {
            assert!(matches!(refused(alert), Answer::Strange(_)), "{alert:?}");
        }
        assert_eq!(super::refused(&io::ErrorKind::UnexpectedEof.into()), Answer::Closed);
    }
}
