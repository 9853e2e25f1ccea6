//! A look at the certificates of listeners, for `doctor`: by the checks that a start makes, and as a
//! start makes them.

use super::files::Files;
use super::mistake::Mistake;
use super::store::{Loaded, Settings, Store};
use eclusa_config::plan::{Listener, Plan};
use eclusa_policy::condition::Condition;
use eclusa_policy::name::NamePattern;
use eclusa_proxy::layer7::{Examined, Look};
use std::time::SystemTime;

/// What is found at the certificates of each listener. Their dates are left to who asks: a start refuses
/// none for them.
pub(crate) fn examine(files: &dyn Files, plan: &Plan) -> Vec<Examined> {
    plan.listeners.iter().flat_map(|listener| of_listener(files, listener)).collect()
}

fn of_listener(files: &dyn Files, listener: &Listener) -> Vec<Examined> {
    let Some(tls) = &listener.tls else { return Vec::new() };
    let settings = Settings {
        certificates: tls.certificates.clone(),
        default: tls.default.as_deref().map(str::to_owned),
        strict: tls.strict,
    };
    let at = |mistake: Mistake, look: fn(String, String) -> Look| Examined {
        listener: listener.name.clone(),
        look: look(mistake.what, mistake.remedy),
        file: mistake.file,
    };
    let wrong = |what, remedy| Look::Wrong { what, remedy };
    let odd = |what, remedy| Look::Odd { what, remedy };
    let now = SystemTime::now();
    match Store::load(files, &settings, None, now) {
        Err(mistakes) => mistakes.into_iter().map(|mistake| at(mistake, wrong)).collect(),
        Ok(Loaded { store, warnings }) => {
            let certificates = store.certificates();
            let of_dates: Vec<_> = certificates.iter().filter_map(|it| it.untimely(now)).collect();
            let warnings = warnings.into_iter().filter(|warning| !of_dates.contains(warning));
            let read = certificates.iter().map(|certificate| Examined {
                listener: listener.name.clone(),
                file: certificate.file().to_owned(),
                look: Look::Read {
                    names: certificate.names().to_string(),
                    not_before: certificate.not_before(),
                    not_after: certificate.not_after(),
                    issuer: certificate.issuer(),
                    links: certificate.links(),
                },
            });
            let lacking = lacking(listener, &store).into_iter();
            warnings.chain(lacking).map(|mistake| at(mistake, odd)).chain(read).collect()
        }
    }
}

/// Names that are told; a listener may have thousands.
const TOLD_MAX: usize = 10;

/// Names that routes ask for and no certificate has: who comes for them sees another's.
fn lacking(listener: &Listener, store: &Store) -> Vec<Mistake> {
    let mut asked = Vec::new();
    listener.routes.iter().for_each(|route| names_in(&route.when, &mut asked));
    asked.sort();
    asked.dedup();
    let file = store.certificates().first().map(|it| it.file().to_owned()).unwrap_or_default();
    let lacks = |pattern: &&NamePattern| {
        // A wildcard of a certificate stands for one label.
        let name = match pattern {
            NamePattern::Exact(name) => name.to_string(),
            NamePattern::Wildcard(suffix) => format!("www.{suffix}"),
        };
        let passes = listener.http.as_ref().is_some_and(|http| http.passes(Some(&name)));
        !passes && !store.certificates().iter().any(|certificate| certificate.fits(&name))
    };
    let lacking = asked.into_iter().filter(lacks).take(TOLD_MAX);
    let told = lacking.map(|pattern| {
        let what =
            format!("a route asks for {pattern}, and no certificate of this listener is for it");
        Mistake::new(&file, what, "add its certificate to `tls.certificates`")
    });
    told.collect()
}

fn names_in<'a>(condition: &'a Condition, names: &mut Vec<&'a NamePattern>) {
    match condition {
        Condition::ServerName(patterns) | Condition::Host(patterns) => names.extend(patterns),
        Condition::All(parts) | Condition::Any(parts) => {
            parts.iter().for_each(|part| names_in(part, names));
        }
        Condition::Named(named) => names_in(&named.condition, names),
        _ => {}
    }
}
