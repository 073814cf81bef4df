//! `mesh skills describe`: what a skill says of itself, for people.

use clap::Args;
use mesh_proto::v1::{self, skill_example::Gives as Told};
use mesh_workflows::form::value_to_json;

use super::{effect, get, hosted, pretty, within};
use crate::cli::{
    Failure,
    context::Context,
    output::{clean, duration, label, or_dash},
};

/// What `mesh skills describe` takes.
#[derive(Debug, Args)]
pub(crate) struct Describe {
    /// The skill
    #[arg(value_name = "SKILL")]
    name: String,
}

pub(super) async fn describe(args: Describe, context: Context) -> Result<(), Failure> {
    let skill = get(context.link().await?, args.name).await?;
    if context.out.is_json() {
        return context.out.json("Skill", &skill);
    }
    for line in described(&skill) {
        context.out.line(line)?;
    }
    Ok(())
}

/// Whether it may be used, and who does.
fn standing(skill: &v1::Skill) -> Vec<String> {
    let said = [("withdrawn", &skill.withdrawn), ("deprecated", &skill.deprecated)];
    let said = said.iter().filter(|(_, why)| !why.is_empty());
    let mut lines: Vec<String> = said.map(|(what, why)| format!("{what:<12} {}", clean(why))).collect();
    lines.extend(skill.breakers.iter().map(breaker));
    let users: Vec<String> = skill.used_by.iter().map(|it| format!("{}@{}", it.definition, it.version)).collect();
    lines.push(format!("used by      {}", clean(or_dash(&users.join(", ")))));
    lines
}

/// What keeps calls from it, and for how long.
fn breaker(breaker: &v1::SkillBreaker) -> String {
    let mut line = format!("breaker      {} of {}", breaker.state, breaker.before);
    if let Some(since) = breaker.open_time {
        line.push_str(&format!(" since {since}"));
    }
    if let Some(tried) = breaker.retry_time {
        line.push_str(&format!(", tried again at {tried}"));
    }
    if breaker.failures > 0 {
        line.push_str(&format!(", after {} failures in a row; the last: {}", breaker.failures, breaker.last_failure));
    }
    clean(&line)
}

/// What it gives to be read.
fn instructions(skill: &v1::Skill) -> Vec<String> {
    let Some(given) = &skill.instructions else { return Vec::new() };
    let beside =
        [("license", &given.license), ("works with", &given.compatibility), ("counts on", &given.allowed_tools)];
    let beside = beside.iter().filter(|(_, text)| !text.is_empty());
    let beside = beside.map(|(what, text)| format!("{what:<12} {}", clean(text)));
    let text = given.text.lines().map(clean);
    beside.chain(["\ninstructions".to_owned()]).chain(text).collect()
}

fn described(skill: &v1::Skill) -> Vec<String> {
    let list = |names: &[String]| clean(or_dash(&names.join(", ")));
    let mut lines = vec![
        format!("skill        {}@{}", clean(&skill.name), clean(&skill.version)),
        format!("what it does {}", clean(&skill.description)),
        format!("effect       {}", effect(skill)),
        format!("within       {}", within(skill)),
        format!("may fail     {}", list(&skill.failure_classes)),
        format!("needs        {}", list(&skill.permissions)),
        format!("host         {}", hosted(skill)),
    ];
    if let Some(tool) = &skill.mcp {
        lines.push(format!("tool         {} of the MCP server {}", clean(&tool.tool), clean(&tool.server)));
        lines.push(format!("pin          {}", clean(&tool.pin)));
        lines.push(format!("hints        {} (not believed)", clean(or_dash(&tool.hints.join(", ")))));
    }
    lines.extend(reach(skill));
    lines.extend(standing(skill));
    lines.extend(instructions(skill));
    let schema = |value: Option<&prost_types::Value>| pretty(&value.map(value_to_json).unwrap_or_default());
    lines.extend(["\ninput".to_owned(), schema(skill.input_schema.as_ref())]);
    lines.extend(["\noutput".to_owned(), schema(skill.output_schema.as_ref())]);
    for example in &skill.examples {
        let input = example.input.as_ref().map(value_to_json).unwrap_or_default();
        let gives = match &example.gives {
            Some(Told::Output(output)) => value_to_json(output).to_string(),
            Some(Told::FailureClass(class)) => format!("a failure of class {class}"),
            None => "nothing that is told".to_owned(),
        };
        lines.push(clean(&format!("example: {}", example.title)));
        lines.push(format!("  {input}"));
        lines.push(format!("  gives {gives}"));
    }
    let first = lines.iter().position(|line| line.starts_with("example: "));
    if let Some(line) = first.and_then(|at| lines.get_mut(at)) {
        line.insert(0, '\n');
    }
    lines
}

/// How far it reaches, as far as it says more than others.
fn reach(skill: &v1::Skill) -> Vec<String> {
    let mut lines = vec![
        format!("category     {}", clean(or_dash(&skill.category))),
        format!("may be given {} at most", label(skill.ceiling().as_str_name(), "CLASSIFICATION_")),
    ];
    if skill.accepts() == v1::SkillAccepts::Tainted {
        lines.push("accepts      what came in from outside".to_owned());
    }
    let far = skill.mcp.is_some() || skill.permissions.iter().any(|permission| permission == "network");
    if skill.returns() == v1::SkillReturns::Tainted || (far && skill.returns() == v1::SkillReturns::Unspecified) {
        lines.push("returns      what may have been written outside".to_owned());
    }
    if !skill.hosts.is_empty() {
        lines.push(format!("reaches      {} (declared)", clean(&skill.hosts.join(", "))));
    }
    for scope in &skill.files {
        let verb = if scope.write { "writes" } else { "reads" };
        lines.push(format!("{verb:<12} {} (declared)", clean(&scope.path)));
    }
    let resources = skill.resources.unwrap_or_default();
    if resources.concurrent_max > 0 {
        lines.push(format!("at once      {}", resources.concurrent_max));
    }
    if let Some(rate) = resources.rate {
        let per = rate.per.and_then(|per| per.try_into().ok()).map(duration).unwrap_or_default();
        let burst = if rate.burst > 0 { format!(", {} at once", rate.burst) } else { String::new() };
        lines.push(format!("rate         {} in {per}{burst}", rate.calls));
    }
    if resources.memory_max > 0 {
        lines.push(format!("memory       {} bytes (declared)", resources.memory_max));
    }
    for failure in &skill.failures {
        let told = format!("{} ({}): {}", failure.code, failure.failure_class, failure.description);
        lines.push(format!("fails with   {}", clean(&told)));
    }
    lines
}
