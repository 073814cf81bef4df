//! Refusals: the answer "no", with a code, a kind and whether to try again.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// What sort of "no" it is; maps one to one to a gRPC status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The request itself is wrong.
    InvalidArgument,
    /// There is no such thing, or it is another tenant's.
    NotFound,
    /// It exists already and is another one.
    AlreadyExists,
    /// The state does not allow it now.
    FailedPrecondition,
    /// Someone else changed it meanwhile.
    Aborted,
    /// No credential, or one that is not known.
    Unauthenticated,
    /// The credential does not allow it.
    PermissionDenied,
    /// A bound is reached: a queue, a quota, the disk.
    ResourceExhausted,
    /// The deadline passed before it was done.
    DeadlineExceeded,
    /// Not now: starting, stopping, wedged, or the outcome is unknown.
    Unavailable,
    /// This version cannot do it.
    Unimplemented,
    /// A bug, or data that cannot be read.
    Internal,
}

/// Whether the same request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Retry {
    /// It will be refused again.
    Never,
    /// At once.
    Now,
    /// After this long.
    After(Duration),
}

/// A part of the request that was wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldViolation {
    /// Path of the field, such as `definition.steps[2].needs[0]`.
    pub field: String,
    /// What is wrong with it and how to mend it.
    pub description: String,
}

/// An error that can be answered as a refusal. Every platform's `Error` is one.
pub trait Refuse: std::error::Error {
    /// The stable code, such as `GOV-0003`.
    fn code(&self) -> &'static str;
    /// What sort of "no".
    fn kind(&self) -> ErrorKind;
    /// Whether to try again.
    fn retry(&self) -> Retry {
        Retry::Never
    }
    /// The parts of the request that were wrong.
    fn fields(&self) -> Vec<FieldViolation> {
        Vec::new()
    }
}

/// A refusal as it travels to the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The stable code.
    pub code: String,
    /// What sort of "no".
    pub kind: ErrorKind,
    /// Whether to try again.
    pub retry: Retry,
    /// What was wrong, where, and what to do.
    pub message: String,
    /// The parts of the request that were wrong.
    #[serde(default)]
    pub fields: Vec<FieldViolation>,
    /// What a program needs to go on, by name: the id of an approval.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}

impl Refusal {
    /// A refusal of the kernel's own.
    pub fn new(code: &str, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            kind,
            retry: Retry::Never,
            message: message.into(),
            fields: Vec::new(),
            details: BTreeMap::new(),
        }
    }

    /// The same, to be tried again after `delay`.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.retry = Retry::After(delay);
        self
    }

    /// The same, naming a field of the request.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>, description: impl Into<String>) -> Self {
        self.fields.push(FieldViolation { field: field.into(), description: description.into() });
        self
    }
}

impl<E: Refuse> From<&E> for Refusal {
    fn from(error: &E) -> Self {
        Self {
            code: error.code().to_owned(),
            kind: error.kind(),
            retry: error.retry(),
            message: error.to_string(),
            fields: error.fields(),
            details: BTreeMap::new(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for Refusal {}
