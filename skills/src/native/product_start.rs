//! `product.start`: the product shall run. That it should is the workload entity's fact; the step
//! only asks and waits until it is up once.

use std::{fs, path::Path, sync::Arc, time::Duration};

use mesh_kernel::BoxFuture;
use serde_json::{Value, json};

use super::{
    product_build::{APP, DEMO, Input, input},
    workshop::{Workshop, io},
};
use crate::contract::{ANY_PORT, Call, Effect, Failure, FailureClass, Manifest, Permission, Skill, WorkloadSpec};

/// How long a product may take until it listens; the first start makes the demo tenants.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Largest data segment of a product. **Units**: bytes.
const MEMORY_MAX: u64 = 1 << 30;

pub(super) struct ProductStart {
    manifest: Manifest,
    workshop: Arc<Workshop>,
}

impl ProductStart {
    pub(super) fn new(workshop: Arc<Workshop>) -> Self {
        let manifest = Manifest::new(
            "product.start",
            "Says that a built commit shall run, on a free port of this machine, and waits until it does. A running \
             process of the same commit is kept, one of another commit replaced.",
        )
        .takes(input())
        .gives(json!({
            "type": "object",
            "required": ["url", "commit", "logins"],
            "properties": {
                "url": {"type": "string"},
                "commit": {"type": "string"},
                "pid": {"type": ["integer", "null"]},
                "logins": {"type": "array", "description": "tenants to try it with"},
            },
        }))
        .effect(Effect::Idempotent)
        .within(Duration::from_secs(180))
        .fails(&[FailureClass::Validation, FailureClass::External, FailureClass::Timeout])
        .needs(&[Permission::Files, Permission::Processes])
        .example_in_a_run(
            "a commit",
            json!({"product": "helpdesk", "commit": "c0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ff"}),
            json!({"url": "http://127.0.0.1:40001", "commit": "c0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ff",
                   "pid": 4711, "logins": []}),
        );
        Self { manifest, workshop }
    }

    async fn work(&self, call: Call) -> Result<Value, Failure> {
        let input: Input = call.input()?;
        let layout = self.workshop.layout(&call, &input.product)?;
        let release = layout.release(&input.commit);
        let program = release.join(APP);
        if !program.is_file() {
            return Err(Failure::validation(
                "product.not-built",
                format!("commit `{}` is not built: retry the run from the step that builds", input.commit),
            ));
        }
        io(&layout.data(), fs::create_dir_all(layout.data()))?;
        let spec = WorkloadSpec {
            name: input.product.clone(),
            program,
            args: ["--listen", ANY_PORT, "--seed-demo", "--data"]
                .map(str::to_owned)
                .into_iter()
                .chain([layout.data().display().to_string()])
                .collect(),
            folder: release.clone(),
            env: [("MESH_TRACE_ID".to_owned(), call.cause.trace_id.to_string())].into(),
            state: layout.process(),
            commit: input.commit.clone(),
            ready_within: READY_WITHIN,
            memory_max: Some(MEMORY_MAX),
        };
        let status = self.workshop.workloads.ensure_running(&call, spec).await?;
        let url = status
            .url
            .ok_or_else(|| Failure::internal("product.no-address", "the product runs and its address is not known"))?;
        call.log.note(format!("it runs at {url}"));
        Ok(json!({
            "url": url,
            "commit": status.commit,
            "pid": status.pid,
            "logins": logins(&release.join(DEMO)),
        }))
    }
}

/// The demo log-ins; a product without any has none.
fn logins(demo: &Path) -> Value {
    let read: Option<Value> = fs::read(demo).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let accounts = read.as_ref().and_then(|demo| demo.get("accounts"));
    accounts.filter(|accounts| accounts.is_array()).cloned().unwrap_or_else(|| json!([]))
}

impl Skill for ProductStart {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn call<'a>(&'a self, call: Call) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(self.work(call))
    }
}
