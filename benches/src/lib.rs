//! Ours beside HAProxy, nginx and a direct connection.
