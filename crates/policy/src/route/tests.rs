//! Routes as tables, and the proof that indexes change nothing.

use super::*;
use crate::condition::{Asked, Networks, PathPattern, Written};
use crate::name::NamePattern;
use proptest::prelude::*;
use std::net::{IpAddr, SocketAddr};

fn facts(source: [u8; 4], name: Option<&str>) -> Facts<'_> {
    let destination = SocketAddr::from(([192, 168, 1, 2], 443));
    Facts::of_connection(IpAddr::from(source), destination, name)
}

fn names(patterns: &[&str]) -> Vec<NamePattern> {
    patterns.iter().map(|p| NamePattern::parse(p).unwrap()).collect()
}

fn sni(patterns: &[&str]) -> Condition {
    Condition::ServerName(names(patterns))
}

fn host(patterns: &[&str]) -> Condition {
    Condition::Host(names(patterns))
}

fn below(path: &str) -> Condition {
    Condition::Path(vec![PathPattern::prefix(path)])
}

fn source(network: &str) -> Condition {
    Condition::Source(Networks::new(vec![network.parse().unwrap()]))
}

fn table(conditions: impl IntoIterator<Item = Condition>) -> RouteTable {
    RouteTable::new(conditions.into_iter().enumerate().map(|(i, c)| (c, Target::Pool(i))))
}

#[derive(Default)]
struct Count(usize);

impl condition::Trace for Count {}

impl Trace for Count {
    fn tried(&mut self, _: usize, _: &Condition, _: bool) {
        self.0 += 1;
    }
}

/// The pool, and how many routes were tried.
fn ask(table: &RouteTable, request: &Written) -> (Option<usize>, usize) {
    let asked = Asked::new(request);
    let facts = Facts { request: Some(&asked), ..facts([1, 2, 3, 4], None) };
    let mut count = Count::default();
    let pool = table.choose(&facts, &mut count).map(|target| target.pool(0));
    (pool, count.0)
}

#[test]
fn the_first_route_that_holds_wins_whatever_index_finds_it() {
    let table = table([
        Condition::All(vec![sni(&["a.test"]), source("10.0.0.0/8")]),
        sni(&["*.test"]),
        sni(&["a.test"]),
        source("11.0.0.0/8"),
        sni(&["b.other"]),
    ]);
    let choose = |ip, name| table.choose(&facts(ip, name), &mut ()).map(|target| target.pool(0));
    assert_eq!(choose([10, 0, 0, 1], Some("a.test")), Some(0));
    assert_eq!(choose([12, 0, 0, 1], Some("a.test")), Some(1));
    assert_eq!(choose([11, 0, 0, 1], Some("b.other")), Some(3));
    assert_eq!(choose([12, 0, 0, 1], Some("b.other")), Some(4));
    assert_eq!(choose([12, 0, 0, 1], Some("unknown")), None);
    assert_eq!(choose([12, 0, 0, 1], None), None);
}

#[test]
fn hosts_and_paths_are_found_in_order() {
    let table = table([
        Condition::All(vec![host(&["shop.test"]), below("/api/v1")]),
        Condition::All(vec![host(&["shop.test"]), below("/api")]),
        Condition::All(vec![host(&["*.test"]), Condition::Method(vec!["POST".into()])]),
        host(&["shop.test"]),
        below("/metrics"),
        Condition::Always,
    ]);
    let get = |host, path| ask(&table, &Written::get(host, path)).0;
    assert_eq!(get("shop.test", "/api/v1/x"), Some(0));
    assert_eq!(get("shop.test", "/api/v2"), Some(1));
    assert_eq!(get("shop.test", "/apiary"), Some(3));
    assert_eq!(get("other", "/metrics"), Some(4));
    assert_eq!(get("other", "*"), Some(5));
    let post = Written { method: "POST".into(), ..Written::get("shop.test", "/") };
    assert_eq!(ask(&table, &post).0, Some(2));
}

#[test]
fn ten_thousand_names_cost_one_try() {
    let table = table((0..10_000).map(|i| sni(&[&format!("host{i}.test")])));
    let mut count = Count::default();
    let target = table.choose(&facts([1, 2, 3, 4], Some("host9999.test")), &mut count);
    assert_eq!(target, Some(&Target::Pool(9_999)));
    assert_eq!(count.0, 1);
}

#[test]
fn ten_thousand_hosts_cost_one_try() {
    let table = table((0..10_000).map(|i| host(&[&format!("host{i}.test")])));
    assert_eq!(ask(&table, &Written::get("host9999.test", "/")), (Some(9_999), 1));
}

#[test]
fn ten_thousand_paths_of_a_host_cost_one_try() {
    let path = |i| Condition::All(vec![host(&["a.test"]), below(&format!("/app{i}"))]);
    let table = table((0..10_000).map(path));
    assert_eq!(ask(&table, &Written::get("a.test", "/app9999/x")), (Some(9_999), 1));
    assert_eq!(ask(&table, &Written::get("b.test", "/app9999/x")), (None, 0));
}

/// Names and paths of hostile length must not cost a look-up of their whole length at each part.
#[test]
fn long_names_and_paths_are_cheap() {
    let table = table([Condition::All(vec![host(&["*.a.test"]), below("/b")])]);
    let request = Written::get(&"x.".repeat(100_000), &"/y".repeat(100_000));
    assert_eq!(ask(&table, &request), (None, 0));
}

#[test]
fn a_split_gives_each_its_share() {
    let split = Split::new(vec![(95, 0), (0, 1), (5, 2)]).unwrap();
    let target = Target::Split(split);
    let mut random = fastrand::Rng::with_seed(7);
    let mut counts = [0_u32; 3];
    for _ in 0..100_000 {
        counts[target.pool(random.u64(..))] += 1;
    }
    assert_eq!(counts[1], 0);
    assert!((4_700..5_300).contains(&counts[2]), "{counts:?}");
    assert_eq!((target.pool(0), target.pool(u64::MAX)), (0, 2));
    assert_eq!(target.pools().collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(Split::new(vec![(0, 0)]), None);
}

fn any_condition() -> impl Strategy<Value = Condition> {
    let name = || prop::sample::select(vec!["a.t", "b.t", "*.t", "*.a.t", "c"]);
    let path = prop::sample::select(vec!["/", "/a", "/a/b", "/ab"]);
    let path = (path, 0..3).prop_map(|(path, kind)| {
        Condition::Path(vec![match kind {
            0 => PathPattern::Exact(path.into()),
            1 => PathPattern::prefix(path),
            _ => PathPattern::Suffix(path.into()),
        }])
    });
    let leaf = prop_oneof![
        Just(Condition::Always),
        name().prop_map(|n| sni(&[n])),
        name().prop_map(|n| host(&[n])),
        path,
        prop::sample::select(vec!["GET", "POST"]).prop_map(|m| Condition::Method(vec![m.into()])),
        prop::sample::select(vec!["10.0.0.0/8", "11.0.0.0/8"]).prop_map(source),
        prop::sample::select(vec![443_u16, 80]).prop_map(|p| Condition::Port(vec![p])),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Condition::All),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Condition::Any),
            inner.prop_map(|c| Condition::Not(Box::new(c))),
        ]
    })
}

fn any_name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a.t", "x.a.t", "b.t", "c", "t", ""])
}

proptest! {
    #[test]
    fn the_indexes_change_nothing(
        conditions in prop::collection::vec(any_condition(), 0..8),
        name in prop::option::of(any_name()),
        host in any_name(),
        path in prop::option::of(prop::sample::select(vec!["/", "/a", "/a/", "/a/b/c", "/ab", "*", "//a"])),
        first in 9_u8..13,
    ) {
        let request = Written::get(host, path.unwrap_or("/"));
        let asked = Asked::new(&request);
        let request = path.map(|_| &asked);
        let facts = Facts { request, ..facts([first, 0, 0, 1], name) };
        let plain = conditions.iter().position(|c| c.holds(&facts));
        let table = table(conditions);
        prop_assert_eq!(table.choose(&facts, &mut ()).map(|target| target.pool(0)), plain);
    }
}
