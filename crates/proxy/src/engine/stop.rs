//! Stop: the listeners close, sessions end by themselves, and who is left is ended before the deadline.

use super::{Control, Engine, Order, Seat, wait_until};
use crate::observe::Event;
use eclusa_policy::stop::last_of;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a stop waits for the workers to close their listeners.
const CLOSING: Duration = Duration::from_secs(1);
/// How long a stop waits for threads to end; one that is stuck does not hold it up.
const ENDING: Duration = Duration::from_secs(5);

impl Engine {
    /// Closes the listeners, lets sessions end by themselves until shortly before the plan's deadline,
    /// resets the rest one after the other until then (at once as soon as `hurry` says so) and returns
    /// when every thread has ended.
    pub fn stop(&self, hurry: impl Fn() -> bool) {
        let (stop_deadline, lame_duck) = {
            let plan = &self.control().plan;
            (plan.stop_deadline, plan.lame_duck)
        };
        let deadline = Instant::now() + stop_deadline;
        let last = deadline - last_of(stop_deadline);
        self.shared.metrics.set_stopping();
        let stopping = match self.sockets.accept_to_the_end() {
            true => "stopping: new connections until the last session has ended",
            false => "stopping: no new connections",
        };
        let event = Event::new("stopping", stopping).about("sessions", self.count());
        self.shared.logger.event(event);
        if self.shared.observed && !self.shared.sockets_stay {
            // Who asks whether we are well sends clients elsewhere, if it has the time to notice.
            wait_until(Instant::now() + lame_duck.min(stop_deadline), &hurry);
        }
        if self.sockets.accept_to_the_end() {
            self.wait_for_sessions(last, &hurry);
        }
        self.close_listeners();
        self.wait_for_sessions(last, &hurry);
        if self.count() > 0 && !hurry() {
            self.orders.send_replace(Order::Spread(deadline));
            self.wait_for_sessions(deadline, &hurry);
        }
        self.orders.send_replace(Order::Stop);
        let threads: Vec<_> = {
            let mut control = self.control();
            let Control { workers, helpers, .. } = &mut *control;
            workers.drain(..).chain(helpers.drain(..)).collect()
        };
        wait_until(Instant::now() + ENDING, || threads.iter().all(JoinHandle::is_finished));
        let ended: u32 = self.shared.seats.iter().map(Seat::stopped).sum();
        let event = Event::new("stopped", "stopped").about("sessions_reset", ended);
        self.shared.logger.event(event);
        if let Some(writer) = self.control().writer.take() {
            writer.close();
        }
    }

    /// Until there is none, or the deadline, or somebody is in a hurry.
    fn wait_for_sessions(&self, deadline: Instant, hurry: &impl Fn() -> bool) {
        wait_until(deadline, || self.count() == 0 || hurry());
    }

    fn close_listeners(&self) {
        self.orders.send_replace(Order::Drain);
        wait_until(Instant::now() + CLOSING, || self.shared.seats.iter().all(Seat::is_deaf));
        self.control().bound.clear();
        // The addresses are free as soon as the listeners are closed: a successor may start.
        if !self.shared.sockets_stay {
            self.sockets.release_all();
        }
    }
}
