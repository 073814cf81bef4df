//! How a skill fails: a class that decides about retrying, a code, and words for people.

use std::{any::Any, fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Blame;

/// Longest message that travels with a failure. **Units**: bytes; the rest stands in the log.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024;

/// Largest details that travel with a failure. **Units**: bytes of JSON; larger ones are left out.
pub const DETAILS_BYTES_MAX: usize = 16 * 1024;

/// What sort of failure it is. The class alone decides whether a step is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureClass {
    /// The input, or the thing that was checked, is wrong: the same again fails again.
    Validation,
    /// Something outside did not answer or said no for now.
    External,
    /// It took longer than it may.
    Timeout,
    /// A bound was reached: memory, disk, output, a quota.
    Resource,
    /// A bug of the skill or of its host.
    Internal,
    /// Nobody wanted the outcome any more.
    Cancelled,
}

impl FailureClass {
    /// Every class, in the order in which documents list them.
    pub const ALL: [Self; 6] =
        [Self::Validation, Self::External, Self::Timeout, Self::Resource, Self::Internal, Self::Cancelled];

    /// The class as definitions, logs and metrics spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Validation => "validation",
            Self::External => "external",
            Self::Timeout => "timeout",
            Self::Resource => "resource",
            Self::Internal => "internal",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no failure class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no failure class: one of validation, external, timeout, resource, internal, cancelled is expected")]
pub struct NoFailureClass(String);

impl FromStr for FailureClass {
    type Err = NoFailureClass;

    fn from_str(text: &str) -> Result<Self, NoFailureClass> {
        Self::ALL
            .into_iter()
            .find(|class| class.as_str() == text)
            .ok_or_else(|| NoFailureClass(text.chars().take(64).collect()))
    }
}

/// Why a skill did not do what it was asked.
///
/// It goes into the journal with the step's outcome, so it is kept small: what is long belongs into
/// the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("{message} ({code}, {class})")]
pub struct Failure {
    /// What sort of failure.
    pub class: FailureClass,
    /// Stable and greppable, such as `repository.foreign-commit`.
    pub code: String,
    /// What was wrong, where, and what to do; lower case.
    pub message: String,
    /// How long the other side asked to wait before the next attempt.
    #[serde(default, rename = "retryAfterMs", with = "retry_after", skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
    /// Facts for machines, such as the counts of failed tests.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub details: Value,
    /// Who has failed. Not written down: only who performs the call asks.
    #[serde(skip)]
    pub blame: Blame,
}

impl Failure {
    /// A failure of this class.
    pub fn new(class: FailureClass, code: &str, message: impl Into<String>) -> Self {
        Self {
            class,
            code: code.to_owned(),
            message: cut(message.into()),
            retry_after: None,
            details: Value::Null,
            blame: Blame::Skill,
        }
    }

    /// The input is wrong; never tried again.
    pub fn validation(code: &str, message: impl Into<String>) -> Self {
        Self::new(FailureClass::Validation, code, message)
    }

    /// Something outside failed; tried again with backoff.
    pub fn external(code: &str, message: impl Into<String>) -> Self {
        Self::new(FailureClass::External, code, message)
    }

    /// It took too long.
    pub fn timeout(code: &str, message: impl Into<String>) -> Self {
        Self::new(FailureClass::Timeout, code, message)
    }

    /// A bound was reached.
    pub fn resource(code: &str, message: impl Into<String>) -> Self {
        Self::new(FailureClass::Resource, code, message)
    }

    /// A bug.
    pub fn internal(code: &str, message: impl Into<String>) -> Self {
        Self::new(FailureClass::Internal, code, message)
    }

    /// A skill that panicked with this.
    pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let said = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("(no message)");
        Self::internal("skill.panic", format!("the skill panicked: {said}")).of_host()
    }

    /// Nobody wants the outcome any more.
    pub fn cancelled() -> Self {
        Self::new(FailureClass::Cancelled, "skill.cancelled", "cancelled before it was done").unasked()
    }

    /// The same, said by its host, which has not done the call.
    #[must_use]
    pub fn of_host(self) -> Self {
        Self { blame: Blame::Host, ..self }
    }

    /// The same, because the time was over.
    #[must_use]
    pub fn late(self) -> Self {
        Self { blame: Blame::Late, ..self }
    }

    /// The same, told before the skill was asked.
    #[must_use]
    pub fn unasked(self) -> Self {
        Self { blame: Blame::Nobody, ..self }
    }

    /// The same, to be tried again after `delay` at the earliest.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// The same with facts for machines; left out when they are too large for the journal.
    #[must_use]
    pub fn with(mut self, details: Value) -> Self {
        let small = serde_json::to_vec(&details).is_ok_and(|text| text.len() <= DETAILS_BYTES_MAX);
        self.details = if small { details } else { Value::Null };
        self
    }
}

fn cut(mut message: String) -> String {
    if message.len() > MESSAGE_BYTES_MAX {
        let end = message.floor_char_boundary(MESSAGE_BYTES_MAX - 40);
        message.truncate(end);
        message.push_str(" … (the rest is in the log)");
    }
    message
}

/// Milliseconds in JSON, a duration in memory.
mod retry_after {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        value.map(|delay| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Duration::from_millis))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_failure_survives_its_json() {
        let failure = Failure::external("http.refused", "nobody listens")
            .after(Duration::from_millis(1500))
            .with(json!({"status": 503}));
        let text = serde_json::to_value(&failure).unwrap();
        assert_eq!(
            text,
            json!({"class": "external", "code": "http.refused", "message": "nobody listens",
                   "retryAfterMs": 1500, "details": {"status": 503}})
        );
        assert_eq!(serde_json::from_value::<Failure>(text).unwrap(), failure);
    }

    #[test]
    fn every_class_is_read_back_from_its_name_and_nothing_else_is() {
        for class in FailureClass::ALL {
            assert_eq!(class.as_str().parse::<FailureClass>().unwrap(), class);
            assert_eq!(serde_json::to_value(class).unwrap(), json!(class.as_str()));
        }
        assert!("Validation".parse::<FailureClass>().is_err());
    }

    #[test]
    fn what_is_long_does_not_travel_with_a_failure() {
        let failure = Failure::internal("x", "é".repeat(MESSAGE_BYTES_MAX)).with(json!("x".repeat(DETAILS_BYTES_MAX)));
        assert!(failure.message.len() <= MESSAGE_BYTES_MAX);
        assert!(failure.message.ends_with("(the rest is in the log)"));
        assert!(failure.details.is_null());
    }
}
