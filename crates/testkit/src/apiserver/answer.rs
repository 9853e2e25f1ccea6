//! What a fake apiserver answers to which request.

use super::body::{Answer, Wish};
use super::shared::{Gauge, Held, Phase, Shared};
use crate::stream::Checksum;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::rc::Rc;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::sleep;

/// One connection, as its requests see it.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) shared: Arc<Shared>,
    /// Who is at the other end: as the PROXY header says where one is expected.
    pub(super) client: SocketAddr,
    /// Makes this connection go away.
    pub(super) away: Rc<Notify>,
}

/// A request that cannot be answered as it is, in words.
struct Bad(String);

pub(super) async fn answer(request: Request<Incoming>, link: &Link) -> Response<Answer> {
    let shared = &link.shared;
    shared.count.requests.fetch_add(1, Relaxed);
    if request.version() == Version::HTTP_2 && goes_away(shared) {
        link.away.notify_one();
    }
    let running = Held::new(shared, Gauge::Running);
    let mut response = match request.uri().path() {
        "/readyz" | "/livez" | "/healthz" => health(&request, shared, running).await,
        _ => other(request, link, running).await,
    };
    let headers = response.headers_mut();
    for (name, value) in
        [("x-master", &shared.settings.name), ("x-client", &link.client.to_string())]
    {
        // A name that is no header value (a test of that) is left out.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    response
}

/// Whether this HTTP/2 request is one of those of a thousand; evenly spread, so that a test
/// knows how many there are.
fn goes_away(shared: &Shared) -> bool {
    let number = shared.count.http2_requests.fetch_add(1, Relaxed) + 1;
    let share = u64::from(shared.settings.goaway_per_mille.min(1000));
    number * share / 1000 != (number - 1) * share / 1000
}

async fn health(request: &Request<Incoming>, shared: &Shared, running: Held) -> Response<Answer> {
    shared.count.health.fetch_add(1, Relaxed);
    let faults = shared.faults.borrow().clone();
    sleep(faults.health_late).await;
    let path = request.uri().path().trim_start_matches('/');
    // Looked at after the delay: a slow probe learns the truth of its answer's time.
    let leaving = *shared.phase.borrow() >= Phase::Leaving;
    let code = match path {
        "readyz" => faults.readyz.unwrap_or(if leaving { 500 } else { 200 }),
        _ => faults.livez.unwrap_or(200),
    };
    let verbose = request.uri().query().is_some_and(|query| query.split('&').any(is_verbose));
    let text = match code {
        200 if !verbose => "ok".to_owned(),
        200 => format!("[+]ping ok\n[+]etcd ok\n[+]shutdown ok\n{path} check passed\n"),
        401 | 403 | 429 => return failure(code, shared, running),
        _ => format!(
            "[+]ping ok\n[+]etcd ok\n[-]shutdown failed: reason withheld\n{path} check failed\n"
        ),
    };
    reply(code, "text/plain; charset=utf-8", Answer::whole(text, running))
}

fn is_verbose(parameter: &str) -> bool {
    parameter == "verbose" || parameter.starts_with("verbose=")
}

async fn other(request: Request<Incoming>, link: &Link, running: Held) -> Response<Answer> {
    let shared = &link.shared;
    let late = shared.faults.borrow().answer_late;
    sleep(late).await;
    let status = shared.faults.borrow().status;
    if let Some(code) = status.filter(|code| *code != 200) {
        return failure(code, shared, running);
    }
    match by_path(request, link, running).await {
        Ok(response) => response,
        Err(Bad(why)) => {
            let body = json!({"kind": "Status", "status": "Failure", "code": 400, "message": why});
            let running = Held::new(shared, Gauge::Running);
            reply(400, "application/json", Answer::whole(body.to_string(), running))
        }
    }
}

async fn by_path(
    request: Request<Incoming>,
    link: &Link,
    running: Held,
) -> Result<Response<Answer>, Bad> {
    let shared = &link.shared;
    let (parts, body) = request.into_parts();
    let uri = &parts.uri;
    if uri.path() == "/watch" || query::<bool>(uri, "watch") == Ok(Some(true)) {
        let wish = Wish {
            rate: number(uri, "rate", shared.settings.watch_rate)?,
            events: query(uri, "events").map_err(Bad)?,
            pad: number(uri, "pad", 0)?,
        };
        return Ok(reply(200, "application/json;stream=watch", Answer::watch(shared, wish)));
    }
    if uri.path() == "/blob" {
        let answer = Answer::blob(number(uri, "seed", 0)?, number(uri, "bytes", 0)?, running);
        return Ok(reply(200, "application/octet-stream", answer));
    }
    let received = drain(body).await?;
    let (code, value) = match uri.path() {
        "/version" => (200, version(shared)),
        "/upload" => (
            200,
            json!({
                "master": shared.settings.name,
                "bytes": received.length(),
                "checksum": received.value(),
            }),
        ),
        path => {
            if path == "/slow" {
                sleep(Duration::from_millis(number(uri, "ms", 0)?)).await;
            }
            let code = if parts.method == Method::POST { 201 } else { 200 };
            (code, small(link, path, &parts.method))
        }
    };
    Ok(reply(code, "application/json", Answer::whole(value.to_string(), running)))
}

fn small(link: &Link, path: &str, method: &Method) -> Value {
    json!({
        "kind": "Object",
        "master": link.shared.settings.name,
        "path": path,
        "method": method.as_str(),
        "client": link.client.to_string(),
    })
}

fn version(shared: &Shared) -> Value {
    json!({
        "major": "1",
        "minor": "36",
        "gitVersion": "v1.36.0",
        "platform": "linux/amd64",
        "master": shared.settings.name,
    })
}

/// Reads the request's body to its end.
async fn drain(mut body: Incoming) -> Result<Checksum, Bad> {
    let mut sum = Checksum::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Bad(format!("the request's body broke off: {error}")))?;
        if let Some(data) = frame.data_ref() {
            sum.update(data);
        }
    }
    Ok(sum)
}

/// Kubernetes' `Status` document of a failure.
fn failure(code: u16, shared: &Shared, running: Held) -> Response<Answer> {
    let body = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "master": shared.settings.name,
    });
    let mut response = reply(code, "application/json", Answer::whole(body.to_string(), running));
    if code == 429 {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn reply(code: u16, kind: &'static str, answer: Answer) -> Response<Answer> {
    let mut response = Response::new(answer);
    // Faults allow 200 to 599 only.
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::IM_A_TEAPOT);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// The value of a query parameter, if it is there.
fn query<T: FromStr>(uri: &Uri, name: &str) -> Result<Option<T>, String> {
    let pairs = uri.query().unwrap_or_default().split('&');
    let Some(value) = pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)
    else {
        return Ok(None);
    };
    let (_, value) = value;
    value.parse().map(Some).map_err(|_| format!("`{name}={value}` is no number"))
}

fn number<T: FromStr>(uri: &Uri, name: &str, default: T) -> Result<T, Bad> {
    query(uri, name).map(|value| value.unwrap_or(default)).map_err(Bad)
}
