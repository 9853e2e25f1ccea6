//! `http-request` and its kin of a section and of those that it leads to, as the rules of a listener.

use super::action::{self, Action};
use super::changed::Changed;
use super::criterion::{Asking, Scene};
use super::edge::stock;
use super::known::told_of_variable;
use super::listener::{Block, Listener, Pools, Step};
use super::pool::pair;
use super::{Work, captured, forwarded, template};
use crate::model::acl::{Condition, Term};
use crate::model::{Proxy, Rule, Stage, UserList};
use crate::report::{Kind, Ledger};
use crate::toml;
use crate::when::When;

/// The most that a condition may be made of.
pub(super) const SIZE_MAX: usize = 2_000;

/// What HAProxy answers at `monitor-uri`.
const READY: &str = "<html><body><h1>200 OK</h1>\nService ready.\n</body></html>\n";

/// Where the rest goes when nobody takes it: a listener must name a pool.
pub(super) const NOWHERE: &str = "nowhere";

/// Fills in the rules of a listener, and what they say of `X-Forwarded-For`.
pub(super) fn read(
    work: Work<'_>,
    listener: &mut Listener,
    (asking, steps, pools): (&Asking<'_>, &[Step], &Pools<'_>),
    ledger: &mut Ledger,
) {
    let front = work.proxy(listener.front);
    let mut list =
        List { work, blocks: Vec::new(), changed: Changed::default(), allowed: Vec::new() };
    list.monitor(front, ledger);
    for (line, when) in &listener.closes {
        list.push(Some(*line), vec![pair("close", "true")], when);
    }
    listener.http.extend(captured::read(front, ledger));
    for stage in [Stage::Request, Stage::Redirect] {
        list.section(front, stage, (asking, &When::Always), ledger);
    }
    list.numbered(front, ledger);
    list.routed(front, asking, ledger);
    let backs: Vec<(&Step, &Proxy)> = steps
        .iter()
        .filter_map(|step| step.back.map(|back| (step, work.proxy(back))))
        .filter(|(step, _)| step.back != Some(listener.front))
        .collect();
    for (step, back) in &backs {
        let Some(when) = &step.when else {
            far(back, ledger);
            continue;
        };
        let asking = Asking::new(&back.acls, asking.scene, asking.known).late();
        for stage in [Stage::Request, Stage::Redirect] {
            list.section(back, stage, (&asking, when), ledger);
        }
    }
    list.unserved(steps, pools, listener, ledger);
    let scene = Scene { answers: true, ..asking.scene };
    for (step, back) in &backs {
        let Some(when) = &step.when else { continue };
        let asking = Asking::new(&back.acls, scene, asking.known).late();
        list.section(back, Stage::Response, (&asking, when), ledger);
    }
    let of_answers = Asking::new(&front.acls, scene, asking.known).late();
    list.section(front, Stage::Response, (&of_answers, &When::Always), ledger);
    let forwarded = forwarded::read(work, (&*listener, front), steps, &mut list, ledger);
    listener.http.extend(forwarded);
    listener.rules = list.blocks;
    if listener.pool.is_none() && listener.routes.is_empty() {
        listener.pool = Some(NOWHERE.to_owned());
    }
}

/// Rules of a section that too many routes stand before.
fn far(back: &Proxy, ledger: &mut Ledger) {
    for (_, rule) in &back.rules {
        let note = "too many routes stand before the one that leads here for a rule to name them; now the \
                    rule is left out; write one with a condition of its own";
        ledger.tell(rule.line, Kind::Unsupported, note);
    }
}

pub(super) struct List<'l> {
    work: Work<'l>,
    blocks: Vec<Block>,
    /// What rules so far change.
    pub(super) changed: Changed,
    /// What `allow` let through.
    allowed: Vec<When>,
}

impl List<'_> {
    pub(super) fn push(&mut self, line: Option<usize>, action: Vec<(String, String)>, when: &When) {
        let mut pairs = action;
        pairs.extend(when.pairs());
        self.blocks.push(Block { line, pairs });
    }

    /// `unique-id-header`
    fn numbered(&mut self, front: &Proxy, ledger: &mut Ledger) {
        let Some(set) = front.words.get("unique-id-header") else { return };
        let name = set.value.first().map(String::as_str).unwrap_or_default();
        if !template::is_field(name) {
            return ledger.tell(
                set.line,
                Kind::Unsupported,
                "a name is wanted: HAProxy refuses it",
            );
        }
        ledger.tell(set.line, Kind::Improved, "a rule `request_id`: the id is that of the log");
        let value = toml::inline(&[pair("header", toml::text(name))]);
        self.push(Some(set.line), vec![pair("request_id", value)], &When::Always);
    }

    /// `monitor-uri`
    fn monitor(&mut self, front: &Proxy, ledger: &mut Ledger) {
        let Some(set) = front.words.get("monitor-uri") else { return };
        let path = set.value.first().map(String::as_str).unwrap_or_default();
        if !path.starts_with('/') || path.contains(['?', '#', '%']) {
            let note = "it answered at a path; now nothing does: the path is none that is compared; ask \
                        `/livez` of `observe.listen`";
            return ledger.tell(set.line, Kind::Unsupported, note);
        }
        let note = "a rule that answers 200, whatever the query is; `/livez` and `/readyz` of \
                    `observe.listen` tell more";
        ledger.tell(set.line, Kind::Improved, note);
        let answer = toml::inline(&[
            pair("status", "200"),
            pair("type", "\"text/html\""),
            pair("body", toml::text(READY)),
        ]);
        let when = When::texts("path", vec![path.to_owned()]);
        self.push(Some(set.line), vec![pair("answer", answer)], &when);
    }

    /// The rules of one stage of a section. `within`: what leads to the section.
    fn section(
        &mut self,
        proxy: &Proxy,
        stage: Stage,
        (asking, within): (&Asking<'_>, &When),
        ledger: &mut Ledger,
    ) {
        // `allow` ends its own list alone.
        self.allowed.clear();
        for rule in proxy.rules_of(stage) {
            let first = rule.words.first().map(String::as_str).unwrap_or_default();
            // The page of figures, and what goes into the log.
            if ["use-service", "capture"].contains(&first) && ledger.is_judged(rule.line) {
                continue;
            }
            if let Some(sample) = asking.known.sets(rule) {
                told_of_variable(rule.line, self.changed.read_by(sample).as_deref(), ledger);
                continue;
            }
            if rule.words.first().is_some_and(|word| word == "auth") {
                self.authenticate(rule, (asking, within), ledger);
                continue;
            }
            let at = (rule.line, asking.late, asking.scene.answers);
            let words: Vec<_> = rule.words.iter().map(|it| asking.known.filled(it, at)).collect();
            let acted = match (stage, asking.known.counter(rule)) {
                (_, Some(counter)) => Ok(Action::of("count", toml::text(counter))),
                (Stage::Response, None) => action::response(&words),
                _ => action::request(&words),
            };
            match acted {
                Ok(action) => self.rule(rule, action, (asking, within), ledger),
                Err(why) => {
                    // Its condition is looked at all the same: ACLs that only it uses are not lost.
                    let _ = asking.when(rule.when.as_ref(), rule.line, ledger);
                    ledger.tell(rule.line, Kind::Unsupported, why);
                }
            }
        }
    }

    fn rule(
        &mut self,
        rule: &Rule,
        action: Action,
        (asking, within): (&Asking<'_>, &When),
        ledger: &mut Ledger,
    ) {
        let when = match asking.when(rule.when.as_ref(), rule.line, ledger) {
            Ok(When::Never) => {
                let note = "its condition never holds where the listener is";
                return ledger.otherwise(rule.line, Kind::Ignored, note);
            }
            Ok(when) => when,
            Err(why) => {
                let passes = action.pairs.iter().any(|(name, _)| name == "deny" || name == "close");
                let now = if passes { "what it refused passes" } else { "the rule is left out" };
                let note = format!(
                    "its condition cannot be asked: {why}; now {now}; write a `rule` that says the same"
                );
                return ledger.tell(rule.line, Kind::Unsupported, note);
            }
        };
        if action.allows {
            self.allowed.push(when);
            return ledger.tell(rule.line, Kind::Same, "the rules behind it do not hold for these");
        }
        if let Some(what) = self.changed.seen_by(&when) {
            let note = format!(
                "it asks for `{what}`, which a rule before it changes: here conditions see the request as \
                 it came; now the rule asks for what came; check that it means that"
            );
            ledger.tell(rule.line, Kind::Unsupported, note);
        }
        let not_allowed = self.allowed.iter().cloned().map(When::negated);
        let parts = std::iter::once(within.clone()).chain([when]).chain(not_allowed);
        let whole = When::all(parts);
        for (kind, note) in action.notes {
            ledger.tell(rule.line, kind, note);
        }
        if whole.size() > SIZE_MAX {
            let note = "its condition is too large; now the rule is left out; write a shorter one";
            return ledger.tell(rule.line, Kind::Unsupported, note);
        }
        let circle = asking.scene.tls && whole == When::Always;
        if circle
            && action.pairs.iter().any(|(name, value)| {
                name == "redirect"
                    && value.starts_with("{ scheme = \"https\"")
                    && !value.contains("host")
                    && !value.contains("path")
                    && !value.contains("prefix")
            })
        {
            let note = "it would send clients to where they came, in circles; now they are served";
            return ledger.tell(rule.line, Kind::Improved, note);
        }
        let written = self.changed.written_by(&rule.words).filter(|_| !asking.scene.answers);
        self.changed.extend(action.changes);
        if written.is_some_and(|what| !puts_in_changed(rule, &what, &action.pairs, ledger)) {
            return;
        }
        ledger.same(rule.line);
        if !action.pairs.is_empty() {
            self.push(Some(rule.line), action.pairs, &whole);
        }
    }

    /// Routes are chosen by the request as it came, HAProxy's by what rules made of it.
    fn routed(&mut self, front: &Proxy, asking: &Asking<'_>, ledger: &mut Ledger) {
        for route in &front.routes {
            let Ok(when) = asking.when(route.when.as_ref(), route.line, ledger) else { continue };
            if let Some(what) = self.changed.seen_by(&when) {
                let note = format!(
                    "it asks for `{what}`, which a rule changes: here routes see the request as it came; \
                     now the route asks for what came; check that it means that"
                );
                ledger.tell(route.line, Kind::Unsupported, note);
            }
        }
    }

    /// `auth realm R unless { http_auth(LIST) }`
    fn authenticate(
        &mut self,
        rule: &Rule,
        (asking, within): (&Asking<'_>, &When),
        ledger: &mut Ledger,
    ) {
        let lost = "it asked for a password; now nobody does; write a rule `basic_auth`";
        let Some((list, rest)) =
            rule.when.as_ref().and_then(|when| users_asked(when, asking, ledger))
        else {
            return ledger.tell(rule.line, Kind::Unsupported, lost);
        };
        let when = match asking.when(rest.as_ref(), rule.line, ledger) {
            Ok(when) => when,
            Err(why) => {
                return ledger.tell(rule.line, Kind::Unsupported, format!("{lost} ({why})"));
            }
        };
        let Some(users) = self.work.config.users.iter().find(|users| users.name == list) else {
            return ledger.tell(rule.line, Kind::Unsupported, lost);
        };
        let realm = rule.words.iter().skip_while(|word| *word != "realm").nth(1);
        let value = passwords(users, realm.map(String::as_str), ledger);
        ledger.same(rule.line);
        let whole = When::all([within.clone(), when]);
        self.push(Some(rule.line), vec![pair("basic_auth", value)], &whole);
    }

    /// Sections without endpoints answer 503, and so does what leads nowhere.
    fn unserved(
        &mut self,
        steps: &[Step],
        pools: &Pools<'_>,
        listener: &Listener,
        ledger: &mut Ledger,
    ) {
        for step in steps {
            let served = step.back.is_some_and(|back| pools.usable(back).is_some());
            let alone = listener.pool.is_none() && listener.routes.is_empty();
            if served || (step.back.is_none() && !alone) {
                continue;
            }
            match &step.when {
                Some(when) => {
                    let page = step.back.and_then(|back| self.own_page(back, ledger));
                    let (line, pair) = match page {
                        Some((line, answer)) => (Some(line), pair("answer", answer)),
                        None => (None, pair("deny", "{ status = 503 }")),
                    };
                    self.push(line, vec![pair], when);
                }
                None => {
                    let note = "it led to a section without endpoints, which answers 503; now what it took \
                                goes on to the lines behind it; write a rule `deny`";
                    ledger.tell(step.line, Kind::Unsupported, note);
                }
            }
        }
    }
}

impl List<'_> {
    /// What a section without endpoints answers, where it has a page of its own for 503.
    fn own_page(&self, back: usize, ledger: &mut Ledger) -> Option<(usize, String)> {
        let proxy = self.work.proxy(back);
        let (_, path, line) = proxy.pages.iter().rfind(|(status, ..)| *status == 503)?;
        let text = self.work.host.read(path);
        let is_own = proxy.lines.contains(line) && path.starts_with('/');
        if !is_own || text.as_deref().is_some_and(stock) {
            return None;
        }
        let status = match text.as_deref().map(status_of) {
            Some(status) => status?,
            None => {
                let note = format!(
                    "a rule `answer` with {path}, which cannot be read here: if its first line has another \
                     status than 503, the program says so at its start and wants that as `status`"
                );
                ledger.tell(*line, Kind::Improved, note);
                503
            }
        };
        ledger.tell(*line, Kind::Same, "a rule `answer` with the file as it is (`message`)");
        let answer = [pair("status", status.to_string()), pair("message", toml::text(path))];
        Some((*line, toml::inline(&answer)))
    }
}

/// Tells of a rule that puts in what a rule before it changes; whether the rule stays.
fn puts_in_changed(
    rule: &Rule,
    what: &str,
    pairs: &[(String, String)],
    ledger: &mut Ledger,
) -> bool {
    // Somewhere to go is better than nowhere: most such rules lead to HTTPS.
    let stays = pairs.iter().any(|(name, _)| name == "redirect");
    let now = match stays {
        true => "what came is put in; check that it means that",
        false => "the rule is left out; write one that says the same of what came",
    };
    let note = format!(
        "it puts `{what}` in, which a rule before it changes: here values are of the request as it came; now \
         {now}"
    );
    ledger.tell(rule.line, Kind::Unsupported, note);
    stays
}

/// The status of an answer that a file has as a whole.
fn status_of(text: &str) -> Option<u16> {
    let status = text.split(' ').nth(1)?.get(..3)?.parse().ok()?;
    (200..600).contains(&status).then_some(status)
}

/// The list of users that a condition asks for, and what else it asks.
fn users_asked(
    condition: &Condition,
    asking: &Asking<'_>,
    ledger: &mut Ledger,
) -> Option<(String, Option<Condition>)> {
    let mut list = |term: &Term| match term {
        Term::Written(it) if it.fetch == "http_auth" => Some(it.argument.clone()),
        Term::Named(name) => {
            let acl = asking.named(name).first()?;
            (acl.criterion.fetch == "http_auth").then(|| {
                ledger.same(acl.line);
                acl.criterion.argument.clone()
            })
        }
        Term::Written(_) => None,
    };
    let [all] = &condition.any[..] else { return None };
    if condition.negated {
        let [(false, term)] = &all[..] else { return None };
        return list(term).map(|list| (list, None));
    }
    let at = all.iter().position(|(not, term)| *not && list(term).is_some())?;
    let found = list(&all[at].1)?;
    let mut rest = all.clone();
    rest.remove(at);
    let rest = (!rest.is_empty()).then(|| Condition { any: vec![rest], negated: false });
    Some((found, rest))
}

/// The table of `basic_auth`.
fn passwords(users: &UserList, realm: Option<&str>, ledger: &mut Ledger) -> String {
    ledger.same(users.head);
    for group in &users.groups {
        ledger.tell(*group, Kind::Ignored, "whoever is in the list may pass");
    }
    let known =
        |hash: &str| ["$2a$", "$2b$", "$2y$", "$5$", "$6$"].iter().any(|it| hash.starts_with(it));
    let mut hashes = Vec::new();
    let mut pairs = Vec::new();
    for user in &users.users {
        match user.hash.as_deref().filter(|hash| known(hash)) {
            Some(hash) => {
                hashes.push(format!("{}:{hash}", user.name));
                ledger.same(user.line);
            }
            None => {
                let note = "the password is in the clear, or hashed in a way that is not read; now this \
                            user cannot pass; write what `htpasswd -nB NAME` prints into `users`";
                ledger.tell(user.line, Kind::Unsupported, note);
            }
        }
    }
    if let Some(realm) = realm {
        pairs.push(pair("realm", toml::text(realm)));
    }
    if hashes.is_empty() {
        pairs.push(pair("users_file", "\"/etc/eclusa/users\""));
    } else {
        let hashes: Vec<_> = hashes.iter().map(|hash| toml::text(hash)).collect();
        pairs.push(pair("users", toml::inline_list(&hashes)));
    }
    toml::inline(&pairs)
}

/// What concerns requests, where none are seen.
pub(super) fn without_requests(work: Work<'_>, front: usize, ledger: &mut Ledger) {
    let backs = work.reached(front);
    let proxies = std::iter::once(front).chain(backs).map(|index| work.proxy(index));
    let note = "it concerns requests, and this is TCP";
    for proxy in proxies.filter(|proxy| !proxy.is_http()) {
        for (stage, rule) in &proxy.rules {
            if matches!(stage, Stage::Request | Stage::Redirect | Stage::Response) {
                ledger.tell(rule.line, Kind::Ignored, note);
            }
        }
        if let Some(flag) = proxy.option("forwardfor") {
            ledger.otherwise(flag.line, Kind::Ignored, note);
        }
    }
}
