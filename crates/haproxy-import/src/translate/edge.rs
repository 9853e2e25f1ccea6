//! The configuration of `eclusa-edge`.

use super::comments::Comments;
use super::counting;
use super::listener::{self, Listener, Pools, Taken};
use super::names::Names;
use super::observed::{self, Purpose};
use super::pool::{self, Pool, Use};
use super::rules::NOWHERE;
use super::{Work, general, log, write};
use crate::model::{CheckKind, Config, Stage};
use crate::report::{Kind, Ledger};
use crate::toml::{self, Page};
use std::borrow::Cow;

/// Writes it.
pub(crate) fn edge(work: Work<'_>, ledger: &mut Ledger) -> String {
    let count = work.config.proxies.len();
    let fronts: Vec<usize> = (0..count).filter(|index| is_served(work, *index)).collect();
    let uses = uses(work, &fronts, ledger);
    let pools = pools(work, &uses, ledger);
    let observed = observed::read(work, ledger);
    let (mut names, mut taken) = (Names::default(), Taken::default());
    let known = Pools { pools: &pools };
    let mut listeners: Vec<Listener> = Vec::new();
    for front in &fronts {
        listeners.extend(listener::of(work, *front, (&known, &mut names, &mut taken), ledger));
    }
    let top = general::top(work, ledger);
    let mut comments = Comments::new(work.sources);
    let mut page = Page::default();
    page.comments(&comments.of(&work.config.global.heads));
    page.comments(&comments.of(&work.config.global.lines));
    page.comments(&comments.of(&defaults_of(work)));
    page.pairs(&top);
    general::socket(work, &mut page, ledger);
    log::write(work, &fronts, &mut page, ledger);
    figures(work, &mut comments, &mut page);
    observed.write(false, &mut page);
    pages(work, &mut page, ledger);
    counters(&listeners, &mut page);
    if listeners.is_empty() {
        nothing(&mut page, ledger);
    }
    for (index, listener) in listeners.iter().enumerate() {
        write::listener(work, listener, &mut comments, &mut page);
        let again = listeners.get(index + 1).is_some_and(|next| next.front == listener.front);
        if !again {
            write::left(work.proxy(listener.front), &mut comments, &mut page);
        }
    }
    for (back, pool) in pools.iter().enumerate() {
        if let Some(pool) = pool.as_ref().filter(|pool| pool.is_usable()) {
            write::pool(work, back, pool, &mut comments, &mut page);
        }
    }
    let wants_nowhere =
        listeners.is_empty() || listeners.iter().any(|it| it.pool.as_deref() == Some(NOWHERE));
    if wants_nowhere {
        nowhere(&mut page);
    }
    let rest = comments.rest();
    if !rest.is_empty() {
        page.blank();
        page.comments(&rest);
    }
    general::rest(work, ledger);
    page.into_text()
}

/// The comments of sections that are about HAProxy's page and figures, and of users.
pub(super) fn figures(work: Work<'_>, comments: &mut Comments<'_>, page: &mut Page) {
    let mut lines = Vec::new();
    for section in work.sources.sections.iter().filter(|section| section.kind == "userlist") {
        lines.push(section.head);
        lines.extend(&section.lines);
    }
    for (index, proxy) in work.config.proxies.iter().enumerate() {
        if proxy.is_front() && observed::purpose(work, index) == Purpose::Figures {
            lines.push(proxy.head);
            lines.extend(&proxy.lines);
        }
    }
    lines.sort_unstable();
    let found = comments.of(&lines);
    if !found.is_empty() {
        page.blank();
        page.comments(&found);
    }
}

/// The lines of all `defaults`, for their comments.
pub(super) fn defaults_of(work: Work<'_>) -> Vec<usize> {
    let sections = work.sources.sections.iter().filter(|section| section.kind == "defaults");
    sections
        .flat_map(|section| std::iter::once(section.head).chain(section.lines.iter().copied()))
        .collect()
}

/// Whether a section becomes a listener.
pub(super) fn is_served(work: Work<'_>, index: usize) -> bool {
    let purpose = || observed::purpose(work, index);
    work.proxy(index).is_front() && matches!(purpose(), Purpose::Traffic | Purpose::Monitor)
}

/// How each section is used by those in front.
fn uses(work: Work<'_>, fronts: &[usize], ledger: &mut Ledger) -> Vec<Use> {
    let mut uses = vec![Use::default(); work.config.proxies.len()];
    let mut ports: Vec<Vec<u16>> = vec![Vec::new(); uses.len()];
    for front in fronts {
        let proxy = work.proxy(*front);
        let mut all = Vec::new();
        for bind in &proxy.binds {
            for place in &bind.places {
                match place.port {
                    crate::values::Port::One(port) => all.push(port),
                    crate::values::Port::Range(first, last) => all.extend([first, last]),
                    _ => {}
                }
            }
        }
        for back in work.reached(*front) {
            uses[back].http |= proxy.is_http();
            uses[back].opens |= proxy.is_http() || proxy.binds.iter().any(|it| it.has("ssl"));
            uses[back].used = true;
            ports[back].extend(&all);
        }
    }
    for (index, proxy) in work.config.proxies.iter().enumerate() {
        if proxy.is_back() && proxy.disabled.is_none() && !uses[index].used {
            uses[index].http = proxy.is_http();
            uses[index].opens = proxy.is_http();
            if !proxy.endpoints.is_empty() {
                let note = "no section leads here, in HAProxy either: its endpoints are probed all the same";
                ledger.tell(proxy.head, Kind::Same, note);
            }
        }
        uses[index].counts = proxy.words.contains_key("stick-table")
            && counting::is_counted(work, fronts, &proxy.name);
        ports[index].dedup();
        if let [port] = ports[index][..] {
            uses[index].port = Some(port);
        }
    }
    uses
}

/// The pools of sections that have endpoints.
fn pools(work: Work<'_>, uses: &[Use], ledger: &mut Ledger) -> Vec<Option<Pool>> {
    let mut names = Names::default();
    let mut pools = Vec::new();
    for (index, how) in uses.iter().enumerate() {
        let proxy = work.proxy(index);
        let Some(line) = proxy.disabled else {
            let wants = proxy.is_back()
                && (!proxy.endpoints.is_empty() || proxy.words.contains_key("dispatch"));
            pools.push(wants.then(|| pool_of(work.config, index, *how, &mut names, ledger)));
            if !wants && proxy.is_back() {
                without_endpoints(work, index, *how, ledger);
            }
            continue;
        };
        for line in std::iter::once(proxy.head).chain(proxy.lines.iter().copied()) {
            ledger.otherwise(line, Kind::Ignored, "the section is disabled");
        }
        ledger.tell(line, Kind::Same, "the section is left out");
        pools.push(None);
    }
    pools
}

fn pool_of(
    config: &Config,
    index: usize,
    how: Use,
    names: &mut Names,
    ledger: &mut Ledger,
) -> Pool {
    // To copy a section, with all it inherits, is for the few that need it.
    let mut back = Cow::Borrowed(&config.proxies[index]);
    if back.endpoints.is_empty()
        && let Some(set) = back.words.get("dispatch")
        && let Some(Ok(place)) = set.value.first().map(|text| crate::values::place(text))
    {
        ledger.same(set.line);
        let line = set.line;
        let name = "dispatch".to_owned();
        let settings = crate::model::endpoint::Settings::new();
        let dispatch = crate::model::endpoint::Endpoint { name, place, settings, line };
        back.to_mut().endpoints.push(dispatch);
    }
    let name = names.take(&back.name);
    if name != back.name {
        let note = format!(
            "called `{name}`: another section has the name, which HAProxy refuses today, or it has signs \
             that names have not"
        );
        ledger.tell(back.head, Kind::Improved, note);
    }
    let pool = pool::of(config, &back, name, how, ledger);
    if pool.is_usable() {
        ledger.same(back.head);
    } else {
        ledger.tell(
            back.head,
            Kind::Unsupported,
            "none of its endpoints could be carried over; see them",
        );
    }
    pool
}

/// A section with nothing to send clients to: a table of counters, or an answer of 503.
fn without_endpoints(work: Work<'_>, index: usize, how: Use, ledger: &mut Ledger) {
    let proxy = work.proxy(index);
    if let Some(table) = proxy.words.get("stick-table").filter(|_| !how.counts) {
        let note = "it counted for other sections; now nothing does; `limit` of a listener with `http` \
                    bounds connections and requests of client networks";
        ledger.tell(table.line, Kind::Unsupported, note);
    }
    if let Some(flag) = proxy.check.as_ref().filter(|set| set.value == CheckKind::Http) {
        ledger.otherwise(flag.line, Kind::Ignored, "there is nobody to check");
    }
    if proxy.lost > 0 {
        let note = "none of its endpoints is carried over";
        return ledger.otherwise(proxy.head, Kind::Ignored, note);
    }
    if how.used && proxy.is_http() && proxy.rules_of(Stage::Request).next().is_none() {
        let note = "it has no endpoints: whoever gets here is answered 503, as by HAProxy";
        ledger.tell(proxy.head, Kind::Same, note);
    } else if !proxy.is_front() {
        ledger.otherwise(proxy.head, Kind::Ignored, "it has no endpoints");
    }
}

/// What rules of the listeners count at, each counter once.
fn counters(listeners: &[Listener], page: &mut Page) {
    let mut seen = std::collections::HashSet::new();
    for table in listeners.iter().flat_map(|listener| &listener.counters) {
        if seen.insert(table.line) {
            page.blank();
            page.table(&["counter", &table.name]);
            page.pairs(&table.pairs());
        }
    }
}

/// `errorfile`, each status once.
fn pages(work: Work<'_>, page: &mut Page, ledger: &mut Ledger) {
    let mut seen = std::collections::HashSet::new();
    for proxy in &work.config.proxies {
        for (status, path, line) in &proxy.pages {
            if !seen.insert(*line) || ledger.is_judged(*line) {
                continue;
            }
            let is_stock = path.ends_with(&format!("/errors/{status}.http"))
                && work.host.read(path).is_none_or(|text| stock(&text));
            if is_stock {
                let note = "HAProxy's own page, taken to be unchanged: the answer is a short text, or \
                            what `[errors.STATUS]` names";
                ledger.tell(*line, Kind::Ignored, note);
                continue;
            }
            let note = format!(
                "it was the answer for {status}, with its HTTP head; now a short text is answered; write \
                 what stands behind the first empty line of {path} into a file, and name that in \
                 `[errors.{status}]`"
            );
            ledger.tell(*line, Kind::Unsupported, note);
            page.blank();
            page.raw(&format!("#[errors.{status}]\n#html = \"/etc/eclusa/{status}.html\"\n"));
        }
    }
}

/// Whether a page is one that HAProxy's packages bring.
pub(super) fn stock(text: &str) -> bool {
    let body = text.split_once("\r\n\r\n").or_else(|| text.split_once("\n\n"));
    let body = body.map_or(text, |(_, body)| body).trim();
    body.starts_with("<html><body><h1>") && body.ends_with("</body></html>") && body.len() < 300
}

/// A file that balances nothing.
fn nothing(page: &mut Page, ledger: &mut Ledger) {
    ledger.note(
        "nothing of this balances traffic: a listener stands there that serves nobody, for a \
         configuration must have one",
    );
    page.blank();
    page.remark(
        "haproxy.cfg balances nothing; a configuration must have a listener: replace this one.",
    );
    page.table(&["listener", "none"]);
    page.pair("listen", "[\"127.0.0.1:9\"]");
    page.pair("pool", &toml::text(NOWHERE));
}

/// A pool that nobody is sent to.
fn nowhere(page: &mut Page) {
    page.blank();
    page.remark(
        "A listener must name a pool: nobody is sent to this one, the rules answer before.",
    );
    page.table(&["pool", NOWHERE]);
    page.pair("endpoints", "[\"127.0.0.1:1\"]");
    page.pair("probe", "{ kind = \"none\" }");
}
