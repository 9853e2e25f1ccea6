//! HTTP/2 at the edge.

pub(crate) mod client;
mod clients;
mod conformance;
mod deadlines;
mod endpoint;
mod ends;
mod heard;
mod hostile;
mod outcome;
mod passing;
mod peers;
mod reloads;
mod run;
mod script;
mod sockets;
mod together;
mod upstream;
