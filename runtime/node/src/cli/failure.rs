//! Why a command did not do what it was asked, in words, and the exit code that says so.

use std::{io, path::PathBuf, time::Duration};

use mesh_proto::{rpc, v1};
use prost::Message;
use tonic::{Code, Status};

use crate::config::ConfigError;

/// The exit codes, documented in `docs/cli.md`; scripts rely on them.
pub(crate) mod exit {
    /// It was done, but what it watched has failed: a run, a test case, a product.
    pub(crate) const FAILED: u8 = 1;
    /// The arguments or the configuration are wrong.
    pub(crate) const USAGE: u8 = 2;
    /// The node refused it, or the file that was given has mistakes.
    pub(crate) const REFUSED: u8 = 3;
    /// There is no such thing, or it is another tenant's.
    pub(crate) const NOT_FOUND: u8 = 4;
    /// The key is missing, not accepted, or does not allow it.
    pub(crate) const NOT_ALLOWED: u8 = 5;
    /// No node answers, or not now.
    pub(crate) const UNREACHABLE: u8 = 6;
    /// A bound was reached or the time was up: try again later.
    pub(crate) const LATER: u8 = 7;
    /// A bug, or data that cannot be read.
    pub(crate) const INTERNAL: u8 = 70;
}

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// No node is known at the data folder.
    #[error(
        "no node is running on `{}`: start one with `mesh up --data {}`, or name another with `--data DIR` or `--server URL`",
        .0.display(), .0.display()
    )]
    NoNode(PathBuf),
    /// Nobody answers at the address.
    #[error("no node is running on {address}: start one with `mesh up`\n  cause: {cause}")]
    Unreachable {
        /// The address.
        address: String,
        /// What the system said.
        cause: String,
    },
    /// The key does not allow it.
    #[error("{0}")]
    NotAllowed(&'static str),
    /// There is no key to present.
    #[error("there is no API key: set `MESH_API_KEY`, or use the data folder of the node, which holds the first one")]
    NoKey,
    /// The node said no.
    #[error("{}", explain(.0))]
    Refused(Box<Status>),
    /// A file cannot be used.
    #[error("`{}` cannot be {verb}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// `read`, `written`.
        verb: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The given file has mistakes.
    #[error("{}", mistakes(.0))]
    Mistakes(Vec<v1::Mistake>),
    /// The settings are wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An argument is wrong in a way that the parser cannot see.
    #[error("{0}")]
    Usage(String),
    /// It was done, and what it was about has failed.
    #[error("{0}")]
    Failed(String),
    /// The node could not be started or stopped.
    #[error("{0:#}")]
    Node(anyhow::Error),
    /// Standard output cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
    /// An answer lacks what every answer has.
    #[error("the node answered without `{0}`: are its version and this one's the same?")]
    Lacking(&'static str),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

impl Failure {
    /// The exit code of this failure.
    pub(crate) fn exit(&self) -> u8 {
        match self {
            Self::NoNode(_) | Self::Unreachable { .. } => exit::UNREACHABLE,
            Self::NoKey | Self::NotAllowed(_) => exit::NOT_ALLOWED,
            Self::Refused(status) => of_status(status.code()),
            Self::Mistakes(_) => exit::REFUSED,
            Self::File { .. } | Self::Config(_) | Self::Usage(_) => exit::USAGE,
            Self::Failed(_) | Self::Node(_) => exit::FAILED,
            Self::Output(_) | Self::Lacking(_) => exit::INTERNAL,
        }
    }

    /// Whether the reader of our output went away, which is nobody's failure.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

fn of_status(code: Code) -> u8 {
    match code {
        Code::Ok => 0,
        Code::InvalidArgument | Code::AlreadyExists | Code::FailedPrecondition | Code::Aborted | Code::OutOfRange => {
            exit::REFUSED
        }
        Code::NotFound => exit::NOT_FOUND,
        Code::Unauthenticated | Code::PermissionDenied => exit::NOT_ALLOWED,
        Code::Unavailable | Code::Cancelled => exit::UNREACHABLE,
        Code::ResourceExhausted | Code::DeadlineExceeded => exit::LATER,
        Code::Unknown | Code::Unimplemented | Code::Internal | Code::DataLoss => exit::INTERNAL,
    }
}

/// A status in words: the message, then each field that was wrong, then when to try again.
fn explain(status: &Status) -> String {
    let mut text = status.message().to_owned();
    if text.is_empty() {
        text = format!("the node answered {:?} without a word", status.code());
    }
    let Ok(told) = rpc::Status::decode(status.details()) else { return text };
    for detail in &told.details {
        match detail.type_url.rsplit('/').next() {
            Some("google.rpc.BadRequest") => add_fields(&mut text, &detail.value),
            Some("google.rpc.RetryInfo") => add_retry(&mut text, &detail.value),
            _ => {}
        }
    }
    text
}

fn add_fields(text: &mut String, detail: &[u8]) {
    let Ok(bad) = rpc::BadRequest::decode(detail) else { return };
    for violation in bad.field_violations {
        // One violation often is the message itself.
        if !text.contains(&violation.description) {
            text.push_str(&format!("\n  {}: {}", violation.field, violation.description));
        }
    }
}

fn add_retry(text: &mut String, detail: &[u8]) {
    let Ok(info) = rpc::RetryInfo::decode(detail) else { return };
    let delay = info.retry_delay.and_then(|delay| Duration::try_from(delay).ok()).unwrap_or_default();
    if delay.is_zero() {
        text.push_str("\n  it may be tried again at once");
    } else {
        text.push_str(&format!("\n  try again in {}", super::output::duration(delay)));
    }
}

/// Mistakes as compilers tell them.
pub(crate) fn mistakes(found: &[v1::Mistake]) -> String {
    let mut text = String::new();
    for mistake in found {
        if mistake.line == 0 {
            text.push_str(&format!("{}: {}\n", mistake.file, mistake.message));
        } else {
            text.push_str(&format!("{}:{}:{}: {}\n", mistake.file, mistake.line, mistake.column, mistake.message));
        }
        if !mistake.help.is_empty() {
            text.push_str(&format!("  help: {}\n", mistake.help));
        }
    }
    let count = found.len();
    text.push_str(&format!("{count} mistake{}", if count == 1 { "" } else { "s" }));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(details: Vec<prost_types::Any>) -> Failure {
        let told = rpc::Status { code: 3, message: String::new(), details };
        Status::with_details(Code::InvalidArgument, "`page_size`: too large (GTW-0001)", told.encode_to_vec().into())
            .into()
    }

    fn any(name: &str, message: &impl Message) -> prost_types::Any {
        prost_types::Any { type_url: format!("type.googleapis.com/google.rpc.{name}"), value: message.encode_to_vec() }
    }

    #[test]
    fn a_refusal_names_its_fields_and_when_to_come_back() {
        let field = |field: &str, description: &str| rpc::bad_request::FieldViolation {
            field: field.to_owned(),
            description: description.to_owned(),
            ..Default::default()
        };
        let violations = vec![field("page_size", "too large"), field("filter", "no such field")];
        let failure = refused(vec![
            any("BadRequest", &rpc::BadRequest { field_violations: violations }),
            any("RetryInfo", &rpc::RetryInfo { retry_delay: Some(prost_types::Duration { seconds: 2, nanos: 0 }) }),
            any("SomethingNew", &rpc::RetryInfo::default()),
        ]);
        assert_eq!(failure.exit(), exit::REFUSED);
        insta::assert_snapshot!(failure, @r"
        `page_size`: too large (GTW-0001)
          filter: no such field
          try again in 2s
        ");
    }

    #[test]
    fn every_sort_of_no_has_its_exit_code() {
        for (code, expected) in [
            (Code::NotFound, 4),
            (Code::Unauthenticated, 5),
            (Code::PermissionDenied, 5),
            (Code::Unavailable, 6),
            (Code::ResourceExhausted, 7),
            (Code::Internal, 70),
            (Code::FailedPrecondition, 3),
        ] {
            assert_eq!(Failure::from(Status::new(code, "x")).exit(), expected, "{code:?}");
        }
        assert_eq!(Failure::NoNode("x".into()).exit(), 6);
        assert_eq!(Failure::NoKey.exit(), 5);
    }

    #[test]
    fn mistakes_read_like_a_compilers() {
        let mistake = |line, help: &str| v1::Mistake {
            file: "flow.yaml".to_owned(),
            line,
            column: 3,
            message: "unknown key `need`".to_owned(),
            help: help.to_owned(),
        };
        insta::assert_snapshot!(mistakes(&[mistake(4, "did you mean `needs`?"), mistake(0, "")]), @r"
        flow.yaml:4:3: unknown key `need`
          help: did you mean `needs`?
        flow.yaml: unknown key `need`
        2 mistakes
        ");
    }
}
