//! The questions of an HTTP probe: what is asked, and what an answer counts as.

use super::grpc;
use super::tls::Tls;
use crate::pool::Endpoint;
use bytes::Bytes;
use eclusa_config::plan::{BodyPattern, GrpcProbe, HttpProbe, TlsProbe};
use eclusa_policy::verdict::{Check, OTHER_BODY};
use http_body_util::Full;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, TE, USER_AGENT};
use hyper::{Method, Request, Uri};
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// The protocols that a probe offers, best first.
const PROTOCOLS: &[&str] = &["h2", "http/1.1"];
/// How the probes name themselves.
const AGENT: &str = concat!("eclusa/", env!("CARGO_PKG_VERSION"));
/// What a good status counts as, however the operator numbers it.
pub(super) const GOOD: u16 = 200;
/// What a 2xx counts as that the operator does not expect ("Expectation Failed", RFC 9110).
const UNEXPECTED: u16 = 417;

/// The HTTP of a pool's probes.
pub(super) struct Http {
    tls: Option<Tls>,
    checks: Vec<(Check, Uri)>,
    method: Method,
    host: Option<String>,
    token: Option<Token>,
    statuses: Vec<(u16, u16)>,
    body: Option<BodyPattern>,
    /// What each request carries, where it is a call of gRPC.
    call: Option<Bytes>,
    /// Without TLS, where nobody asks: HTTP/2.
    knows_http2: bool,
}

/// A bearer token and its file.
struct Token {
    file: PathBuf,
    /// As it was last read; a file that cannot be read is our own trouble, not the endpoint's.
    last: RefCell<HeaderValue>,
}

impl Http {
    /// Loads what the plan names.
    pub(super) fn prepare(plan: &HttpProbe) -> Result<Self, String> {
        let tls = plan.tls.as_ref().map(|tls| Tls::prepare(tls, PROTOCOLS)).transpose()?;
        let check = |(check, path): &(Check, std::sync::Arc<str>)| {
            let uri: Uri = path.parse().map_err(|error| format!("probe path {path}: {error}"))?;
            Ok::<_, String>((*check, uri))
        };
        let method = plan.method.parse();
        Ok(Self {
            tls,
            checks: plan.checks.iter().map(check).collect::<Result<_, _>>()?,
            method: method.map_err(|error| format!("probe method {}: {error}", plan.method))?,
            host: host(plan.host.as_deref(), plan.tls.as_ref()),
            token: plan.token_file.as_deref().map(Token::prepare).transpose()?,
            statuses: plan.statuses.clone(),
            body: plan.body.clone(),
            call: None,
            knows_http2: plan.http2,
        })
    }

    /// The same for calls of gRPC's health service.
    pub(super) fn prepare_grpc(plan: &GrpcProbe) -> Result<Self, String> {
        let protocols = &PROTOCOLS[..1];
        Ok(Self {
            tls: plan.tls.as_ref().map(|tls| Tls::prepare(tls, protocols)).transpose()?,
            checks: vec![(Check::Ready, Uri::from_static(grpc::PATH))],
            method: Method::POST,
            host: host(plan.host.as_deref(), plan.tls.as_ref()),
            token: plan.token_file.as_deref().map(Token::prepare).transpose()?,
            statuses: Vec::new(),
            body: None,
            call: Some(grpc::question(&plan.service)),
            knows_http2: true,
        })
    }

    /// Whether it calls gRPC's health service: over HTTP/2 alone.
    pub(super) fn is_grpc(&self) -> bool {
        self.call.is_some()
    }

    /// Whether an endpoint that is asked without TLS is to know HTTP/2.
    pub(super) fn knows_http2(&self) -> bool {
        self.knows_http2
    }

    pub(super) fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// How many questions there are.
    pub(super) fn count(&self) -> usize {
        self.checks.len()
    }

    /// Which check the question at `index` is.
    pub(super) fn check(&self, index: usize) -> Check {
        self.checks[index].0
    }

    /// The bearer token for a fresh connection, read anew; where that fails the one before, and
    /// why in words for the operator.
    pub(super) fn token(&self) -> (Option<HeaderValue>, Option<String>) {
        let Some(token) = &self.token else { return (None, None) };
        match read_token(&token.file) {
            Ok(value) => {
                token.last.replace(value.clone());
                (Some(value), None)
            }
            Err(message) => (Some(token.last.borrow().clone()), Some(message)),
        }
    }

    /// The question at `index`, as kube-probes ask.
    pub(super) fn request(
        &self,
        index: usize,
        endpoint: &Endpoint,
        http2: bool,
        token: Option<&HeaderValue>,
    ) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let path = &self.checks[index].1;
        let host = self.host.clone().unwrap_or_else(|| endpoint.address().to_string());
        let mut request = Request::builder().method(self.method.clone());
        if http2 {
            let scheme = if self.tls.is_some() { "https" } else { "http" };
            request = request.uri(format!("{scheme}://{host}{path}"));
        } else {
            request = request.uri(path.clone()).header(HOST, host);
        }
        request = request.header(USER_AGENT, AGENT);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, token);
        }
        if let Some(call) = &self.call {
            request = request.header(CONTENT_TYPE, "application/grpc").header(TE, "trailers");
            return request.body(Full::new(call.clone()));
        }
        request.header(ACCEPT, "*/*").body(Full::default())
    }

    /// Whether an answer with this status is good only with the right body.
    pub(super) fn wants_body(&self, status: u16) -> bool {
        self.body.is_some() && self.is_expected(status)
    }

    /// What an answer counts as; `body`: its first bytes, where [`Http::wants_body`].
    pub(super) fn status(&self, status: u16, body: &[u8]) -> u16 {
        match status {
            // It was told apart when it was read.
            _ if self.is_grpc() => status,
            _ if self.is_expected(status) => {
                let fits = self.body.as_ref().is_none_or(|pattern| pattern.matches(body));
                if fits { GOOD } else { OTHER_BODY }
            }
            200..=299 => UNEXPECTED,
            _ => status,
        }
    }

    fn is_expected(&self, status: u16) -> bool {
        self.statuses.iter().any(|(from, to)| (*from..=*to).contains(&status))
    }
}

/// What is asked for by `Host`; `None`: the endpoint's address.
fn host(written: Option<&str>, tls: Option<&TlsProbe>) -> Option<String> {
    written.or_else(|| tls?.server_name.as_deref()).map(str::to_owned)
}

impl Token {
    fn prepare(file: &Path) -> Result<Self, String> {
        Ok(Self { file: file.to_owned(), last: RefCell::new(read_token(file)?) })
    }
}

fn read_token(file: &Path) -> Result<HeaderValue, String> {
    let failed = |why: &dyn std::fmt::Display| {
        format!(
            "bearer token {} of a probe: {why} (one line with the token, readable by us)",
            file.display()
        )
    };
    let text = crate::files::read_to_string(file).map_err(|error| failed(&error))?;
    let text = text.trim();
    if text.is_empty() {
        return Err(failed(&"the file is empty"));
    }
    let mut value =
        HeaderValue::from_str(&format!("Bearer {text}")).map_err(|error| failed(&error))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Whether the body of an answer is a Kubernetes `Status` object.
pub(super) fn is_status_object(body: &[u8]) -> bool {
    let document: Result<serde_json::Value, _> = serde_json::from_slice(body);
    document.is_ok_and(|document| document["kind"] == "Status")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> HttpProbe {
        HttpProbe {
            tls: None,
            http2: false,
            checks: vec![(Check::Ready, "/readyz?verbose".into())],
            method: "GET".into(),
            host: None,
            token_file: None,
            statuses: vec![(200, 204), (301, 301)],
            body: None,
        }
    }

    #[test]
    fn expected_statuses_are_good_and_others_are_what_they_are() {
        let http = Http::prepare(&plan()).unwrap();
        let counted = [200, 204, 206, 301, 302, 401, 500].map(|status| http.status(status, b""));
        assert_eq!(counted, [200, 200, 417, 200, 302, 401, 500]);
    }

    #[test]
    fn a_token_that_cannot_be_read_stops_the_start_and_later_the_last_one_counts() {
        let name = format!("eclusa-token-{}", std::process::id());
        let file = std::env::temp_dir().join(name);
        let plan = HttpProbe { token_file: Some(file.clone()), ..plan() };
        let error = Http::prepare(&plan).err().unwrap();
        assert!(error.contains(file.to_str().unwrap()), "{error}");
        std::fs::write(&file, "one\n").unwrap();
        let http = Http::prepare(&plan).unwrap();
        std::fs::write(&file, "two\n").unwrap();
        assert_eq!(http.token().0.unwrap(), "Bearer two");
        std::fs::remove_file(&file).unwrap();
        let (token, trouble) = http.token();
        assert_eq!(token.unwrap(), "Bearer two");
        assert!(trouble.unwrap().contains("No such file"));
    }

    #[test]
    fn only_a_status_object_is_one() {
        assert!(is_status_object(br#"{"kind":"Status","apiVersion":"v1","code":401}"#));
        assert!(!is_status_object(b"<html>401</html>"));
        assert!(!is_status_object(br#"{"kind":"Pod"}"#));
    }
}
