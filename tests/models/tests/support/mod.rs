//! A server process, and a performer that asks it.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are the helpers of tests")]

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use mesh_kernel::{
    entity::EffectRequest,
    envelope::{
        CorrelationId, Envelope, EventId, Headers, IdempotencyKey, Principal, TenantId, TenantScope, Timestamp, TraceId,
    },
    ports::{Clock, Effects as _, effects::EffectCall},
};
use mesh_model_server::{DEVIATIONS, FAULTS, Seen};
use mesh_skills::{
    models::{
        Config, EmbedCall, Embedded, HANDLER, ModelCall, ModelEffects, ModelOutcome, ModelResult, NoVectors, Watch,
        cassette::{Cassette, Mode},
        chat::{Message, Request},
    },
    product::http::Ask,
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The key that no outcome may hold.
pub(crate) const KEY: &str = "very-secret-key-0001";

/// The server as a process of its own; it ends with the test.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mesh-model-server"))
            .args(["--port", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self { child, url: url.trim().to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_nanos(1_700_000_000_000_000_000)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// Keeps the text of the last call.
#[derive(Default)]
struct Watched {
    text: Mutex<String>,
    came: Notify,
}

impl Watch for Watched {
    fn chunk(&self, _: &EffectCall, _: &ModelCall, text: &str) {
        self.text.lock().push_str(text);
        self.came.notify_one();
    }
}

pub(crate) struct Bench {
    server: Server,
    effects: ModelEffects,
    watched: Arc<Watched>,
    asked: AtomicU32,
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::of(Server::start(), |config| ModelEffects::new(config, &|_| Some(KEY.to_owned()), Arc::new(Still)))
    }

    /// One that records onto this cassette, or one without variables that plays it.
    pub(crate) async fn with_cassette(folder: &Path, mode: Mode) -> Self {
        let cassette = Cassette::open(folder, mode, Arc::new(Still)).unwrap();
        let env = |_: &str| (mode != Mode::Replay).then(|| KEY.to_owned());
        Self::of(Server::start(), |config| ModelEffects::with_cassette(config, &env, Arc::new(Still), cassette))
    }

    fn of(server: Server, effects: impl FnOnce(Config) -> ModelEffects) -> Self {
        let watched: Arc<Watched> = Arc::default();
        let config = Config::read(&config(&server.url), "models.yaml").unwrap();
        Self { effects: effects(config).watched(watched.clone()), server, watched, asked: AtomicU32::new(0) }
    }

    /// Asks for a short answer; the result, and the text that was watched.
    pub(crate) async fn ask(&self, endpoint: &str, model: &str) -> (ModelResult, String) {
        self.watched.text.lock().clear();
        let result = self.ask_this(endpoint, model, request(vec![user("where?")])).await;
        (result, self.watched.text.lock().clone())
    }

    pub(crate) async fn ask_this(&self, endpoint: &str, model: &str, request: Request) -> ModelResult {
        self.perform(self.effect_of(endpoint, model, request)).await.unwrap().result
    }

    pub(crate) async fn perform(&self, effect: EffectCall) -> Option<ModelOutcome> {
        let outcome = self.effects.perform(effect).await?;
        Some(serde_json::from_slice(&outcome.bytes).unwrap())
    }

    pub(crate) fn effect(&self, endpoint: &str, model: &str) -> EffectCall {
        self.effect_of(endpoint, model, request(vec![user("where?")]))
    }

    pub(crate) async fn embed(&self, endpoint: &str, texts: &[&str]) -> Result<Embedded, NoVectors> {
        let call = EmbedCall {
            class: format!("{endpoint}|scripted"),
            texts: texts.iter().map(|text| (*text).to_owned()).collect(),
            ..EmbedCall::default()
        };
        self.effects.embed(&TenantId::parse("acme").unwrap(), &call).await
    }

    /// What the performer says when it panics at this.
    pub(crate) fn panicked(&self, effect: &EffectCall) -> ModelOutcome {
        serde_json::from_slice(&self.effects.failed(&effect.request, "a bug").unwrap().bytes).unwrap()
    }

    fn effect_of(&self, endpoint: &str, model: &str, request: Request) -> EffectCall {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let call = ModelCall {
            class: format!("{endpoint}|{model}"),
            candidate: 0,
            request,
            step_id: format!("task-1/turn/{endpoint}/{model}"),
            attempt_id: format!("attempt-{number}"),
            attempt: number,
            run: String::new(),
            project: String::new(),
            echo: Value::Null,
        };
        EffectCall {
            scope: TenantScope::unproven(TenantId::parse("acme").unwrap()),
            request: EffectRequest {
                key: IdempotencyKey::parse(&format!("task-1.{number}")).unwrap(),
                handler: HANDLER,
                attempt: number,
                input: serde_json::to_vec(&call).unwrap().into(),
                timeout: None,
            },
            cause: cause(),
            asked_before: false,
            cancelled: CancellationToken::new(),
        }
    }

    /// Waits until some text has come.
    pub(crate) async fn text_came(&self) {
        self.watched.came.notified().await;
    }

    async fn look(&self) -> Value {
        let answer = Ask::get(format!("{}/seen", self.server.url)).send().await.unwrap();
        serde_json::from_slice(&answer.body).unwrap()
    }

    pub(crate) async fn seen(&self) -> Vec<Seen> {
        serde_json::from_value(self.look().await["requests"].clone()).unwrap()
    }

    /// How many connections were made to the server, this one included.
    pub(crate) async fn connections(&self) -> u64 {
        self.look().await["connections"].as_u64().unwrap()
    }

    /// How many answers the server still writes.
    pub(crate) async fn open(&self) -> u64 {
        self.look().await["open"].as_u64().unwrap()
    }

    pub(crate) async fn script(&self, script: Value) {
        let answer = Ask::post_json(format!("{}/script", self.server.url), &script).send().await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.excerpt());
    }

    /// Every call of this bench reached the server once: no retry below us.
    pub(crate) async fn was_asked_once_for_each(&self) {
        let seen = self.seen().await;
        let attempts: Vec<_> = seen.iter().map(|seen| seen.attempt.clone()).collect();
        let calls: Vec<_> = (1..=self.asked.load(Ordering::SeqCst)).map(|number| format!("attempt-{number}")).collect();
        assert_eq!(attempts, calls);
        assert!(seen.iter().all(|seen| seen.idempotency_key.len() == 64));
    }
}

pub(crate) fn user(text: &str) -> Message {
    Message::User { text: text.into() }
}

pub(crate) fn request(messages: Vec<Message>) -> Request {
    Request { messages, max_tokens: 100, ..Request::default() }
}

/// A class for each endpoint and model.
fn config(url: &str) -> String {
    let hasty = |what: &str| json!({"url": format!("{url}/v1"), "keyFrom": "KEY", "timeouts": {what: "300ms"}});
    let endpoints = json!({
        "streams": {"url": format!("{url}/v1"), "keyFrom": "KEY"},
        "whole": {"url": format!("{url}/v1"), "keyFrom": "KEY", "stream": false},
        "hasty-first": hasty("firstToken"),
        "hasty-idle": hasty("idle"),
        "hasty-total": {"url": format!("{url}/v1"), "keyFrom": "KEY", "timeouts": {"total": "1s"}},
        "nobody": {"url": "http://127.0.0.1:1/v1", "keyFrom": "KEY"},
    });
    let deviating = DEVIATIONS.iter().map(|name| format!("deviate:{name}"));
    let faulty = FAULTS.iter().map(|name| format!("fault:{name}"));
    let mut classes = serde_json::Map::new();
    for model in deviating.chain(faulty).chain(["scripted".to_owned()]) {
        for endpoint in endpoints.as_object().unwrap().keys() {
            classes.insert(format!("{endpoint}|{model}"), json!([{"endpoint": endpoint, "model": model}]));
        }
    }
    json!({"endpoints": endpoints, "classes": classes}).to_string()
}

fn cause() -> Arc<Envelope> {
    Arc::new(Envelope {
        event_id: EventId::parse("evt-1").unwrap(),
        event_type: "ModelCallRequested".into(),
        tenant_id: TenantId::parse("acme").unwrap(),
        project_id: None,
        module_id: None,
        trace_id: TraceId::parse("trace-1").unwrap(),
        correlation_id: CorrelationId::parse("task-1").unwrap(),
        causation_id: EventId::parse("evt-0").unwrap(),
        occurred_at: Still.now(),
        payload: bytes::Bytes::from_static(b"{}"),
        headers: Headers::new("acme/agents/task/task-1".parse().unwrap(), Principal::system("test")),
    })
}
