//! What HAProxy gets, and what it must never get.

use super::*;
use crate::scratch::Scratch;
use eclusa_config::plan::Program;
use eclusa_haproxy_import::Options as Imported;
use eclusa_haproxy_import::outline::outline;

fn copied(text: &str) -> String {
    let files = [File { name: "a.cfg".to_owned(), text: text.to_owned() }];
    let outline = outline(&files, &Imported::default());
    let mut random = fastrand::Rng::with_seed(1);
    let layout = Layout::new(&outline, Program::Edge, &mut random).unwrap();
    let scratch = Scratch::new().unwrap();
    let mut material = Material::new(&scratch).unwrap();
    copies(&files, &outline, &layout, &mut material).unwrap().texts.remove(0)
}

#[test]
fn what_does_not_count_here_is_not_there_for_haproxy_either() {
    let text = "\
.if !streq(1,1)
frontend dark
    bind 0.0.0.0:81
.elif 1
frontend web
    bind :80
    timeout client 5s
.else
    bind 0.0.0.0:82
.endif
.alert \"not today\"
    log-format \"open
";
    let copy = copied(text);
    assert_eq!(copy.lines().count(), text.lines().count(), "{copy}");
    for gone in [".if", ".elif", ".else", ".endif", "0.0.0.0", "dark"] {
        assert!(!copy.contains(gone), "{gone}: {copy}");
    }
    // What HAProxy refuses it is to refuse.
    for there in ["frontend web", "timeout client 5s", ".alert", "log-format \"open"] {
        assert!(copy.contains(there), "{there}: {copy}");
    }
    let blank = copied("frontend web\n    bind\u{b}0.0.0.0:80\n");
    assert!(!blank.contains("0.0.0.0"), "HAProxy's blanks are more: {blank}");
    assert!(
        copied(".if what(1)\nfrontend a\n.endif\nfrontend b\n bind :80\n").contains(".if what")
    );
}

#[test]
fn nothing_of_the_file_is_run() {
    let text = "\
global
    lua-load /etc/haproxy/a.lua
    lua-load-per-thread /etc/haproxy/b.lua
    lua-prepend-path /etc/haproxy/?.lua
    insecure-fork-wanted
    external-check
    ssl-engine rdrand
    ssl-provider legacy
    tune.lua.maxmem 100
program agent
    command /bin/agent
defaults
    mode http
frontend web
    bind :80
    option external-check
    external-check command /bin/look
    filter opentracing id x config /etc/ot.cfg
    http-request ot-group x g
    acl known lua.known
    acl shop path_beg /shop
    http-request lua.mark
    http-request set-header X-Mark %[path,lua.mark]
    http-request deny if shop !known
    http-request deny if { lua.bad 1 }
    http-request set-header X-Kept \"if known\" if shop
    use_backend b if known
    use_backend c if shop
";
    let copy = copied(text);
    for gone in [
        "lua.known",
        "lua.mark",
        "lua.bad",
        "lua-",
        "command",
        "insecure-fork",
        "external",
        "rdrand",
        "legacy",
        "opentracing",
        "ot-group",
        "!known",
        "if known\n",
    ] {
        assert!(!copy.contains(gone), "{gone}: {copy}");
    }
    for there in ["acl shop", "X-Kept", "use_backend c if shop", "tune.lua.maxmem"] {
        assert!(copy.contains(there), "{there}: {copy}");
    }
}

#[test]
fn nothing_reaches_out_of_the_bed() {
    let text = "\
global
    daemon
    log /dev/log local0
    stats socket /run/x.sock
    tune.bufsize 32768
peers p
    peer a 10.9.9.9:1024
resolvers r
    nameserver a 10.9.9.9:53
userlist u
    user joe insecure-password secret
defaults
    mode http
    log global
    timeout client 5s
frontend web
    bind :80,:81 interface eth0 crt /nowhere/x.pem ssl
    bind unix@/run/y.sock
    tcp-request connection reject if { src 10.9.9.8 } { dst_port 80 443 }
    acl a hdr(X) -m reg \"^a b\\\"c$\"
    default_backend app
backend app
    source 10.9.9.7
    server a 10.9.9.9:80 check inter 10s source 10.9.9.7 port 99 weight 5
    server b /run/app.sock check
    server c 10.9.9.9
";
    let copy = copied(text);
    assert_eq!(copy.lines().count(), text.lines().count(), "{copy}");
    for gone in ["10.9.9.9", "10.9.9.7", "/run/", "/dev/log", "daemon", "secret", "eth0", "port 99"]
    {
        assert!(!copy.contains(gone), "{gone}: {copy}");
    }
    for there in [
        "tune.bufsize 32768",
        "timeout client 5s",
        "weight 5",
        "acl a hdr(X) -m reg",
        "accept-proxy",
        "tcp-request session reject if { src 10.9.9.8 }",
        "127.0.0.1:1 ",
    ] {
        assert!(copy.contains(there), "{there}: {copy}");
    }
    let rule = copy.lines().find(|line| line.contains("dst_port")).unwrap();
    assert!(!rule.contains(" 80 ") && rule.contains(" 1 }"), "{rule}");
}
