//! Keys of TLS, at listeners and towards endpoints.

use super::{ORIGINATE_SECTION, TERMINATE_SECTION, duration, seconds};
use crate::reference::{Default, Key, Kind};

/// `[listener.NAME.tls]`
pub static TLS: Key = Key {
    name: "tls",
    kind: Kind::Table(&TERMINATE_SECTION),
    default: Default::Words("connections are carried as they are"),
    help: "TLS is opened here; what is inside goes on as TCP or, with `http`, as requests.",
};

/// Certificates.
pub static CERTIFICATES: Key = Key {
    name: "certificates",
    kind: Kind::List(&Kind::Path("/etc/letsencrypt/live")),
    default: Default::Required,
    help: "PEM files or directories with certificates and their keys: chain and key in one file or \
           in two, as certbot and HAProxy lay them out. A client gets the one that has its server \
           name. Files are watched: a renewed certificate is served at once.",
};

/// Least version.
pub static MIN_VERSION: Key = Key {
    name: "min_version",
    kind: Kind::Choice(&["1.2", "1.3"]),
    default: Default::Value("\"1.2\""),
    help: "The least version of TLS.",
};

/// Protocols.
pub static TLS_ALPN: Key = Key {
    name: "alpn",
    kind: Kind::List(&Kind::Text),
    default: Default::Words(
        "with `http` \"h2\" and \"http/1.1\" (with `http2 = false` \"http/1.1\" alone); else what \
         clients offer is not answered",
    ),
    help: "Protocols (ALPN), the most wanted first.",
};

/// CA of clients.
pub static CLIENT_CA: Key = Key {
    name: "client_ca",
    kind: Kind::Path("/etc/eclusa/clients-ca.crt"),
    default: Default::Words("clients show no certificates"),
    help: "PEM bundle of the CAs that must have signed clients' certificates.",
};

/// Certificates of clients.
pub static CLIENT_CERTIFICATES: Key = Key {
    name: "client_certificate",
    kind: Kind::Choice(&["off", "optional", "required"]),
    default: Default::Words("\"required\" with `client_ca`, else \"off\""),
    help: "Whether clients must show a certificate, may, or are not asked.",
};

/// Keys of tickets.
pub static TICKETS: Key = Key {
    name: "tickets",
    kind: Kind::Path("/etc/eclusa/tickets"),
    default: Default::Words("keys of its own, renewed by themselves"),
    help: "File with keys of session tickets, for hosts that share an address: a client that comes to \
           the other one resumes its session there. As HAProxy's `tls-ticket-keys`: lines of 80 bytes \
           in Base 64, the last but one encrypts. Watched.",
};

/// Unknown names.
pub static STRICT: Key = Key {
    name: "strict",
    kind: Kind::Boolean,
    default: Default::Value("false"),
    help: "Whether a server name that no certificate has is refused (else it gets `default`), and a \
           request for a host that the connection's certificate does not have (421).",
};

/// Default certificate.
pub static DEFAULT_NAME: Key = Key {
    name: "default",
    kind: Kind::HostName,
    default: Default::Words("the first certificate"),
    help: "The name whose certificate clients get that send no server name or, unless `strict`, one \
           that no certificate has.",
};

/// Handshake.
pub static HANDSHAKE_TIMEOUT: Key = Key {
    name: "handshake_timeout",
    kind: duration(seconds(1), seconds(60)),
    default: Default::Value("\"10s\""),
    help: "How long a handshake may take, from `accept`.",
};

/// Handshakes that wait.
pub static HANDSHAKES_MAX: Key = Key {
    name: "handshakes_max",
    kind: Kind::Integer { min: 16, max: 65_536 },
    default: Default::Value("1024"),
    help: "Handshakes that may wait for their turn at one worker. They take turns, one step each time that \
           everything else was looked after, so that a flood of them does not slow exchanges down, and \
           so do networks; when so many wait, one of the network with the most is closed (`busy` in \
           `eclusa_listener_tls_handshakes_total`).",
};

/// `[pool.NAME.tls]`
pub static POOL_TLS: Key = Key {
    name: "tls",
    kind: Kind::Table(&ORIGINATE_SECTION),
    default: Default::Words("bytes go to endpoints as they are"),
    help: "TLS is spoken to the endpoints, for listeners that open TLS or speak HTTP.",
};

/// CA of endpoints.
pub static ENDPOINT_CA: Key = Key {
    name: "ca",
    kind: Kind::Path("/etc/eclusa/ingress-ca.crt"),
    default: Default::Words("needed unless `verify` is `false`"),
    help: "PEM bundle of the CAs that must have signed the endpoint's certificate.",
};

/// Server name for endpoints.
pub static ENDPOINT_SERVER_NAME: Key = Key {
    name: "server_name",
    kind: Kind::HostName,
    default: Default::Words(
        "the host of the request; of a TCP session the server name of the client",
    ),
    help: "The server name to send, which the endpoint's certificate must have.",
};

/// Verification.
pub static VERIFY: Key = Key {
    name: "verify",
    kind: Kind::Boolean,
    default: Default::Value("true"),
    help: "Whether the endpoint's certificate is verified; without, whoever sits between can read and \
           change everything.",
};

/// Certificate for endpoints.
pub static ENDPOINT_CERTIFICATE: Key = Key {
    name: "certificate",
    kind: Kind::Path("/etc/eclusa/edge.crt"),
    default: Default::Words("none is shown"),
    help: "PEM file with the certificate that endpoints are shown, and those between it and its CA.",
};

/// Its private key.
pub static ENDPOINT_KEY: Key = Key {
    name: "key",
    kind: Kind::Path("/etc/eclusa/edge.key"),
    default: Default::Words("none"),
    help: "PEM file with the private key of `certificate`.",
};
