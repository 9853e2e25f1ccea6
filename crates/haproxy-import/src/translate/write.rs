//! Listeners and pools as text, with the comments of their lines.

use super::Work;
use super::comments::Comments;
use super::listener::{Block, Listener};
use super::pool::{Member, Pairs, Pool, pair};
use crate::model::{Proxy, Stage};
use crate::toml::{self, Page};
use std::collections::HashSet;

/// Lines whose comments go where the line goes, and not to the head of their section.
fn placed(proxy: &Proxy) -> HashSet<usize> {
    let rules = proxy.rules.iter().filter(|(stage, _)| *stage != Stage::Stats);
    let mut lines: HashSet<usize> = rules.map(|(_, rule)| rule.line).collect();
    lines.extend(proxy.endpoints.iter().map(|endpoint| endpoint.line));
    lines.extend(proxy.routes.iter().map(|route| route.line));
    lines
}

/// The comments of a section that stand at its head.
pub(super) fn head(proxy: &Proxy, comments: &mut Comments<'_>, page: &mut Page) {
    let placed = placed(proxy);
    page.comments(&comments.take(proxy.head));
    for line in proxy.lines.iter().filter(|line| !placed.contains(line)) {
        page.comments(&comments.take(*line));
    }
}

/// Comments of a section whose lines are not carried over.
pub(super) fn left(proxy: &Proxy, comments: &mut Comments<'_>, page: &mut Page) {
    // Endpoints have theirs where the pool is.
    let endpoints: HashSet<usize> = proxy.endpoints.iter().map(|endpoint| endpoint.line).collect();
    let lines: Vec<usize> =
        proxy.lines.iter().copied().filter(|line| !endpoints.contains(line)).collect();
    let left = comments.of(&lines);
    if !left.is_empty() {
        page.blank();
        page.comments(&left);
    }
}

/// `key = value`, or a table of its own where that is long.
fn table(page: &mut Page, parts: &[&str], pairs: &Pairs) {
    if pairs.is_empty() {
        return;
    }
    page.blank();
    page.table(parts);
    page.pairs(pairs);
}

pub(super) fn listener(
    work: Work<'_>,
    listener: &Listener,
    comments: &mut Comments<'_>,
    page: &mut Page,
) {
    let proxy = work.proxy(listener.front);
    let name = listener.name.as_str();
    page.blank();
    head(proxy, comments, page);
    page.table(&["listener", name]);
    page.pairs(&listener.pairs);
    if let Some(pool) = &listener.pool {
        page.pair("pool", &toml::text(pool));
    }
    if listener.speaks && listener.http.is_empty() {
        page.pair("http", "true");
    }
    table(page, &["listener", name, "tls"], &listener.tls);
    if listener.speaks {
        table(page, &["listener", name, "http"], &listener.http);
    }
    for (blocks, key) in [(&listener.rules, "rule"), (&listener.routes, "route")] {
        for block in blocks {
            self::block(&["listener", name, key], block, comments, page);
        }
    }
}

fn block(parts: &[&str], block: &Block, comments: &mut Comments<'_>, page: &mut Page) {
    page.blank();
    if let Some(line) = block.line {
        page.comments(&comments.take(line));
        page.comments([&comments.shown(line)]);
    }
    page.item(parts);
    page.pairs(&block.pairs);
}

pub(super) fn pool(
    work: Work<'_>,
    back: usize,
    pool: &Pool,
    comments: &mut Comments<'_>,
    page: &mut Page,
) {
    let proxy = work.proxy(back);
    page.blank();
    head(proxy, comments, page);
    let name = pool.name.as_str();
    page.table(&["pool", name]);
    endpoints("endpoints", pool, comments, page);
    page.pairs(&pool.pairs);
    for (key, pairs) in
        [("dial", &pool.dial), ("probe", &pool.probe), ("tls", &pool.tls), ("http", &pool.http)]
    {
        table(page, &["pool", name, key], pairs);
    }
    left(proxy, comments, page);
}

/// The list of endpoints; those that are left out stand there as comments.
pub(super) fn endpoints(key: &str, pool: &Pool, comments: &mut Comments<'_>, page: &mut Page) {
    page.raw(&format!("{key} = [\n"));
    for member in &pool.members {
        let (above, beside) = comments.apart(member.line);
        for comment in above {
            page.raw(&format!("    {comment}\n"));
        }
        let beside = beside.map(|text| format!(" {text}")).unwrap_or_default();
        page.raw(&format!("    {},{beside}\n", self::member(member)));
    }
    for line in &pool.left_out {
        for comment in comments.take(*line) {
            page.raw(&format!("    {comment}\n"));
        }
        page.raw(&format!("    {}\n", comments.shown(*line)));
    }
    page.raw("]\n");
}

fn member(member: &Member) -> String {
    let address = format!("{}:{}", member.host, member.port);
    let mut pairs = vec![pair("address", toml::text(&address))];
    if member.name != address {
        pairs.insert(0, pair("name", toml::text(&member.name)));
    }
    if member.weight != 1 {
        pairs.push(pair("weight", member.weight.clamp(1, 256).to_string()));
    }
    if member.backup {
        pairs.push(pair("backup", "true"));
    }
    if let Some(max) = member.sessions_max {
        pairs.push(pair("sessions_max", max.clamp(1, 1_000_000).to_string()));
    }
    if pairs.len() == 1 { pairs.remove(0).1 } else { toml::inline(&pairs) }
}
