//! The embedded journal engine.
