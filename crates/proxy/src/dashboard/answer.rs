//! What each path of the dashboard says.

use super::Look;
use super::content::{Content, answer, file, json, later, line, not_so};
use super::guard::{self, Wanted};
use super::live::Hub;
use super::snapshot::of_event;
use crate::admin::{AdminState, EndpointSet, Explain, Outcome, Peer, Reply, Request};
use crate::files;
use crate::observe::metrics::Unwelcome;
use crate::observe::{Event, Severity};
use eclusa_config::plan::Dashboard;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Method, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json as value;
use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

const HTML: &str = include_str!("page.html");
const CSS: &str = include_str!("page.css");
/// In the order in which the page loads them.
const SCRIPTS: [(&str, &str); 5] = [
    ("/base.js", include_str!("base.js")),
    ("/state.js", include_str!("state.js")),
    ("/network.js", include_str!("network.js")),
    ("/rest.js", include_str!("rest.js")),
    ("/page.js", include_str!("page.js")),
];
const ICON: &str = include_str!("icon.svg");

/// Bytes of a question or an order.
const BODY: usize = 16 << 10;
/// Time for it.
const BODY_WITHIN: Duration = Duration::from_secs(5);
/// What an order with a wrong token waits: nobody guesses one.
const WRONG_WAITS: Duration = Duration::from_millis(500);
/// Wrong tokens are told at most so often.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// Why a request is not done.
type Refused = Box<Response<Content>>;

/// What every answer is made from.
pub(super) struct Site<L> {
    hub: Rc<Hub<L>>,
    hosts: Vec<Arc<str>>,
    token_file: Option<PathBuf>,
    /// When a wrong token was told last, and how many came since.
    told: Cell<(Option<Instant>, u32)>,
}

/// An endpoint that something is asked about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    pool: String,
    endpoint: String,
}

impl<L: Look> Site<L> {
    pub(super) fn new(hub: Rc<Hub<L>>, plan: &Dashboard) -> Self {
        let (hosts, token_file) = (plan.hosts.clone(), plan.token_file.clone());
        Self { hub, hosts, token_file, told: Cell::default() }
    }

    pub(super) fn look(&self) -> &L {
        self.hub.look()
    }

    /// Lets a request in, or says why not.
    fn admit(&self, headers: &HeaderMap, wanted: Wanted) -> Result<(), Refused> {
        let refused = |why, text: &str| {
            self.look().metrics().dashboard_refused(why);
            Box::new(line(StatusCode::FORBIDDEN, text))
        };
        let host = guard::host(headers, &self.hosts);
        let host = host.map_err(|wrong| refused(Unwelcome::Host, &wrong))?;
        match guard::is_own(headers, host, wanted) {
            true => Ok(()),
            false => {
                Err(refused(Unwelcome::CrossSite, "the page of another site may not ask this"))
            }
        }
    }

    /// Whether a request has the token of orders; what is wrong takes a while.
    async fn authorise(&self, headers: &HeaderMap, by: &Peer) -> Result<(), Response<Content>> {
        let Some(file) = &self.token_file else {
            let text = "this dashboard only shows: it takes orders with `dashboard.token_file`";
            return Err(line(StatusCode::FORBIDDEN, text));
        };
        // Read anew each time: who replaces the token needs no reload.
        let token = match files::read_to_string(file) {
            Ok(token) => token,
            Err(error) => {
                self.tell(format!("no order is taken: {}: {error}", file.display()));
                let text = "the token cannot be read on this host: its log says why";
                return Err(line(StatusCode::SERVICE_UNAVAILABLE, text));
            }
        };
        if guard::has_token(headers, &token) {
            return Ok(());
        }
        self.look().metrics().dashboard_refused(Unwelcome::Token);
        // Who has none does not guess.
        if headers.contains_key(AUTHORIZATION) {
            self.tell_wrong(by);
            sleep(WRONG_WAITS).await;
        }
        let mut response = line(StatusCode::UNAUTHORIZED, "this is not the token of `token_file`");
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        Err(response)
    }

    fn tell_wrong(&self, by: &Peer) {
        let (told, count) = self.told.get();
        if told.is_some_and(|told| told.elapsed() < TELL_AGAIN) {
            return self.told.set((told, count.saturating_add(1)));
        }
        self.told.set((Some(Instant::now()), 0));
        let more = if count > 0 { format!(" ({count} more before)") } else { String::new() };
        self.tell(format!("an order without the right token, by {by}{more}"));
    }

    fn tell(&self, message: String) {
        self.look().tell(Event::new("dashboard", message).severity(Severity::Warning));
    }

    async fn explain(&self, asked: Explain, by: &Peer) -> Response<Content> {
        told(&self.look().perform(Request::Explain(Box::new(asked)), by).await)
    }

    /// Drains an endpoint, or takes it back. What the guards refuse stays refused: to pass by them is
    /// left to the command line.
    async fn order(&self, set: EndpointSet, by: &Peer) -> Response<Content> {
        if set.admin == AdminState::Maint || set.force {
            return line(StatusCode::BAD_REQUEST, "the page drains and takes back, no more");
        }
        let request = Request::EndpointSet(set);
        if let Err(wrong) = request.check() {
            return line(StatusCode::BAD_REQUEST, &wrong);
        }
        told(&self.look().perform(request, by).await)
    }

    fn history(&self, which: &Which) -> Response<Content> {
        let Some(results) = self.look().history(&which.pool, &which.endpoint) else {
            return line(StatusCode::NOT_FOUND, "there is no such endpoint (any more)");
        };
        let is_about = |event: &serde_json::Value| {
            event["pool"] == *which.pool && event["endpoint"] == *which.endpoint
        };
        let events = self.look().events(0);
        let events: Vec<_> = events.iter().map(|event| of_event(event)).filter(is_about).collect();
        json(StatusCode::OK, &value!({ "results": results, "events": events }))
    }
}

/// The answer to a request. `cut` ends its connection.
pub(super) async fn respond<L, B>(
    site: &Site<L>,
    request: hyper::Request<B>,
    by: &Peer,
    cut: Rc<Notify>,
) -> Response<Content>
where
    L: Look,
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let path = request.uri().path();
    let wanted = if path == "/" { Wanted::Page } else { Wanted::Part };
    if let Err(refused) = site.admit(request.headers(), wanted) {
        return *refused;
    }
    let asks = matches!(*request.method(), Method::GET | Method::HEAD);
    match path {
        _ if !asks && !path.starts_with("/api/") => not_so("GET, HEAD"),
        "/" => file("text/html; charset=utf-8", HTML),
        "/page.css" => file("text/css; charset=utf-8", CSS),
        "/icon.svg" => file("image/svg+xml", ICON),
        "/live" if *request.method() == Method::HEAD => not_so("GET"),
        "/live" => live(site, cut),
        "/api/explain" | "/api/history" | "/api/unlock" | "/api/order" => {
            if *request.method() == Method::POST {
                post(site, request, by).await
            } else {
                not_so("POST")
            }
        }
        _ => match SCRIPTS.iter().find(|(name, _)| *name == path) {
            Some((_, script)) => file("text/javascript; charset=utf-8", script),
            None => line(StatusCode::NOT_FOUND, "the page is at /"),
        },
    }
}

fn live<L: Look>(site: &Site<L>, cut: Rc<Notify>) -> Response<Content> {
    match site.hub.join(cut) {
        Some(pieces) => answer(StatusCode::OK, "text/event-stream", Content::Live(pieces)),
        None => {
            site.look().metrics().dashboard_refused(Unwelcome::Viewers);
            later("as many look as may (`dashboard.viewers_max`): close a page elsewhere")
        }
    }
}

async fn post<L, B>(site: &Site<L>, request: hyper::Request<B>, by: &Peer) -> Response<Content>
where
    L: Look,
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    if matches!(path, "/api/unlock" | "/api/order")
        && let Err(refused) = site.authorise(&head.headers, by).await
    {
        return refused;
    }
    // No form of another site's page sends this type without being asked first (the Fetch standard,
    // CORS-safelisted request headers).
    if head.headers.get(CONTENT_TYPE).is_none_or(|kind| kind != "application/json") {
        return line(StatusCode::UNSUPPORTED_MEDIA_TYPE, "application/json");
    }
    let body = match timeout(BODY_WITHIN, Limited::new(body, BODY).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => return line(StatusCode::PAYLOAD_TOO_LARGE, "16 KiB at most"),
        Err(_) => return line(StatusCode::REQUEST_TIMEOUT, "half a request, and no more"),
    };
    match path {
        "/api/explain" => match read(&body) {
            Ok(asked) => site.explain(asked, by).await,
            Err(refused) => *refused,
        },
        "/api/history" => read(&body).map_or_else(|refused| *refused, |it| site.history(&it)),
        "/api/order" => match read(&body) {
            Ok(set) => site.order(set, by).await,
            Err(refused) => *refused,
        },
        _ => json(StatusCode::OK, &value!({})),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body)
        .map_err(|error| Box::new(line(StatusCode::BAD_REQUEST, &error.to_string())))
}

/// What came of a request.
fn told(reply: &Reply) -> Response<Content> {
    let status = match reply.outcome {
        Outcome::Done => StatusCode::OK,
        Outcome::Wrong => StatusCode::BAD_REQUEST,
        Outcome::Refused => StatusCode::CONFLICT,
        Outcome::Failed => StatusCode::SERVICE_UNAVAILABLE,
    };
    let Reply { outcome, messages, data, .. } = reply;
    json(status, &value!({ "outcome": outcome, "messages": messages, "data": data }))
}
