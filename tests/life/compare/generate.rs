//! Random files in the part of HAProxy's language that the importer carries over.

use fastrand::Rng;
use std::fmt::Write;

/// Questions of requests.
const HTTP: [&str; 22] = [
    "hdr(host) -i shop.test",
    "hdr(host) -i shop.test www.shop.test",
    "hdr(host) api.test",
    "hdr_end(host) -i .apps.test",
    "path /status",
    "path /a /b",
    "path_beg /api",
    "path_beg -i /Static /images/",
    "path_end .png .css",
    "path_dir admin",
    "path_sub secret",
    "path_reg ^/v[0-9]+/",
    "method POST PUT",
    "method GET HEAD",
    "hdr(X-Kind) blue",
    "hdr(X-Kind) -m beg gr",
    "hdr(User-Agent) -m sub bot",
    "hdr(X-Kind) -m reg -i ^(red|orange)$",
    "hdr(X-Debug) -m found",
    "urlp(page) 7",
    "cook(group) beta",
    "src 10.0.0.0/8 192.168.7.0/24",
];

/// Questions of connections that are only looked at.
const TCP: [&str; 4] = [
    "req.ssl_sni -i shop.test",
    "req.ssl_sni -i api.test www.api.test",
    "req.ssl_sni -m end -i .apps.test",
    "src 10.0.0.0/8",
];

/// What is done to requests, with a condition.
const REQUESTS: [&str; 17] = [
    "deny",
    "deny deny_status 429",
    "redirect scheme https code 301",
    "redirect prefix https://www.shop.test code 302",
    "redirect location https://new.test/start",
    "redirect location /moved code 303",
    "set-header X-Tier front",
    "set-header X-Client %[src]",
    "add-header X-Seen \"a b\"",
    "del-header X-Kind",
    "set-header X-Path %[path]",
    "set-path /fixed",
    "replace-path ^/api/(.*) /\\1",
    "return status 200 content-type text/plain string pong",
    "return status 204",
    "set-header Host inner.test",
    "add-header X-Port %[dst_port]",
];

/// What is done to answers.
const ANSWERS: [&str; 5] = [
    "set-header X-Frame-Options DENY",
    "add-header X-Edge one",
    "del-header Server",
    "del-header X-Powered-By",
    "set-header Strict-Transport-Security max-age=63072000",
];

/// Ways to check.
const CHECKS: [&str; 5] = [
    "",
    "    option httpchk GET /healthz\n",
    "    option httpchk GET /healthz\n    http-check expect status 200\n",
    "    option httpchk GET /ready\n    http-check expect string fine\n",
    "    option httpchk HEAD /\n    http-check expect rstatus ^2\n",
];

const BALANCES: [&str; 5] = ["", "roundrobin", "leastconn", "source", "random"];

/// A file.
pub(super) fn generate(seed: u64) -> String {
    let mut writing = Writing { random: Rng::with_seed(seed + 1_000), text: String::new() };
    writing.file();
    writing.text
}

struct Writing {
    random: Rng,
    text: String,
}

impl Writing {
    fn one<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.random.usize(0..list.len())]
    }

    fn chance(&mut self, percent: u8) -> bool {
        self.random.u8(0..100) < percent
    }

    fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "    {line}");
    }

    fn file(&mut self) {
        self.text.push_str(
            "global\n    maxconn 4000\n    log /dev/log local0\n    daemon\n\ndefaults\n",
        );
        let http = self.chance(70);
        self.line(if http { "mode http" } else { "mode tcp" });
        self.text.push_str(
            "    log global\n    timeout connect 5s\n    timeout client 50s\n    timeout server 50s\n",
        );
        if self.chance(30) {
            self.line("retries 3");
            self.line("option redispatch");
        }
        if http && self.chance(30) {
            self.line("option httplog");
        }
        let pools = self.random.usize(1..=4);
        for front in 0..self.random.usize(1..=2) {
            if http { self.web(front, pools) } else { self.raw(front, pools) }
        }
        for pool in 0..pools {
            self.pool(pool, http);
        }
    }

    /// ACLs with their names.
    fn acls(&mut self, list: &[&str]) -> Vec<String> {
        let mut names = Vec::new();
        for number in 0..self.random.usize(2..=6) {
            let name = format!("q{number}");
            let question = self.one(list);
            self.line(&format!("acl {name} {question}"));
            if self.chance(15) {
                // The same name: one of both.
                let other = self.one(list);
                self.line(&format!("acl {name} {other}"));
            }
            names.push(name);
        }
        names
    }

    /// `if a !b`, `if a || b`, `unless a`.
    fn when(&mut self, names: &[String]) -> String {
        let name = |random: &mut Rng| names[random.usize(0..names.len())].clone();
        let first = name(&mut self.random);
        match self.random.u8(0..10) {
            0..=3 => format!("if {first}"),
            4..=5 => format!("if {first} {}", name(&mut self.random)),
            6..=7 => format!("if {first} !{}", name(&mut self.random)),
            8 => format!("if {first} || {}", name(&mut self.random)),
            _ => format!("unless {first}"),
        }
    }

    fn web(&mut self, front: usize, pools: usize) {
        let _ = writeln!(self.text, "\nfrontend web{front}");
        self.line(&format!("bind *:{}", 80 + front));
        let tls = self.chance(40);
        if tls {
            self.line(&format!("bind :{} ssl crt /etc/haproxy/site{front}.test.pem", 443 + front));
        }
        if self.chance(30) {
            self.line("option forwardfor");
        }
        let names = self.acls(&HTTP);
        if self.chance(20) {
            self.line("tcp-request connection reject if { src 192.0.2.0/24 }");
        }
        let mut changed = false;
        for _ in 0..self.random.usize(0..=4) {
            let action = self.one(&REQUESTS);
            // What rules change routes here do not see; nor does a second rule.
            let changes =
                ["set-path", "replace-path", "Host", "X-Kind"].iter().any(|it| action.contains(it));
            if action.contains("scheme https") && tls {
                self.line("http-request redirect scheme https code 301 unless { ssl_fc }");
                continue;
            }
            if changes || action.contains("scheme https") && changed {
                changed = true;
                continue;
            }
            let when = self.when(&names);
            self.line(&format!("http-request {action} {when}"));
        }
        for _ in 0..self.random.usize(0..=2) {
            let action = self.one(&ANSWERS);
            self.line(&format!("http-response {action}"));
        }
        self.routes(&names, pools);
    }

    fn raw(&mut self, front: usize, pools: usize) {
        let _ = writeln!(self.text, "\nfrontend raw{front}");
        self.line(&format!("bind *:{}", 6443 + front));
        self.line("option tcplog");
        if self.chance(50) {
            self.line("tcp-request inspect-delay 5s");
            self.line("tcp-request content accept if { req.ssl_hello_type 1 }");
            let names = self.acls(&TCP);
            self.routes(&names, pools);
        } else {
            if self.chance(40) {
                self.line(
                    "tcp-request connection reject unless { src 10.0.0.0/8 198.51.100.0/25 }",
                );
            }
            self.routes(&[], pools);
        }
    }

    fn routes(&mut self, names: &[String], pools: usize) {
        for _ in 0..self.random.usize(0..=3) {
            if names.is_empty() {
                break;
            }
            let (pool, when) = (self.random.usize(0..pools), self.when(names));
            self.line(&format!("use_backend pool{pool} {when}"));
        }
        self.line("default_backend pool0");
    }

    fn pool(&mut self, pool: usize, http: bool) {
        let _ = writeln!(self.text, "\nbackend pool{pool}");
        let balance = self.one(&BALANCES);
        if !balance.is_empty() {
            self.line(&format!("balance {balance}"));
        }
        let checked = self.chance(80);
        if checked {
            let check = self.one(&CHECKS);
            self.text.push_str(check);
        }
        if http && self.chance(25) {
            let action = self.one(&[
                "set-path /inner",
                "set-header X-Pool yes",
                "set-header Host inner.test",
            ]);
            self.line(&format!("http-request {action}"));
        }
        let sticks = http && self.chance(15);
        if sticks {
            // As all real files have it.
            self.line("cookie SRV insert indirect nocache");
        }
        let mut options = String::new();
        if checked {
            options.push_str(" check");
        }
        if self.chance(20) {
            options.push_str(self.one(&[" send-proxy", " send-proxy-v2"]));
        }
        if http && self.chance(15) {
            options.push_str(" ssl verify none sni req.hdr(host)");
        } else if http && self.chance(3) {
            options.push_str(" ssl verify none");
        }
        if checked && self.chance(30) {
            options.push_str(self.one(&[" inter 2s", " fall 2 rise 2", " inter 5s fall 3"]));
        }
        if self.chance(40) {
            self.line(&format!("default-server{options}"));
            options.clear();
        }
        for number in 1..=self.random.usize(1..=4) {
            let mut line = format!("server s{number} 10.1.{pool}.{number}:8080{options}");
            if self.chance(20) {
                let _ = write!(line, " weight {}", self.random.u8(1..=50));
            }
            if sticks {
                let _ = write!(line, " cookie c{number}");
            }
            if number == 4 {
                line.push_str(" backup");
            }
            self.line(&line);
        }
    }
}
