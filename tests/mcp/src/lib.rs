//! An MCP server for tests, written by hand so that it can do what no library lets a server do.
//!
//! Its tools stand in a file, `tools.json` in the folder that it is given, which is read again for every list: a
//! test changes what a server says of itself by writing that file. What a tool does is told by its argument `do`.

mod http;
mod stdio;

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use serde_json::{Value, json};

pub use http::Listening;
pub use stdio::{command, serve};

/// The file that says which tools there are.
pub const FILE: &str = "tools.json";

/// A server of this name answers what it does not know with nothing, instead of an error.
pub const ODD: &str = "odd";

/// How long a call that hangs does.
const FOR_EVER: Duration = Duration::from_secs(600);

/// Writes the file: the server's name for itself, its revision, its tools.
///
/// # Errors
/// When it cannot be written.
pub fn write(folder: &Path, name: &str, tools: &[Value]) -> std::io::Result<()> {
    let text = json!({ "name": name, "tools": tools }).to_string();
    // At once, so that nobody reads half of it.
    fs::write(folder.join("tools.new"), text)?;
    fs::rename(folder.join("tools.new"), folder.join(FILE))
}

/// A tool that does what its argument `do` says and promises `value`.
pub fn obedient(name: &str, description: &str) -> Value {
    json!({
        "name": name,
        "description": description,
        "inputSchema": { "type": "object", "properties": { "do": { "type": "string" } } },
        "outputSchema": { "type": "object", "required": ["value"] },
        "annotations": { "readOnlyHint": true },
    })
}

/// A server, whoever speaks to it.
#[derive(Clone)]
struct Server {
    folder: PathBuf,
    cancelled: Arc<(Mutex<HashMap<String, bool>>, Condvar)>,
}

/// What stands there; null when nothing does.
fn at(value: &Value, pointer: &str) -> Value {
    value.pointer(pointer).cloned().unwrap_or_default()
}

/// Says something to whoever listens.
type Tell<'a> = &'a dyn Fn(Value);

impl Server {
    fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), cancelled: Arc::default() }
    }

    fn file(&self) -> Value {
        let text = fs::read_to_string(self.folder.join(FILE)).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Answers a message, as slowly as it wants; nothing when there is nothing to say.
    fn hear(&self, message: &Value, tell: Tell<'_>) -> Option<Value> {
        let (id, params) = (message.get("id").cloned(), message.get("params").cloned().unwrap_or_default());
        let method = message.get("method").and_then(Value::as_str).unwrap_or_default();
        if method == "notifications/cancelled" {
            let (calls, changed) = &*self.cancelled;
            calls.lock().insert(at(&params, "/requestId").to_string(), true);
            changed.notify_all();
        }
        let id = id?;
        let result = match method {
            "initialize" => Ok(self.hello(&params)),
            "ping" => Ok(json!({})),
            "tools/list" => Ok(json!({ "tools": at(&self.file(), "/tools") })),
            "tools/call" => self.call(&id, &params, tell)?,
            _ if at(&self.file(), "/name") == ODD => Ok(json!({})),
            _ => Err((-32601, format!("no method `{method}`"))),
        };
        Some(match result {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            Err((code, message)) => {
                json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
            }
        })
    }

    fn hello(&self, params: &Value) -> Value {
        json!({
            "protocolVersion": at(params, "/protocolVersion"),
            "capabilities": { "tools": { "listChanged": true } },
            "serverInfo": { "name": at(&self.file(), "/name"), "version": "1" },
        })
    }

    /// What a tool gives; none when it says nothing any more.
    fn call(&self, id: &Value, params: &Value, tell: Tell<'_>) -> Option<Result<Value, (i64, String)>> {
        if let Some(token) = params.pointer("/_meta/progressToken") {
            let params = json!({ "progressToken": token, "progress": 1, "message": "called" });
            tell(json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params }));
        }
        let text = |text: String| json!([{ "type": "text", "text": text }]);
        let given = |value: Value| {
            let content = text(value.to_string());
            Some(Ok(json!({ "content": content, "structuredContent": { "value": value } })))
        };
        match at(params, "/arguments/do").as_str().unwrap_or_default() {
            "crash" => std::process::exit(1),
            "hang" => {
                std::thread::sleep(FOR_EVER);
                None
            }
            "wait" => {
                let (calls, changed) = &*self.cancelled;
                let mut calls = calls.lock();
                while !calls.contains_key(&id.to_string()) {
                    changed.wait(&mut calls);
                }
                drop(calls);
                let _written = fs::write(self.folder.join("cancelled"), id.to_string());
                None
            }
            "lie" => Some(Ok(json!({ "content": [], "structuredContent": "no object" }))),
            "fail" => Some(Ok(json!({ "content": text("it is down".into()), "isError": true }))),
            "refuse" => Some(Err((-32602, "not this".into()))),
            "change" => {
                tell(json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" }));
                given(Value::Null)
            }
            "chatter" => {
                let token = at(params, "/_meta/progressToken");
                for n in 2..=40 {
                    let params = json!({ "progressToken": token, "progress": n, "total": 40 });
                    tell(json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params }));
                }
                given(Value::Null)
            }
            "environment" => given(std::env::vars().map(|(name, value)| json!([name, value])).collect()),
            "process" => given(json!(std::process::id())),
            _ => {
                let call = at(params, "/_meta/agent-mesh~1call");
                let of_call = ["/tenant", "/idempotencyKey", "/run", "/step", "/attempt", "/trace"];
                let mut told: Vec<Value> = of_call.iter().map(|key| at(&call, key)).collect();
                told.push(at(params, "/_meta/traceparent"));
                given(Value::from(told))
            }
        }
    }
}
