//! What conditions ask that neither the connection nor the request says: how pools stand, and what
//! was counted of a client.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// How things stand at the moment of the question.
pub trait World: fmt::Debug {
    /// How many endpoints of the pool at this index of the plan are held to be well and in service:
    /// of those that are no backups, or of the backups where no other is. Where there are `enough`, no more
    /// need be counted.
    fn available(&self, pool: usize, enough: usize) -> usize;

    /// What the counter at this index of the plan has of a client.
    fn counted(&self, counter: usize, client: IpAddr) -> Counted;

    /// The request counts at that counter, once, however often this is called for it.
    fn count(&self, counter: usize, client: IpAddr);
}

/// Nobody knows: all endpoints are taken to be well, and nothing to have been counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unknown;

impl World for Unknown {
    fn available(&self, _: usize, _: usize) -> usize {
        usize::MAX
    }

    fn counted(&self, _: usize, _: IpAddr) -> Counted {
        Counted::default()
    }

    fn count(&self, _: usize, _: IpAddr) {}
}

/// What a counter has of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Requests within the counter's time.
    pub requests: u64,
    /// Those of them that are not over.
    pub at_once: u64,
}

/// So many endpoints of a pool are well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Available {
    /// The pool, as an index into the plan's.
    pub pool: usize,
    /// Its name.
    pub name: Arc<str>,
    /// How many at least.
    pub least: u32,
}

impl Available {
    pub(super) fn holds(&self, world: &dyn World) -> bool {
        usize::try_from(self.least).is_ok_and(|least| world.available(self.pool, least) >= least)
    }
}

impl fmt::Display for Available {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at least {} of pool {} well", self.least, self.name)
    }
}

/// More than so many requests of the client were counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Over {
    /// The counter, as an index into the plan's.
    pub counter: usize,
    /// Its name.
    pub name: Arc<str>,
    /// What of it.
    pub what: Counting,
    /// How many are not too many.
    pub most: u32,
}

/// What of a counter is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// Requests within its time.
    Requests,
    /// Requests that are not over.
    AtOnce,
}

impl Over {
    /// What the counter has of the client, as asked.
    pub(super) fn count(&self, world: &dyn World, client: IpAddr) -> u64 {
        let counted = world.counted(self.counter, client);
        match self.what {
            Counting::Requests => counted.requests,
            Counting::AtOnce => counted.at_once,
        }
    }

    pub(super) fn holds(&self, world: &dyn World, client: IpAddr) -> bool {
        self.count(world, client) > u64::from(self.most)
    }

    fn words(&self) -> &'static str {
        match self.what {
            Counting::Requests => "requests",
            Counting::AtOnce => "requests at once",
        }
    }
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more than {} {} of the client at {}", self.most, self.words(), self.name)
    }
}
