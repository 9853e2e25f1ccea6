//! Routes: conditions in order, the first that holds names the pool.

use crate::condition::{Condition, Facts};
use crate::name::NamePattern;
use std::collections::HashMap;

/// Routes of a listener, prepared so that a look-up costs the same with ten names as with ten
/// thousand: routes that ask for a server name are found by that name, the rest is tried in order.
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    routes: Vec<(Condition, usize)>,
    /// Indexes into `routes`, ascending, by exact name.
    by_name: HashMap<Box<str>, Vec<usize>>,
    /// The same by the suffix of a wildcard.
    by_suffix: HashMap<Box<str>, Vec<usize>>,
    /// Routes that no name leads to.
    others: Vec<usize>,
}

/// Hears of every route that was tried, for `explain`; `()` hears nothing and costs nothing.
pub trait Trace {
    /// The route at `index` was tried, and its condition held or did not.
    fn tried(&mut self, index: usize, condition: &Condition, held: bool);
}

impl Trace for () {
    fn tried(&mut self, _: usize, _: &Condition, _: bool) {}
}

impl RouteTable {
    /// Prepares routes given as condition and pool, in the order in which they are to be tried.
    #[must_use]
    pub fn new(routes: impl IntoIterator<Item = (Condition, usize)>) -> Self {
        let mut table = Self { routes: routes.into_iter().collect(), ..Self::default() };
        for (index, (condition, _)) in table.routes.iter().enumerate() {
            let Some(patterns) = required_names(condition) else {
                table.others.push(index);
                continue;
            };
            for pattern in patterns {
                let list = match pattern {
                    NamePattern::Exact(name) => table.by_name.entry(name.clone()).or_default(),
                    NamePattern::Wildcard(suffix) => {
                        table.by_suffix.entry(suffix.clone()).or_default()
                    }
                };
                if list.last() != Some(&index) {
                    list.push(index);
                }
            }
        }
        table
    }

    /// The pool of the first route whose condition holds; `None`: no route takes this connection.
    pub fn choose(&self, facts: &Facts<'_>, trace: &mut impl Trace) -> Option<usize> {
        let mut best = self.first(&self.others, facts, usize::MAX, trace);
        if let Some(name) = facts.server_name {
            if let Some(list) = self.by_name.get(name) {
                best = self.first(list, facts, best, trace);
            }
            let mut rest = name;
            while let Some((_, suffix)) = rest.split_once('.') {
                if let Some(list) = self.by_suffix.get(suffix) {
                    best = self.first(list, facts, best, trace);
                }
                rest = suffix;
            }
        }
        self.routes.get(best).map(|(_, pool)| *pool)
    }

    /// The first of `list` whose condition holds, if it stands before `best`; else `best`.
    fn first(
        &self,
        list: &[usize],
        facts: &Facts<'_>,
        best: usize,
        trace: &mut impl Trace,
    ) -> usize {
        for &index in list.iter().take_while(|&&index| index < best) {
            let condition = &self.routes[index].0;
            let held = condition.holds(facts);
            trace.tried(index, condition, held);
            if held {
                return index;
            }
        }
        best
    }
}

/// Name patterns of which at least one must match before the condition can hold; `None` where the
/// condition can hold without any.
fn required_names(condition: &Condition) -> Option<Vec<&NamePattern>> {
    match condition {
        Condition::ServerName(patterns) => Some(patterns.iter().collect()),
        Condition::All(parts) => parts.iter().find_map(required_names),
        Condition::Any(parts) => {
            let lists: Option<Vec<_>> = parts.iter().map(required_names).collect();
            lists.map(|lists| lists.into_iter().flatten().collect())
        }
        Condition::Named(named) => required_names(&named.condition),
        Condition::Always | Condition::Not(_) | Condition::Source(_) | Condition::Port(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::Networks;
    use proptest::prelude::*;
    use std::net::{IpAddr, SocketAddr};

    fn facts(source: [u8; 4], name: Option<&str>) -> Facts<'_> {
        let destination = SocketAddr::from(([192, 168, 1, 2], 443));
        Facts { source: IpAddr::from(source), destination, server_name: name }
    }

    fn sni(patterns: &[&str]) -> Condition {
        Condition::ServerName(patterns.iter().map(|p| NamePattern::parse(p).unwrap()).collect())
    }

    fn source(network: &str) -> Condition {
        Condition::Source(Networks::new(vec![network.parse().unwrap()]))
    }

    #[test]
    fn the_first_route_that_holds_wins_whatever_index_finds_it() {
        let table = RouteTable::new([
            (Condition::All(vec![sni(&["a.test"]), source("10.0.0.0/8")]), 0),
            (sni(&["*.test"]), 1),
            (sni(&["a.test"]), 2),
            (source("11.0.0.0/8"), 3),
            (sni(&["b.other"]), 4),
        ]);
        let choose = |ip, name| table.choose(&facts(ip, name), &mut ());
        assert_eq!(choose([10, 0, 0, 1], Some("a.test")), Some(0));
        assert_eq!(choose([12, 0, 0, 1], Some("a.test")), Some(1));
        assert_eq!(choose([11, 0, 0, 1], Some("b.other")), Some(3));
        assert_eq!(choose([12, 0, 0, 1], Some("b.other")), Some(4));
        assert_eq!(choose([12, 0, 0, 1], Some("unknown")), None);
        assert_eq!(choose([12, 0, 0, 1], None), None);
    }

    #[test]
    fn ten_thousand_names_cost_one_try() {
        #[derive(Default)]
        struct Count(usize);
        impl Trace for Count {
            fn tried(&mut self, _: usize, _: &Condition, _: bool) {
                self.0 += 1;
            }
        }
        let names = (0..10_000).map(|i| (sni(&[&format!("host{i}.test")]), i));
        let table = RouteTable::new(names);
        let mut count = Count::default();
        assert_eq!(
            table.choose(&facts([1, 2, 3, 4], Some("host9999.test")), &mut count),
            Some(9999)
        );
        assert_eq!(count.0, 1);
    }

    fn any_condition() -> impl Strategy<Value = Condition> {
        let name = prop::sample::select(vec!["a.t", "b.t", "*.t", "*.a.t", "c"]);
        let leaf = prop_oneof![
            Just(Condition::Always),
            name.prop_map(|n| sni(&[n])),
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

    proptest! {
        #[test]
        fn the_indexes_change_nothing(
            conditions in prop::collection::vec(any_condition(), 0..8),
            name in prop::option::of(prop::sample::select(vec!["a.t", "x.a.t", "b.t", "c", "t", ""])),
            first in 9_u8..13,
        ) {
            let facts = facts([first, 0, 0, 1], name);
            let plain = conditions.iter().position(|c| c.holds(&facts));
            let table = RouteTable::new(conditions.into_iter().enumerate().map(|(i, c)| (c, i)));
            prop_assert_eq!(table.choose(&facts, &mut ()), plain);
        }
    }
}
