//! Every decision of the balancer, pure: no sockets, no tokio, no clock.
//!
//! Time, randomness and the facts about a connection are arguments; that is why the same code
//! answers traffic, `explain` and the simulator. Start reading at [`route`], then [`balance`], then
//! [`verdict`].

pub mod access;
pub mod balance;
pub mod budget;
pub mod condition;
pub mod limits;
pub mod name;
pub mod network;
pub mod queue;
pub mod quorum;
pub mod rebalance;
pub mod replay;
pub mod retry;
pub mod route;
pub mod rules;
pub mod stop;
pub mod time;
pub mod verdict;
