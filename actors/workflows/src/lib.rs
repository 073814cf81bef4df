//! Workflow definitions and runs.
