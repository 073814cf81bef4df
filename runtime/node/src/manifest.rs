//! What a skill says of itself, as the contract spells it: what lists show, and what is registered from files.

use mesh_proto::v1::{self, SkillEffect, mcp_server::Transport, skill_example::Gives as Told};
use mesh_skills::contract::{
    Accepts, Ceiling, Effect, Example, FailureClass, FailureCode, FileScope, Gives, Instructions, Manifest,
    McpDeclaration, McpTerms, McpTool, McpTransport, Rate, Returns,
};
use mesh_workflows::form::to_value;
use serde_json::Value;

/// A skill of the node's own, as lists show it: without schemas and examples.
pub(crate) fn brief(manifest: &Manifest) -> v1::Skill {
    v1::Skill {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        category: manifest.category().to_owned(),
        description: manifest.description.clone(),
        effect: effect(manifest.effect).into(),
        timeout: manifest.timeout.try_into().ok(),
        failure_classes: manifest.failures.iter().map(FailureClass::to_string).collect(),
        permissions: manifest.permissions.iter().map(|permission| permission.as_str().to_owned()).collect(),
        host: "native".to_owned(),
        hosts: manifest.hosts.clone(),
        files: manifest.files.iter().map(scope).collect(),
        ceiling: ceiling(manifest.ceiling).into(),
        accepts: accepts(manifest.accepts).into(),
        returns: manifest.returns.map(returns).unwrap_or_default().into(),
        failures: manifest.failure_codes.iter().map(failure).collect(),
        resources: Some(v1::SkillResources {
            memory_max: manifest.resources.memory_max.unwrap_or_default(),
            concurrent_max: manifest.resources.concurrent_max.unwrap_or_default(),
            rate: manifest.resources.rate.map(rate),
        }),
        mcp: manifest.mcp.as_deref().map(tool),
        ..Default::default()
    }
}

fn tool(tool: &McpTool) -> v1::McpTool {
    let hints = tool.definition.get("annotations").and_then(Value::as_object).into_iter().flatten();
    v1::McpTool {
        server: tool.server.name.clone(),
        tool: tool.name.clone(),
        pin: tool.pin.to_string(),
        list_pin: tool.list_pin.to_string(),
        hints: hints.filter(|(_, said)| **said == Value::Bool(true)).map(|(name, _)| name.clone()).collect(),
    }
}

/// An MCP server, as it is registered.
pub(crate) fn server(declared: &McpDeclaration) -> v1::McpServer {
    let transport = match declared.server.transport.clone() {
        McpTransport::Stdio { command, args, env } => {
            Transport::Stdio(v1::McpStdio { command, args, env: env.into_iter().collect() })
        }
        McpTransport::Http { url, headers } => {
            Transport::Http(v1::McpHttp { url, headers: headers.into_iter().collect() })
        }
    };
    v1::McpServer {
        name: declared.server.name.clone(),
        version: declared.version.clone(),
        transport: Some(transport),
        defaults: Some(terms(&declared.defaults)),
        tools: declared.tools.iter().map(|(name, said)| (name.clone(), terms(said))).collect(),
        pin: declared.pin.clone().unwrap_or_default(),
    }
}

fn terms(said: &McpTerms) -> v1::McpTerms {
    let permissions = said.permissions.iter().flatten();
    v1::McpTerms {
        called: said.called.clone().unwrap_or_default(),
        effect: said.effect.map(effect).unwrap_or_default().into(),
        timeout: said.timeout.and_then(|time| time.try_into().ok()),
        category: said.category.clone().unwrap_or_default(),
        permissions: permissions.map(|permission| permission.as_str().to_owned()).collect(),
        ceiling: said.ceiling.map(ceiling).unwrap_or_default().into(),
        accepts: said.accepts.map(accepts).unwrap_or_default().into(),
    }
}

fn rate(rate: Rate) -> v1::SkillRate {
    v1::SkillRate { calls: rate.calls, per: rate.per.try_into().ok(), burst: rate.burst.unwrap_or_default() }
}

fn scope(scope: &FileScope) -> v1::SkillFileScope {
    v1::SkillFileScope { path: scope.path.clone(), write: scope.write }
}

fn failure(failure: &FailureCode) -> v1::SkillFailure {
    v1::SkillFailure {
        code: failure.code.clone(),
        failure_class: failure.class.to_string(),
        description: failure.description.clone(),
    }
}

fn ceiling(ceiling: Ceiling) -> v1::Classification {
    match ceiling {
        Ceiling::Public => v1::Classification::Public,
        Ceiling::Internal => v1::Classification::Internal,
        Ceiling::Confidential => v1::Classification::Confidential,
        Ceiling::Restricted => v1::Classification::Restricted,
    }
}

fn accepts(accepts: Accepts) -> v1::SkillAccepts {
    match accepts {
        Accepts::Trusted => v1::SkillAccepts::Trusted,
        Accepts::Tainted => v1::SkillAccepts::Tainted,
    }
}

fn returns(returns: Returns) -> v1::SkillReturns {
    match returns {
        Returns::Trusted => v1::SkillReturns::Trusted,
        Returns::Tainted => v1::SkillReturns::Tainted,
    }
}

/// The same with its schemas and examples.
pub(crate) fn whole(brief: v1::Skill, manifest: &Manifest) -> v1::Skill {
    v1::Skill {
        input_schema: Some(to_value(&manifest.input)),
        output_schema: Some(to_value(&manifest.output)),
        examples: manifest.examples.iter().map(example).collect(),
        instructions: manifest.instructions.as_ref().map(instructions),
        ..brief
    }
}

fn instructions(given: &Instructions) -> v1::SkillInstructions {
    v1::SkillInstructions {
        text: given.text.clone(),
        license: given.license.clone().unwrap_or_default(),
        compatibility: given.compatibility.clone().unwrap_or_default(),
        allowed_tools: given.allowed_tools.clone().unwrap_or_default(),
        metadata: given.metadata.clone().into_iter().collect(),
    }
}

fn effect(effect: Effect) -> SkillEffect {
    match effect {
        Effect::Pure => SkillEffect::Pure,
        Effect::Idempotent => SkillEffect::Idempotent,
        Effect::AtLeastOnce => SkillEffect::AtLeastOnce,
    }
}

fn example(example: &Example) -> v1::SkillExample {
    let gives = match &example.gives {
        Gives::Output(output) => Told::Output(to_value(output)),
        Gives::Failure(class) => Told::FailureClass(class.to_string()),
    };
    v1::SkillExample {
        title: example.title.clone(),
        input: Some(to_value(&example.input)),
        gives: Some(gives),
        alone: example.alone,
    }
}
