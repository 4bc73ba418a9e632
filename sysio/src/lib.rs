//! The only crate with unsafe: rings, sockets, mapped files, CPU pinning, probes.
