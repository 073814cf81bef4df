//! From text to a checked definition.

use std::{collections::BTreeMap, sync::Arc};

use mesh_kernel::ports::Digest;
use mesh_proto::v1::WorkflowDefinition;
use mesh_skills::yaml::{self, Mistake, Node};
use prost_reflect::DynamicMessage;
use serde_json::Value;

use super::{descriptor, digest, form};
use crate::plan::{self, Fault, Plan};

/// What is known of the world that a definition calls into. Nothing is checked that is not said.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The skills by name, each with the JSON Schema of its input.
    pub skills: Option<BTreeMap<String, Value>>,
}

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

/// What reading gave: the message as far as it could be read, and mistakes of form.
pub(super) struct Read {
    pub(super) definition: WorkflowDefinition,
    pub(super) tree: Node,
    pub(super) mistakes: Vec<Mistake>,
    pointers: Vec<String>,
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

/// Reads a definition as far as its form allows.
fn read(source: &str, file: Option<&str>) -> Result<Read, Vec<Mistake>> {
    let node = yaml::parse(source).map_err(|mistake| vec![in_file(mistake, file)])?;
    read_node(&node, file)
}

/// The same from a tree.
pub(super) fn read_node(node: &Node, file: Option<&str>) -> Result<Read, Vec<Mistake>> {
    let wrong = |message: String| vec![in_file(Mistake::new(node.span, message), file)];
    let descriptor = descriptor().ok_or_else(|| wrong("the contract lacks `mesh.v1.WorkflowDefinition`".to_owned()))?;
    let formed = form::form(node, &descriptor);
    let message =
        DynamicMessage::deserialize(descriptor, formed.tree.to_json()).map_err(|error| wrong(error.to_string()))?;
    let definition = message.transcode_to::<WorkflowDefinition>().map_err(|error| wrong(error.to_string()))?;
    let (pointers, mistakes) =
        formed.mistakes.into_iter().map(|(pointer, mistake)| (pointer, in_file(mistake, file))).unzip();
    Ok(Read { definition, tree: formed.tree, mistakes, pointers })
}

fn in_file(mistake: Mistake, file: Option<&str>) -> Mistake {
    match file {
        Some(file) => mistake.in_file(file),
        None => mistake,
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
