//! Ours with its defaults, HAProxy and nginx as an expert tunes them for retries; all before the same
//! three endpoints.

use e2e::product::{Product, Program};
use eclusa_testkit::netns::Host;
use eclusa_testkit::process::Peer;
use std::fmt::Write as _;
use std::net::SocketAddr;

/// Which balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    Haproxy,
    Nginx,
}

/// A running balancer; ended when dropped.
#[derive(Debug)]
pub(crate) enum Candidate {
    Ours(Box<Product>),
    Peer(#[expect(dead_code, reason = "held for as long as it is to run")] Box<Peer>),
}

/// Retries on other endpoints for everything that HAProxy knows to be retryable, not of methods that do
/// something; endpoints that fail exchanges go down at once, and checks bring them back.
const HAPROXY: &str = "global\n  log stderr format raw local0 notice\n\
defaults
  mode http
  log global
  option redispatch 1
  retries 3
  retry-on all-retryable-errors
  timeout connect 500ms
  timeout client 60s
  timeout server 2s
  timeout http-request 10s
frontend web
  bind 192.168.1.2:80
  default_backend web
backend web
  balance roundrobin
  http-reuse safe
  http-request disable-l7-retry unless METH_GET
  option httpchk GET /
  default-server check inter 1s fall 2 rise 2 observe layer7 error-limit 2 on-error mark-down
";

/// The same in nginx's words: `max_fails` takes an endpoint out for `fail_timeout`.
const NGINX: &str = "worker_processes 2;\nevents { worker_connections 4096; }\nhttp {
  {temporary} access_log off;
  upstream web { {servers} keepalive 64; }
  server { listen 192.168.1.2:80; location / {
    proxy_pass http://web; proxy_http_version 1.1; proxy_set_header Connection '';
    proxy_connect_timeout 500ms; proxy_read_timeout 2s;
    proxy_next_upstream error timeout invalid_header http_502 http_503 http_504;
    proxy_next_upstream_tries 3; } } }
";

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Ours, Self::Haproxy, Self::Nginx];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Haproxy => "HAProxy",
            Self::Nginx => "nginx",
        }
    }

    /// Starts it on `host` before `endpoints`.
    pub(crate) fn start(self, host: &Host, endpoints: &[SocketAddr]) -> Candidate {
        let peer = |peer: Result<Peer, _>| Candidate::Peer(Box::new(peer.unwrap()));
        match self {
            Self::Ours => {
                let config = ours(endpoints, "");
                Candidate::Ours(Box::new(Program::Edge.start(Some(host), &config)))
            }
            Self::Haproxy => {
                let mut config = HAPROXY.to_owned();
                for (number, endpoint) in endpoints.iter().enumerate() {
                    writeln!(config, "  server e{number} {endpoint}").unwrap();
                }
                peer(Peer::haproxy(Some(host), &config, &[80]))
            }
            Self::Nginx => {
                let server = |endpoint| format!("server {endpoint} max_fails=1 fail_timeout=10s; ");
                let servers: String = endpoints.iter().map(server).collect();
                let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
                let place = |kind| format!("{kind}_temp_path {{directory}}/{kind}; ");
                let temporary: String = kinds.iter().map(place).collect();
                let config = NGINX.replace("{servers}", &servers);
                peer(Peer::nginx(Some(host), &config.replace("{temporary}", &temporary), &[80]))
            }
        }
    }
}

/// Our configuration: what a pool must have, and `more` keys of it.
pub(crate) fn ours(endpoints: &[SocketAddr], more: &str) -> String {
    let endpoints: Vec<_> = endpoints.iter().map(|endpoint| format!("\"{endpoint}\"")).collect();
    format!(
        "upstreams_within = [\"10.0.0.0/22\"]\n[observe]\nlisten = [\"192.168.1.2:9100\"]\n\
         [listener.web]\nlisten = [\"192.168.1.2:80\"]\nhttp = true\npool = \"web\"\n\
         [pool.web]\nendpoints = [{}]\n{more}\n",
        endpoints.join(", ")
    )
}
