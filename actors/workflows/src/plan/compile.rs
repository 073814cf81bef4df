//! From the message to a plan, with every fault on the way.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use mesh_proto::v1::{Concurrency, WorkflowDefinition};
use mesh_skills::yaml::suggest;
use serde_json::Value;

use super::{ConcurrencyPlan, Fault, Flow, Plan, STEPS_MAX, StepIndex, duration::duration, graph::Graph, step};
use crate::{
    expression::{Reads, Template},
    form::struct_to_json,
};

/// Compiles a definition.
///
/// # Errors
/// Every fault at once.
///
/// **Cost** grows with the number of expressions, and with the square of the number of steps over 64.
pub fn compile(definition: &WorkflowDefinition) -> Result<Plan, Vec<Fault>> {
    let mut faults = Vec::new();
    check_name(&definition.name, &mut faults);
    let index = index(definition, &mut faults);
    let needs = needs(definition, &index, &mut faults);
    let ids: Vec<&str> = definition.steps.iter().map(|step| step.id.as_str()).collect();
    let graph = Graph::new(&needs, &ids).map_err(|circles| faults.extend(circles)).ok();

    let mut steps = Vec::with_capacity(definition.steps.len());
    for (at, message) in definition.steps.iter().enumerate() {
        let mut context = step::Context::new(at, &mut faults);
        let mut step = step::compile(message, needs.get(at).cloned().unwrap_or_default(), &mut context);
        let reads = context.reads;
        check_reads(&reads, at, definition, &index, graph.as_ref(), &mut faults);
        if let Some(step) = &mut step {
            step.flow = flow(&reads, at, &index);
        }
        steps.extend(step);
    }
    let outputs = outputs(definition, &index, &mut faults);
    let concurrency = concurrency(definition.concurrency.as_ref(), &mut faults);
    let input_schema = schema(definition.input_schema.as_ref(), "/inputSchema", &mut faults);
    let timeout = duration(definition.timeout.as_ref(), "/timeout", &mut faults);
    let output_schema = schema(definition.output_schema.as_ref(), "/outputSchema", &mut faults);
    if !faults.is_empty() || steps.len() != definition.steps.len() {
        return Err(faults);
    }
    link(&mut steps);
    let roots = (0..).zip(&steps).filter(|(_, step)| step.needs.is_empty()).map(|(at, _)| at).collect();
    Ok(Plan {
        name: Arc::from(definition.name.as_str()),
        index: index.into_iter().map(|(id, at)| (Arc::from(id), at)).collect(),
        roots,
        steps,
        outputs,
        input_schema,
        output_schema,
        concurrency,
        timeout,
    })
}

fn check_name(name: &str, faults: &mut Vec<Fault>) {
    let shape = name.len() <= 100
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'));
    if name.is_empty() {
        faults.push(Fault::new("/name", "the definition has no name").help("add `name: my-workflow`"));
    } else if !shape {
        faults.push(
            Fault::new("/name", format!("`{name}` cannot be a definition's name"))
                .help("up to 100 lower-case letters, digits, `-` and `.`, beginning with a letter"),
        );
    }
}

fn index<'d>(definition: &'d WorkflowDefinition, faults: &mut Vec<Fault>) -> HashMap<&'d str, StepIndex> {
    let mut index = HashMap::with_capacity(definition.steps.len());
    if definition.steps.is_empty() {
        faults.push(Fault::new("/steps", "there are no steps").help("add `steps:` with at least one step"));
    }
    if definition.steps.len() > STEPS_MAX {
        let message = format!("{} steps; at most {STEPS_MAX} are taken", definition.steps.len());
        faults.push(Fault::new("/steps", message).help("use a for-each step or sub-workflows"));
    }
    for (at, step) in (0..).zip(&definition.steps) {
        let pointer = format!("/steps/{at}/id");
        let id = step.id.as_str();
        if id.is_empty() {
            faults.push(Fault::new(pointer, "a step has no `id`").help("add `id: my-step`"));
        } else if !is_id(id) {
            faults.push(
                Fault::new(pointer, format!("`{id}` cannot be a step's id"))
                    .help("up to 64 letters, digits, `_` and `-`, beginning with a letter"),
            );
        } else if let Some(first) = index.insert(id, at) {
            let message = format!("`{id}` is the id of step {} already", first + 1);
            faults.push(Fault::new(pointer, message).help("give each step an id of its own"));
        }
    }
    index
}

fn is_id(id: &str) -> bool {
    id.len() <= 64
        && id.starts_with(|c: char| c.is_ascii_alphabetic())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

fn needs(
    definition: &WorkflowDefinition,
    index: &HashMap<&str, StepIndex>,
    faults: &mut Vec<Fault>,
) -> Vec<Vec<StepIndex>> {
    let mut all = Vec::with_capacity(definition.steps.len());
    for (at, step) in definition.steps.iter().enumerate() {
        let mut needs: Vec<StepIndex> = Vec::with_capacity(step.needs.len());
        for (place, need) in step.needs.iter().enumerate() {
            let pointer = format!("/steps/{at}/needs/{place}");
            match index.get(need.as_str()) {
                Some(need_at) if needs.contains(need_at) => {
                    faults.push(Fault::new(pointer, format!("`{need}` is needed twice")).help("remove one"));
                }
                Some(need_at) => needs.push(*need_at),
                None => faults.push(unknown_step(pointer, need, index)),
            }
        }
        all.push(needs);
    }
    all
}

fn unknown_step(pointer: String, id: &str, index: &HashMap<&str, StepIndex>) -> Fault {
    let mut ids: Vec<&&str> = index.keys().collect();
    ids.sort();
    let fault = Fault::new(pointer, format!("there is no step `{id}`"));
    match suggest(id, &ids) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => fault.help("name a step of this definition"),
    }
}

/// A step may read only what has ended for certain when it begins.
fn check_reads(
    reads: &[(String, Reads)],
    at: usize,
    definition: &WorkflowDefinition,
    index: &HashMap<&str, StepIndex>,
    graph: Option<&Graph>,
    faults: &mut Vec<Fault>,
) {
    let id = definition.steps.get(at).map_or("", |step| step.id.as_str());
    let mut told: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (pointer, reads) in reads {
        for other in &reads.steps {
            let Some(other_at) = index.get(other.as_str()) else {
                faults.push(unknown_step(pointer.clone(), other, index));
                continue;
            };
            let reached = graph.is_none_or(|graph| graph.needs(at, *other_at));
            if !reached && told.insert((pointer, other)) {
                faults.push(
                    Fault::new(pointer.clone(), format!("`{id}` reads `steps.{other}`, which it does not need"))
                        .help(format!("add `{other}` to the needs of `{id}`")),
                );
            }
        }
    }
}

/// Whose outputs go into what a step calls.
fn flow(reads: &[(String, Reads)], at: usize, index: &HashMap<&str, StepIndex>) -> Flow {
    // What people are asked and what undoes a step is no input of its; a condition passes nothing on.
    let others = ["when", "approval", "compensate"].map(|field| format!("/steps/{at}/{field}"));
    let own = || reads.iter().filter(|(pointer, _)| !others.iter().any(|other| pointer.starts_with(other)));
    let steps: BTreeSet<StepIndex> =
        own().flat_map(|(_, reads)| &reads.steps).filter_map(|id| index.get(id.as_str()).copied()).collect();
    Flow { steps: steps.into_iter().collect(), input: own().any(|(_, reads)| reads.input) }
}

fn outputs(
    definition: &WorkflowDefinition,
    index: &HashMap<&str, StepIndex>,
    faults: &mut Vec<Fault>,
) -> Option<Template> {
    let value = struct_to_json(definition.outputs.as_ref()?);
    let template = template(&value, "/outputs", faults)?;
    template.each_read(&mut |place, reads| {
        let pointer = format!("/outputs{place}");
        for id in reads.steps.iter().filter(|id| !index.contains_key(id.as_str())) {
            faults.push(unknown_step(pointer.clone(), id, index));
        }
        forbid_item(reads, &pointer, faults);
    });
    Some(template)
}

fn concurrency(concurrency: Option<&Concurrency>, faults: &mut Vec<Fault>) -> Option<ConcurrencyPlan> {
    let concurrency = concurrency?;
    if concurrency.limit == 0 {
        faults.push(Fault::new("/concurrency/limit", "a limit of 0 would let no run begin").help("write at least 1"));
    }
    let key = template(&Value::String(concurrency.key.clone()), "/concurrency/key", faults)?;
    key.each_read(&mut |_, reads| {
        forbid_item(reads, "/concurrency/key", faults);
        if !reads.steps.is_empty() {
            faults.push(
                Fault::new("/concurrency/key", "the key is made before any step has run").help("read `input` only"),
            );
        }
    });
    Some(ConcurrencyPlan { limit: concurrency.limit, key })
}

pub(super) fn forbid_item(reads: &Reads, at: &str, faults: &mut Vec<Fault>) {
    if reads.item {
        faults.push(
            Fault::new(at, "`item` and `index` are known only within a for-each step").help("read `input` or `steps`"),
        );
    }
    if reads.output {
        faults.push(Fault::new(at, "`output` is known only within `compensate`").help("read `steps.ID.output`"));
    }
}

/// Compiles a template; its faults are placed below `at`.
pub(super) fn template(value: &Value, at: &str, faults: &mut Vec<Fault>) -> Option<Template> {
    Template::compile(value)
        .map_err(|errors| {
            faults.extend(errors.into_iter().map(|error| Fault {
                pointer: format!("{at}{}", error.pointer),
                help: error.error.help(),
                message: error.error.to_string(),
            }));
        })
        .ok()
}

fn schema(schema: Option<&prost_types::Struct>, at: &str, faults: &mut Vec<Fault>) -> Option<jsonschema::Validator> {
    let schema = struct_to_json(schema?);
    if let Err(error) = jsonschema::meta::validate(&schema) {
        let pointer = format!("{at}{}", error.instance_path());
        faults.push(Fault::new(pointer, format!("this is no JSON Schema: {error}")));
        return None;
    }
    match jsonschema::validator_for(&schema) {
        Ok(validator) => Some(validator),
        Err(error) => {
            faults.push(Fault::new(at, format!("this is no JSON Schema: {error}")));
            None
        }
    }
}

fn link(steps: &mut [super::PlanStep]) {
    let edges: Vec<(StepIndex, StepIndex)> = (0..)
        .zip(steps.iter())
        .flat_map(|(at, step): (StepIndex, _)| step.needs.iter().map(move |need| (*need, at)))
        .collect();
    for (need, at) in edges {
        if let Some(step) = steps.get_mut(need as usize) {
            step.successors.push(at);
        }
    }
}
