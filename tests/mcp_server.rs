//! The mesh as an MCP server: its skills and workflows as tools, whole in both revisions, for whoever has a key, of
//! that key's tenant alone, and for no page of another site.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mesh_proto::v1;
use mesh_tests::{Client, Node, NodeOptions, send};
use serde_json::{Value, json};

const WATCHDOG: Duration = Duration::from_secs(60);

const DEFINITION: &str = "
name: greet-secret-of-a
title: Greets
inputSchema: { type: object, required: [who], properties: { who: { type: string } } }
steps:
  - { id: greet, skill: text.echo, with: { text: 'Hello ${ input.who }' } }
outputs: { said: '${ steps.greet.output.text }' }
";

const ASKS: &str = "
name: asks
title: Asks
steps:
  - { id: ask, approval: { title: 'Really?' } }
";

/// Both revisions: with a handshake, and without one.
#[derive(Clone, Copy, PartialEq)]
enum Era {
    Handshake,
    Modern,
}

/// One client, with one key.
struct Mcp {
    url: String,
    key: String,
    era: Era,
}

impl Mcp {
    fn new(node: &Node, key: &str, era: Era) -> Self {
        Self { url: format!("{}/mcp", node.http), key: key.to_owned(), era }
    }

    async fn post(&self, method: &str, params: Value, more: &[(&str, &str)]) -> Result<(u16, String)> {
        let mut params = params;
        let version = match self.era {
            Era::Handshake => "2025-11-25",
            Era::Modern => "2026-07-28",
        };
        let authorization = format!("Bearer {}", self.key);
        let mut headers = vec![
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", version),
        ];
        let name = params.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        if self.era == Era::Modern {
            let params = params.as_object_mut().context("no object")?;
            let about = params.entry("_meta").or_insert_with(|| json!({})).as_object_mut().context("no object")?;
            about.extend([
                ("io.modelcontextprotocol/protocolVersion".to_owned(), json!(version)),
                ("io.modelcontextprotocol/clientInfo".to_owned(), json!({ "name": "test", "version": "1" })),
                ("io.modelcontextprotocol/clientCapabilities".to_owned(), json!({})),
            ]);
            headers.push(("mcp-method", method));
            if !name.is_empty() {
                headers.push(("mcp-name", &name));
            }
        }
        headers.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
        headers.extend(more);
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        send("POST", &self.url, &headers, &body.to_string(), WATCHDOG).await
    }

    /// The result, or the error, of a request.
    async fn asks(&self, method: &str, params: Value) -> Result<Value> {
        let (status, body) = self.post(method, params, &[]).await?;
        let is_message = |line: &&str| line.starts_with('{');
        let text = body.lines().map(|line| line.strip_prefix("data: ").unwrap_or(line)).rfind(is_message);
        let text = text.with_context(|| format!("{status}: {body}"))?;
        let message: Value = serde_json::from_str(text).with_context(|| format!("{status}: {body}"))?;
        message.get("error").or_else(|| message.get("result")).cloned().context("neither result nor error")
    }

    /// Every tool, by all pages.
    async fn tools(&self) -> Result<Vec<Value>> {
        let (mut tools, mut params) = (Vec::new(), json!({}));
        loop {
            let page = self.asks("tools/list", params).await?;
            let listed = page.get("tools").and_then(Value::as_array);
            tools.extend(listed.with_context(|| format!("no tools in {page}"))?.clone());
            let Some(next) = page.get("nextCursor").and_then(Value::as_str) else { return Ok(tools) };
            params = json!({ "cursor": next });
        }
    }

    async fn names(&self) -> Result<Vec<String>> {
        let name = |tool: &Value| tool.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(self.tools().await?.iter().map(name).collect())
    }

    async fn calls(&self, tool: &str, arguments: Value) -> Result<Value> {
        self.asks("tools/call", json!({ "name": tool, "arguments": arguments })).await
    }
}

fn start() -> Result<(tempfile::TempDir, Node)> {
    let data = tempfile::tempdir()?;
    let node = Node::start(&NodeOptions::new(env!("CARGO_BIN_EXE_mesh"), data.path()))?;
    Ok((data, node))
}

async fn new_key(operator: &mut Client, node: &Node, tenant: &str, role: &str) -> Result<String> {
    let request = v1::CreateTenantRequest { tenant_id: tenant.into(), title: tenant.into(), ..Default::default() };
    let _there = operator.tenants.create_tenant(request).await;
    let request = v1::CreateApiKeyRequest {
        tenant_id: tenant.into(),
        name: role.into(),
        roles: vec![role.to_owned()],
        ..Default::default()
    };
    let key = operator.tenants.create_api_key(request).await?.into_inner().secret;
    // A key is taken as soon as the node's own list has seen it.
    let mcp = Mcp::new(node, &key, Era::Modern);
    let began = Instant::now();
    while mcp.post("tools/list", json!({}), &[]).await?.0 == 401 {
        ensure!(began.elapsed() < WATCHDOG, "the key was never taken");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(key)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn skills_and_workflows_are_tools_in_both_revisions() -> Result<()> {
    let (_data, node) = start()?;
    let mut client = node.client().await?;
    client.publish(DEFINITION).await?;
    client.publish(ASKS).await?;
    for era in [Era::Handshake, Era::Modern] {
        let mcp = Mcp::new(&node, &node.key()?, era);
        let hello = match era {
            Era::Handshake => {
                let client = json!({ "name": "test", "version": "1" });
                let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
                mcp.asks("initialize", params).await?
            }
            Era::Modern => mcp.asks("server/discover", json!({})).await?,
        };
        ensure!(hello["capabilities"]["tools"].is_object(), "{hello}");
        let tools = mcp.tools().await?;
        let tool = |name: &str| tools.iter().find(|tool| tool["name"] == name).cloned().unwrap_or_default();
        let echo = tool("text_echo");
        ensure!(echo["inputSchema"]["type"] == "object" && echo["annotations"]["readOnlyHint"] == true, "{echo}");
        let greet = tool("workflow__greet-secret-of-a");
        ensure!(greet["inputSchema"]["required"] == json!(["who"]), "{greet}");
        ensure!(tools.iter().all(|tool| tool["inputSchema"]["type"] == "object"), "{tools:?}");

        let came = mcp.calls("text_echo", json!({ "text": "hi" })).await?;
        ensure!(came["structuredContent"]["text"] == "hi" && came["isError"] != true, "{came}");
        let came = mcp.calls("workflow__greet-secret-of-a", json!({ "who": "you" })).await?;
        let said = &came["structuredContent"];
        ensure!(said["state"] == "succeeded" && said["outputs"]["said"] == "Hello you", "{came}");
        let again = mcp.calls("run__get", json!({ "runId": said["runId"] })).await?;
        assert_eq!(again["structuredContent"], *said);

        // What goes on longer than anybody waits is told by its run, and the same request again is the same run.
        let about = json!({ "agent-mesh/waitMs": 100, "agent-mesh/requestId": format!("ask-{}", era as u8) });
        let params = json!({ "name": "workflow__asks", "arguments": {}, "_meta": about });
        let asked = mcp.asks("tools/call", params.clone()).await?;
        let waits = &asked["structuredContent"];
        ensure!(waits["state"] == "waiting" && waits["runId"].is_string(), "{asked}");
        let again = mcp.asks("tools/call", params).await?;
        assert_eq!(again["structuredContent"]["runId"], waits["runId"]);

        let wrong = mcp.calls("text_echo", json!({ "text": 5 })).await?;
        ensure!(wrong["isError"] == true && wrong.to_string().contains("/text"), "{wrong}");
        let none = mcp.calls("no_such", json!({})).await?;
        ensure!(none["code"] == -32602, "{none}");
        let failed = mcp.calls("flow_fail", json!({ "class": "external", "message": "no more" })).await?;
        ensure!(failed["isError"] == true && failed.to_string().contains("no more"), "{failed}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_tenants_tools_and_runs_are_nothing_to_another_and_a_role_holds_here_too() -> Result<()> {
    let (_data, node) = start()?;
    let mut operator = node.client().await?;
    let a_key = new_key(&mut operator, &node, "tenant-a", "developer").await?;
    let b_key = new_key(&mut operator, &node, "tenant-b", "developer").await?;
    let viewer = new_key(&mut operator, &node, "tenant-a", "viewer").await?;
    let mut a = Client::connect(&node.grpc, &a_key).await?;
    a.publish(DEFINITION).await?;
    for era in [Era::Handshake, Era::Modern] {
        let [a, b, viewer] = [&a_key, &b_key, &viewer].map(|key| Mcp::new(&node, key, era));
        let ran = a.calls("workflow__greet-secret-of-a", json!({ "who": "me" })).await?;
        let run = ran["structuredContent"]["runId"].clone();
        ensure!(run.is_string(), "{ran}");
        let seen = format!("{:?}", b.tools().await?);
        ensure!(!seen.contains("secret-of-a") && seen.contains("text_echo"), "{seen}");
        let called = b.calls("workflow__greet-secret-of-a", json!({ "who": "me" })).await?;
        assert_eq!(called["code"], -32602, "{called}");
        let asked = b.calls("run__get", json!({ "runId": run })).await?;
        ensure!(asked["isError"] == true && !asked.to_string().contains("Hello"), "{asked}");

        assert_eq!(viewer.names().await?, ["run__get"]);
        let called = viewer.calls("text_echo", json!({ "text": "x" })).await?;
        ensure!(called["isError"] == true && called.to_string().contains("SubmitRun"), "{called}");
        let asked = viewer.calls("run__get", json!({ "runId": run })).await?;
        ensure!(asked["structuredContent"]["state"] == "succeeded", "{asked}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_comes_in_without_a_key_nor_from_another_sites_page() -> Result<()> {
    let (_data, node) = start()?;
    let mcp = Mcp::new(&node, &node.key()?, Era::Modern);
    let status = async |mcp: &Mcp, more: &[(&str, &str)]| {
        Ok::<_, anyhow::Error>(mcp.post("tools/list", json!({}), more).await?.0)
    };
    assert_eq!(status(&mcp, &[]).await?, 200);
    assert_eq!(status(&mcp, &[("origin", &node.http)]).await?, 200);
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1", "https://localhost.evil.example"] {
        assert_eq!(status(&mcp, &[("origin", origin)]).await?, 403, "{origin}");
    }
    assert_eq!(status(&mcp, &[("host", "evil.example")]).await?, 403);
    for key in ["", "wrong"] {
        let stranger = Mcp { key: key.to_owned(), ..Mcp::new(&node, "", Era::Modern) };
        assert_eq!(status(&stranger, &[]).await?, 401, "`{key}`");
    }
    // Headers on which a proxy decides must be what the body says.
    let (status, body) = mcp.post("tools/list", json!({}), &[("mcp-method", "tools/call")]).await?;
    ensure!(status == 400, "{status}: {body}");
    Ok(())
}
