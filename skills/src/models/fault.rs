//! The ways in which a model call goes wrong, each with a name and what may be done about it.
//!
//! Only faults of the machinery: a model that reasons badly has answered.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::contract::{Failure, FailureClass};

/// How a model call went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The endpoint asks for fewer calls or tokens (429).
    RateLimited,
    /// The account has nothing left; waiting does not help.
    InsufficientQuota,
    /// The key is wrong, or may not do this (401, 403).
    Unauthorized,
    /// The endpoint has no such model or path (404).
    NotFound,
    /// The endpoint does not accept the request (400, 422 and other 4xx).
    BadRequest,
    /// The conversation is longer than the model reads.
    ContextLength,
    /// The endpoint's filter refused the request.
    ContentFilter,
    /// The endpoint failed (500, 502, 504).
    ServerError,
    /// The endpoint says "later" without a fault of ours (408, 409, 425, 503, 529).
    Overloaded,
    /// No connection came about; nothing was sent.
    Connect,
    /// The connection broke before the answer's end.
    CutOff,
    /// The answer stopped, in good order, without saying that it was at its end.
    EndedEarly,
    /// A stream was asked for and something else came, such as a page.
    NotAStream,
    /// JSON was announced and something else came.
    NotJson,
    /// An answer that is an error under a status of success, without a better name for it.
    ErrorInBody,
    /// A piece of a stream is not JSON.
    BrokenChunk,
    /// The answer is larger than is read.
    TooLarge,
    /// The first piece did not come in time.
    TimeoutFirstToken,
    /// The next piece did not come in time.
    TimeoutIdle,
    /// The whole answer did not come in time.
    TimeoutTotal,
    /// An answer came without text, tool call or refusal.
    EmptyAnswer,
    /// The configuration names no such class or candidate.
    NoCandidate,
    /// The configuration does not say where the endpoint is, or with which key it is asked.
    NoEndpoint,
    /// The cassette has no answer to this request.
    NoCassetteEntry,
    /// The cassette cannot be read, or what came may not be written to it.
    Cassette,
    /// The performer itself failed.
    Performer,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 26] = [
        Self::RateLimited,
        Self::InsufficientQuota,
        Self::Unauthorized,
        Self::NotFound,
        Self::BadRequest,
        Self::ContextLength,
        Self::ContentFilter,
        Self::ServerError,
        Self::Overloaded,
        Self::Connect,
        Self::CutOff,
        Self::EndedEarly,
        Self::NotAStream,
        Self::NotJson,
        Self::ErrorInBody,
        Self::BrokenChunk,
        Self::TooLarge,
        Self::TimeoutFirstToken,
        Self::TimeoutIdle,
        Self::TimeoutTotal,
        Self::EmptyAnswer,
        Self::NoCandidate,
        Self::NoEndpoint,
        Self::NoCassetteEntry,
        Self::Cassette,
        Self::Performer,
    ];

    /// The fault as journals and metrics spell it.
    pub fn as_str(self) -> &'static str {
        // INVARIANT: every code is `model.` and the fault's name.
        self.code().split_at("model.".len()).1
    }

    /// The code of its [`Failure`].
    pub fn code(self) -> &'static str {
        match self {
            Self::RateLimited => "model.rate-limited",
            Self::InsufficientQuota => "model.insufficient-quota",
            Self::Unauthorized => "model.unauthorized",
            Self::NotFound => "model.not-found",
            Self::BadRequest => "model.bad-request",
            Self::ContextLength => "model.context-length",
            Self::ContentFilter => "model.content-filter",
            Self::ServerError => "model.server-error",
            Self::Overloaded => "model.overloaded",
            Self::Connect => "model.connect",
            Self::CutOff => "model.cut-off",
            Self::EndedEarly => "model.ended-early",
            Self::NotAStream => "model.not-a-stream",
            Self::NotJson => "model.not-json",
            Self::ErrorInBody => "model.error-in-body",
            Self::BrokenChunk => "model.broken-chunk",
            Self::TooLarge => "model.too-large",
            Self::TimeoutFirstToken => "model.timeout-first-token",
            Self::TimeoutIdle => "model.timeout-idle",
            Self::TimeoutTotal => "model.timeout-total",
            Self::EmptyAnswer => "model.empty-answer",
            Self::NoCandidate => "model.no-candidate",
            Self::NoEndpoint => "model.no-endpoint",
            Self::NoCassetteEntry => "model.no-cassette-entry",
            Self::Cassette => "model.cassette",
            Self::Performer => "model.performer",
        }
    }

    /// Whether the same candidate may be asked the same again, after a pause.
    pub fn again(self) -> bool {
        match self {
            Self::RateLimited
            | Self::ServerError
            | Self::Overloaded
            | Self::Connect
            | Self::CutOff
            | Self::EndedEarly
            | Self::NotAStream
            | Self::NotJson
            | Self::ErrorInBody
            | Self::BrokenChunk
            | Self::TimeoutFirstToken
            | Self::TimeoutIdle
            | Self::TimeoutTotal
            | Self::EmptyAnswer => true,
            Self::InsufficientQuota
            | Self::Unauthorized
            | Self::NotFound
            | Self::BadRequest
            | Self::ContextLength
            | Self::ContentFilter
            | Self::TooLarge
            | Self::NoCandidate
            | Self::NoEndpoint
            | Self::NoCassetteEntry
            | Self::Cassette
            | Self::Performer => false,
        }
    }

    /// Whether another candidate of the class may be asked.
    ///
    /// Not after a refused request, which is ours to mend, nor after a filter, whose no is not to be
    /// carried from door to door.
    pub fn elsewhere(self) -> bool {
        match self {
            Self::BadRequest
            | Self::ContentFilter
            | Self::NoCandidate
            | Self::NoCassetteEntry
            | Self::Cassette
            | Self::Performer => false,
            Self::InsufficientQuota
            | Self::Unauthorized
            | Self::NotFound
            | Self::ContextLength
            | Self::TooLarge
            | Self::NoEndpoint => true,
            _ => self.again(),
        }
    }

    /// The class of its [`Failure`].
    pub fn class(self) -> FailureClass {
        match self {
            Self::TimeoutFirstToken | Self::TimeoutIdle | Self::TimeoutTotal => FailureClass::Timeout,
            Self::InsufficientQuota | Self::TooLarge => FailureClass::Resource,
            Self::Performer => FailureClass::Internal,
            _ if self.again() => FailureClass::External,
            _ => FailureClass::Validation,
        }
    }

    /// A failure of this sort, in these words.
    pub fn failure(self, message: impl Into<String>) -> Failure {
        Failure::new(self.class(), self.code(), message)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_fault_has_one_name_everywhere() {
        let names: BTreeSet<_> = Fault::ALL.iter().map(|fault| fault.as_str()).collect();
        assert_eq!(names.len(), Fault::ALL.len());
        for fault in Fault::ALL {
            assert_eq!(serde_json::to_value(fault).unwrap(), serde_json::json!(fault.as_str()));
            assert_eq!(fault.code(), format!("model.{fault}"));
        }
    }

    #[test]
    fn what_fails_again_when_repeated_is_not_repeated() {
        for fault in Fault::ALL {
            let class = fault.class();
            let hopeless = matches!(class, FailureClass::Validation | FailureClass::Resource | FailureClass::Internal);
            assert_eq!(fault.again(), !hopeless, "{fault} is of class {class}");
            assert!(!fault.again() || fault.elsewhere(), "{fault} may be repeated, and not elsewhere");
        }
    }
}
