//! From text to the message, as far as its form allows.

use mesh_proto::v1::WorkflowDefinition;
use mesh_skills::yaml::{self, Mistake, Node};
use prost_reflect::DynamicMessage;

use super::{descriptor, walk};

/// What reading gave: the message as far as it could be read, and mistakes of form.
pub(crate) struct Read {
    pub(crate) definition: WorkflowDefinition,
    pub(crate) tree: Node,
    pub(crate) mistakes: Vec<Mistake>,
    /// JSON pointers of what is wrong, for each mistake.
    pub(crate) pointers: Vec<String>,
}

/// Reads a definition as far as its form allows.
pub(crate) fn read(source: &str, file: Option<&str>) -> Result<Read, Vec<Mistake>> {
    let node = yaml::parse(source).map_err(|mistake| vec![in_file(mistake, file)])?;
    read_node(&node, file)
}

/// The same from a tree.
pub(super) fn read_node(node: &Node, file: Option<&str>) -> Result<Read, Vec<Mistake>> {
    let wrong = |message: String| vec![in_file(Mistake::new(node.span, message), file)];
    let descriptor = descriptor().ok_or_else(|| wrong("the contract lacks `mesh.v1.WorkflowDefinition`".to_owned()))?;
    let formed = walk::form(node, &descriptor);
    let message =
        DynamicMessage::deserialize(descriptor, formed.tree.to_json()).map_err(|error| wrong(error.to_string()))?;
    let definition = message.transcode_to::<WorkflowDefinition>().map_err(|error| wrong(error.to_string()))?;
    let (pointers, mistakes) =
        formed.mistakes.into_iter().map(|(pointer, mistake)| (pointer, in_file(mistake, file))).unzip();
    Ok(Read { definition, tree: formed.tree, mistakes, pointers })
}

/// The mistake with the name of its file, when there is one.
pub(crate) fn in_file(mistake: Mistake, file: Option<&str>) -> Mistake {
    match file {
        Some(file) => mistake.in_file(file),
        None => mistake,
    }
}
