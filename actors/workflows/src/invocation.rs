//! A skill called by itself, or an agent given one task: a workflow whose one step does it.

use mesh_proto::v1::{AgentStep, Retry, Step, WorkflowDefinition, step::Kind};
use mesh_skills::contract::Manifest;
use prost_types::Duration;
use serde_json::{Value, json};

use crate::form::to_struct;

/// The id of the one step.
pub const STEP: &str = "call";

/// The name of the one output: what the skill gave.
pub const OUTPUT: &str = "output";

/// A workflow that calls the skill with each field of this input, and gives what it gave. It is never
/// published: the run that is made of it keeps it.
///
/// The input is named and not written out, so that what is large in it stays where it was set aside.
pub fn invocation(
    skill: &Manifest,
    input: &Value,
    timeout: Option<Duration>,
    retry: Option<Retry>,
) -> WorkflowDefinition {
    let fields = input.as_object().into_iter().flat_map(|fields| fields.keys());
    let with: Value =
        fields.map(|name| (name.clone(), format!("${{ input[{}] }}", Value::from(name.as_str())))).collect();
    WorkflowDefinition {
        name: format!("invoke.{}", skill.name),
        title: format!("One call of {}", skill.name),
        input_schema: to_struct(&skill.input),
        steps: vec![Step {
            id: STEP.to_owned(),
            kind: Some(Kind::Skill(skill.name.clone())),
            with: to_struct(&with),
            timeout,
            retry,
            ..Step::default()
        }],
        outputs: to_struct(&json!({ OUTPUT: format!("${{ steps.{STEP}.output }}") })),
        ..WorkflowDefinition::default()
    }
}

/// A workflow that gives an agent one task, with `input.goal` and each field of `input.input`, and gives what it gave.
/// It is never published: the run that is made of it keeps it.
pub fn task(agent: &str, version: u32, input: &Value, timeout: Option<Duration>) -> WorkflowDefinition {
    let fields = input.as_object().into_iter().flat_map(|fields| fields.keys());
    let with: Value =
        fields.map(|name| (name.clone(), format!("${{ input.input[{}] }}", Value::from(name.as_str())))).collect();
    WorkflowDefinition {
        name: format!("agent.{agent}"),
        title: format!("One task of {agent}"),
        steps: vec![Step {
            id: STEP.to_owned(),
            kind: Some(Kind::Agent(AgentStep { agent: agent.to_owned(), goal: "${ input.goal }".to_owned(), version })),
            with: to_struct(&with),
            timeout,
            ..Step::default()
        }],
        outputs: to_struct(&json!({ OUTPUT: format!("${{ steps.{STEP}.output }}") })),
        ..WorkflowDefinition::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::definition::{Known, validate};

    #[test]
    fn any_input_becomes_a_definition_without_mistakes() {
        let skill = Manifest::new("text.echo", "");
        let input = json!({ "text": "${ run.id }", "a \"strange' key\\": [1], "großer ${x}": null });
        for input in [input, json!({})] {
            let definition = invocation(&skill, &input, None, None);
            let checked = validate(&definition, &Known::default()).unwrap();
            assert_eq!(checked.message.name, "invoke.text.echo");
            let definition = task("clerk", 2, &input, None);
            assert_eq!(validate(&definition, &Known::default()).unwrap().message.name, "agent.clerk");
        }
    }
}
