//! What endpoints of a pool speak, as far as the file says it, and so what they can be asked.

use eclusa_config::plan::{Peek, Plan, Pool, Probe, Program, SendProxy};
use eclusa_policy::condition::Condition;
use eclusa_policy::name::NamePattern;
use std::net::IpAddr;
use std::sync::Arc;

/// What endpoints of a pool are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) speaks: Speaks,
    /// The request behind a TLS handshake, or without one: method and path.
    pub(super) request: Option<(&'static str, String)>,
    /// Its `Host`; `None`: the endpoint's address.
    pub(super) host: Option<String>,
    /// The header that the file says.
    pub(super) send_proxy: Option<SendProxy>,
    /// Addresses to connect from.
    pub(super) sources: Vec<IpAddr>,
}

/// What an endpoint speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    /// TLS; the server name to send.
    Tls(Option<String>),
    /// HTTP/1 without TLS.
    Http,
    /// HTTP/2 without TLS.
    Http2,
    /// Nobody knows: it may speak first.
    Unknown,
}

impl Question {
    /// What endpoints of the pool at `index` are asked.
    pub(super) fn of(plan: &Plan, index: usize, pool: &Pool) -> Self {
        let speaks = speaks(plan, index, pool);
        let request = request(plan.program, pool, &speaks);
        let host = match &pool.probe {
            Probe::Http(http) => http.host.as_deref().map(str::to_owned),
            _ => None,
        };
        let host = host.or_else(|| match &speaks {
            Speaks::Tls(name) => name.clone(),
            _ => name_of(plan, index),
        });
        Self { speaks, request, host, send_proxy: pool.send_proxy, sources: pool.source.clone() }
    }
}

fn speaks(plan: &Plan, index: usize, pool: &Pool) -> Speaks {
    let written = |name: &Option<Arc<str>>| name.as_deref().map(str::to_owned);
    let name = || name_of(plan, index);
    if let Some(tls) = &pool.tls {
        return Speaks::Tls(written(&tls.server_name).or_else(name));
    }
    if let Some(tls) = pool.probe.tls() {
        return Speaks::Tls(written(&tls.server_name).or_else(name));
    }
    match &pool.probe {
        Probe::Http(http) if http.http2 => return Speaks::Http2,
        Probe::Http(_) => return Speaks::Http,
        Probe::Grpc(_) => return Speaks::Http2,
        Probe::None | Probe::Tcp | Probe::Tls(_) => {}
    }
    let mut leading = plan.listeners.iter().filter(|listener| {
        listener.routes.iter().any(|route| route.target.pools().any(|pool| pool == index))
    });
    match leading.next() {
        Some(listener) if listener.http.is_some() => match pool.http.http2 {
            Some(_) => Speaks::Http2,
            None => Speaks::Http,
        },
        Some(listener) if listener.peek == Peek::Tls => Speaks::Tls(name()),
        _ if plan.program == Program::Apiserver => Speaks::Tls(None),
        _ => Speaks::Unknown,
    }
}

fn request(program: Program, pool: &Pool, speaks: &Speaks) -> Option<(&'static str, String)> {
    let path = match &pool.probe {
        Probe::Http(http) => http.checks.first().map(|(_, path)| path.to_string()),
        _ => None,
    };
    let path = path.unwrap_or_else(|| "/".to_owned());
    match (program, speaks) {
        // Kubernetes lets anonymous clients GET these, and nothing else.
        (Program::Apiserver, _) => Some(("GET", path)),
        // HTTP/2 alone: the handshake says enough.
        (_, Speaks::Tls(_)) if pool.http.http2.is_some() => None,
        (_, Speaks::Tls(_)) if pool.tls.is_none() && !matches!(pool.probe, Probe::Http(_)) => None,
        (_, Speaks::Tls(_) | Speaks::Http) => Some(("HEAD", path)),
        (_, Speaks::Http2 | Speaks::Unknown) => None,
    }
}

/// A name that clients who are sent to the pool ask for.
fn name_of(plan: &Plan, index: usize) -> Option<String> {
    let routes = plan.listeners.iter().flat_map(|listener| &listener.routes);
    let mut leading = routes.filter(|route| route.target.pools().any(|pool| pool == index));
    leading.find_map(|route| name_in(&route.when))
}

fn name_in(condition: &Condition) -> Option<String> {
    match condition {
        Condition::ServerName(names) | Condition::Host(names) => {
            names.first().map(|name| match name {
                NamePattern::Exact(name) => name.to_string(),
                NamePattern::Wildcard(suffix) => format!("www.{suffix}"),
            })
        }
        Condition::All(parts) | Condition::Any(parts) => parts.iter().find_map(name_in),
        Condition::Named(named) => name_in(&named.condition),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eclusa_config::Mode;

    fn question(program: Program, text: &str) -> Question {
        let plan = eclusa_config::parse(program, "a.toml", text, Mode::Offline);
        let plan = plan.unwrap_or_else(|errors| panic!("{errors}")).plan;
        Question::of(&plan, 0, &plan.pools[0])
    }

    fn edge(listener: &str, pool: &str) -> Question {
        let text = format!(
            "[listener.web]\nlisten = [\"127.0.0.1:443\"]\n{listener}\n[pool.web]\n\
             endpoints = [\"10.0.1.100:443\"]\n{pool}\n"
        );
        question(Program::Edge, &text)
    }

    #[test]
    fn the_file_says_what_endpoints_speak() {
        let tls = |name: &str| Speaks::Tls(Some(name.to_owned()));
        let by_name = "[[listener.web.route]]\nserver_name = [\"*.shop.test\"]\npool = \"web\"";
        assert_eq!(edge(by_name, "").speaks, tls("www.shop.test"));
        assert_eq!(edge("pool = \"web\"", "probe = { kind = \"none\" }").speaks, Speaks::Unknown);
        let probed = "probe = { kind = \"http\", path = \"/healthz\" }";
        let asked = edge("pool = \"web\"", probed);
        assert_eq!(asked.speaks, Speaks::Http);
        assert_eq!(asked.request, Some(("HEAD", "/healthz".to_owned())));
        let asked = edge("pool = \"web\"\nhttp = true", "");
        assert_eq!((asked.speaks, asked.request), (Speaks::Http, Some(("HEAD", "/".to_owned()))));
        let encrypted = "tls = { server_name = \"a.test\", verify = false }";
        assert_eq!(edge("pool = \"web\"\nhttp = true", encrypted).speaks, tls("a.test"));
        let probed = "probe = { kind = \"grpc\" }";
        assert_eq!(edge("pool = \"web\"", probed).speaks, Speaks::Http2);
    }

    #[test]
    fn masters_speak_tls_and_then_http() {
        let asked = question(Program::Apiserver, "masters = [\"10.0.0.11\"]\n");
        assert!(matches!(asked.speaks, Speaks::Tls(_)), "{asked:?}");
        assert_eq!(asked.request, Some(("GET", "/readyz".to_owned())));
        let asked =
            question(Program::Apiserver, "masters = [\"10.0.0.11\"]\nprobe = { kind = \"tcp\" }\n");
        assert_eq!(
            (asked.speaks, asked.request),
            (Speaks::Tls(None), Some(("GET", "/".to_owned())))
        );
    }
}
