//! The L4 data path and the operation around it.
