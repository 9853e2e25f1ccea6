//! Every decision of the balancer, pure: no sockets, no tokio, no clock.
//!
//! Time, randomness and the facts about a connection are arguments; that is why the same code
//! answers traffic, `explain` and the simulator. Start reading at [`route`], then [`balance`].

pub mod access;
pub mod balance;
pub mod condition;
pub mod name;
pub mod network;
pub mod route;
pub mod verdict;
