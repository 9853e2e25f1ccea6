//! nginx and HAProxy, by prior knowledge, before the recorder and before an endpoint that reads nothing.

use eclusa_testkit::netns::Host;
use eclusa_testkit::process::Peer;
use std::net::SocketAddr;

/// Each with its name and where it listens, on `host`.
pub(super) fn peers(host: &Host) -> [(&'static str, Peer, SocketAddr); 2] {
    let config = |text: &str| text.replace("{address}", &host.address().to_string());
    let at = |port| SocketAddr::new(host.address().into(), port);
    [
        ("nginx", Peer::nginx(Some(host), &config(NGINX), &[7031]).unwrap(), at(7031)),
        ("HAProxy", Peer::haproxy(Some(host), &config(HAPROXY), &[7032]).unwrap(), at(7032)),
    ]
}

const NGINX: &str = "
events { worker_connections 512; }
http {
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    access_log off; client_max_body_size 0;
    server {
        listen {address}:7031 http2 default_server;
        location / {
            proxy_pass http://10.0.1.105:80; proxy_http_version 1.1;
            proxy_request_buffering off; proxy_buffering off;
        }
    }
    server {
        listen {address}:7031 http2;
        server_name stuck.test;
        location / {
            proxy_pass http://10.0.1.105:82; proxy_http_version 1.1; proxy_request_buffering off;
        }
    }
}
";

const HAPROXY: &str = "
global
    maxconn 500
defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 10s
frontend proxy
    bind {address}:7032 proto h2
    use_backend stuck if { hdr(host) stuck.test }
    default_backend recorder
backend recorder
    server recorder 10.0.1.105:80
backend stuck
    server stuck 10.0.1.105:82
";
