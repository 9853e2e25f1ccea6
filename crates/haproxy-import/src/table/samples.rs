//! Conditions and rules, a sample of each, and what the importer makes of it: the page
//! `docs/coming-from-haproxy.md` is printed from that, and so it cannot say anything else than what is done.

use crate::report::Note;
use crate::{Elsewhere, File, Kind, Options, import};
use eclusa_config::plan::Program;

/// Where a sample stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frame {
    /// A `frontend` in mode `http`.
    Http,
    /// The same with TLS.
    Tls,
    /// One in mode `tcp`.
    Tcp,
}
use Frame::{Http, Tcp, Tls};

/// What can be asked.
const CONDITIONS: &[(Frame, &str)] = &[
    (Http, "src 10.0.0.0/8"),
    (Http, "src -f /etc/haproxy/office.lst"),
    (Http, "dst_port 8443"),
    (Http, "method POST"),
    (Http, "path /a"),
    (Http, "path -i /a"),
    (Http, "path_beg /a"),
    (Http, "path_end .png"),
    (Http, "path_sub a"),
    (Http, "path_dir a"),
    (Http, "path_reg ^/a"),
    (Http, "path_len gt 10"),
    (Http, "path,lower -m beg /a"),
    (Http, "path,url_dec -m beg /a"),
    (Http, "url /a"),
    (Http, "url_beg /a"),
    (Http, "base_beg a.test/"),
    (Http, "base,map(/etc/haproxy/a.map) -m found"),
    (Http, "query -m sub a"),
    (Http, "hdr(host) -i a.test"),
    (Http, "hdr(host) a.test:8080"),
    (Http, "hdr_end(host) .a.test"),
    (Http, "hdr_beg(host) a."),
    (Http, "hdr_dom(host) a"),
    (Http, "hdr_reg(host) ^a"),
    (Http, "hdr(host) -f /etc/haproxy/hosts.lst"),
    (Http, "hdr(host),map(/etc/haproxy/hosts.map) -m found"),
    (Http, "req.hdr(X-A) b"),
    (Http, "req.fhdr(X-A) b"),
    (Http, "hdr_sub(User-Agent) -i b"),
    (Http, "hdr(X-A) -m found"),
    (Http, "hdr_cnt(X-A) gt 0"),
    (Http, "req.hdr_ip(X-A) 10.0.0.0/8"),
    (Http, "cook(a) b"),
    (Http, "req.cook(a) b"),
    (Http, "urlp(a) b"),
    (Http, "url_param(a) b"),
    (Http, "req.body -m sub a"),
    (Http, "req.ver 1.1"),
    (Http, "fc_http_major 2"),
    (Http, "http_auth(people)"),
    (Http, "http_auth_group(people) staff"),
    (Http, "ssl_fc"),
    (Tls, "ssl_fc"),
    (Tls, "ssl_fc_sni a.test"),
    (Tls, "ssl_fc_protocol TLSv1.3"),
    (Tls, "ssl_c_used"),
    (Tls, "ssl_c_verify 0"),
    (Tls, "ssl_c_s_dn(cn) a"),
    (Http, "nbsrv(app) lt 1"),
    (Http, "srv_is_up(app/a)"),
    (Http, "be_conn(app) gt 10"),
    (Http, "fe_conn gt 10"),
    (Http, "src_http_req_rate gt 10"),
    (Http, "src_conn_cur gt 10"),
    (Http, "src_conn_rate gt 10"),
    (Http, "sc_http_req_rate(0) gt 10"),
    (Http, "sc0_get_gpc0 gt 0"),
    (Http, "table_cnt(app) gt 1"),
    (Http, "capture.req.hdr(0) a"),
    (Http, "var(txn.a) b"),
    (Http, "env(SITE) a"),
    (Http, "str(a) -m str a"),
    (Http, "rand(100) lt 10"),
    (Http, "dst 10.0.0.5"),
    (Http, "hdr(X-A) -M b"),
    (Http, "acl(other)"),
    (Http, "always_true"),
    (Http, "always_false"),
    (Http, "req.proto_http"),
    (Http, "TRUE"),
    (Http, "FALSE"),
    (Http, "LOCALHOST"),
    (Http, "METH_GET"),
    (Http, "HTTP"),
    (Http, "HTTP_1.1"),
    (Http, "HTTP_CONTENT"),
    (Http, "HTTP_URL_ABS"),
    (Tcp, "src 10.0.0.0/8"),
    (Tcp, "dst_port 443"),
    (Tcp, "req.ssl_sni -i a.test"),
    (Tcp, "req_ssl_sni a.test"),
    (Tcp, "req.ssl_sni -m end .a.test"),
    (Tcp, "req.ssl_sni -m reg ^a"),
    (Tcp, "req.ssl_sni -m found"),
    (Tcp, "req.ssl_hello_type 1"),
    (Tcp, "req.ssl_alpn h2"),
    (Tcp, "req.len gt 0"),
    (Tcp, "req.payload(0,4) -m bin 00"),
    (Tcp, "REQ_CONTENT"),
    (Tcp, "RDP_COOKIE"),
    (Tcp, "path /a"),
];

/// What can be done.
const RULES: &[(Frame, &str)] = &[
    (Http, "http-request allow if { path /a }"),
    (Http, "http-request deny"),
    (Http, "http-request deny deny_status 429"),
    (Http, "http-request deny status 200"),
    (Http, "http-request tarpit"),
    (Http, "http-request reject"),
    (Http, "http-request silent-drop"),
    (Http, "http-request auth realm Staff unless { http_auth(people) }"),
    (Http, "http-request redirect scheme https"),
    (Http, "http-request redirect prefix https://a.test"),
    (Http, "http-request redirect location /a code 303"),
    (Http, "http-request redirect location /a set-cookie b=c"),
    (Http, "redirect location /a if { path /b }"),
    (Http, "block if { path /a }"),
    (Http, "http-request return status 204"),
    (Http, "http-request return content-type text/plain string ok"),
    (Http, "http-request return status 200 content-type text/plain file /srv/a"),
    (Http, "http-request return content-type text/plain lf-string %[src]"),
    (Http, "http-request set-header X-A %[src]"),
    (Http, "http-request set-header Host a.test"),
    (Http, "http-request set-header Content-Length 1"),
    (Http, "http-request set-header X-A %[var(txn.a)]"),
    (Http, "http-request add-header X-A b"),
    (Http, "http-request del-header X-A"),
    (Http, "http-request del-header X- -m beg"),
    (Http, "http-request replace-header X-A a b"),
    (Http, "http-request replace-value X-A a b"),
    (Http, "http-request set-path /a"),
    (Http, "http-request set-path %[path,regsub(^/a/,/)]"),
    (Http, "http-request replace-path ^/a/(.*) /\\1"),
    (Http, "http-request set-pathq /a"),
    (Http, "http-request replace-pathq ^/a /b"),
    (Http, "http-request set-query a=1"),
    (Http, "http-request set-uri /a"),
    (Http, "http-request replace-uri ^/a /b"),
    (Http, "http-request set-method GET"),
    (Http, "http-request normalize-uri path-merge-slashes"),
    (Http, "http-request set-src hdr(X-A)"),
    (Http, "http-request set-dst str(10.0.0.5)"),
    (Http, "http-request set-timeout server 5s"),
    (Http, "http-request set-tos 0"),
    (Http, "http-request set-mark 1"),
    (Http, "http-request set-var(txn.a) src"),
    (Http, "http-request set-var-fmt(txn.a) %[src]"),
    (Http, "http-request unset-var(txn.a)"),
    (Http, "http-request set-map(/etc/haproxy/a.map) %[src] 1"),
    (Http, "http-request add-acl(/etc/haproxy/a.lst) %[src]"),
    (Http, "http-request track-sc0 src"),
    (Http, "http-request track-sc1 src"),
    (Http, "http-request sc-inc-gpc0(0)"),
    (Http, "http-request capture req.hdr(host) len 20"),
    (Http, "http-request set-log-level silent"),
    (Http, "http-request set-nice 10"),
    (Http, "http-request set-priority-class int(1)"),
    (Http, "http-request set-priority-offset int(1)"),
    (Http, "http-request use-service lua.a"),
    (Http, "http-request lua.a"),
    (Http, "http-request send-spoe-group a b"),
    (Http, "http-request do-resolve(txn.a,dns) hdr(host)"),
    (Http, "http-request cache-use a"),
    (Http, "http-request early-hint Link a"),
    (Http, "http-request wait-for-handshake"),
    (Http, "http-request wait-for-body time 1s"),
    (Http, "http-request disable-l7-retry"),
    (Http, "http-request strict-mode on"),
    (Http, "reqadd X-A:\\ b"),
    (Http, "http-response set-header X-A b"),
    (Http, "http-response add-header X-A b"),
    (Http, "http-response del-header X-A"),
    (Http, "http-response replace-header X-A a b"),
    (Http, "http-response replace-value X-A a b"),
    (Http, "http-response set-status 503"),
    (Http, "http-response deny"),
    (Http, "http-response allow"),
    (Http, "http-response return status 200"),
    (Http, "http-response redirect location /a"),
    (Http, "http-response cache-store a"),
    (Http, "http-response set-var(txn.a) status"),
    (Http, "http-response capture res.hdr(X-A) id 0"),
    (Http, "http-response lua.a"),
    (Http, "http-response set-header X-A b if { status 500 }"),
    (Http, "http-after-response set-header X-A b"),
    (Http, "rspadd X-A:\\ b"),
    (Tcp, "tcp-request inspect-delay 5s"),
    (Tcp, "tcp-request connection accept if { src 10.0.0.0/8 }"),
    (Tcp, "tcp-request connection reject if { src 192.0.2.0/24 }"),
    (Tcp, "tcp-request connection reject unless { src 10.0.0.0/8 }"),
    (Tcp, "tcp-request connection expect-proxy layer4 if { src 10.0.0.1 }"),
    (Tcp, "tcp-request connection track-sc0 src"),
    (Tcp, "tcp-request connection silent-drop"),
    (Tcp, "tcp-request session accept if { src 10.0.0.0/8 }"),
    (Tcp, "tcp-request content accept if { req.ssl_hello_type 1 }"),
    (Tcp, "tcp-request content accept if WAIT_END"),
    (Tcp, "tcp-request content reject"),
    (Tcp, "tcp-request content reject if { src_conn_rate gt 10 }"),
    (Tcp, "tcp-request content set-var(sess.a) src"),
    (Tcp, "tcp-request content capture req.ssl_sni len 20"),
    (Tcp, "tcp-request content lua.a"),
    (Tcp, "tcp-response content accept"),
    (Tcp, "tcp-response content reject"),
];

/// What became of a sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// As it stands in haproxy.cfg.
    pub text: String,
    /// In which kind of section.
    pub place: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What is told of it.
    pub notes: Vec<Note>,
    /// What is written for it.
    pub writes: Vec<String>,
}

impl Frame {
    fn name(self) -> &'static str {
        match self {
            Http => "HTTP",
            Tls => "HTTP over TLS",
            Tcp => "TCP",
        }
    }

    fn around(self, line: &str) -> String {
        let (mode, bind) = match self {
            Http => ("http", "bind 10.0.0.5:80"),
            Tls => ("http", "bind 10.0.0.5:443 ssl crt /etc/haproxy/a.pem"),
            Tcp => ("tcp", "bind 10.0.0.5:443"),
        };
        format!(
            "defaults\n mode {mode}\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n\
             userlist people\n group staff users alice\n user alice password $5$saltsalt$vcuY\n\
             frontend web\n {bind}\n {line}\n default_backend app\nbackend other\n server b 10.0.0.12:80\n\
             backend app\n server a 10.0.0.11:80\n"
        )
    }

    fn sample(self, text: &str, line: &str) -> Sample {
        let files = [File { name: "haproxy.cfg".to_owned(), text: self.around(line) }];
        let imported = import(Program::Edge, &files, &Options::default(), &Elsewhere);
        let told = imported.report.lines.iter().find(|told| told.text == line);
        let (kind, notes) =
            told.map_or((Kind::Unsupported, Vec::new()), |told| (told.kind, told.notes.clone()));
        let mark = format!("# haproxy.cfg: {line}");
        let block = imported.toml.lines().skip_while(|text| *text != mark).skip(1);
        let block = block.take_while(|line| !line.is_empty() && !line.starts_with('#'));
        let writes = block.filter(|line| !line.starts_with('[')).map(str::to_owned).collect();
        Sample { text: text.to_owned(), place: self.name(), kind, notes, writes }
    }
}

/// The conditions; what is written is the condition alone.
#[must_use]
pub fn conditions() -> Vec<Sample> {
    let sample = |(frame, text): &(Frame, &str)| {
        let is_name = text.bytes().all(|byte| byte.is_ascii_uppercase() || b"_.10".contains(&byte));
        let asked = if is_name { (*text).to_owned() } else { format!("{{ {text} }}") };
        // Where requests are seen a rule shows what is asked; else a route does.
        let (line, mine) = match frame {
            Tcp => (format!("use_backend other if {asked}"), "pool = "),
            Http | Tls => (format!("http-request deny if {asked}"), "deny = "),
        };
        let mut sample = frame.sample(text, &line);
        sample.writes.retain(|line| !line.starts_with(mine));
        sample
    };
    CONDITIONS.iter().map(sample).collect()
}

/// The rules.
#[must_use]
pub fn rules() -> Vec<Sample> {
    RULES.iter().map(|(frame, text)| frame.sample(text, text)).collect()
}
