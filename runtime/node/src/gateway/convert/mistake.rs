//! Mistakes in texts that people wrote.

use mesh_kernel::envelope::{ErrorKind, Refusal};
use mesh_proto::v1;
use mesh_skills::yaml::Mistake;

/// The message.
pub(in crate::gateway) fn message(mistake: &Mistake) -> v1::Mistake {
    v1::Mistake {
        file: mistake.file.clone().unwrap_or_default(),
        line: mistake.line,
        column: mistake.column,
        message: mistake.message.clone(),
        help: mistake.help.clone().unwrap_or_default(),
    }
}

/// A refusal because of mistakes, each as a violation of `field`.
pub(in crate::gateway) fn refused(code: &str, field: &str, what: &str, mistakes: &[Mistake]) -> Refusal {
    let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
    let message = match mistakes.len() {
        1 => format!("{what} has a mistake: {first}"),
        count => format!("{what} has {count} mistakes, the first: {first}"),
    };
    mistakes.iter().fold(Refusal::new(code, ErrorKind::InvalidArgument, message), |refusal, mistake| {
        refusal.at(field, mistake.to_string())
    })
}
