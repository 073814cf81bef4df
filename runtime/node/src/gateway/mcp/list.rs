//! Which tools a caller has: skills and workflows that it may run, and a way to ask what became of a run.

use std::sync::Arc;

use mesh_kernel::{envelope::Refusal, path::Caller};
use mesh_proto::v1::{self, workflow_service_server::WorkflowService as _};
use mesh_skills::contract::{Effect, Manifest, Permission};
use mesh_workflows::definition::to_json;
use rmcp::{
    ErrorData,
    model::{CacheScope, JsonObject, ListToolsResult, Tool, ToolAnnotations},
};
use serde_json::{Value, json};
use tonic::{Request, Status};

use crate::gateway::{GatewayState, workflows::Workflows};

/// Skills on a page.
const SKILLS_MAX: usize = 100;

/// Workflows on a page, each of which is read by itself.
const WORKFLOWS_MAX: i32 = 25;

/// Begins the name of a tool that is a workflow. No skill's name begins so, for none has an empty part.
const WORKFLOW: &str = "workflow__";

/// The tool that asks what became of a run.
const RUN: &str = "run__get";

/// What the policy is asked of whoever would call.
const ACTION: &str = "SubmitRun";

/// What a tool stands for.
pub(super) enum Target {
    Skill(String),
    Workflow(String),
    Run,
}

/// What the tool of this name stands for. Skills have dots where tools have underscores.
pub(super) fn target(tool: &str) -> Target {
    match tool.strip_prefix(WORKFLOW) {
        Some(name) => Target::Workflow(name.to_owned()),
        None if tool == RUN => Target::Run,
        None => Target::Skill(tool.replace('_', ".")),
    }
}

/// A page of tools: skills first, then workflows.
///
/// # Errors
/// What the contract refuses.
pub(super) async fn page(
    state: &GatewayState,
    caller: &Caller,
    cursor: Option<String>,
) -> Result<ListToolsResult, ErrorData> {
    let (tools, next) = match cursor.as_deref().map(|cursor| cursor.split_once(':')) {
        None => first(state, caller).await.map_err(|refusal| told(&refusal))?,
        Some(Some(("skill", after))) => skills(state, caller, after).await.map_err(|refusal| told(&refusal))?,
        Some(Some(("workflow", token))) => workflows(state, caller, token).await.map_err(|status| refused(&status))?,
        Some(_) => return Err(ErrorData::invalid_params("this cursor is none of ours: begin without one", None)),
    };
    let mut page = ListToolsResult::with_all_items(tools);
    page.next_cursor = next;
    // What a tenant has registered may be another thing in a moment, and is nobody else's.
    page.ttl_ms = Some(0);
    page.cache_scope = Some(CacheScope::Private);
    Ok(page)
}

/// A page, and where the next one begins.
type Page = (Vec<Tool>, Option<String>);

async fn first(state: &GatewayState, caller: &Caller) -> Result<Page, Refusal> {
    state.mesh.admit_read(caller, "ListSkills")?;
    if !state.mesh.may(caller, ACTION) {
        return Ok((vec![asks_for_runs()], None));
    }
    let (mut tools, next) = skills(state, caller, "").await?;
    tools.push(asks_for_runs());
    Ok((tools, next))
}

async fn skills(state: &GatewayState, caller: &Caller, after: &str) -> Result<Page, Refusal> {
    state.mesh.admit_read(caller, "ListSkills")?;
    let manifests = state.skills.manifests(caller).await?;
    let mut rest = manifests.into_iter().filter(|(name, _)| name.as_str() > after).peekable();
    let page: Vec<_> = rest.by_ref().take(SKILLS_MAX).collect();
    let last = page.last().map(|(name, _)| name.clone()).unwrap_or_default();
    let next = if rest.peek().is_some() { format!("skill:{last}") } else { "workflow:".to_owned() };
    Ok((page.iter().map(|(_, manifest)| skill(manifest)).collect(), Some(next)))
}

fn skill(manifest: &Manifest) -> Tool {
    let output = is_of_objects(&manifest.output).then(|| object(&manifest.output));
    let name = manifest.name.replace('.', "_");
    let mut tool = Tool::new(name, manifest.description.clone(), object(&manifest.input));
    tool.output_schema = output;
    let is_pure = manifest.effect == Effect::Pure;
    tool.annotate(
        ToolAnnotations::with_title(manifest.name.clone())
            .read_only(is_pure)
            .destructive(!is_pure)
            .idempotent(manifest.effect != Effect::AtLeastOnce)
            .open_world(manifest.permissions.contains(&Permission::Network)),
    )
}

async fn workflows(state: &GatewayState, caller: &Caller, token: &str) -> Result<Page, Status> {
    let service = Workflows(state.clone());
    let request =
        v1::ListDefinitionsRequest { page_size: WORKFLOWS_MAX, page_token: token.to_owned(), ..Default::default() };
    let answer = service.list_definitions(from(caller, request)).await?.into_inner();
    let mut tools = Vec::with_capacity(answer.definitions.len());
    for row in answer.definitions {
        let request = v1::GetDefinitionRequest { name: row.name.clone(), version: row.version };
        let found = service.get_definition(from(caller, request)).await?.into_inner().definition;
        let definition = found.and_then(|found| found.definition).map(|it| to_json(&it)).unwrap_or_default();
        tools.push(workflow(&row.name, row.version, &definition));
    }
    let next = Some(answer.next_page_token).filter(|token| !token.is_empty());
    Ok((tools, next.map(|token| format!("workflow:{token}"))))
}

fn workflow(name: &str, version: u32, definition: &Value) -> Tool {
    let text = |key: &str| definition.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let title = text("title").unwrap_or(name);
    let about = text("description").map(|about| format!(" {about}")).unwrap_or_default();
    let description = format!("Runs the workflow `{name}` (version {version}): {title}.{about}");
    let input = definition.get("inputSchema").cloned().unwrap_or(Value::Bool(true));
    let mut tool = Tool::new(format!("{WORKFLOW}{name}"), description, object(&input));
    tool.output_schema = Some(object(&run_schema()));
    tool.annotate(ToolAnnotations::with_title(title).read_only(false))
}

fn asks_for_runs() -> Tool {
    let input = json!({
        "type": "object", "required": ["runId"], "additionalProperties": false,
        "properties": { "runId": { "type": "string", "description": "as a tool has told it" } },
    });
    let mut tool = Tool::new(RUN, "Tells where a run stands and what came of it.", object(&input));
    tool.output_schema = Some(object(&run_schema()));
    tool.annotate(ToolAnnotations::with_title("A run").read_only(true).open_world(false))
}

/// What is told of a run.
fn run_schema() -> Value {
    json!({
        "type": "object",
        "required": ["runId", "state"],
        "properties": {
            "runId": { "type": "string" },
            "state": { "type": "string" },
            "outputs": { "type": "object", "description": "what came of it, once it has succeeded" },
            "failure": { "type": "object", "description": "why it failed" },
        },
    })
}

fn is_of_objects(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "object")
}

/// A schema that takes objects, as the protocol wants it: the skill's own when it is one.
fn object(schema: &Value) -> Arc<JsonObject> {
    let taken = is_of_objects(schema).then(|| schema.as_object().cloned()).flatten();
    Arc::new(taken.unwrap_or_else(|| JsonObject::from_iter([("type".to_owned(), json!("object"))])))
}

/// A request to the contract, from this caller.
pub(super) fn from<T>(caller: &Caller, request: T) -> Request<T> {
    let mut request = Request::new(request);
    request.extensions_mut().insert(caller.clone());
    request
}

fn told(refusal: &Refusal) -> ErrorData {
    ErrorData::invalid_request(refusal.to_string(), None)
}

fn refused(status: &Status) -> ErrorData {
    ErrorData::invalid_request(status.message().to_owned(), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tools_name_stands_for_one_thing_alone() {
        assert!(matches!(target("text_echo"), Target::Skill(name) if name == "text.echo"));
        assert!(matches!(target("run_get"), Target::Skill(name) if name == "run.get"));
        assert!(matches!(target("workflow_x"), Target::Skill(name) if name == "workflow.x"));
        assert!(matches!(target("workflow__order-it"), Target::Workflow(name) if name == "order-it"));
        assert!(matches!(target("run__get"), Target::Run));
    }

    #[test]
    fn a_schema_that_is_not_of_objects_is_none_that_the_protocol_takes() {
        assert_eq!(Value::Object(object(&json!(true)).as_ref().clone()), json!({ "type": "object" }));
        let own = json!({ "type": "object", "required": ["a"] });
        assert_eq!(Value::Object(object(&own).as_ref().clone()), own);
    }
}
