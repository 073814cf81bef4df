//! Calls for the tests of skills: no node, no journal, a clock that stands still.

use std::{sync::Arc, time::Duration};

use mesh_kernel::{
    envelope::{
        CorrelationId, Envelope, EventId, Headers, IdempotencyKey, Principal, TenantId, TenantScope, Timestamp, TraceId,
    },
    ports::Clock,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::Call;
use crate::logs::LogWriter;

/// A clock that stands still.
pub(crate) struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_nanos(1_700_000_000_000_000_000)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// A scope of this tenant.
pub(crate) fn scope(tenant: &str) -> TenantScope {
    TenantScope::unproven(TenantId::parse(tenant).unwrap())
}

/// The event of `run` that asked for something.
pub(crate) fn cause(tenant: &str, run: &str) -> Arc<Envelope> {
    let subject = format!("{tenant}/control-plane/run/{run}").parse().unwrap();
    Arc::new(Envelope {
        event_id: EventId::parse("evt-1").unwrap(),
        event_type: "StepRequested".into(),
        tenant_id: TenantId::parse(tenant).unwrap(),
        project_id: None,
        module_id: None,
        trace_id: TraceId::parse(&format!("trace-{run}")).unwrap(),
        correlation_id: CorrelationId::parse(run).unwrap(),
        causation_id: EventId::parse("evt-0").unwrap(),
        occurred_at: Still.now(),
        payload: bytes::Bytes::from_static(b"{}"),
        headers: Headers::new(subject, Principal::system("test")),
    })
}

/// A first call with this input, by step `step` of run `run-1` of tenant `acme`.
pub(crate) fn call(input: Value) -> Call {
    call_of("acme", "run-1", input)
}

/// A first call by step `step` of this run.
pub(crate) fn call_of(tenant: &str, run: &str, input: Value) -> Call {
    Call {
        scope: scope(tenant),
        key: IdempotencyKey::parse(&format!("{run}.step.1")).unwrap(),
        attempt: 1,
        run: run.to_owned(),
        step: "step".to_owned(),
        item: None,
        input,
        cause: cause(tenant, run),
        log: LogWriter::silent(),
        cancelled: CancellationToken::new(),
    }
}
