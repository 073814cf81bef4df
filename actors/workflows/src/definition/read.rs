//! From text to a checked definition.

use std::sync::Arc;

use mesh_kernel::ports::Digest;
use mesh_proto::v1::WorkflowDefinition;
use mesh_skills::yaml::{Mistake, Node};

use crate::{
    form::{digest, in_file, read},
    plan::{self, Fault, Known, Plan},
};

/// A definition without mistakes.
#[derive(Debug, Clone)]
pub struct Definition {
    /// The message.
    pub message: WorkflowDefinition,
    /// What names this version.
    pub digest: Digest,
    /// The compiled form.
    pub plan: Arc<Plan>,
}

/// Reads and checks a definition written in YAML or JSON.
///
/// # Errors
/// Every mistake at once, in the order of the text, each with its place.
pub fn parse(source: &str, file: Option<&str>, known: &Known) -> Result<Definition, Vec<Mistake>> {
    let read = read(source, file)?;
    let mut mistakes = read.mistakes.clone();
    let compiled = plan::compile(&read.definition);
    let mut faults = match &compiled {
        Ok(_) => Vec::new(),
        Err(faults) => faults.clone(),
    };
    faults.extend(plan::check_known(&read.definition, known));
    let told = faults.iter().filter(|fault| !follows_from(&read.pointers, &fault.pointer));
    mistakes.extend(told.map(|fault| place(&read.tree, fault, file)));
    mistakes.sort();
    mistakes.dedup();
    match compiled {
        Ok(plan) if mistakes.is_empty() => {
            Ok(Definition { digest: digest(&read.definition), message: read.definition, plan: Arc::new(plan) })
        }
        _ => Err(mistakes),
    }
}

/// Checks a definition that came as a message.
///
/// # Errors
/// Every fault at once, each with the JSON pointer of the field that is wrong.
pub fn validate(message: &WorkflowDefinition, known: &Known) -> Result<Definition, Vec<Fault>> {
    let compiled = plan::compile(message);
    let more = plan::check_known(message, known);
    match compiled {
        Ok(plan) if more.is_empty() => {
            Ok(Definition { digest: digest(message), message: message.clone(), plan: Arc::new(plan) })
        }
        Ok(_) => Err(more),
        Err(mut faults) => {
            faults.extend(more);
            Err(faults)
        }
    }
}

/// Whether a fault may be only the echo of a mistake of form at or below the same place.
fn follows_from(pointers: &[String], fault: &str) -> bool {
    pointers.iter().any(|pointer| {
        let below = pointer.strip_prefix(fault).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let above = fault.strip_prefix(pointer.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        below || above
    })
}

fn place(tree: &Node, fault: &Fault, file: Option<&str>) -> Mistake {
    let mistake = Mistake::new(tree.nearest(&fault.pointer).span, fault.message.clone());
    let mistake = match &fault.help {
        Some(help) => mistake.with_help(help.clone()),
        None => mistake,
    };
    in_file(mistake, file)
}
