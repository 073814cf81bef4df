//! The least that an agent can cost here: a loop over async-openai's client that keeps nothing, checks
//! nothing and forgets everything. A process of its own, on one thread.

use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use async_openai::{Client, config::OpenAIConfig};
use futures_util::StreamExt as _;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    agents::model_server::{DONE, TURNS},
    measure::closed_count,
    options::BareAgent,
    process::{cpu, peak_resident, resident},
};

/// Runs and says what it cost, in one line.
///
/// # Errors
/// The first run that does not end as it should.
pub(crate) async fn run(options: &BareAgent) -> Result<()> {
    let installed = rustls::crypto::ring::default_provider().install_default();
    installed.map_err(|_| anyhow!("there is a provider of cryptography already"))?;
    let config = OpenAIConfig::new().with_api_base(&options.url).with_api_key("none");
    let agent = Agent { client: Client::with_config(config), tools: tools(), streams: options.stream };
    let own = std::process::id();

    let rest = resident(&[own]);
    closed_count(options.warm, options.in_flight, || agent.run()).await?;
    let (began, used) = (Instant::now(), cpu(own));
    closed_count(options.runs, options.in_flight, || agent.run()).await?;
    let said = json!({
        "version": "0.43", "runs": options.runs, "seconds": began.elapsed().as_secs_f64(),
        "cpu_seconds": cpu(own) - used, "rest_bytes": rest, "peak_bytes": peak_resident(own),
    });
    println!("{said}");
    Ok(())
}

/// The one tool, as a server is told of it.
fn tools() -> Value {
    let parameters = json!({ "type": "object", "properties": { "key": { "type": "string" } }, "required": ["key"] });
    let function = json!({ "name": "lookup", "description": "Looks a key up.", "parameters": parameters });
    json!([{ "type": "function", "function": function }])
}

struct Agent {
    client: Client<OpenAIConfig>,
    tools: Value,
    streams: bool,
}

#[derive(Serialize)]
struct Ask<'a> {
    model: &'static str,
    messages: &'a [Value],
    tools: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<Value>,
}

impl Agent {
    /// One run: asks, does what it is told, and asks again, until nothing is left to do.
    async fn run(&self) -> Result<()> {
        let mut messages = vec![
            json!({ "role": "system", "content": "Look up what you are asked for." }),
            json!({ "role": "user", "content": "Look up a and b." }),
        ];
        for _ in 0..=TURNS {
            let said = self.turn(&messages).await?;
            let Some(calls) = said.get("tool_calls").and_then(Value::as_array).filter(|calls| !calls.is_empty()) else {
                ensure!(said.get("content").is_some_and(|text| text == DONE), "the agent's answer is `{said}`");
                return Ok(());
            };
            let results = calls.iter().map(result).collect::<Result<Vec<_>>>()?;
            messages.push(said);
            messages.extend(results);
        }
        bail!("the model calls tools without end")
    }

    /// What the model says to these messages.
    async fn turn(&self, messages: &[Value]) -> Result<Value> {
        let chat = self.client.chat();
        let mut ask = Ask { model: "bench", messages, tools: &self.tools, stream: None, stream_options: None };
        if self.streams {
            ask.stream = Some(true);
            ask.stream_options = Some(json!({ "include_usage": true }));
            return folded(chat.create_stream_byot(ask).await?).await;
        }
        let mut answer: Value = chat.create_byot(ask).await?;
        let said = answer.pointer_mut("/choices/0/message").map(Value::take);
        said.with_context(|| format!("no message in the answer `{answer}`"))
    }
}

/// Does what a call asks for; the message that tells its result.
fn result(call: &Value) -> Result<Value> {
    let arguments = call.pointer("/function/arguments").and_then(Value::as_str).context("a call has arguments")?;
    let arguments: Value = serde_json::from_str(arguments)?;
    let key = arguments.get("key").and_then(Value::as_str).context("`lookup` takes a key")?;
    Ok(json!({ "role": "tool", "tool_call_id": call.get("id"), "content": format!("the value of {key}") }))
}

/// The message that a stream's chunks make; the server sends each call in one chunk.
async fn folded<Error>(mut chunks: impl futures_util::Stream<Item = Result<Value, Error>> + Unpin) -> Result<Value>
where
    Error: std::error::Error + Send + Sync + 'static,
{
    let (mut text, mut calls, mut finished) = (String::new(), Vec::new(), false);
    while let Some(chunk) = chunks.next().await {
        let mut chunk = chunk?;
        let Some(choice) = chunk.pointer_mut("/choices/0") else { continue };
        finished |= choice.get("finish_reason").is_some_and(Value::is_string);
        text.push_str(choice.pointer("/delta/content").and_then(Value::as_str).unwrap_or_default());
        if let Some(Value::Array(some)) = choice.pointer_mut("/delta/tool_calls").map(Value::take) {
            calls.extend(some);
        }
    }
    ensure!(finished, "the stream ended before the answer did");
    let mut said = json!({ "role": "assistant", "content": text });
    if let (false, Some(said)) = (calls.is_empty(), said.as_object_mut()) {
        said.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    Ok(said)
}
