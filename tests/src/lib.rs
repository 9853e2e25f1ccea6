//! End-to-end tests: what they share. They run the real programs, each as its shipped unit would,
//! in the cluster of namespaces, and record what they have shown.

pub mod ask;
pub mod bed;
pub mod client;
pub mod load;
pub mod plain;
pub mod product;
pub mod proof;
pub mod python;
