//! Why a condition held or did not, in words: a [`Trace`] that remembers what it heard.

use super::{Condition, Facts, Subject, Trace, Values, cookie, fields};
use std::net::IpAddr;

/// Characters of a leaf that are shown: a list of ten thousand names says no more than its beginning.
const SHOWN: usize = 120;
/// Header fields whose values are secrets: that they are there is all that is told.
const SECRET: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "set-cookie"];

/// A condition that was evaluated, with those parts of it that were needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The condition, in words: `all of`, `one of`, `not`, the name of a named one, or what a leaf asks.
    pub condition: String,
    /// What a leaf found: `the path is /x`; `None` of all others.
    pub fact: Option<String>,
    /// Whether it held.
    pub held: bool,
    /// Its parts, as far as they were evaluated: `all of` ends at the first that does not hold.
    pub parts: Vec<Why>,
}

/// Remembers why conditions held or did not.
#[derive(Debug)]
pub struct Reasons<'a> {
    facts: &'a Facts<'a>,
    open: Vec<Vec<Why>>,
    last: Option<Why>,
    asked_lists: bool,
}

impl<'a> Reasons<'a> {
    /// For conditions that are asked of these facts.
    #[must_use]
    pub fn new(facts: &'a Facts<'a>) -> Self {
        Self { facts, open: Vec::new(), last: None, asked_lists: false }
    }

    /// The condition that was evaluated last, as a whole.
    pub fn take(&mut self) -> Option<Why> {
        self.last.take()
    }

    /// Whether a list in a file was asked.
    #[must_use]
    pub fn asked_lists(&self) -> bool {
        self.asked_lists
    }
}

impl Trace for Reasons<'_> {
    fn begin(&mut self, condition: &Condition) {
        self.asked_lists |= matches!(condition, Condition::Listed(_));
        self.open.push(Vec::new());
    }

    fn end(&mut self, condition: &Condition, held: bool) {
        let parts = self.open.pop().unwrap_or_default();
        let (words, fact) = (words(condition), fact(condition, self.facts));
        let why = Why { condition: words, fact, held, parts };
        match self.open.last_mut() {
            Some(outer) => outer.push(why),
            None => self.last = Some(why),
        }
    }
}

fn words(condition: &Condition) -> String {
    match condition {
        Condition::All(_) => "all of".to_owned(),
        Condition::Any(_) => "one of".to_owned(),
        Condition::Not(_) => "not".to_owned(),
        other => {
            let text = other.to_string();
            match text.char_indices().nth(SHOWN) {
                Some((end, _)) => format!("{}…", &text[..end]),
                None => text,
            }
        }
    }
}

/// What a leaf looks at, as it is.
fn fact(condition: &Condition, facts: &Facts<'_>) -> Option<String> {
    let request = facts.request.map(|asked| asked.request());
    let asked = |what: &dyn Fn() -> String| match request {
        Some(_) => what(),
        None => "there is no request".to_owned(),
    };
    Some(match condition {
        Condition::Source(_) => source(facts.source),
        Condition::ServerName(_) => server_name(facts),
        Condition::Port(_) => format!("the port is {}", facts.destination.port()),
        Condition::ClientCertificate(_) => match facts.client_certificate {
            None => "the client has shown no certificate".to_owned(),
            Some(shown) => match &shown.common_name {
                Some(name) => format!("its common name is {name}"),
                None => "it has no common name".to_owned(),
            },
        },
        Condition::Listed(listed) => match listed.0.subject() {
            Subject::Source => source(facts.source),
            Subject::ServerName => server_name(facts),
            Subject::Host => asked(&|| host(facts)),
        },
        Condition::Host(_) | Condition::HostText(_) => asked(&|| host(facts)),
        Condition::Path(_) => asked(&|| {
            facts.request.map_or(String::new(), |it| format!("the path is {}", it.path()))
        }),
        Condition::Method(_) => {
            asked(&|| request.map_or(String::new(), |it| format!("the method is {}", it.method())))
        }
        Condition::Header(name, _) => asked(&|| {
            let mut found = Vec::new();
            request.map(|it| it.header(name, &mut |value| see(&mut found, value)));
            match SECRET.contains(&&**name) && !found.is_empty() {
                true => format!("the request has {name}"),
                false => values(&found, name),
            }
        }),
        Condition::Query(name, _) => asked(&|| {
            let mut found = Vec::new();
            let query = request.and_then(|it| it.query()).unwrap_or_default();
            fields::query(query, name, |value| see(&mut found, value));
            values(&found, name)
        }),
        Condition::Cookie(name, asks) => asked(&|| {
            let is_there = request
                .is_some_and(|it| cookie(it, name, &mut |value| Values::Present.hold(value)));
            match (is_there, asks) {
                (false, _) => format!("there is no {name}"),
                (true, _) => format!("there is {name}"),
            }
        }),
        Condition::Available(available) => {
            match facts.world.available(available.pool, usize::MAX) {
                usize::MAX => "they are all taken to be well".to_owned(),
                well => format!("{well} are well"),
            }
        }
        Condition::Over(over) => format!("{} now", over.count(facts.world, facts.source)),
        _ => return None,
    })
}

fn source(address: IpAddr) -> String {
    format!("the client is {address}")
}

fn server_name(facts: &Facts<'_>) -> String {
    match facts.server_name {
        Some(name) => format!("the server name is {name}"),
        None => "there is no server name".to_owned(),
    }
}

fn host(facts: &Facts<'_>) -> String {
    facts.request.map_or(String::new(), |asked| format!("the host is {}", asked.request().host()))
}

/// Takes a value, and asks for the next one.
fn see(found: &mut Vec<String>, value: &str) -> bool {
    found.push(value.to_owned());
    false
}

fn values(found: &[String], name: &str) -> String {
    match found {
        [] => format!("there is no {name}"),
        found => format!("{name} is {}", found.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Asked, Named, Networks, PathPattern, TextPattern, Written};
    use super::*;
    use std::sync::Arc;

    fn why(condition: &Condition) -> Why {
        let request = Written::get("shop.test", "/api/x?a=1").with_header("X-Team", "blue");
        let asked = Asked::new(&request);
        let facts = Facts {
            request: Some(&asked),
            ..Facts::of_connection([192, 0, 2, 7].into(), ([10, 0, 0, 1], 443).into(), None)
        };
        let mut reasons = Reasons::new(&facts);
        assert_eq!(condition.traced(&facts, &mut reasons), condition.holds(&facts));
        reasons.take().unwrap()
    }

    fn source(network: &str) -> Condition {
        Condition::Source(Networks::new(vec![network.parse().unwrap()]))
    }

    #[test]
    fn it_says_which_leaf_failed_and_what_it_saw() {
        let named = Named { name: "inside".into(), condition: source("10.0.0.0/8") };
        let condition = Condition::All(vec![
            Condition::Path(vec![PathPattern::prefix("/api")]),
            Condition::Any(vec![
                Condition::Header(
                    "x-team".into(),
                    Values::OneOf(vec![TextPattern::Exact("red".into())]),
                ),
                Condition::Not(Box::new(Condition::Named(Arc::new(named)))),
            ]),
            Condition::Method(vec!["POST".into()]),
            Condition::Port(vec![443]),
        ]);
        let why = why(&condition);
        let leaf = |why: &Why| (why.held, why.fact.clone().unwrap_or_default());
        assert_eq!((why.held, why.parts.len()), (false, 3), "the port is not asked any more");
        assert_eq!(leaf(&why.parts[0]), (true, "the path is /api/x".into()));
        let any = &why.parts[1];
        assert_eq!((&*any.condition, any.held), ("one of", true));
        assert_eq!(leaf(&any.parts[0]), (false, "x-team is blue".into()));
        let inside = &any.parts[1].parts[0];
        assert_eq!((&*inside.condition, inside.held), ("`inside`", false));
        assert_eq!(leaf(&inside.parts[0]), (false, "the client is 192.0.2.7".into()));
        assert_eq!(leaf(&why.parts[2]), (false, "the method is GET".into()));
    }

    #[test]
    fn it_says_how_pools_and_counters_stand() {
        let (name, least) = (Arc::from("web"), 1);
        let well = Condition::Available(super::super::Available { pool: 0, name, least });
        let told = why(&well);
        assert_eq!(told.fact.as_deref(), Some("they are all taken to be well"));
        let (name, what) = (Arc::from("clients"), super::super::Counting::Requests);
        let over = Condition::Over(super::super::Over { counter: 0, name, what, most: 20 });
        let told = why(&over);
        assert_eq!((told.held, told.fact.as_deref()), (false, Some("0 now")));
    }

    #[test]
    fn no_secret_is_repeated_and_nothing_is_endless() {
        let secret = Condition::Header("authorization".into(), Values::Present);
        assert_eq!(why(&secret).fact.as_deref(), Some("there is no authorization"));
        let paths = (0..1_000).map(|n| PathPattern::Exact(format!("/{n}").into())).collect();
        let long = why(&Condition::Path(paths));
        assert_eq!(long.condition.chars().count(), SHOWN + 1, "{}", long.condition);
        let request = Written::get("a", "/").with_header("Authorization", "Basic c2VjcmV0");
        let asked = Asked::new(&request);
        let facts = Facts {
            request: Some(&asked),
            ..Facts::of_connection([192, 0, 2, 7].into(), ([10, 0, 0, 1], 443).into(), None)
        };
        assert_eq!(fact(&secret, &facts).as_deref(), Some("the request has authorization"));
    }
}
