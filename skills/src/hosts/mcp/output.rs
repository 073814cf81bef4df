//! What a tool gives, as the output of a skill.

use rmcp::model::{CallToolResult, ContentBlock, ServerResult};
use serde_json::{Map, Value, json};

use crate::contract::{Failure, McpTool};

/// The schema of what is made of a tool's content when it promises no schema of its own: the texts, one line
/// below the other; what is no text as it came; what is structured, unchecked.
pub(super) fn plain_schema() -> Value {
    json!({
        "type": "object",
        "required": ["text"],
        "properties": {
            "text": { "type": "string" },
            "content": { "type": "array", "items": { "type": "object" }, "description": "what is no text" },
            "structured": { "description": "structured content, unchecked" },
        },
    })
}

/// The output of a skill, or the failure that the tool tells.
///
/// # Errors
/// `mcp.tool` with the tool's own words; `mcp.input-required` when it asks for something back, and
/// `mcp.protocol` when it answers with something else or not as it promised.
pub(super) fn read(tool: &McpTool, result: ServerResult) -> Result<Value, Failure> {
    let name = format!("{}.{}", tool.server.name, tool.name);
    let result = match result {
        ServerResult::CallToolResult(result) => result,
        ServerResult::InputRequiredResult(_) => {
            let message = format!("the MCP tool `{name}` asks for input, and nobody is there to give it");
            return Err(Failure::validation("mcp.input-required", message));
        }
        _ => return Err(protocol(format!("the MCP tool `{name}` does not answer with the result of a call"))),
    };
    let (text, others) = parts(&result);
    if result.is_error == Some(true) {
        let message = if text.is_empty() { format!("the MCP tool `{name}` has failed") } else { text };
        return Err(Failure::external("mcp.tool", message).with(result.structured_content.unwrap_or_default()));
    }
    if tool.definition.get("outputSchema").is_some() {
        let promised = format!("the MCP tool `{name}` promises structured content, and gave none");
        return result.structured_content.ok_or_else(|| protocol(promised));
    }
    let mut output = Map::from_iter([("text".to_owned(), Value::from(text))]);
    if !others.is_empty() {
        output.insert("content".to_owned(), Value::from(others));
    }
    if let Some(structured) = result.structured_content {
        output.insert("structured".to_owned(), structured);
    }
    Ok(Value::Object(output))
}

fn protocol(message: String) -> Failure {
    Failure::external("mcp.protocol", message)
}

/// The texts, one line below the other, and what is none.
fn parts(result: &CallToolResult) -> (String, Vec<Value>) {
    let (mut texts, mut others) = (Vec::new(), Vec::new());
    for block in &result.content {
        match block {
            ContentBlock::Text(text) => texts.push(text.text.as_str()),
            other => others.extend(serde_json::to_value(other)),
        }
    }
    (texts.join("\n"), others)
}
