//! A client for MCP's own conformance suite, made of the host that the node has: it registers the server's tools and
//! calls each once, with the arguments that the scenario wants, or with some that fit.
//!
//!   mcp_client http://localhost:PORT/mcp

use std::{collections::BTreeMap, env, error::Error, sync::Arc, time::Duration};

use mesh_kernel::{
    BoxFuture,
    envelope::{
        CorrelationId, Envelope, EventId, Headers, IdempotencyKey, Principal, TenantId, TenantScope, Timestamp, TraceId,
    },
};
use mesh_skills::{
    contract::{Call, Failure, Manifest, McpDeclaration, McpServer, McpTerms, McpTransport, Skill as _},
    hosts::mcp::{McpServers, McpSkill, Settings},
    logs::LogWriter,
};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().next_back().unwrap_or_default();
    let host = url.split('/').nth(2).unwrap_or_default().to_owned();
    let tenant = TenantId::parse("suite")?;
    let declaration = McpDeclaration {
        server: McpServer { name: "suite".into(), transport: McpTransport::Http { url, headers: BTreeMap::new() } },
        version: "1.0.0".into(),
        defaults: McpTerms { timeout: Some(Duration::from_secs(10)), ..McpTerms::default() },
        tools: BTreeMap::new(),
        pin: None,
    };
    let servers = McpServers::new(Settings { hosts: vec![host], ..Settings::default() });
    let manifests = match servers.skills_of(&tenant, &declaration).await {
        Ok(manifests) => manifests,
        // The suite judges what was sent; some of its servers have no tools, or schemas that no skill can have.
        Err(failure) => {
            println!("no skills: {failure}");
            return Ok(());
        }
    };
    for (tool, arguments) in wanted(&manifests) {
        let Some(manifest) = manifests.iter().find(|it| it.mcp.as_ref().is_some_and(|of| of.name == tool)) else {
            println!("no tool {tool}");
            continue;
        };
        let Some(skill) = McpSkill::new(Arc::new(manifest.clone()), servers.clone()) else { continue };
        let calling: BoxFuture<'_, Result<Value, Failure>> = skill.call(call(&tenant, arguments)?);
        match calling.await {
            Ok(output) => println!("{tool}: {output}"),
            Err(failure) => println!("{tool} fails: {failure}"),
        }
    }
    servers.stop().await;
    Ok(())
}

/// The calls that the scenario wants; one of each tool when it does not say.
fn wanted(manifests: &[Manifest]) -> Vec<(String, Value)> {
    let context = env::var("MCP_CONFORMANCE_CONTEXT").unwrap_or_default();
    let context: Value = serde_json::from_str(&context).unwrap_or_default();
    let told = context.get("toolCalls").and_then(Value::as_array).cloned().unwrap_or_default();
    let asked = |call: Value| Some((call.get("name")?.as_str()?.to_owned(), call.get("arguments")?.clone()));
    let asked: Vec<_> = told.into_iter().filter_map(asked).collect();
    if !asked.is_empty() {
        return asked;
    }
    let input =
        |tool: &str| Some(manifests.iter().find(|it| it.mcp.as_ref().is_some_and(|of| of.name == tool))?.input.clone());
    if let (Some(_), Some(schema)) = (input("json_schema_echo"), input("json_schema_2020_12_tool")) {
        return vec![("json_schema_echo".to_owned(), json!({ "schema": schema }))];
    }
    manifests.iter().filter_map(|it| Some((it.mcp.as_ref()?.name.clone(), sample(&it.input)))).collect()
}

/// An object that has what a schema asks for.
fn sample(schema: &Value) -> Value {
    let known = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let value = |of: &Value| match of.get("type").and_then(Value::as_str) {
        Some("number" | "integer") => json!(5),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => json!("text"),
    };
    Value::Object(known.iter().map(|(name, of)| (name.clone(), value(of))).collect::<Map<_, _>>())
}

fn call(tenant: &TenantId, input: Value) -> Result<Call, Box<dyn Error>> {
    let cause = Envelope {
        event_id: EventId::parse("evt-1")?,
        event_type: "StepRequested".into(),
        tenant_id: tenant.clone(),
        project_id: None,
        module_id: None,
        trace_id: TraceId::parse("trace-suite")?,
        correlation_id: CorrelationId::parse("run-suite")?,
        causation_id: EventId::parse("evt-0")?,
        occurred_at: Timestamp::from_unix_nanos(1_700_000_000_000_000_000),
        payload: bytes::Bytes::from_static(b"{}"),
        headers: Headers::new("suite/control-plane/run/run-suite".parse()?, Principal::system("suite")),
    };
    Ok(Call {
        scope: TenantScope::unproven(tenant.clone()),
        key: IdempotencyKey::parse("run-suite.call.1")?,
        attempt: 1,
        run: "run-suite".into(),
        step: "call".into(),
        item: None,
        input,
        cause: Arc::new(cause),
        log: LogWriter::silent(),
        cancelled: CancellationToken::new(),
    })
}
