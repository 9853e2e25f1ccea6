//! What a reload would do, item by item, with the sessions that stand on each.

use super::{Data, Operator, Outcome, Reply, done, wrong};
use crate::admin::{Action, Amended, Dropped, Item, PlanOf, PlanReport};
use crate::engine::{Preview, written_address};
use crate::files;
use crate::pool::Pool;
use eclusa_config::diff::{Change, Kind};
use eclusa_config::plan::{EndpointAddress, Plan, Probe};
use eclusa_config::{Diagnostics, Loaded, Mode};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

/// What a file says, where it came from, and whether it is the program's own.
struct Read {
    loaded: Loaded,
    /// Orders about what is there that it overtakes.
    overtaken: Vec<Dropped>,
    file: String,
    own: bool,
}

impl Operator {
    /// Tells what a reload would do, and does nothing.
    pub(super) fn plan(&self, of: &PlanOf) -> Reply {
        let Read { loaded, overtaken, file, own } = match self.read(of) {
            Ok(read) => read,
            Err(reply) => return reply,
        };
        let preview = self.engine.preview(&loaded.plan, own);
        let ended = self.state.borrow().would_end(&loaded.plan);
        let report = PlanReport {
            file,
            own,
            generation: preview.generation,
            changes: !preview.diff.is_empty(),
            items: self.items(&preview, &loaded.plan),
            after_restart: preview.diff.after_restart.iter().map(ToString::to_string).collect(),
            dropped_overrides: overtaken.iter().chain(&ended).map(ToString::to_string).collect(),
            warnings: loaded.warnings.lines(),
            refused: preview.refused,
            trouble: preview.trouble,
        };
        let (outcome, line) = match (&report.trouble, &*report.refused) {
            (Some(why), _) => (Outcome::Wrong, format!("a reload would fail: {why}")),
            (None, []) if !report.changes => {
                (Outcome::Done, "a reload would change nothing".into())
            }
            (None, []) => (Outcome::Done, String::new()),
            (None, refused) => {
                let why = refused.join("; ");
                (Outcome::Refused, format!("a reload would be refused without --force: {why}"))
            }
        };
        let reply = done(Data::Plan(Box::new(report)));
        let reply = if line.is_empty() { reply } else { reply.line(line) };
        Reply { outcome, ..reply }
    }

    /// Reads the program's own file as a reload does, or what the client has sent.
    fn read(&self, of: &PlanOf) -> Result<Read, Reply> {
        let own = self.config.as_deref();
        let is_own = match (&of.file, own) {
            (None, _) => of.text.is_none(),
            // The same file under another name is the same.
            (Some(file), Some(own)) => own.canonicalize().is_ok_and(|own| own == Path::new(file)),
            (Some(_), None) => false,
        };
        if !is_own {
            let file = of.file.clone().unwrap_or_else(|| "(sent)".to_owned());
            let Some(text) = &of.text else {
                return Err(wrong(format!(
                    "{file} is not the file of this program, and longer than can be sent (48 KiB): \
                     put it in the place of that file, and ask without -c"
                )));
            };
            // What it names is not opened: the client might not be allowed to.
            let loaded = eclusa_config::parse(self.program, &file, text, Mode::Offline);
            let loaded = loaded.map_err(|broken| told(&broken))?;
            let read = |text: &str| eclusa_config::parse(self.program, &file, text, Mode::Offline);
            let amended = self.state.borrow().amend(self.program, loaded, read);
            let Amended { loaded, overtaken } = amended;
            return Ok(Read { loaded, overtaken, file, own: false });
        }
        let Some(own) = own else {
            let message = "there is no file to read: the configuration was typed";
            return Err(Reply::not_done(Outcome::Failed, message));
        };
        let loaded = eclusa_config::load_with(self.program, own, Mode::Reload, files::open);
        let loaded = loaded.map_err(|broken| told(&broken))?;
        let Amended { loaded, overtaken } = self.amended(loaded, Mode::Reload);
        Ok(Read { loaded, overtaken, file: own.display().to_string(), own: true })
    }

    /// What would become of everything, in the order of the file; what goes comes last.
    fn items(&self, preview: &Preview, plan: &Plan) -> Vec<Item> {
        let mut of: HashMap<&str, Vec<&Change>> = HashMap::new();
        for change in &preview.diff.changes {
            of.entry(&change.of).or_default().push(change);
        }
        let changes = |name: &str| of.get(name).map_or(&[][..], Vec::as_slice);
        let others = preview.diff.changes.iter().filter(|change| !known(change));
        let mut items: Vec<_> = others
            .map(|change| {
                let (of, details) = (change.of.clone(), vec![change.what.clone()]);
                Item { of, action: Action::Changed, details, sessions: None }
            })
            .collect();
        let listeners = self.engine.listeners().into_iter();
        let standing: HashMap<_, _> = listeners.map(|(name, _, count)| (name, count)).collect();
        let listeners = plan.listeners.iter().chain(&preview.running.listeners);
        for name in each_once(listeners.map(|listener| &*listener.name)) {
            let of = format!("listener {name}");
            let item = listener_item(&of, changes(&of), standing.get(name).copied());
            items.push(item);
        }
        let pools = self.engine.status().pools;
        let running: HashMap<_, _> = pools.iter().map(|pool| (pool.name(), pool)).collect();
        let probed = plan.pools.iter().filter(|pool| pool.probe != Probe::None);
        let probed: HashSet<_> = probed.map(|pool| &*pool.name).collect();
        let pools = plan.pools.iter().chain(&preview.running.pools);
        for name in each_once(pools.map(|pool| &*pool.name)) {
            let of = format!("pool {name}");
            let known = running.get(name).copied();
            items.extend(pool_items(name, changes(&of), (known, probed.contains(name))));
        }
        items
    }
}

/// Names in order, without those that came before.
fn each_once<'n>(names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    let mut seen = HashSet::new();
    names.filter(|name| seen.insert(*name)).collect()
}

/// Whether a change is one of a listener or a pool.
fn known(change: &Change) -> bool {
    change.of.starts_with("listener ") || change.of.starts_with("pool ")
}

/// The diagnostics of a file, as `check` prints them.
fn told(broken: &Diagnostics) -> Reply {
    let text = broken.to_string();
    let mut lines = text.trim_end().lines();
    let first = wrong(lines.next().unwrap_or_default());
    lines.fold(first, Reply::line)
}

fn action_of(changes: &[&Change]) -> Action {
    match changes {
        [] => Action::Kept,
        [only] if only.endpoint.is_none() && only.kind == Kind::Added => Action::New,
        [only] if only.endpoint.is_none() && only.kind == Kind::Removed => Action::Gone,
        _ => Action::Changed,
    }
}

fn listener_item(name: &str, changes: &[&Change], sessions: Option<u64>) -> Item {
    let action = action_of(changes);
    let details = match action {
        Action::Kept | Action::New => Vec::new(),
        Action::Changed => changes.iter().map(|change| change.what.clone()).collect(),
        Action::Gone => vec!["closes; sessions that stand go on to their end".to_owned()],
    };
    Item { of: name.to_owned(), action, details, sessions }
}

/// A pool, and those of its endpoints of which something changes.
fn pool_items(
    name: &str,
    changes: &[&Change],
    (known, probed): (Option<&Arc<Pool>>, bool),
) -> Vec<Item> {
    let action = action_of(changes);
    let of_pool = changes.iter().filter(|change| change.endpoint.is_none());
    let mut details: Vec<_> = match action {
        Action::Kept => Vec::new(),
        Action::New | Action::Changed => of_pool.map(|change| change.what.clone()).collect(),
        Action::Gone => vec!["sessions that stand go on to their end".to_owned()],
    };
    let ends =
        |kind: Kind| changes.iter().filter(|it| it.endpoint.is_some() && it.kind == kind).count();
    for (kind, one, several) in [(Kind::Added, "comes", "come"), (Kind::Removed, "goes", "go")] {
        match ends(kind) {
            0 => {}
            1 => details.push(format!("1 endpoint {one}")),
            more => details.push(format!("{more} endpoints {several}")),
        }
    }
    if action == Action::New && probed {
        details.push("its endpoints are on probation until probes have found them well".to_owned());
    }
    let mut sessions: HashMap<EndpointAddress, u64> = HashMap::new();
    for endpoint in known.map(|pool| pool.endpoints()).unwrap_or_default().iter() {
        // A name may stand for several.
        *sessions.entry(written_address(endpoint)).or_default() += u64::from(endpoint.sessions());
    }
    let all = known.map(|_| sessions.values().sum());
    let mut items = vec![Item { of: format!("pool {name}"), action, details, sessions: all }];
    for change in changes {
        let Some(address) = &change.endpoint else { continue };
        let count = sessions.get(address).copied().unwrap_or(0);
        let (action, detail) = match change.kind {
            Kind::Added if probed => {
                (Action::New, "on probation until a probe has found it well".to_owned())
            }
            Kind::Added => (Action::New, "takes sessions at once: nobody probes it".to_owned()),
            Kind::Changed => (Action::Changed, change.what.clone()),
            Kind::Removed if count == 0 => (Action::Gone, "no sessions stand on it".to_owned()),
            Kind::Removed => {
                (Action::Gone, "takes no new sessions; those that stand drain".to_owned())
            }
        };
        items.push(Item {
            of: format!("endpoint {name}/{address}"),
            action,
            details: vec![detail],
            sessions: (action != Action::New).then_some(count),
        });
    }
    items
}
