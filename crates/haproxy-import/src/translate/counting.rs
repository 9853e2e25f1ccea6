//! `stick-table` that counts requests of clients, and what counts there and asks: as counters.

use super::Work;
use super::criterion::{Asking, Scene};
use super::known::Known;
use super::numbers;
use super::pool::{Pairs, pair};
use crate::model::acl::Criterion;
use crate::model::{Proxy, Rule, Stage};
use crate::report::{Kind, Ledger};
use crate::toml;
use crate::values;
use crate::when::{Key, Leaf, When};

/// A table that can be a counter.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// The section's name, and the counter's.
    pub(super) name: String,
    /// The time of `http_req_rate`, in milliseconds.
    within: Option<u64>,
    /// It has `conn_cur`.
    at_once: bool,
    /// In milliseconds; `None`: never.
    expire: Option<u64>,
    clients: u64,
    /// It knows clients by IPv4 alone.
    v4: bool,
    pub(super) line: usize,
}

/// A rule that counts.
#[derive(Clone, Debug)]
pub(super) struct Tracked {
    /// Which `sc`.
    number: String,
    table: String,
    /// When it does.
    when: When,
    line: usize,
}

/// What is told of tables whose clients come by IPv6.
const HOUSEHOLDS: &str = "clients by IPv6 are counted by their /64, which one household has for itself, not by each of its addresses";

/// The longest time of a counter.
const DAY: u64 = 86_400_000;

impl Table {
    /// Reads the `stick-table` of a section; `None`: it counts no requests of clients.
    fn read(proxy: &Proxy) -> Option<Self> {
        let set = proxy.words.get("stick-table")?;
        let mut table = Self {
            name: proxy.name.clone(),
            within: None,
            at_once: false,
            expire: None,
            clients: 0,
            v4: false,
            line: set.line,
        };
        let mut words = set.value.iter().map(String::as_str);
        while let Some(word) = words.next() {
            match (word, words.next()?) {
                ("type", kind @ ("ip" | "ipv6")) => table.v4 = kind == "ip",
                ("size", size) => table.clients = values::size(size)?,
                ("expire", time) => table.expire = Some(values::time(time)?),
                ("store", stored) => table.store(stored)?,
                // Hosts that tell each other, keys of other kinds, entries that are never given up.
                _ => return None,
            }
        }
        let times = [table.within, table.expire].into_iter().flatten();
        let fits = times.into_iter().all(|time| (1_000..=DAY).contains(&time));
        let named = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        let has_name = (1..=64).contains(&table.name.len()) && table.name.chars().all(named);
        (fits && has_name && table.clients > 0).then_some(table)
    }

    fn store(&mut self, stored: &str) -> Option<()> {
        for one in stored.split(',') {
            match one.split_once('(') {
                Some(("http_req_rate", time)) => {
                    self.within = Some(values::time(time.strip_suffix(')')?)?);
                }
                None if one == "conn_cur" => self.at_once = true,
                // What nobody asks is not missed.
                _ => {}
            }
        }
        Some(())
    }

    /// The pairs of `[counter.NAME]`.
    pub(super) fn pairs(&self) -> Pairs {
        // Where only those at once are asked, any time does.
        let within = self.within.unwrap_or(60_000);
        let mut pairs = vec![pair("within", toml::duration(within))];
        if let Some(expire) = self.expire.filter(|expire| *expire < within.saturating_mul(2)) {
            pairs.push(pair("forget_after", toml::duration(expire)));
        }
        if self.clients != 65_536 {
            pairs.push(pair("clients", self.clients.min(16_777_216).to_string()));
        }
        pairs
    }
}

/// The tables that a section's rules count at, and the rules; other tables are none here.
pub(super) fn read(
    work: Work<'_>,
    front: usize,
    ledger: &mut Ledger,
) -> (Vec<Table>, Vec<Tracked>) {
    let proxy = work.proxy(front);
    // Their conditions are asked of the request alone.
    let known = Known::default();
    let tls = proxy.binds.iter().any(|bind| bind.has("ssl"));
    let asking = Asking::new(&proxy.acls, Scene { http: true, tls, answers: false }, &known);
    let (mut tables, mut tracked) = (Vec::new(), Vec::new());
    for (rule, number, table) in counted(work, front) {
        let Some(when) = counts_when(rule, proxy, &asking) else { continue };
        match has_v6(work.proxy(front)) {
            true => ledger.tell(table.line, Kind::Improved, HOUSEHOLDS),
            false => ledger.same(table.line),
        }
        let (number, line) = (number.to_owned(), rule.line);
        tracked.push(Tracked { number, table: table.name.clone(), when, line });
        tables.push(table);
    }
    (tables, tracked)
}

/// When a rule counts: where its condition holds, and none of an `allow` before it, which ends the list.
/// `None`: that cannot be asked.
fn counts_when(rule: &Rule, proxy: &Proxy, asking: &Asking<'_>) -> Option<When> {
    let mut unheard = Ledger::default();
    let mut of = |rule: &Rule| asking.when(rule.when.as_ref(), rule.line, &mut unheard).ok();
    let mut parts = vec![of(rule)?];
    let before = proxy.rules_of(Stage::Request).take_while(|other| other.line != rule.line);
    for other in before.filter(|other| other.words.first().is_some_and(|word| word == "allow")) {
        parts.push(of(other)?.negated());
    }
    Some(When::all(parts))
}

/// Whether rules of one of these sections count at the table of another.
pub(super) fn is_counted(work: Work<'_>, fronts: &[usize], name: &str) -> bool {
    let mut all = fronts.iter().filter(|front| work.proxy(**front).is_http());
    all.any(|front| counted(work, *front).iter().any(|(_, _, table)| table.name == name))
}

/// The rules of a section that count clients, each with its `sc` and its table. Who counts twice at one
/// table, or by one `sc`, is counted by none.
fn counted<'w>(work: Work<'w>, front: usize) -> Vec<(&'w Rule, &'w str, Table)> {
    let proxy = work.proxy(front);
    let mut all = Vec::new();
    let backs = work.reached(front).into_iter().filter(|back| *back != front);
    for index in std::iter::once(front).chain(backs) {
        let section = work.proxy(index);
        all.extend(section.rules.iter().filter_map(|(_, rule)| tracks(rule, section)));
    }
    let once = |(number, table): (&str, &str)| {
        let alike = all.iter().filter(|(other, there)| *other == number || *there == table);
        alike.count() == 1
    };
    let mut counted = Vec::new();
    for rule in proxy.rules_of(Stage::Request) {
        let Some((number, name)) = tracks(rule, proxy) else { continue };
        let section = work.config.proxies.iter().find(|proxy| proxy.name == name);
        let Some(table) = section.and_then(Table::read) else { continue };
        let by_client =
            rule.words.get(1).is_some_and(|key| key == "src") && [2, 4].contains(&rule.words.len());
        if by_client && once((number, name)) && !(table.v4 && has_v6(proxy)) {
            counted.push((rule, number, table));
        }
    }
    counted
}

/// Which `sc` a rule tracks by, and in which table.
fn tracks<'r>(rule: &'r Rule, section: &'r Proxy) -> Option<(&'r str, &'r str)> {
    let mut words = rule.words.iter().map(String::as_str);
    let number = words.find_map(|word| word.strip_prefix("track-sc"))?;
    let table = words.skip_while(|word| *word != "table").nth(1);
    Some((number, table.unwrap_or(&section.name)))
}

/// Clients come by IPv6, too.
fn has_v6(proxy: &Proxy) -> bool {
    let places = proxy.binds.iter().flat_map(|bind| &bind.places);
    places.map(|place| values::listened(&place.host)).any(|ip| ip.is_some_and(|ip| ip.is_ipv6()))
}

impl Tracked {
    /// The counter of a rule that counts, and when it does.
    pub(super) fn of<'t>(rule: &Rule, tracked: &'t [Self]) -> Option<&'t str> {
        tracked.iter().find(|it| it.line == rule.line).map(|it| it.table.as_str())
    }
}

/// What a criterion asks of counters; `None`: it asks for something else. `late`: it is asked behind all
/// rules of its section.
pub(super) fn asked(
    criterion: &Criterion,
    (front, tables, tracked): (&str, &[Table], &[Tracked]),
    (line, late): (usize, bool),
) -> Option<Result<When, String>> {
    let fetch = criterion.fetch.as_str();
    if let Some(what) = fetch.strip_prefix("src_") {
        let name = if criterion.argument.is_empty() { front } else { &criterion.argument };
        return compared(criterion, what, (name, tables));
    }
    // `sc_http_req_rate(0)`, `sc0_http_req_rate`
    let (number, what) = fetch.strip_prefix("sc")?.split_once('_')?;
    let (number, named) = match (number, criterion.argument.split_once(',')) {
        ("", Some((number, name))) => (number.trim(), Some(name.trim())),
        ("", None) => (criterion.argument.as_str(), None),
        _ => (number, Some(criterion.argument.as_str()).filter(|name| !name.is_empty())),
    };
    let found = tracked.iter().find(|it| it.number == number && (late || it.line < line));
    let found = found.filter(|it| named.is_none_or(|name| name == it.table));
    let Some(found) = found else {
        return counted_word(what).map(|_| {
            Err(format!("`{fetch}` asks for what no rule before it counts for every client"))
        });
    };
    let over = compared(criterion, what, (&found.table, tables))?;
    // What is not tracked has no number.
    Some(over.map(|over| When::all([found.when.clone(), over])))
}

/// The key of what is asked.
fn counted_word(what: &str) -> Option<&'static str> {
    match what {
        "http_req_rate" => Some("counted_over"),
        "conn_cur" => Some("at_once_over"),
        _ => None,
    }
}

fn compared(
    criterion: &Criterion,
    what: &str,
    (name, tables): (&str, &[Table]),
) -> Option<Result<When, String>> {
    let key = counted_word(what)?;
    let table = tables.iter().find(|table| table.name == name);
    let table =
        table.filter(|it| if key == "at_once_over" { it.at_once } else { it.within.is_some() });
    let Some(table) = table else {
        return Some(Err(format!(
            "`{}` asks a table at which no rule counts clients",
            criterion.fetch
        )));
    };
    let over = |least: u64| {
        let key = Key::Number(key, table.name.clone());
        When::Is(Leaf { key, values: vec![(least - 1).to_string()] })
    };
    Some(numbers::ranges(criterion).map(|ranges| numbers::any(&ranges, over)))
}
