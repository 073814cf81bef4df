//! A registered skill whose code a worker has.

use std::sync::Arc;

use mesh_kernel::BoxFuture;
use serde_json::Value;

use super::Workers;
use crate::contract::{Call, Failure, Manifest, Skill};

/// A skill that is done by whichever worker has this version of it.
pub struct WorkerSkill {
    manifest: Arc<Manifest>,
    workers: Workers,
}

impl WorkerSkill {
    /// The skill of this manifest.
    pub fn new(manifest: Arc<Manifest>, workers: Workers) -> Self {
        Self { manifest, workers }
    }
}

impl Skill for WorkerSkill {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn call<'a>(&'a self, call: Call) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(self.workers.call(&self.manifest.name, &self.manifest.version, call))
    }
}
