//! What rules and routes tell while they are tried.

use crate::plan::Route;
use eclusa_policy::condition::{self, Condition, Facts, Reasons, Why};
use eclusa_policy::route::{self, Target};
use eclusa_policy::rules::{self, Act, Operation, Rule};

/// A rule that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleTried {
    /// Which, counted from 0; one that sets several header fields is several.
    pub rule: usize,
    /// What it does, in words.
    pub does: String,
    /// Whether it did, and why.
    pub why: Why,
}

/// A route that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTried {
    /// Which, counted from 0; the default pool comes last.
    pub route: usize,
    /// `false`: the index of hosts, names and paths left it out, and traffic evaluates nothing of it.
    pub evaluated: bool,
    /// Whether it holds, and why.
    pub why: Why,
}

/// Hears of rules and routes.
pub(super) struct Heard<'a> {
    reasons: Reasons<'a>,
    rules: Vec<RuleTried>,
    routes: Vec<RouteTried>,
}

impl<'a> Heard<'a> {
    pub(super) fn new(reasons: Reasons<'a>) -> Self {
        Self { reasons, rules: Vec::new(), routes: Vec::new() }
    }

    pub(super) fn rules(&mut self) -> Vec<RuleTried> {
        std::mem::take(&mut self.rules)
    }

    pub(super) fn routes(&mut self) -> Vec<RouteTried> {
        std::mem::take(&mut self.routes)
    }

    pub(super) fn asked_lists(&self) -> bool {
        self.reasons.asked_lists()
    }
}

impl condition::Trace for Heard<'_> {
    fn begin(&mut self, condition: &Condition) {
        self.reasons.begin(condition);
    }

    fn end(&mut self, condition: &Condition, held: bool) {
        self.reasons.end(condition, held);
    }
}

impl rules::Trace for Heard<'_> {
    fn tried(&mut self, index: usize, rule: &Rule, _: bool) {
        if let Some(why) = self.reasons.take() {
            self.rules.push(RuleTried { rule: index, does: action(&rule.act), why });
        }
    }
}

impl route::Trace for Heard<'_> {
    fn tried(&mut self, index: usize, _: &Condition, _: bool) {
        if let Some(why) = self.reasons.take() {
            self.routes.push(RouteTried { route: index, evaluated: true, why });
        }
    }
}

/// The routes up to the one that was `taken`, in order: those that were `tried`, and why those do not
/// hold that the index left out.
pub(super) fn in_order(
    routes: &[Route],
    taken: Option<usize>,
    tried: Vec<RouteTried>,
    facts: &Facts<'_>,
) -> Vec<RouteTried> {
    let mut tried = tried.into_iter().peekable();
    let mut all = Vec::new();
    for (index, route) in
        routes.iter().enumerate().take(taken.map_or(routes.len(), |taken| taken + 1))
    {
        match tried.next_if(|tried| tried.route == index) {
            Some(known) => all.push(known),
            None => {
                let mut reasons = Reasons::new(facts);
                route.when.traced(facts, &mut reasons);
                let why = reasons.take();
                all.extend(why.map(|why| RouteTried { route: index, evaluated: false, why }));
            }
        }
    }
    all
}

/// What a rule does, in words.
fn action(act: &Act) -> String {
    let field = |change: &rules::HeaderChange| {
        let how = match change.operation {
            Operation::Set => "set",
            Operation::Add => "add",
            Operation::Remove => "remove",
            Operation::Replace => "replace in",
        };
        format!("{how} {}", change.name)
    };
    match act {
        Act::Redirect(redirect) => format!("redirect ({})", redirect.status),
        Act::Deny(deny) => format!("deny ({})", deny.status),
        Act::Close => "close".to_owned(),
        Act::Count(count) => format!("count at {}", count.name),
        Act::Answer(answer) => format!("answer ({})", answer.status),
        Act::Authenticate(basic) => format!("ask for a password (realm {})", basic.realm),
        Act::Request(change) => format!("request: {}", field(change)),
        Act::Response(change) => format!("answer: {}", field(change)),
        Act::RewritePath(_) => "rewrite the path".to_owned(),
        Act::RewriteHost(_) => "rewrite the host".to_owned(),
        Act::Hsts(_) => "HSTS".to_owned(),
        Act::RequestId(_) => "give it an id".to_owned(),
    }
}

/// The pools that a target leads to, as indexes into the plan's, with their shares; a share of 0 leads
/// nowhere.
#[must_use]
pub fn shares(target: &Target) -> Vec<(u32, usize)> {
    match target {
        Target::Pool(pool) => vec![(1, *pool)],
        Target::Split(split) => {
            split.shares().iter().filter(|(share, _)| *share > 0).copied().collect()
        }
    }
}
