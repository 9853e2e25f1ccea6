//! Ours beside HAProxy, nginx and a direct connection: the bench runner.
//!
//! `case` says what is measured, `setup` what stands between generator and endpoint, `place` where
//! (namespaces, cores), `measure` takes one sample, `run` repeats it in rounds, `report` and
//! `markdown` say what came out. `traffic` is the other half: the generator and the endpoint, which
//! run as processes of their own.

pub mod binaries;
pub mod case;
pub mod certificate;
pub mod failure;
pub mod idle;
pub mod interrupt;
pub mod machine;
pub mod markdown;
pub mod measure;
pub mod meter;
pub mod options;
pub mod place;
pub mod process;
pub mod report;
pub mod run;
pub mod service;
pub mod setup;
pub mod statistics;
pub mod template;
pub mod traffic;
