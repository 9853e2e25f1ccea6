//! The Linux calls: splice and pipes, socket options, TCP_INFO. The only crate with unsafe.
