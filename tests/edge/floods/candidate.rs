//! Ours, HAProxy, nginx and Envoy as one runs them at an edge: two threads, a log of every request,
//! deadlines, 100 streams for a connection, at most 1,000 connections of an address where they know
//! such a limit.

use super::bed::{ATTACKED, GOOD};
use e2e::product::{Product, Program};
use eclusa_testkit::netns::Host;
use eclusa_testkit::process::{Peer, PeerError};
use std::io::Write as _;
use std::path::Path;

/// Which balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ours,
    Haproxy,
    Nginx,
    Envoy,
}

/// A running balancer; ended when dropped.
pub(super) enum Candidate {
    Ours(Box<Product>),
    Peer(Box<Peer>, u32),
}

/// Where they listen: HTTP/1.1, HTTP/2 with prior knowledge, TLS, and what is not attacked.
const PORTS: [u16; 4] = [80, 81, 443, 8080];

const OURS: &str = r#"
upstreams_within = ["10.0.0.0/22"]
workers = 2
[listener.attacked]
listen = ["192.168.1.2:80", "192.168.1.2:81"]
http = true
limit = { enforce = true, connections = 1000 }
pool = "attacked"
[listener.attacked-tls]
listen = ["192.168.1.2:443"]
tls = { certificates = ["{certificate}"] }
http = true
limit = { enforce = true, connections = 1000 }
pool = "attacked"
[listener.good]
listen = ["192.168.1.2:8080"]
http = true
pool = "good"
[pool.attacked]
endpoints = ["{attacked}"]
[pool.good]
endpoints = ["{good}"]
"#;

const HAPROXY: &str = "global
  maxconn 8000
  nbthread 2
  tune.h2.max-concurrent-streams 100
  tune.ssl.default-dh-param 2048
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  option http-keep-alive
  http-reuse safe
  timeout connect 5s
  timeout client 30s
  timeout server 60s
  timeout http-request 10s
  timeout http-keep-alive 60s
backend sources
  stick-table type ip size 100k expire 60s store conn_cur
frontend attacked
  maxconn 6000
  bind 192.168.1.2:80
  bind 192.168.1.2:81 proto h2
  bind 192.168.1.2:443 ssl crt {certificate} alpn h2,http/1.1
  tcp-request connection track-sc0 src table sources
  tcp-request connection reject if { sc0_conn_cur gt 1000 }
  default_backend attacked
frontend good
  maxconn 1000
  bind 192.168.1.2:8080
  default_backend good
backend attacked
  server attacked {attacked} check
backend good
  server good {good} check
";

const NGINX: &str = "worker_processes 2;
worker_rlimit_nofile 20000;
error_log stderr crit;
events { worker_connections 8000; multi_accept on; }
http {
  {temporary}
  access_log {directory}/access.log;
  limit_conn_zone $binary_remote_addr zone=sources:10m;
  http2_max_concurrent_streams 100;
  client_header_timeout 10s; client_body_timeout 30s; send_timeout 30s;
  keepalive_timeout 60s; reset_timedout_connection on;
  proxy_http_version 1.1; proxy_set_header Connection '';
  proxy_read_timeout 60s; proxy_connect_timeout 5s;
  upstream attacked { server {attacked}; keepalive 64; }
  upstream good { server {good}; keepalive 64; }
  server {
    listen 192.168.1.2:80; listen 192.168.1.2:81 http2; listen 192.168.1.2:443 ssl http2;
    ssl_certificate {certificate}; ssl_certificate_key {certificate};
    limit_conn sources 1000;
    location / { proxy_pass http://attacked; }
  }
  server { listen 192.168.1.2:8080; location / { proxy_pass http://good; } }
}
";

/// With what Envoy's own advice for an edge has.
const ENVOY: &str = r#"
overload_manager:
  refresh_interval: 0.25s
  resource_monitors:
  - name: envoy.resource_monitors.fixed_heap
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig
      max_heap_size_bytes: 1073741824
  - name: envoy.resource_monitors.global_downstream_max_connections
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig
      max_active_downstream_connections: 8000
  actions:
  - name: envoy.overload_actions.shrink_heap
    triggers: [{ name: envoy.resource_monitors.fixed_heap, threshold: { value: 0.9 } }]
  - name: envoy.overload_actions.stop_accepting_requests
    triggers: [{ name: envoy.resource_monitors.fixed_heap, threshold: { value: 0.95 } }]
static_resources:
  listeners:
{listeners}
  clusters:
{clusters}
"#;

const ENVOY_LISTENER: &str = r#"
  - name: l{port}
    address: { socket_address: { address: 192.168.1.2, port_value: {port} } }
    per_connection_buffer_limit_bytes: 32768
    filter_chains:
    - filters:
      - name: envoy.filters.network.connection_limit
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit
          stat_prefix: l{port}
          max_connections: 2000
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: h{port}
          codec_type: {codec}
          use_remote_address: true
          normalize_path: true
          merge_slashes: true
          common_http_protocol_options: { idle_timeout: 60s, headers_with_underscores_action: REJECT_REQUEST }
          http2_protocol_options: { max_concurrent_streams: 100, initial_stream_window_size: 65536, initial_connection_window_size: 1048576 }
          stream_idle_timeout: 60s
          request_timeout: 30s
          request_headers_timeout: 10s
          access_log:
          - name: envoy.access_loggers.file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: {directory}/access.log
          route_config:
            virtual_hosts: [{ name: all, domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: {cluster}, timeout: 60s } }] }]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
{tls}"#;

const ENVOY_TLS: &str = r#"      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [h2, http/1.1]
            tls_certificates: [{ certificate_chain: { filename: "{certificate}" }, private_key: { filename: "{certificate}" } }]
"#;

const ENVOY_CLUSTER: &str = r#"
  - name: {name}
    type: STATIC
    connect_timeout: 5s
    per_connection_buffer_limit_bytes: 32768
    load_assignment:
      cluster_name: {name}
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: {address}, port_value: {port} } } } }] }]
"#;

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Ours, Self::Haproxy, Self::Nginx, Self::Envoy];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Haproxy => "HAProxy",
            Self::Nginx => "nginx",
            Self::Envoy => "Envoy",
        }
    }

    /// Starts it on `host`; `None`, told as skipped, where there is no such program.
    pub(super) fn start(self, host: &Host, certificate: &Path) -> Option<Candidate> {
        let fill = |text: &str| {
            text.replace("{certificate}", &certificate.display().to_string())
                .replace("{attacked}", ATTACKED)
                .replace("{good}", GOOD)
        };
        let peer = match self {
            Self::Ours => {
                let product = Program::Edge.start(Some(host), &fill(OURS));
                return Some(Candidate::Ours(Box::new(product)));
            }
            Self::Haproxy => Peer::haproxy(Some(host), &fill(HAPROXY), &PORTS),
            Self::Nginx => {
                let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
                let place = |kind| format!("{kind}_temp_path {{directory}}/{kind}; ");
                let temporary: String = kinds.iter().map(place).collect();
                let config = fill(NGINX).replace("{temporary}", &temporary);
                Peer::nginx(Some(host), &config, &PORTS)
            }
            Self::Envoy => Peer::envoy(Some(host), &fill(&envoy()), &PORTS),
        };
        match peer {
            Ok(mut peer) => {
                let pid = peer.running().pid();
                Some(Candidate::Peer(Box::new(peer), pid))
            }
            Err(PeerError::Missing(why)) => {
                let _ = writeln!(std::io::stderr(), "SKIPPED: floods with {}: {why}", self.name());
                None
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Envoy's configuration.
fn envoy() -> String {
    let listener = |port: u16| {
        let (codec, cluster) = match port {
            80 => ("HTTP1", "attacked"),
            81 => ("HTTP2", "attacked"),
            443 => ("AUTO", "attacked"),
            _ => ("HTTP1", "good"),
        };
        ENVOY_LISTENER
            .replace("{port}", &port.to_string())
            .replace("{codec}", codec)
            .replace("{cluster}", cluster)
            .replace("{tls}", if port == 443 { ENVOY_TLS } else { "" })
    };
    let cluster = |name: &str, endpoint: &str| {
        let (address, port) = endpoint.split_once(':').unwrap_or_default();
        let text = ENVOY_CLUSTER.replace("{name}", name);
        text.replace("{address}", address).replace("{port}", port)
    };
    let clusters = cluster("attacked", ATTACKED) + &cluster("good", GOOD);
    ENVOY.replace("{listeners}", &PORTS.map(listener).concat()).replace("{clusters}", &clusters)
}

impl Candidate {
    /// The most memory that each of its processes has held, added up, in bytes.
    pub(super) fn peak(&self) -> u64 {
        let pid = match self {
            Self::Ours(product) => product.pid(),
            Self::Peer(_, pid) => *pid,
        };
        family(pid).into_iter().map(peak_of).sum()
    }

    /// What it has said last; of ours also what it has told of limits.
    pub(super) fn last_words(&mut self) -> String {
        match self {
            Self::Ours(product) => product.last_words(),
            Self::Peer(peer, _) => peer.running().last_words(),
        }
    }
}

/// A process and all below it.
fn family(pid: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    let below = children.split_ascii_whitespace().filter_map(|child| child.parse().ok());
    std::iter::once(pid).chain(below.flat_map(family)).collect()
}

/// `VmHWM` of a process; 0 of one that has ended.
fn peak_of(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kibibytes.unwrap_or(0) << 10
}
