//! Attackers: each kind of flood that a listener of HTTP must live through, as fast as one thread
//! can make it. `eclusa-flood` runs one as a process of its own.
//!
//! An attacker holds many connections at once. Whoever is cut comes back at once; what it lived
//! through is in its [`Report`].

mod attack;
mod frames;
mod h2;
mod http1;
mod lane;

pub use attack::{Attack, Ground};
pub use lane::{Flood, Report};
