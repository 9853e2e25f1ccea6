//! One file after the other, right ones and wrong ones.

use super::Plan;
use super::bed::Bed;
use super::file::{self, GUEST};
use super::guests::Guests;
use eclusa_testkit::process::Memory;
use eclusa_testkit::wait::pause;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// What came of all reloads.
#[derive(Debug, Default)]
pub struct Run {
    /// Files that were taken.
    pub done: usize,
    pub refused: usize,
    pub took: Duration,
    pub slowest: Duration,
    /// Since when the last file is in force.
    stay: Option<Instant>,
    /// From when to when which file was in force.
    pub stays: Vec<(usize, Instant, Instant)>,
    /// Of the engine, after each reload.
    pub memory: Vec<Memory>,
    pub pids: BTreeSet<u32>,
    pub wrong: Vec<String>,
    pub not_refused: Vec<String>,
}

impl Run {
    fn end_stay(&mut self) {
        if let Some(from) = self.stay.take() {
            self.stays.push((self.done, from, Instant::now()));
        }
    }
}

impl Bed {
    /// Orders the next file, and waits until it is in force.
    fn reload(&mut self, run: &mut Run, guests: &Guests, by_command: bool) {
        let number = run.done + 1;
        if !file::has_guest(number) {
            guests.go();
        }
        run.end_stay();
        let begun = Instant::now();
        let path = self.edge.config().unwrap().to_owned();
        file::write(&path, self.file.text(number).as_bytes(), number);
        let outcome = self.orders.reload(&mut self.edge, by_command);
        run.slowest = run.slowest.max(begun.elapsed());
        if !outcome.is_taken(number as u64 + 1, &file::changes(number)) {
            run.wrong.push(format!("reload {number}: {outcome:?}"));
        }
        run.done = number;
        run.stay = Some(Instant::now());
        let at = self.cluster.host("edge").at(GUEST);
        if number % 4 == 1 {
            let [one, other] = &self.clients;
            guests.come(&[one.clone(), other.clone(), one.clone()], at);
        }
        run.memory.push(self.edge.memory().unwrap());
        run.pids.insert(self.edge.engine_pid());
    }

    /// Orders the next file with a mistake in it.
    fn refuse(&mut self, run: &mut Run, which: usize, by_command: bool) {
        let (broken, number) = (&self.broken[which], run.done + 1);
        let path = self.edge.config().unwrap();
        match broken.of(&self.file.text(number)) {
            Some(bytes) => file::write(path, &bytes, number),
            None => std::fs::remove_file(path).unwrap(),
        }
        let outcome = self.orders.reload(&mut self.edge, by_command);
        if !outcome.is_refused(&broken.told, broken.code) {
            run.not_refused.push(format!("`{}` is not told in {outcome:?}", broken.told));
        }
        run.refused += 1;
    }

    /// All files, one after the other, in time.
    pub fn drive(&mut self, plan: Plan, guests: &Guests) -> Run {
        let (begun, mut run) = (Instant::now(), Run::default());
        let of_each = plan.reloads / plan.broken + 1;
        let spread = self.broken.len() / plan.broken;
        for step in 0..plan.reloads + plan.broken {
            pause((begun + plan.step() * step as u32).saturating_duration_since(Instant::now()));
            let by_command = step % 2 == 0;
            if (step + 1) % of_each == 0 {
                let which = (run.refused + 1) * spread - 1;
                self.refuse(&mut run, which, by_command);
            } else {
                self.reload(&mut run, guests, by_command);
            }
        }
        run.took = begun.elapsed();
        run
    }
}
