//! HTTP/1.1 on a connection: heads are read, bodies are moved. What the bytes mean is
//! `eclusa_wire::http1`'s; here they come and go.

mod fault;
mod pack;
mod pump;
mod read;
mod write;

pub(crate) use fault::{Fault, Side, Trouble, Way};
pub(crate) use pack::Packer;
pub(crate) use pump::Pump;
pub(crate) use read::{FirstByte, HeadError, poll_first_byte, poll_head, poll_more};
pub(crate) use write::write_all;
