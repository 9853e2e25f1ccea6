//! Ours beside HAProxy, nginx, Envoy and a direct connection: the bench runner.
//!
//! `case` and `work` say what is measured, `setup`, `template` and `configuration` what stands between
//! generator and endpoint, `place` where (namespaces, cores). `scene` starts it, `measure` takes one
//! sample, `run` repeats it in rounds, `report`, `markdown` and `plot` say what came out. `guard` counts
//! instead of measuring: instructions and system calls. `traffic` is the other half: the generator and
//! the endpoint, which run as processes of their own.

pub mod binaries;
pub mod case;
pub mod certificate;
pub mod configuration;
pub mod count;
pub mod failure;
pub mod guard;
pub mod idle;
pub mod interrupt;
pub mod machine;
pub mod markdown;
pub mod measure;
pub mod meter;
pub mod options;
pub mod page;
pub mod place;
pub mod plot;
pub mod prepare;
pub mod process;
pub mod publish;
pub mod report;
pub mod run;
pub mod scene;
pub mod service;
pub mod setup;
pub mod stage;
pub mod statistics;
pub mod template;
pub mod traffic;
pub mod warnings;
pub mod work;
