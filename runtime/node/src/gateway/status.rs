//! Refusals as gRPC statuses, with the error details that clients act on.

use mesh_kernel::envelope::{ErrorKind, Refusal, Retry};
use mesh_proto::rpc;
use prost::Message;
use tonic::{Code, Response, Status};

/// The domain of our reasons.
const DOMAIN: &str = "mesh";
/// Bytes that details may take: they travel in a trailer, and clients refuse long ones.
const DETAILS_BYTES_MAX: usize = 5_000;
/// Bytes that the message may take, for the same reason.
const MESSAGE_BYTES_MAX: usize = 1_500;

/// The status that tells a refusal.
///
/// The details hold `ErrorInfo` with the stable code, `BadRequest` with each field that was wrong,
/// and `RetryInfo` when the same request may be sent again.
///
/// **Source**: the richer error model, `grpc-status-details-bin` with a `google.rpc.Status`.
pub fn status(refusal: &Refusal) -> Status {
    let code = code(refusal.kind);
    let message = format!("{} ({})", cut(&refusal.message, MESSAGE_BYTES_MAX), refusal.code);
    let mut details = vec![any(
        "ErrorInfo",
        &rpc::ErrorInfo {
            reason: refusal.code.clone(),
            domain: DOMAIN.to_owned(),
            metadata: refusal.details.clone().into_iter().collect(),
        },
    )];
    if let Some(delay) = delay(refusal.retry) {
        details.push(any("RetryInfo", &rpc::RetryInfo { retry_delay: Some(delay) }));
    }
    if !refusal.fields.is_empty() {
        details.push(any("BadRequest", &bad_request(refusal)));
    }
    let told = rpc::Status { code: code as i32, message: message.clone(), details };
    Status::with_details(code, message, told.encode_to_vec().into())
}

/// The answer of a method: what it gives, or the status of its refusal.
pub(super) fn answer<T>(result: Result<T, Refusal>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(|refusal| status(&refusal))
}

/// The status of a refusal by the gateway itself, about one field of the request.
pub(super) fn bad_field(field: &str, description: impl Into<String>) -> Status {
    status(&refused_field(field, description))
}

/// A refusal by the gateway itself, about one field of the request.
pub(super) fn refused_field(field: &str, description: impl Into<String>) -> Refusal {
    let description = description.into();
    Refusal::new("GTW-0001", ErrorKind::InvalidArgument, format!("`{field}`: {description}")).at(field, description)
}

fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::InvalidArgument => Code::InvalidArgument,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::AlreadyExists => Code::AlreadyExists,
        ErrorKind::FailedPrecondition => Code::FailedPrecondition,
        ErrorKind::Aborted => Code::Aborted,
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::PermissionDenied => Code::PermissionDenied,
        ErrorKind::ResourceExhausted => Code::ResourceExhausted,
        ErrorKind::DeadlineExceeded => Code::DeadlineExceeded,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Unimplemented => Code::Unimplemented,
        ErrorKind::Internal => Code::Internal,
    }
}

fn delay(retry: Retry) -> Option<prost_types::Duration> {
    match retry {
        Retry::Never => None,
        Retry::Now => Some(prost_types::Duration::default()),
        Retry::After(delay) => prost_types::Duration::try_from(delay).ok(),
    }
}

/// As many violations as fit, and a word about the rest.
fn bad_request(refusal: &Refusal) -> rpc::BadRequest {
    let mut told = Vec::new();
    let mut bytes = 0;
    for violation in &refusal.fields {
        let description = cut(&violation.description, 500);
        bytes += violation.field.len() + description.len() + 16;
        if bytes > DETAILS_BYTES_MAX {
            let rest = refusal.fields.len() - told.len();
            told.push(field_violation("", format!("and {rest} more: mend these first")));
            break;
        }
        told.push(field_violation(&violation.field, description));
    }
    rpc::BadRequest { field_violations: told }
}

fn field_violation(field: &str, description: String) -> rpc::bad_request::FieldViolation {
    rpc::bad_request::FieldViolation { field: field.to_owned(), description, ..Default::default() }
}

fn any<M: Message>(name: &str, message: &M) -> prost_types::Any {
    prost_types::Any { type_url: format!("type.googleapis.com/google.rpc.{name}"), value: message.encode_to_vec() }
}

fn cut(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let mut end = bytes_max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn details(status: &Status) -> rpc::Status {
        rpc::Status::decode(status.details()).unwrap()
    }

    #[test]
    fn a_refusal_carries_its_code_its_fields_and_when_to_try_again() {
        let refusal = Refusal::new("RUN-0001", ErrorKind::ResourceExhausted, "too many")
            .after(Duration::from_millis(1500))
            .at("input.count", "at most 10");
        let told = status(&refusal);
        assert_eq!(told.code(), Code::ResourceExhausted);
        assert_eq!(told.message(), "too many (RUN-0001)");
        let details = details(&told);
        assert_eq!(details.code, Code::ResourceExhausted as i32);
        let info = rpc::ErrorInfo::decode(details.details[0].value.as_slice()).unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("RUN-0001", "mesh"));
        let retry = rpc::RetryInfo::decode(details.details[1].value.as_slice()).unwrap();
        assert_eq!(retry.retry_delay.unwrap(), prost_types::Duration { seconds: 1, nanos: 500_000_000 });
        let bad = rpc::BadRequest::decode(details.details[2].value.as_slice()).unwrap();
        assert_eq!(bad.field_violations[0].field, "input.count");
    }

    #[test]
    fn what_is_not_worth_a_retry_says_nothing_about_one() {
        let told = status(&Refusal::new("X-1", ErrorKind::NotFound, "there is no run `x`"));
        assert_eq!(details(&told).details.len(), 1);
    }

    #[test]
    fn a_thousand_mistakes_still_fit_a_trailer() {
        let mut refusal = Refusal::new("X-1", ErrorKind::InvalidArgument, "é".repeat(5_000));
        for n in 0..1_000 {
            refusal = refusal.at(format!("steps[{n}]"), "wrong ".repeat(200));
        }
        let told = status(&refusal);
        assert!(told.details().len() + told.message().len() < 12_000, "{}", told.details().len());
        let bad = details(&told).details.pop().unwrap();
        let bad = rpc::BadRequest::decode(bad.value.as_slice()).unwrap();
        assert!(bad.field_violations.last().unwrap().description.contains("more"));
    }
}
