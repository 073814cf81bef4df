//! Context packages, as a caller or a skill asks for them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use mesh_kernel::{
    entity::{Decider as _, encode_tagged},
    envelope::{Address, Classification, ErrorKind, IdempotencyKey, Refusal},
    path::{Caller, Command},
    ports::{Digest, Position},
};
use mesh_knowledge::{
    context::{self, Bounds, SOURCES_MAX},
    tokens::Counter,
};
use mesh_platforms::knowledge::{
    machines::package::PackageMachine,
    messages::{Package, PackageCommand, PackageSource},
};
use mesh_proto::v1;
use prost::Message as _;

use super::{
    Knowledge,
    find::{Asked, ceiling_of, told},
    internal, missing, refused,
};

const BUDGET_DEFAULT: u32 = 16_000;
const BUDGET_MAX: u32 = 1_000_000;
const TTL_DEFAULT: Duration = Duration::from_secs(1_800);
const TTL_MAX: Duration = Duration::from_secs(24 * 3_600);
/// Candidates for each source that a package may have.
const CANDIDATES_PER_SOURCE: usize = 3;
/// Whose tokens are counted when nobody says.
const MODEL_DEFAULT: &str = "gpt-4";

/// What a package is asked for. What is not said has its default.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// What it is for, in words.
    pub intent: String,
    /// The collections; all when there is none.
    pub collections: Vec<String>,
    /// Only documents of these sources.
    pub sources: Vec<String>,
    /// Tokens at most; 0 is not said.
    pub token_budget: u32,
    /// Sources at most; 0 is not said.
    pub max_sources: u32,
    /// Nothing above this.
    pub ceiling: Option<Classification>,
    /// Whose tokens are counted; empty is not said.
    pub model: String,
    /// How long it may be used.
    pub ttl: Option<Duration>,
    /// Only what was written inside.
    pub inside_only: bool,
}

impl Knowledge {
    /// Builds a package and records it. `key` names the request: the same builds one package; `sending` makes the
    /// command of its address and payload.
    ///
    /// # Errors
    /// What is wrong with the request, what policy denies, and `Unavailable` while an index is made again.
    pub async fn build(
        &self,
        caller: &Caller,
        ask: Ask,
        key: Option<&IdempotencyKey>,
        sending: impl FnOnce(Command) -> Command,
    ) -> Result<(v1::ContextPackage, Position), Refusal> {
        let mesh = self.mesh()?;
        let limits = Limits::of(caller, &ask)?;
        let address = address(self, caller, key)?;
        let asked = Asked {
            collections: ask.collections,
            text: ask.intent,
            sources: ask.sources,
            path_prefix: String::new(),
            // What policy denies is told as left out, so it has to be found first.
            ceiling: Classification::Restricted,
            inside_only: ask.inside_only,
            count: limits.bounds.sources * CANDIDATES_PER_SOURCE,
            action: "BuildContext",
            field: "intent",
        };
        let found = self.find(caller, &asked).await?;
        let collections: BTreeSet<String> = match asked.collections.is_empty() {
            true => found.iter().map(|one| one.collection.clone()).collect(),
            false => asked.collections.iter().cloned().collect(),
        };
        let packed = self.pack(found, limits.bounds, limits.ceiling).await?;
        let message = message(self, &asked.text, collections.into_iter().collect(), &limits, &packed, address.id());
        let body = Bytes::from(message.encode_to_vec());
        let digest = self.content.put(caller.scope(), body).await;
        let digest = digest.map_err(|error| Refusal::new("KNO-0013", ErrorKind::Unavailable, error.to_string()))?;
        let package = PackageCommand::BuildContext(Box::new(recorded(&message, &packed, digest, &limits)));
        let payload = encode_tagged(&package, 1).map_err(|error| internal(&error))?;
        let id = address.id().to_owned();
        let reply = mesh.send(caller, sending(Command { what: None, ..Command::new(address, payload) })).await?;
        // A repeat of the request is answered with what was built the first time.
        Ok((self.package(caller, &id, "BuildContext").await?, reply.position))
    }

    /// A package that was built.
    ///
    /// # Errors
    /// `NotFound`, and `PermissionDenied` when it holds what the caller's roles may not see.
    pub async fn package(&self, caller: &Caller, id: &str, action: &str) -> Result<v1::ContextPackage, Refusal> {
        let missing = || missing("context package", id);
        let address = Address::new(caller.tenant(), PackageMachine::KIND, id).map_err(|_| missing())?;
        let viewed = self.mesh()?.query(caller, &address, action, "").await.map_err(|refusal| match refusal.kind {
            ErrorKind::NotFound => missing(),
            _ => refusal,
        })?;
        let body = viewed.view.pointer("/package/body").and_then(|body| body.as_str()).unwrap_or_default();
        let digest: Digest = body.parse().map_err(|_| internal(&"the package names no body"))?;
        let body = self.content.get(caller.scope(), digest).await.map_err(|error| internal(&error))?;
        let package = v1::ContextPackage::decode(body).map_err(|error| internal(&error))?;
        // Who may see less than the one who had it built sees none of it.
        let sources = viewed.view.pointer("/package/sources").and_then(|sources| sources.as_array());
        let class = |source: &serde_json::Value| serde_json::from_value(source.get("classification")?.clone()).ok();
        let top: Option<Classification> = sources.into_iter().flatten().filter_map(class).max();
        if top.unwrap_or(Classification::Public) > ceiling_of(caller) {
            let what = "the package holds what your roles may not see";
            return Err(Refusal::new("KNO-0014", ErrorKind::PermissionDenied, what));
        }
        Ok(package)
    }
}

/// A package's own address: by its request's key, when it has one.
fn address(knowledge: &Knowledge, caller: &Caller, key: Option<&IdempotencyKey>) -> Result<Address, Refusal> {
    let id = match key {
        None => format!("ctx-{}", knowledge.mesh()?.fresh_id().as_str().trim_start_matches("evt-")),
        Some(key) => {
            let digest = Digest::of(format!("{}\n{}", caller.tenant(), key.as_str()).as_bytes()).hex();
            format!("ctx-{}", digest.get(..32).unwrap_or(&digest))
        }
    };
    Address::new(caller.tenant(), PackageMachine::KIND, &id).map_err(|error| internal(&error))
}

struct Limits {
    bounds: Bounds,
    ceiling: Classification,
    ttl: Duration,
}

impl Limits {
    fn of(caller: &Caller, ask: &Ask) -> Result<Self, Refusal> {
        if ask.token_budget > BUDGET_MAX {
            return Err(refused("token_budget", format!("at most {BUDGET_MAX} tokens are taken")));
        }
        let or = |asked: u32, default: u32| if asked == 0 { default } else { asked };
        let sources = usize::try_from(or(ask.max_sources, 40)).unwrap_or(usize::MAX);
        if sources > SOURCES_MAX {
            return Err(refused("max_sources", format!("at most {SOURCES_MAX} are taken")));
        }
        let ttl = ask.ttl.unwrap_or(TTL_DEFAULT);
        if ttl > TTL_MAX || ttl.is_zero() {
            return Err(refused("ttl", "more than nothing and at most a day is taken".to_owned()));
        }
        let model = if ask.model.is_empty() { MODEL_DEFAULT } else { &ask.model };
        let tokens = u64::from(or(ask.token_budget, BUDGET_DEFAULT));
        let bounds = Bounds { tokens, sources, counter: Counter::of(model) };
        let ceiling = ask.ceiling.unwrap_or(Classification::Internal).min(ceiling_of(caller));
        Ok(Self { bounds, ceiling, ttl })
    }
}

fn message(
    knowledge: &Knowledge,
    intent: &str,
    collections: Vec<String>,
    limits: &Limits,
    packed: &context::Package,
    id: &str,
) -> v1::ContextPackage {
    let now = knowledge.clock.now();
    v1::ContextPackage {
        id: id.to_owned(),
        intent: intent.to_owned(),
        collections,
        token_budget: cut(limits.bounds.tokens),
        tokens_used: cut(packed.tokens_used),
        tokenizer: limits.bounds.counter.to_string(),
        model: Some(knowledge.told_model()),
        sources: packed.sources.iter().map(source).collect(),
        left_out: packed.left_out.iter().map(left_out).collect(),
        created_at: Some(now.into()),
        expires_at: Some(now.plus(limits.ttl).into()),
        text: packed.text.clone(),
        tainted: packed.sources.iter().any(|source| source.candidate.shelved.document.outside),
    }
}

fn source(source: &context::Source) -> v1::ContextSource {
    v1::ContextSource {
        handle: source.handle.clone(),
        citation: source.candidate.citation(),
        digest: source.candidate.shelved.document.content.to_string(),
        r#match: Some(told(source.candidate.clone())),
        tokens: cut(source.tokens),
        redacted: source.redacted,
    }
}

fn left_out(left: &context::LeftOut) -> v1::LeftOut {
    v1::LeftOut {
        chunk_id: left.chunk.to_string(),
        path: left.path.clone(),
        reason: left.reason.as_str().to_owned(),
        detail: left.detail.clone(),
    }
}

/// What the journal keeps of a package: everything but its texts.
fn recorded(message: &v1::ContextPackage, packed: &context::Package, body: Digest, limits: &Limits) -> Package {
    let mut left_out = BTreeMap::new();
    for left in &packed.left_out {
        *left_out.entry(left.reason.as_str().to_owned()).or_default() += 1;
    }
    Package {
        intent: message.intent.clone(),
        collections: message.collections.clone(),
        token_budget: message.token_budget,
        tokens_used: message.tokens_used,
        tokenizer: message.tokenizer.clone(),
        model: message.model.as_ref().map(|model| format!("{}@{}", model.name, model.digest)).unwrap_or_default(),
        sources: packed.sources.iter().map(kept).collect(),
        left_out,
        ttl_seconds: cut(limits.ttl.as_secs()),
        body,
    }
}

fn kept(source: &context::Source) -> PackageSource {
    let document = &source.candidate.shelved.document;
    PackageSource {
        handle: source.handle.clone(),
        chunk: source.candidate.shelved.piece.id.to_string(),
        citation: source.candidate.citation(),
        score: source.candidate.score,
        tokens: cut(source.tokens),
        content: document.content,
        classification: document.classification,
        tainted: document.outside,
        redacted: source.redacted,
    }
}

fn cut(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
