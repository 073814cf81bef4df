//! Support for the end-to-end, crash and isolation tests: the real binary, a recorder, a client.
