//! What endpoints answer: whether they can be reached, and which of the two they understand, a PROXY
//! header or none.

use crate::doctor::facts::{Answer, Asked, Facts};
use crate::doctor::report::{Findings, Severity};
use eclusa_config::diagnostic::counted;
use eclusa_config::plan::Program;

pub(super) fn judge(facts: &Facts, out: &mut Findings) {
    let Some(network) = &facts.network else {
        for check in ["endpoints", "proxy-header"] {
            out.skip(check, "--offline");
        }
        if facts.program == Program::Edge {
            out.skip("apiserver-reach", "--offline");
        }
        return;
    };
    let before = out.findings.len();
    for (pool, name) in &network.unresolved {
        let remedy = "correct the name, or see to DNS: getent ahosts NAME";
        let found = format!("{pool}/{name} does not resolve");
        out.tell("endpoints", Severity::Warning, found, remedy);
    }
    for asked in &network.asked {
        endpoint(asked, out);
    }
    if network.left_out > 0 {
        let why = format!("{} more were not asked", counted(network.left_out, "endpoint"));
        out.skip("endpoints", why);
    }
    let told = |check: &str| out.findings[before..].iter().any(|it| it.check == check);
    let (reached, understood) = (told("endpoints"), told("proxy-header"));
    if !reached {
        let count = counted(network.asked.len(), "endpoint");
        out.fine("endpoints", format!("{count} can be reached"));
    }
    if !understood {
        let known =
            network.asked.iter().filter(|it| understands(&it.with) || understands(&it.without));
        let count = counted(known.count(), "endpoint");
        out.fine("proxy-header", format!("{count} understood what the file says"));
    }
    if facts.program == Program::Edge {
        reach(facts, out);
    }
}

pub(super) fn understands(answer: &Answer) -> bool {
    matches!(answer, Answer::Understood(_))
}

/// An answer in words.
fn words(answer: &Answer) -> String {
    match answer {
        Answer::Understood(what) | Answer::Strange(what) => what.clone(),
        Answer::Closed => "it closes the connection".to_owned(),
        Answer::Silent => "it keeps silent".to_owned(),
        Answer::Unreachable(why) => why.clone(),
        Answer::Unasked => "nobody knows what it speaks".to_owned(),
    }
}

fn endpoint(asked: &Asked, out: &mut Findings) {
    let Asked { pool, name, address, .. } = asked;
    let who = format!("{pool}/{name} ({address})");
    // Both ways begin with the same connection.
    if let (Answer::Unreachable(why), Answer::Unreachable(_)) = (&asked.without, &asked.with) {
        let remedy =
            format!("ss -ltn 'sport = {}' on that host; and the firewall between", address.port());
        return out.tell("endpoints", Severity::Warning, format!("{who}: {why}"), remedy);
    }
    if asked.without == Answer::Unasked {
        let why = "the file does not say what endpoints of these pools speak (`probe`, `peek`)";
        return out.skip("proxy-header", why);
    }
    header(asked, &who, out);
}

fn header(asked: &Asked, who: &str, out: &mut Findings) {
    let check = "proxy-header";
    let (with, without) = (understands(&asked.with), understands(&asked.without));
    let answers =
        || format!("with a header: {}; without: {}", words(&asked.with), words(&asked.without));
    let pool = &asked.pool;
    let key = if pool.starts_with("apiserver") { String::new() } else { format!("[pool.{pool}] ") };
    match (asked.send_proxy, with, without) {
        (Some(_), true, _) | (None, _, true) => {}
        (Some(version), false, true) => {
            let found = format!(
                "{who}: the file says send_proxy = \"v{version}\", and it understands no header ({})",
                answers()
            );
            let remedy = format!(
                "{key}take `send_proxy` out, or let the endpoint expect it (nginx: listen ... \
                 proxy_protocol; HAProxy: bind ... accept-proxy)"
            );
            out.tell(check, Severity::Error, found, remedy);
        }
        (None, true, false) => {
            let found =
                format!("{who}: it wants a PROXY header, and the file sends none ({})", answers());
            let remedy = format!("{key}send_proxy = \"v2\"");
            out.tell(check, Severity::Error, found, remedy);
        }
        (_, false, false) => {
            let found = format!("{who}: it understands neither ({})", answers());
            let effect = "sessions to it probably fail";
            let remedy =
                "see what listens there, and what it speaks: openssl s_client -connect, curl -v";
            out.tell_that("endpoints", Severity::Warning, found, effect, remedy);
        }
    }
}

fn reach(facts: &Facts, out: &mut Findings) {
    let check = "apiserver-reach";
    let Some(network) = &facts.network else { return };
    let open = network.apiservers.iter().filter(|(_, open)| *open);
    let open: Vec<_> = open.map(|(address, _)| address.to_string()).collect();
    if open.is_empty() {
        let count = counted(network.apiservers.len(), "host");
        return out.fine(check, format!("port 6443 of {count} cannot be reached"));
    }
    let found = format!("port 6443 can be reached at {}", open.join(", "));
    let remedy = "eclusa-edge drop-in > /etc/systemd/system/eclusa-edge.service.d/addresses.conf, and a \
                  rule on the firewall between: docs/firewall.md";
    out.tell(check, Severity::Warning, found, remedy);
}
