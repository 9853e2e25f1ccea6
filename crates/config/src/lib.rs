//! Documents, the reader that collects all mistakes, check, plan.

pub mod plan;
