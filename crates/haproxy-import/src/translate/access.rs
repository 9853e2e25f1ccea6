//! `tcp-request`, as access lists and what a listener waits for.

use super::criterion::Asking;
use super::pool::{Pairs, pair};
use crate::model::acl::{Condition, Term};
use crate::model::{Proxy, Rule, Stage};
use crate::report::{Kind, Ledger};
use crate::toml;
use crate::values;
use crate::when::{Key, When};

/// What rules of connections come to.
#[derive(Default)]
struct Lists {
    allow: Vec<String>,
    deny: Vec<String>,
    proxies: Vec<String>,
    /// The rest is refused.
    closed: bool,
    /// A line said who alone may come in.
    only: bool,
    /// Lines that brought networks.
    lines: Vec<usize>,
    peek: bool,
    delay: Option<u64>,
    closes: Vec<(usize, When)>,
}

/// What a section's `tcp-request` comes to.
pub(super) struct Access {
    /// Pairs of the listener.
    pub(super) pairs: Pairs,
    /// Requests that end their connections, before all rules.
    pub(super) closes: Vec<(usize, When)>,
}

/// Fetches that are there once the ClientHello is.
const HELLO: [&str; 4] = ["req.ssl_hello_type", "req_ssl_hello_type", "req.ssl_sni", "req_ssl_sni"];

/// What a section's `tcp-request` says.
pub(super) fn read(proxy: &Proxy, asking: &Asking<'_>, ledger: &mut Ledger) -> Access {
    let mut lists = Lists::default();
    let rules: Vec<&Rule> = proxy.rules_of(Stage::Connection).collect();
    for rule in &rules {
        rule_of(rule, (&mut lists, proxy), asking, ledger);
    }
    let mut pairs = Vec::new();
    if let Some(delay) = lists.delay.filter(|_| lists.peek && !asking.scene.http) {
        let delay = delay.clamp(100, 60_000);
        if delay != 5_000 {
            pairs.push(pair("preamble_timeout", toml::duration(delay)));
        }
    }
    if lists.peek && !asking.scene.http && !asking.scene.tls {
        pairs.insert(0, pair("peek", "\"tls\""));
    }
    if !lists.allow.is_empty() && !lists.deny.is_empty() {
        for line in &lists.lines {
            let note = "the narrowest network that holds a client decides, not the first line";
            ledger.tell(*line, Kind::Improved, note);
        }
    }
    if lists.closed && lists.allow.is_empty() {
        lists.deny = vec!["0.0.0.0/0".to_owned(), "::/0".to_owned()];
    } else if !lists.closed && !lists.allow.is_empty() && !lists.deny.is_empty() {
        // Whom no line names may come in.
        lists.allow.extend(["0.0.0.0/0".to_owned(), "::/0".to_owned()]);
    } else if !lists.closed && lists.deny.is_empty() {
        lists.allow.clear();
    }
    for (key, list) in [("allow", lists.allow), ("deny", lists.deny), ("proxy_from", lists.proxies)]
    {
        if !list.is_empty() {
            pairs.push(pair(key, toml::texts(&list)));
        }
    }
    Access { pairs, closes: lists.closes }
}

fn rule_of(
    rule: &Rule,
    (lists, proxy): (&mut Lists, &Proxy),
    asking: &Asking<'_>,
    ledger: &mut Ledger,
) {
    let words: Vec<&str> = rule.words.iter().map(String::as_str).collect();
    match words[..] {
        ["inspect-delay", time] => match values::time(time) {
            Some(delay) => {
                lists.delay = Some(delay);
                let note =
                    "`preamble_timeout`: a listener that waits for the ClientHello waits no longer";
                ledger.tell(rule.line, Kind::Same, note);
            }
            None => ledger.tell(rule.line, Kind::Unsupported, "a time is wanted"),
        },
        ["connection" | "session" | "content", "accept"] => {
            if rule.when.as_ref().is_some_and(|when| asks_hello(when, proxy)) {
                lists.peek = true;
                ledger.tell(rule.line, Kind::Same, "`peek = \"tls\"`");
                return acls_of(rule, proxy, ledger);
            }
            let when = asking.when(rule.when.as_ref(), rule.line, ledger);
            accept(rule.line, when, lists, ledger);
        }
        [stage @ ("connection" | "session" | "content"), "reject"] => {
            let when = asking.when(rule.when.as_ref(), rule.line, ledger);
            match when {
                Ok(when) if stage == "content" && closes(&when, proxy, asking) => {
                    let note =
                        "a rule `close`: as with HAProxy the connection ends without an answer";
                    ledger.tell(rule.line, Kind::Same, note);
                    lists.closes.push((rule.line, when));
                }
                when => reject(rule.line, when, lists, ledger),
            }
        }
        ["connection", "expect-proxy", ..] => {
            match asking.when(rule.when.as_ref(), rule.line, ledger).map(|when| networks(&when)) {
                Ok(Some((networks, false))) => {
                    lists.proxies.extend(networks);
                    ledger.tell(rule.line, Kind::Same, "`proxy_from`");
                }
                _ => {
                    let note = "a PROXY header was read; now none is; write `proxy_from` with the \
                                networks of the proxies in front";
                    ledger.tell(rule.line, Kind::Unsupported, note);
                }
            }
        }
        _ => ledger.tell(rule.line, Kind::Unsupported, lost("the action is not there")),
    }
}

/// Whether what is refused is refused by each request, not by the client's address alone; nothing that
/// lets others in before stands beside.
fn closes(when: &When, proxy: &Proxy, asking: &Asking<'_>) -> bool {
    let (mut counts, mut others) = (false, false);
    when.leaves(&mut |leaf| match leaf.key {
        Key::Number(..) => counts = true,
        Key::Texts("source") => {}
        _ => others = true,
    });
    let accepts = |rule: &Rule| rule.words.get(1).is_some_and(|word| word == "accept");
    let alone = !proxy.rules_of(Stage::Connection).any(accepts);
    asking.scene.http && counts && !others && alone
}

fn lost(why: &str) -> String {
    format!(
        "it judged connections; now nothing does ({why}); use `allow` and `deny`, or `limit` of a \
         listener with `http`"
    )
}

fn accept(line: usize, when: Result<When, String>, lists: &mut Lists, ledger: &mut Ledger) {
    let found = when.as_ref().ok().and_then(networks);
    match (when, found) {
        (Ok(_), Some((networks, false))) => {
            lists.allow.extend(networks);
            lists.lines.push(line);
            ledger.tell(line, Kind::Same, "`allow`");
        }
        (Ok(When::Always), None) => ledger.tell(line, Kind::Default, ""),
        (Ok(_), _) => ledger.tell(line, Kind::Unsupported, lost("only addresses are asked")),
        (Err(why), _) => ledger.tell(line, Kind::Unsupported, lost(&why)),
    }
}

fn reject(line: usize, when: Result<When, String>, lists: &mut Lists, ledger: &mut Ledger) {
    let found = when.as_ref().ok().and_then(networks);
    match (when, found) {
        (Ok(When::Always), _) => {
            lists.closed = true;
            ledger.same(line);
        }
        (Ok(When::Never), _) => {
            ledger.otherwise(line, Kind::Ignored, "its condition never holds here");
        }
        (Ok(_), Some((networks, false))) => {
            lists.deny.extend(networks);
            lists.lines.push(line);
            ledger.tell(line, Kind::Same, "`deny`");
        }
        (Ok(_), Some(_)) if lists.only => {
            let note = "clients had to be in the networks of several such lines; now in those of the \
                        first; write into `allow` what they have in common";
            ledger.tell(line, Kind::Unsupported, note);
        }
        (Ok(_), Some((networks, true))) => {
            lists.allow.extend(networks);
            lists.lines.push(line);
            (lists.closed, lists.only) = (true, true);
            ledger.tell(line, Kind::Same, "`allow`");
        }
        (Ok(_), None) => {
            ledger.tell(line, Kind::Unsupported, lost("only addresses are asked"));
        }
        (Err(why), _) => ledger.tell(line, Kind::Unsupported, lost(&why)),
    }
}

/// Whether a condition waits for the ClientHello, and asks nothing else.
fn asks_hello(condition: &Condition, proxy: &Proxy) -> bool {
    let is_hello = |fetch: &str| HELLO.contains(&fetch);
    !condition.negated
        && condition.any.iter().flatten().any(|(not, term)| {
            !not && match term {
                Term::Written(criterion) => is_hello(&criterion.fetch),
                Term::Named(name) => {
                    proxy.acls.iter().any(|acl| acl.name == *name && is_hello(&acl.criterion.fetch))
                }
            }
        })
}

fn acls_of(rule: &Rule, proxy: &Proxy, ledger: &mut Ledger) {
    for (_, term) in rule.when.iter().flat_map(|when| when.any.iter().flatten()) {
        let Term::Named(name) = term else { continue };
        for acl in proxy.acls.iter().filter(|acl| acl.name == *name) {
            ledger.same(acl.line);
        }
    }
}

/// The networks that a condition asks for, and whether it asks for all others. `None`: it asks for
/// something else.
fn networks(when: &When) -> Option<(Vec<String>, bool)> {
    let (leaf, negated) = match when {
        When::Is(leaf) => (leaf, false),
        When::Not(inner) => match &**inner {
            When::Is(leaf) => (leaf, true),
            _ => return None,
        },
        _ => return None,
    };
    let listed = leaf.values.iter().any(|value| value.starts_with('@'));
    (leaf.key == Key::Texts("source") && !listed).then(|| (leaf.values.clone(), negated))
}
