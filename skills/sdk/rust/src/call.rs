//! One call, and how it fails.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use mesh_proto::{
    json::{to_value, value_to_json},
    v1::{self, work_request::Message},
};
use serde_json::Value;
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;

/// What a call comes to.
pub(crate) type Outcome = Pin<Box<dyn Future<Output = Result<Value, Failure>> + Send>>;

/// What does the calls of a skill.
pub(crate) type Handler = Arc<dyn Fn(Call) -> Outcome + Send + Sync>;

/// One call of a skill.
#[derive(Debug, Clone)]
pub struct Call {
    /// What it is called with; it fits the skill's schema.
    pub input: Value,
    /// The same key always means the same work.
    pub key: String,
    /// Counts the step's attempts, from 1.
    pub attempt: u32,
    /// The tenant.
    pub tenant: String,
    /// The run that it belongs to.
    pub run: String,
    /// The step in the run.
    pub step: String,
    /// Which item of a for-each.
    pub item: Option<u32>,
    /// W3C trace context, when there is one.
    pub traceparent: Option<String>,
    /// The lineage key from intent to runtime signal, `trace-…`.
    pub trace: String,
    /// Fires when nobody wants the outcome any more.
    pub cancelled: CancellationToken,
    id: String,
    said: Sender<Message>,
}

impl Call {
    pub(crate) fn new(call: v1::SkillCall, cancelled: CancellationToken, said: Sender<Message>) -> Self {
        Self {
            input: call.input.as_ref().map(value_to_json).unwrap_or_default(),
            key: call.idempotency_key,
            attempt: call.attempt,
            tenant: call.tenant_id,
            run: call.run_id,
            step: call.step_id,
            item: call.item,
            traceparent: Some(call.traceparent).filter(|text| !text.is_empty()),
            trace: call.trace_id,
            cancelled,
            id: call.call_id,
            said,
        }
    }

    /// Tells people how it goes: a line in the step's log. Lost when the connection is, and when there are too many.
    pub fn progress(&self, text: impl Into<String>) {
        let progress = v1::CallProgress { call_id: self.id.clone(), text: text.into() };
        let _too_many = self.said.try_send(Message::Progress(progress));
    }
}

/// Why a call gave nothing. The class decides whether the step is tried again.
#[derive(Debug, Clone)]
pub struct Failure(pub(crate) v1::CallFailure);

impl Failure {
    /// The input is wrong: the same again fails again, so it is not tried again.
    pub fn validation(code: &str, message: impl Into<String>) -> Self {
        Self::new("validation", code, message)
    }

    /// Something outside failed, and may work later.
    pub fn external(code: &str, message: impl Into<String>) -> Self {
        Self::new("external", code, message)
    }

    /// A bound was reached: memory, disk, a quota.
    pub fn resource(code: &str, message: impl Into<String>) -> Self {
        Self::new("resource", code, message)
    }

    /// A bug of the skill.
    pub fn internal(code: &str, message: impl Into<String>) -> Self {
        Self::new("internal", code, message)
    }

    fn new(class: &str, code: &str, message: impl Into<String>) -> Self {
        let (failure_class, code, message) = (class.to_owned(), code.to_owned(), message.into());
        Self(v1::CallFailure { failure_class, code, message, ..v1::CallFailure::default() })
    }

    /// The same, to be tried again after this at the earliest.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.0.retry_after = delay.try_into().ok();
        self
    }

    /// The same with facts for machines.
    #[must_use]
    pub fn with(mut self, details: &Value) -> Self {
        self.0.details = Some(to_value(details));
        self
    }
}
