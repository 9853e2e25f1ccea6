//! The way back: a reload on trial, which goes back by itself unless somebody confirms it, and
//! `rollback`.
//!
//! What is put back is the text that was in force, as it was read then, whatever has become of the file
//! since. The file is not touched: it says something else from then on, and every channel says so. The
//! keeper knows of all this, so that an engine that crashes meanwhile brings nothing unconfirmed back.

use super::{Data, Moment, Operator, Outcome, Reply, done};
use crate::admin::{Amended, Rollback, UnconfirmedStatus};
use crate::engine::ReloadError;
use crate::files;
use crate::observe::{Event, Severity};
use eclusa_config::{Mode, digest};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where it cannot go back it tries again after this time, and after twice as long each further time.
const AGAIN: Duration = Duration::from_secs(5);
const AGAIN_MAX: Duration = Duration::from_secs(60);

/// The texts that matter.
#[derive(Debug)]
pub(super) struct Texts {
    /// What is in force; `None`: it was typed on the command line.
    now: Option<Arc<str>>,
    /// What was so before the last reload; not known where an engine before this one has done that.
    before: Option<Arc<str>>,
    trial: Option<Trial>,
}

/// What is in force is on trial.
#[derive(Debug)]
struct Trial {
    /// It is over then, by the clock that nobody sets.
    deadline: Instant,
    /// The same for people.
    until: Moment,
    /// How long it takes, in words.
    within: String,
    by: String,
    /// Why it could not go back, and how long to wait until it tries again.
    trouble: Option<(String, Duration)>,
}

impl Texts {
    pub(super) fn new(now: Option<Arc<str>>) -> Self {
        Self { now, before: None, trial: None }
    }

    /// What is in force, for those who compare it with the file.
    pub(super) fn now(&self) -> Option<&Arc<str>> {
        self.now.as_ref()
    }
}

/// Who wants to go back.
enum Why<'a> {
    /// Nobody has confirmed it.
    Lapsed,
    /// Somebody has ordered it.
    Ordered(&'a str),
}

impl Operator {
    /// Why no reload can begin now.
    pub(super) fn awaits(&self) -> Option<String> {
        let texts = self.texts.borrow();
        let trial = texts.trial.as_ref()?;
        let name = self.program.name();
        Some(format!(
            "what is in force waits for its confirmation until {}: `{name} confirm` keeps it, `{name} \
             rollback` goes back; reload then",
            trial.until
        ))
    }

    /// Until when what is in force must be confirmed.
    pub(super) fn unconfirmed(&self) -> Option<UnconfirmedStatus> {
        let texts = self.texts.borrow();
        let trial = texts.trial.as_ref()?;
        let trouble = trial.trouble.as_ref().map(|(why, _)| why.clone());
        Some(UnconfirmedStatus { until: trial.until, by: trial.by.clone(), trouble })
    }

    /// Tells the keeper that a text will be on trial; says whether it is another.
    pub(super) fn try_on(&self, text: &Arc<str>) -> bool {
        let is_other = self.texts.borrow().now.as_ref().is_some_and(|now| now != text);
        if let (true, Some(keeper)) = (is_other, &self.keeper) {
            keeper.on_trial(digest(text));
        }
        is_other
    }

    /// It could not be put in force: what is so stays as it was.
    pub(super) fn try_off(&self) {
        let (Some(keeper), Some(now)) = (&self.keeper, self.texts.borrow().now.clone()) else {
            return;
        };
        match self.engine.gone_back() {
            Some(_) => keeper.gone_back(digest(&now)),
            None => keeper.in_force(digest(&now)),
        }
    }

    /// Another text is in force: for good, or for so many seconds. Says whether it is on trial, which a
    /// text that is no other is not.
    pub(super) fn took(&self, text: Arc<str>, confirm: Option<u64>, by: &str) -> bool {
        let mut texts = self.texts.borrow_mut();
        let digest = digest(&text);
        let is_other = texts.now.as_ref().is_some_and(|now| *now != text);
        if is_other {
            texts.before = texts.now.replace(text);
        }
        let seconds = confirm.filter(|_| is_other).map(Duration::from_secs);
        texts.trial = seconds.map(|within| Trial {
            deadline: Instant::now() + within,
            until: Moment::now().after(within),
            within: eclusa_config::reference::show_duration(within),
            by: by.to_owned(),
            trouble: None,
        });
        let words = texts.trial.as_ref().map(|trial| {
            format!("; the configuration in force waits for `confirm` until {}", trial.until)
        });
        let on_trial = words.is_some();
        if let Some(keeper) = &self.keeper {
            if on_trial { keeper.on_trial(digest) } else { keeper.in_force(digest) }
        }
        self.engine.set_unconfirmed(words);
        on_trial
    }

    /// What is on trial is to stay.
    pub(super) fn confirm(&self) -> Reply {
        let mut texts = self.texts.borrow_mut();
        let Some(trial) = texts.trial.take() else {
            let message = "nothing waits for a confirmation: what is in force stays";
            return Reply::not_done(Outcome::Failed, message);
        };
        let digest = texts.now.as_ref().map(|text| digest(text)).unwrap_or_default();
        drop(texts);
        if let Some(keeper) = &self.keeper {
            keeper.in_force(digest);
        }
        self.state.borrow_mut().settle();
        self.engine.set_unconfirmed(None);
        self.tell_keeper();
        self.engine.tell("confirmed", "the configuration in force is confirmed, and stays");
        let reply = done(Data::None).line("confirmed: the configuration in force stays");
        reply.changed(format!("unconfirmed, until {}", trial.until), "confirmed")
    }

    /// Goes back where nobody has confirmed in time.
    pub(crate) fn lapse(&self) {
        let over = |trial: &Trial| trial.deadline <= Instant::now();
        if !self.texts.borrow().trial.as_ref().is_some_and(over) {
            return;
        }
        let reply = self.go_back(true, &Why::Lapsed);
        if reply.outcome == Outcome::Done {
            return;
        }
        let trouble = reply.messages.first().cloned().unwrap_or_default();
        let mut texts = self.texts.borrow_mut();
        let Some(trial) = &mut texts.trial else { return };
        let wait = trial.trouble.take().map_or(AGAIN, |(_, last)| (last * 2).min(AGAIN_MAX));
        let message = format!(
            "nobody has confirmed the configuration within {}, and it cannot go back; again in {} s: \
             {trouble}",
            trial.within,
            wait.as_secs()
        );
        trial.deadline = Instant::now() + wait;
        trial.trouble = Some((trouble, wait));
        self.engine.event(Event::new("rollback_failed", message).severity(Severity::Error));
    }

    /// Puts in force again what was so before the last reload.
    pub(super) fn rollback(&self, wanted: &Rollback, by: &str) -> Reply {
        self.go_back(wanted.force, &Why::Ordered(by))
    }

    fn go_back(&self, force: bool, why: &Why<'_>) -> Reply {
        let (Some(file), Some(text)) = (&self.config, self.text_before()) else {
            let name = self.program.name();
            let message = format!(
                "there is nothing to go back to: no other configuration was in force since the service \
                 began, or it is what is in force now; `{name} reload` takes what the file says"
            );
            return Reply::not_done(Outcome::Failed, message);
        };
        if let Some(keeper) = &self.keeper {
            keeper.reloading();
        }
        self.end_drill("what was in force before is put back");
        let reply = self.put_back(file, &text, force, why);
        self.tell_keeper();
        reply
    }

    /// What was in force before; the keeper gives what that names from now on.
    fn text_before(&self) -> Option<Arc<str>> {
        let texts = self.texts.borrow();
        let (known, on_trial) = (texts.before.clone(), texts.trial.is_some());
        drop(texts);
        match &self.keeper {
            // It is in force for good, as far as the keeper is concerned.
            Some(keeper) if on_trial => known.or_else(|| Some(keeper.last_good().ok()?.into())),
            Some(keeper) => {
                let kept = keeper.before();
                known.or_else(|| Some(kept.ok()?.into()))
            }
            None => known,
        }
    }

    fn put_back(&self, file: &Path, text: &Arc<str>, force: bool, why: &Why<'_>) -> Reply {
        let name = format!("{} as it was in force before", file.display());
        // What it expects does not keep anybody from going back.
        let loaded = eclusa_config::parse_with(self.program, &name, text, Mode::Start, files::open);
        let orders = self.state.borrow().snapshot();
        let Amended { loaded, overtaken } = match loaded {
            Ok(loaded) => {
                // What a trial has ended belongs to what comes.
                self.state.borrow_mut().resume(Moment::now());
                self.amended(loaded, Mode::Start)
            }
            Err(broken) => {
                let text = broken.to_string();
                self.engine.refuse_reload(&text);
                return Reply::not_done(Outcome::Failed, text.lines().next().unwrap_or_default());
            }
        };
        let before = self.engine.status().generation;
        let reloaded = match self.engine.reload(&loaded.plan, force) {
            Ok(reloaded) => reloaded,
            Err(error) => {
                self.state.borrow_mut().restore(orders);
                return match error {
                    ReloadError::Shrink(pools) => {
                        let why = pools.join("; ");
                        let message = format!("{why}; if that is meant: rollback --force");
                        Reply::not_done(Outcome::Refused, message)
                    }
                    error => Reply::not_done(Outcome::Failed, error.to_string()),
                };
            }
        };
        let said = self.say_gone_back(file, text, why);
        let ended = self.overtake(&overtaken, false);
        let mut report = self.report(&loaded.plan, &reloaded, Vec::new());
        report.dropped_overrides.splice(0..0, ended);
        super::reload::told(report, said).changed(
            format!("configuration {before}"),
            format!("configuration {}, as before the last reload", reloaded.generation),
        )
    }

    /// Notes it everywhere, and returns it in words.
    fn say_gone_back(&self, file: &Path, text: &Arc<str>, why: &Why<'_>) -> String {
        let mut texts = self.texts.borrow_mut();
        let trial = texts.trial.take();
        (texts.now, texts.before) = (Some(text.clone()), None);
        drop(texts);
        if let Some(keeper) = &self.keeper {
            keeper.gone_back(digest(text));
        }
        let cause = match (why, trial) {
            (Why::Ordered(by), _) => format!("{by} ordered it"),
            (Why::Lapsed, Some(trial)) => {
                format!("nobody confirmed within {} what {} reloaded", trial.within, trial.by)
            }
            (Why::Lapsed, None) => "nobody confirmed it".to_owned(),
        };
        let differs = !is_in(self.program, file, text);
        let message = match differs {
            true => format!(
                "gone back, as {cause}: what was in force before the last reload is so again; {} says \
                 something else: correct it, and reload",
                file.display()
            ),
            false => format!(
                "gone back, as {cause}: what was in force before the last reload is so again, as {} says",
                file.display()
            ),
        };
        let ordered = matches!(why, Why::Ordered(_));
        self.engine.metrics().gone_back(ordered, differs);
        self.engine.set_unconfirmed(None);
        self.engine.set_gone_back(differs.then(|| cause.clone()));
        let event = Event::new("gone_back", message.clone()).severity(Severity::Warning);
        self.engine.event(event.about("cause", cause).about("file_differs", differs));
        message
    }

    fn tell_keeper(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.ready();
            keeper.status(&self.engine.in_one_line());
        }
    }

    /// What this engine began with is not what the file says: its predecessor has gone back, or has
    /// crashed before somebody confirmed that.
    pub(crate) fn began_back(&self, cause: &str) {
        let file = self.config.as_deref().unwrap_or(Path::new("the file"));
        let Some(text) = self.texts.borrow().now.clone() else { return };
        if let Some(keeper) = &self.keeper {
            keeper.gone_back(digest(&text));
        }
        if is_in(self.program, file, &text) {
            return;
        }
        self.engine.metrics().set_gone_back();
        self.engine.set_gone_back(Some(cause.to_owned()));
        let message = format!(
            "{cause}: what was in force before goes on; {} says something else: correct it, and reload",
            file.display()
        );
        let event = Event::new("gone_back", message).severity(Severity::Warning);
        self.engine.event(event.about("cause", cause).about("file_differs", true));
    }
}

/// Whether a file says just this.
fn is_in(program: eclusa_config::plan::Program, file: &Path, text: &str) -> bool {
    eclusa_config::text_of(program, file).is_ok_and(|now| now == text)
}
