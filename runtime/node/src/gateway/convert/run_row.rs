//! Runs as lists show them.

use mesh_proto::v1;

use crate::gateway::{keys::etag, lists::RunRow};

/// The message of a row: a run without its steps.
pub(in crate::gateway) fn message(row: RunRow) -> v1::Run {
    v1::Run {
        run_id: row.run_id,
        definition: row.definition,
        definition_version: row.definition_version,
        definition_digest: row.definition_digest,
        project_id: row.project_id.unwrap_or_default(),
        state: row.state.into(),
        failure: row.failure.map(|failure| v1::RunFailure {
            step_id: failure.step_id,
            failure_class: failure.class,
            code: failure.code,
            message: failure.message,
            details: None,
        }),
        create_time: Some(row.created_at.into()),
        start_time: row.started_at.map(Into::into),
        end_time: row.ended_at.map(Into::into),
        archive_time: row.archived_at.map(Into::into),
        trace_id: row.trace_id,
        parent: row.parent.map(|(run_id, step_id)| v1::RunParent { run_id, step_id }),
        version: row.version,
        etag: etag(row.version),
        submitted_by: row.submitted_by,
        progress: Some(v1::RunProgress {
            total: row.progress.total,
            done: row.progress.done,
            running: row.progress.running,
            waiting: row.progress.waiting,
            failed: row.progress.failed,
        }),
        ..Default::default()
    }
}
