//! HTTP/1.1 on a connection: heads are read, bodies are moved. What the bytes mean is
//! `eclusa_wire::http1`'s; here they come and go.

mod pump;
mod read;
mod write;

pub(crate) use pump::{Fault, Pump, Side, Trouble, Way};
pub(crate) use read::{FirstByte, HeadError, poll_first_byte, poll_head};
pub(crate) use write::write_all;
