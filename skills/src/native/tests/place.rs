//! A workshop on a folder of its own, with processes started directly.

use std::{path::PathBuf, sync::Arc, time::Duration};

use mesh_kernel::BoxFuture;
use serde_json::Value;

use crate::{
    contract::{Call, Failure, Registry, WorkloadSpec, WorkloadState, WorkloadStatus, Workloads, testing},
    native::{Needs, Workshop, with_workshop},
    product::{layout::Layout, process},
};

/// Starts what it is asked for, without an entity that remembers it.
struct Direct {
    data: PathBuf,
}

impl Direct {
    fn state(&self, call: &Call, name: &str) -> Result<PathBuf, Failure> {
        Ok(Layout::of(&self.data, &call.scope, name)?.process())
    }
}

impl Workloads for Direct {
    fn ensure_running<'a>(&'a self, _: &'a Call, spec: WorkloadSpec) -> BoxFuture<'a, Result<WorkloadStatus, Failure>> {
        Box::pin(async move {
            let running = process::ensure(&spec, None).await?;
            Ok(WorkloadStatus {
                state: WorkloadState::Running,
                url: Some(running.url),
                commit: running.commit,
                pid: Some(running.process.pid),
                restarts: 0,
                last_error: None,
            })
        })
    }

    fn stop<'a>(&'a self, call: &'a Call, name: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move { Ok(process::stop_in(&self.state(call, name)?, Duration::from_secs(5)).await?) })
    }

    fn status<'a>(&'a self, call: &'a Call, name: &'a str) -> BoxFuture<'a, Result<Option<WorkloadStatus>, Failure>> {
        Box::pin(async move {
            let adopted = process::adopt(&self.state(call, name)?, Duration::from_secs(5)).await?;
            Ok(adopted.map(|running| WorkloadStatus {
                state: WorkloadState::Running,
                url: Some(running.url),
                commit: running.commit,
                pid: Some(running.process.pid),
                restarts: 0,
                last_error: None,
            }))
        })
    }
}

pub(super) struct Place {
    pub(super) folder: tempfile::TempDir,
    pub(super) registry: Registry,
}

impl Place {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        // No toolchain will be found where the seeds shall lie, so no test compiles one by the way.
        let seeds = folder.path().join("no-folder");
        std::fs::write(&seeds, "a file").unwrap();
        let workshop = Workshop::new(Needs {
            data: data.clone(),
            seeds: Some(seeds),
            build_time_max: Duration::from_secs(60),
            build_memory_max: 4 << 30,
            workloads: Arc::new(Direct { data }),
        });
        let registry = Registry::new(with_workshop(&workshop)).unwrap();
        Self { folder, registry }
    }

    /// Calls a skill as the performer does: both schemas checked.
    pub(super) async fn call(&self, run: &str, skill: &str, input: Value) -> Result<Value, Failure> {
        self.call_of("acme", run, skill, input).await
    }

    pub(super) async fn call_of(&self, tenant: &str, run: &str, skill: &str, input: Value) -> Result<Value, Failure> {
        let entry = self.registry.require(skill)?;
        entry.check_input(&input)?;
        let output = entry.skill().call(testing::call_of(tenant, run, input)).await?;
        entry.check_output(&output)?;
        Ok(output)
    }

    pub(super) fn layout(&self, product: &str) -> Layout {
        Layout::of(&self.folder.path().join("data"), &testing::scope("acme"), product).unwrap()
    }
}
