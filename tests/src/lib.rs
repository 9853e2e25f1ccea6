//! End-to-end tests: runs the real binaries.
