//! `import --check-live`: a haproxy.cfg in HAProxy and its import in Eclusa, side by side on loopback.
//!
//! The way of a comparison, which [`comparison`] reads from top to bottom: [`layout`] gives every address of the
//! file one of loopback, for each program; [`copy`] and [`ours`] write both configurations with these;
//! [`endpoint`] records and answers; [`traffic`] makes requests from what the file asks, and [`client`]
//! sends them; [`judge`] finds what differs, and [`causes`] what the importer's report says of it;
//! [`checks`] lets endpoints answer checks badly, and compares verdicts.
//!
//! It runs for a minute beside whatever the host does: threads and sockets of `std`, no reactor, and
//! nothing of the data path.

mod causes;
mod certificate;
mod checks;
mod client;
mod command;
mod comparison;
mod copy;
mod descriptors;
mod endpoint;
mod http;
mod judge;
mod layout;
mod material;
mod ours;
mod report;
mod scratch;
mod table;
mod traffic;

pub use command::{Import, after_help, run};
