//! Looks after the workers: one whose thread comes round no more is replaced on the same sockets.
//! Its sessions hang until it does; new ones must not.

use super::{COMMANDS, Engine};
use crate::observe::Event;
use std::time::Duration;
use tokio::sync::mpsc;

/// Between two looks.
pub const LOOK: Duration = Duration::from_millis(250);
/// Looks without a sign of life after which a worker counts as stuck: 2 s. Counted in looks, not in
/// time: when this whole process stood still (a snapshot of the machine), nobody is stuck.
const LOOKS: u32 = 8;

/// How often each worker was found without a sign of life in a row.
#[derive(Debug, Default)]
pub struct Care(Vec<u32>);

impl Engine {
    /// Looks once; to be called every [`LOOK`].
    pub fn look_after(&self, care: &mut Care) {
        if let Some(layer) = &self.layer {
            layer.look_after(&|kind, message| self.shared.logger.event(Event::new(kind, message)));
        }
        care.0.resize(self.shared.seats.len(), 0);
        for (index, looks) in care.0.iter_mut().enumerate() {
            let age = self.shared.metrics.heartbeats.age(index);
            *looks = if age.is_some_and(|age| age > 2 * LOOK) { *looks + 1 } else { 0 };
            if *looks == LOOKS {
                *looks = 0;
                self.replace(index);
            }
        }
    }

    fn replace(&self, index: usize) {
        let seat = &self.shared.seats[index];
        let (commands, commanded) = mpsc::channel(COMMANDS);
        let incarnation = seat.replace(commands);
        self.shared.metrics.worker_replaced();
        let started = self.start_worker(index, incarnation, commanded);
        let message = match started {
            Ok(()) => format!(
                "worker {index} has not come round for {:?}: another thread takes its place; \
                 its {} sessions hang until it goes on",
                LOOK * LOOKS,
                seat.sessions()
            ),
            Err(error) => format!("worker {index} is stuck and cannot be replaced: {error}"),
        };
        self.shared.logger.event(Event::new("stuck", message).about("worker", index));
    }
}
