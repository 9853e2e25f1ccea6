//! Looks after what changes by itself: files of lists and certificates, and the workers. One whose thread comes round no more is replaced on the same sockets.
//! Its sessions hang until it does; new ones must not.

use super::expiries::Expiries;
use super::lists::Lists;
use super::{COMMANDS, Engine};
use crate::observe::Event;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Between two looks.
pub const LOOK: Duration = Duration::from_millis(250);
/// Looks without a sign of life after which a worker counts as stuck: 2 s. Counted in looks, not in
/// time: when this whole process stood still (a snapshot of the machine), nobody is stuck.
const LOOKS: u32 = 8;

/// What the looks before have seen: how often each worker was found without a sign of life in a row,
/// what was told of files.
#[derive(Debug, Default)]
pub struct Care {
    stuck: Vec<u32>,
    lists: Lists,
    expiries: Expiries,
}

impl Engine {
    /// Looks once; to be called every [`LOOK`].
    pub fn look_after(&self, care: &mut Care) {
        self.look_after_files(care);
        care.stuck.resize(self.shared.seats.len(), 0);
        for (index, looks) in care.stuck.iter_mut().enumerate() {
            let age = self.shared.metrics.heartbeats.age(index);
            *looks = if age.is_some_and(|age| age > 2 * LOOK) { *looks + 1 } else { 0 };
            if *looks == LOOKS {
                *looks = 0;
                self.replace(index);
            }
        }
    }

    fn look_after_files(&self, care: &mut Care) {
        let tell = |kind, message| self.event(Event::new(kind, message));
        let services = self.shared.services.load_full();
        if let Some(layer) = &self.layer {
            layer.look_after(&tell);
        }
        for service in services.values() {
            service.look_after(&tell);
        }
        care.lists.look(&self.shared.lists.load(), &|event| self.event(event));
        for event in care.expiries.look(&services, Instant::now()) {
            self.event(event);
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
