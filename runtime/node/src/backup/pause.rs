//! A data folder that was restored is paused: its node shows what there is, and does nothing.

use std::{fs, io, path::Path};

use mesh_kernel::{
    envelope::Role,
    ports::{Decision, Policy, Request},
};

/// The mark in the data folder.
pub const FILE: &str = "paused";

/// Whether the folder is paused. A mark that cannot be looked at counts as one.
pub fn is(data: &Path) -> bool {
    !matches!(fs::symlink_metadata(data.join(FILE)), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

/// Ends the pause, for the next start; false when there was none.
///
/// # Errors
/// When the mark cannot be removed.
pub fn end(data: &Path) -> io::Result<bool> {
    match fs::remove_file(data.join(FILE)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Lets reads through to another policy, and no command: a command would make an entity want
/// something of the outside world.
pub struct PausedPolicy<P>(pub P);

impl<P: Policy> Policy for PausedPolicy<P> {
    fn decide(&self, request: &Request<'_>) -> Decision {
        let reads = ["Get", "List", "Read", "Watch", "Tail", "Validate", "Plan", "Examine", "BackUp"];
        let is_read = reads.iter().any(|verb| request.action.starts_with(verb));
        if is_read || request.principal.has(Role::System) {
            return self.0.decide(request);
        }
        Decision::Deny {
            reason: "this node was restored from a backup and is paused, for another copy may live: when it does not, \
                     stop the node, `mesh resume-node`, and start it again"
                .to_owned(),
        }
    }
}
