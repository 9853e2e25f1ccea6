//! Bytes in, facts out: PROXY protocol, TLS ClientHello. No I/O, no clock, no unsafe.
