//! The model that every side asks: chat completions over HTTP/1.1, one thread, no thinking time.
//!
//! What it answers depends on the conversation alone: no tool's result yet, it calls the first tool of the
//! request; one result, it calls it again; two, it says [`DONE`]. So each run takes three turns, and who
//! asks more often than that is found by the count.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, Either, Full, StreamBody};
use hyper::{
    Method, Request, Response, StatusCode, body::Frame, body::Incoming, header, server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::{net::TcpListener, task::JoinSet};

/// Turns of one run: two calls of a tool, and the end.
pub(super) const TURNS: u64 = 3;

/// What it says at the end of each run.
pub(super) const DONE: &str = "done";

/// A model server that ends with its owner.
pub(super) struct Process {
    child: Child,
    address: String,
    http: Client<HttpConnector, Full<Bytes>>,
}

impl Process {
    /// Starts this program as a model server.
    ///
    /// # Errors
    /// When it does not say where it listens.
    pub(super) fn start() -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["model-server", "--port", "0"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().context("starting the model server")?;
        let mut address = String::new();
        BufReader::new(child.stdout.take().context("no standard output")?).read_line(&mut address)?;
        ensure!(address.starts_with("http://"), "the model server said `{}` instead of its address", address.trim());
        let http = Client::builder(TokioExecutor::new()).build_http();
        Ok(Self { child, address: address.trim().to_owned(), http })
    }

    /// What a client takes for its base, with the version in it.
    pub(super) fn url(&self) -> String {
        format!("{}/v1", self.address)
    }

    /// How many completions it was asked for so far.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) async fn count(&self) -> Result<u64> {
        let answer = self.http.get(format!("{}/count", self.address).parse()?).await?;
        let body = answer.into_body().collect().await?.to_bytes();
        String::from_utf8_lossy(&body).parse().context("the model server's count is no number")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves until it is killed; its first line says where.
///
/// # Errors
/// When the port is taken.
pub(crate) async fn run(options: &crate::options::ModelServer) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", options.port)).await?;
    println!("http://{}", listener.local_addr()?);
    let asked = Arc::new(AtomicU64::new(0));
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let asked = asked.clone();
        connections.spawn(async move {
            let service = service_fn(|request| answer(request, &asked));
            // A client that goes away is no error of the server's.
            let _gone = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

type Frames = stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, std::convert::Infallible>>>;
type Body = Either<Full<Bytes>, StreamBody<Frames>>;

async fn answer(request: Request<Incoming>, asked: &AtomicU64) -> Result<Response<Body>> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/count") => plain(StatusCode::OK, asked.load(Ordering::Relaxed).to_string()),
        (&Method::POST, "/v1/chat/completions") => {
            let number = asked.fetch_add(1, Ordering::Relaxed);
            let body = request.into_body().collect().await?.to_bytes();
            match serde_json::from_slice::<Ask>(&body) {
                Ok(ask) => completion(&ask, number),
                Err(error) => plain(StatusCode::BAD_REQUEST, refusal(&error.to_string())),
            }
        }
        (method, path) => plain(StatusCode::NOT_FOUND, refusal(&format!("`{method} {path}` is not served"))),
    }
}

fn refusal(message: &str) -> String {
    json!({ "error": { "message": message, "type": "invalid_request_error" } }).to_string()
}

fn plain(status: StatusCode, body: String) -> Result<Response<Body>> {
    let body = Either::Left(Full::new(Bytes::from(body)));
    Ok(Response::builder().status(status).header(header::CONTENT_TYPE, "application/json").body(body)?)
}

/// What is read of a request; everything else is skipped.
#[derive(Deserialize)]
struct Ask {
    #[serde(default)]
    model: String,
    messages: Vec<Message>,
    #[serde(default)]
    tools: Vec<Tool>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
}

#[derive(Deserialize)]
struct Tool {
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Default, Deserialize)]
struct Parameters {
    #[serde(default)]
    properties: Map<String, Value>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

/// What the model says in this turn.
enum Turn {
    Call(Value),
    Done,
}

fn completion(ask: &Ask, number: u64) -> Result<Response<Body>> {
    let results = ask.messages.iter().filter(|message| message.role == "tool").count();
    let turn = match (results, ask.tools.first()) {
        (0 | 1, Some(tool)) => Turn::Call(call(&tool.function, results, number)),
        (0 | 1, None) => return plain(StatusCode::BAD_REQUEST, refusal("the request has no tool to call")),
        _ => Turn::Done,
    };
    match ask.stream {
        Some(true) => streamed(ask, &turn, number),
        _ => plain(StatusCode::OK, whole(ask, &turn, number).to_string()),
    }
}

/// A call of the request's first tool, with its first parameter: `key`, when it is ours to name.
fn call(tool: &Function, results: usize, number: u64) -> Value {
    let name = tool.parameters.properties.keys().next().map_or("key", String::as_str);
    let arguments = json!({ (name): if results == 0 { "a" } else { "b" } }).to_string();
    let function = json!({ "name": tool.name, "arguments": arguments });
    json!({ "id": format!("call_{number}"), "type": "function", "function": function })
}

fn whole(ask: &Ask, turn: &Turn, number: u64) -> Value {
    let (message, finish) = match turn {
        Turn::Call(call) => (json!({ "role": "assistant", "content": null, "tool_calls": [call] }), "tool_calls"),
        Turn::Done => (json!({ "role": "assistant", "content": DONE }), "stop"),
    };
    json!({
        "id": format!("chatcmpl-{number}"), "object": "chat.completion", "created": 1, "model": ask.model,
        "choices": [{ "index": 0, "message": message, "finish_reason": finish, "logprobs": null }],
        "usage": usage(),
    })
}

fn streamed(ask: &Ask, turn: &Turn, number: u64) -> Result<Response<Body>> {
    let (delta, finish) = match turn {
        Turn::Call(call) => {
            let mut call = call.clone();
            call.as_object_mut().context("a call is an object")?.insert("index".to_owned(), json!(0));
            (json!({ "tool_calls": [call] }), "tool_calls")
        }
        Turn::Done => (json!({ "content": DONE }), "stop"),
    };
    let choice = |delta: Value, finish: Option<&str>| json!([{ "index": 0, "delta": delta, "finish_reason": finish }]);
    let mut chunks = vec![
        (choice(json!({ "role": "assistant", "content": null }), None), Value::Null),
        (choice(delta, None), Value::Null),
        (choice(json!({}), Some(finish)), Value::Null),
    ];
    if ask.stream_options.as_ref().is_some_and(|options| options.include_usage) {
        chunks.push((json!([]), usage()));
    }
    let mut frames: Vec<_> = chunks.into_iter().map(|(choices, usage)| event(ask, number, &choices, &usage)).collect();
    frames.push("data: [DONE]\n\n".to_owned());
    let frames: Vec<_> = frames.into_iter().map(|event| Ok(Frame::data(Bytes::from(event)))).collect();
    let body = Either::Right(StreamBody::new(stream::iter(frames)));
    Ok(Response::builder().header(header::CONTENT_TYPE, "text/event-stream").body(body)?)
}

fn event(ask: &Ask, number: u64, choices: &Value, usage: &Value) -> String {
    let chunk = json!({
        "id": format!("chatcmpl-{number}"), "object": "chat.completion.chunk", "created": 1, "model": ask.model,
        "choices": choices, "usage": usage,
    });
    format!("data: {chunk}\n\n")
}

fn usage() -> Value {
    json!({ "prompt_tokens": 50, "completion_tokens": 10, "total_tokens": 60 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(results: usize, more: Value) -> Ask {
        let mut messages = vec![json!({ "role": "user", "content": "?" })];
        messages.extend((0..results).map(|_| json!({ "role": "tool", "tool_call_id": "x", "content": "y" })));
        let parameters = json!({ "type": "object", "properties": { "text": { "type": "string" } } });
        let tools = json!([{ "type": "function", "function": { "name": "text.echo", "parameters": parameters } }]);
        let mut ask = json!({ "model": "bench", "messages": messages, "tools": tools });
        ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(ask).unwrap()
    }

    async fn said(ask: &Ask) -> String {
        let body = completion(ask, 7).unwrap().into_body().collect().await.unwrap();
        String::from_utf8(body.to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_run_is_two_calls_of_the_tool_it_was_told_of_and_an_end() {
        let mut seen = Vec::new();
        for results in 0..TURNS as usize {
            let answer: Value = serde_json::from_str(&said(&ask(results, json!({}))).await).unwrap();
            let choice = &answer["choices"][0];
            let function = &choice["message"]["tool_calls"][0]["function"];
            seen.push((choice["finish_reason"].clone(), function["name"].clone(), function["arguments"].clone()));
        }
        let call = |arguments: &str| (json!("tool_calls"), json!("text.echo"), json!(arguments));
        let end = (json!("stop"), Value::Null, Value::Null);
        assert_eq!(seen, [call(r#"{"text":"a"}"#), call(r#"{"text":"b"}"#), end]);
    }

    #[tokio::test]
    async fn a_stream_tells_its_usage_when_asked_and_ends_with_done() {
        let asked = json!({ "stream": true, "stream_options": { "include_usage": true } });
        let with_usage = said(&ask(1, asked)).await;
        let events: Vec<_> = with_usage.split_terminator("\n\n").collect();
        assert_eq!(events.len(), 5, "role, call, finish, usage, end: {with_usage}");
        assert!(events[2].contains(r#""finish_reason":"tool_calls""#), "{}", events[2]);
        assert!(events[3].contains(r#""choices":[]"#) && events[3].contains("total_tokens"), "{}", events[3]);
        assert_eq!(events[4], "data: [DONE]");
        let without = said(&ask(1, json!({ "stream": true }))).await;
        assert!(!without.contains("total_tokens") && without.ends_with("data: [DONE]\n\n"), "{without}");
    }

    #[tokio::test]
    async fn a_request_without_tools_is_refused() {
        let answer = completion(&ask(0, json!({ "tools": [] })), 7).unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    }
}
