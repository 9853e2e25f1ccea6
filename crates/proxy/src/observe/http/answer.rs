//! What each path says.

use super::Site;
use crate::haproxy::{self, Wanted};
use crate::observe::metrics::{STUCK, render};
use crate::observe::view::Reach;
use crate::pool::Pool;
use hyper::StatusCode;

/// What is there to be asked.
const INDEX: &str = "/metrics\n/livez\n/readyz\n/reach\n/vip\n/pool/NAME\n";

/// Status and text for a path and what stands behind its `?`.
pub(super) fn answer(site: &Site, path: &str, query: Option<&str>) -> (StatusCode, String) {
    // As if nobody were here: who asks wants to know of a service.
    if site.shared.tap().is_some() && path != "/metrics" {
        let text = "`observe` carries nothing: /metrics alone is answered\n";
        return (StatusCode::SERVICE_UNAVAILABLE, text.to_owned());
    }
    match path {
        "/" => (StatusCode::OK, INDEX.to_owned()),
        "/metrics" => {
            let metrics = &site.shared.metrics;
            // As `/vip` would say at this moment, not at the last look.
            metrics.set_vip(site.vip.answer().is_ok());
            let view = site.shared.view();
            let mut page = render(metrics, &view);
            if site.haproxy.1 {
                page.push_str(&haproxy::exported(metrics, &view));
            }
            (StatusCode::OK, page)
        }
        "/stats;csv" if site.haproxy.0 => stats(site),
        "/haproxy" if site.haproxy.0 && query == Some("stats;csv") => stats(site),
        "/livez" => health(live(site)),
        "/readyz" => health(ready(site)),
        "/reach" => match site.shared.view().reach() {
            Reach::One => health(Ok("an endpoint answers".to_owned())),
            Reach::None => health(Err("no endpoint answers".to_owned())),
            Reach::Unknown => health(Err("no endpoint has been asked".to_owned())),
        },
        "/vip" => health(site.vip.answer()),
        _ => match path.strip_prefix("/pool/") {
            Some(name) => pool(site, name),
            None => (StatusCode::NOT_FOUND, INDEX.to_owned()),
        },
    }
}

/// HAProxy's table.
fn stats(site: &Site) -> (StatusCode, String) {
    let table = haproxy::stat(&site.shared.metrics, &site.shared.view(), &Wanted::default());
    (StatusCode::OK, table.unwrap_or_default())
}

fn health(answer: Result<String, String>) -> (StatusCode, String) {
    match answer {
        Ok(text) => (StatusCode::OK, text + "\n"),
        Err(text) => (StatusCode::SERVICE_UNAVAILABLE, text + "\n"),
    }
}

fn live(site: &Site) -> Result<String, String> {
    let metrics = &site.shared.metrics;
    if metrics.is_stopping() {
        return Err("the service stops".to_owned());
    }
    let stuck: Vec<_> = metrics.heartbeats.older_than(STUCK).map(|n| n.to_string()).collect();
    if stuck.is_empty() {
        return Ok("every worker runs".to_owned());
    }
    Err(format!("without a sign of life for {STUCK:?}: worker {}", stuck.join(", ")))
}

fn ready(site: &Site) -> Result<String, String> {
    if site.shared.metrics.is_stopping() {
        return Err("the service stops".to_owned());
    }
    let view = site.shared.view();
    let cannot = |pool: &Pool| !view.standing(pool).is_available();
    let lines: Vec<String> = view
        .routed()
        .filter(|pool| cannot(pool))
        .map(|pool| format!("pool {}: {}", pool.name(), view.standing(pool)))
        .collect();
    if lines.is_empty() { Ok("every pool can serve".to_owned()) } else { Err(lines.join("\n")) }
}

fn pool(site: &Site, name: &str) -> (StatusCode, String) {
    let (view, name) = (site.shared.view(), decoded(name));
    let Some(pool) = view.pools.iter().find(|pool| *pool.name() == *name) else {
        return (StatusCode::NOT_FOUND, "no such pool\n".to_owned());
    };
    let standing = view.standing(pool);
    let line = format!("pool {}: {standing}", pool.name());
    health(if standing.is_available() { Ok(line) } else { Err(line) })
}

/// A name out of a path: `%5B` stands for `[` (RFC 3986, section 2.1). Names are ASCII.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let byte = part.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte.filter(u8::is_ascii_graphic) {
            Some(byte) => {
                name.push(char::from(byte));
                name.push_str(part.get(2..).unwrap_or_default());
            }
            None => {
                name.push('%');
                name.push_str(part);
            }
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_decoded() {
        assert_eq!(decoded("web"), "web");
        assert_eq!(decoded("%5b::1%5D:443"), "[::1]:443");
        assert_eq!(decoded("a%2"), "a%2");
        assert_eq!(decoded("%zz%é%00"), "%zz%é%00");
    }
}
