//! Documents in and out.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use mesh_kernel::{
    entity::decode_tagged,
    envelope::{Address, Classification, ErrorKind, Refusal},
    path::Caller,
    ports::{ContentError, Digest},
};
use mesh_platforms::knowledge::{
    Error,
    config::Config,
    effects::wrapped,
    machines::collection::Source,
    messages::{CollectionCommand as Command, CollectionEvent as Event, Document, Origin},
};
use mesh_proto::v1;

use super::classification;
use crate::{
    gateway::{GatewayState, Terms, status::refused_field},
    knowledge::address,
};

/// Documents that one plan may name.
const PLANNED_MAX: usize = 50_000;
/// Documents that one request may bring.
const DOCUMENTS_MAX: usize = 200;
/// Length of one document.
const DOCUMENT_BYTES_MAX: usize = 4 << 20;
/// Length of all documents of a request.
const BATCH_BYTES_MAX: usize = 16 << 20;

pub(super) async fn plan(
    state: &GatewayState,
    caller: &Caller,
    request: &v1::PlanIngestRequest,
) -> Result<v1::PlanIngestResponse, Refusal> {
    let caller = &state.mesh.charge(caller)?;
    if request.documents.len() > PLANNED_MAX {
        let what = format!("at most {PLANNED_MAX} are taken: send a folder's parts as sources of their own");
        return Err(refused_field("documents", what));
    }
    let known = source(state, caller, &request.collection, &request.source, "PlanIngest").await?;
    let known = known.map(|source| source.documents).unwrap_or_default();
    let mut wanted = Vec::new();
    let mut named = BTreeSet::new();
    for (n, document) in request.documents.iter().enumerate() {
        let digest: Digest = document.digest.parse().map_err(|_| {
            refused_field(&format!("documents[{n}].digest"), "`sha256:` and 64 hexadecimal digits are expected")
        })?;
        named.insert(document.path.as_str());
        if known.get(&document.path).is_none_or(|known| known.content != digest) {
            wanted.push(document.path.clone());
        }
    }
    let gone = known.keys().filter(|path| !named.contains(path.as_str())).cloned().collect();
    let unchanged = request.documents.len().saturating_sub(wanted.len());
    Ok(v1::PlanIngestResponse { wanted, gone, unchanged: u32::try_from(unchanged).unwrap_or(u32::MAX) })
}

/// A source as it stands; `None` when it, or its collection, is not there.
pub(super) async fn source(
    state: &GatewayState,
    caller: &Caller,
    collection: &str,
    source: &str,
    action: &str,
) -> Result<Option<Source>, Refusal> {
    let address = address(caller, collection)?;
    match state.mesh.query(caller, &address, action, &format!("source:{source}")).await {
        Ok(viewed) => serde_json::from_value(viewed.view)
            .map_err(|error| Refusal::new("GTW-0070", ErrorKind::Internal, format!("the source: {error}"))),
        Err(refusal) if refusal.kind == ErrorKind::NotFound => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

pub(super) async fn take(
    state: &GatewayState,
    caller: &Caller,
    mut request: v1::IngestDocumentsRequest,
) -> Result<v1::IngestDocumentsResponse, Refusal> {
    let terms = Terms::of("IngestDocuments", &request, &request.request_id, "")?;
    let caller = &state.mesh.charge(caller)?;
    let to = address(caller, &request.collection)?;
    let origin = origin(request.source.take())?;
    let documents = std::mem::take(&mut request.documents);
    bounded(&documents)?;
    // Nobody's bytes are kept for a caller who may not send them.
    state.mesh.admit_read(caller, "IngestDocuments")?;
    let sent = documents.len();
    // What would be turned away is turned away before anything is stored.
    let standing = state.knowledge.standing(caller, &request.collection, "PlanIngest").await?;
    if let Some(pending) =
        standing.map(|standing| standing.pending).filter(|pending| *pending >= Config::default().pending_max)
        && !documents.is_empty()
    {
        return Err(Refusal::from(&Error::Busy { pending }));
    }
    let known = known(state, caller, &to, &origin.name, &documents).await?;
    let mut kept = Vec::new();
    for document in documents {
        let content = Digest::of(&document.body);
        if known.get(&document.path) == Some(&content) {
            continue;
        }
        kept.push(keep(state, caller, &origin, document, content).await?);
    }
    let command = Command::IngestDocuments { origin, documents: kept, removed: request.removed };
    let reply = state.order(caller, to, &command, terms).await?;
    let (mut taken, mut removed) = (0, 0);
    for event in &reply.events {
        if let Ok(Event::DocumentsIngested { documents, removed: gone, .. }) =
            decode_tagged(&event.event_type, &event.payload)
        {
            taken += documents.len();
            removed += gone.len();
        }
    }
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Ok(v1::IngestDocumentsResponse {
        taken: count(taken),
        unchanged: count(sent.saturating_sub(taken)),
        removed: count(removed),
        position: reply.position.0,
    })
}

/// What the collection has under these documents' paths.
async fn known(
    state: &GatewayState,
    caller: &Caller,
    collection: &Address,
    source: &str,
    documents: &[v1::NewDocument],
) -> Result<BTreeMap<String, Digest>, Refusal> {
    let paths = documents.iter().map(|document| document.path.as_str());
    let what: Vec<&str> = std::iter::once(source).chain(paths).collect();
    match state.mesh.query(caller, collection, "PlanIngest", &format!("known:{}", what.join("\n"))).await {
        Ok(viewed) => serde_json::from_value(viewed.view)
            .map_err(|error| Refusal::new("GTW-0070", ErrorKind::Internal, format!("the documents: {error}"))),
        Err(refusal) if refusal.kind == ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(refusal) => Err(refusal),
    }
}

fn bounded(documents: &[v1::NewDocument]) -> Result<(), Refusal> {
    if documents.len() > DOCUMENTS_MAX {
        return Err(refused_field("documents", format!("at most {DOCUMENTS_MAX} are taken at once")));
    }
    let mut paths = BTreeMap::new();
    let mut bytes = 0;
    for (n, document) in documents.iter().enumerate() {
        if document.body.len() > DOCUMENT_BYTES_MAX {
            let what = format!("`{}` has more than {DOCUMENT_BYTES_MAX} bytes", document.path);
            return Err(refused_field(&format!("documents[{n}].body"), what));
        }
        if let Some(first) = paths.insert(document.path.as_str(), n) {
            let what = format!("`{}` is documents[{first}] already", document.path);
            return Err(refused_field(&format!("documents[{n}].path"), what));
        }
        bytes += document.body.len();
    }
    if bytes > BATCH_BYTES_MAX {
        return Err(refused_field("documents", format!("at most {BATCH_BYTES_MAX} bytes are taken at once")));
    }
    Ok(())
}

fn origin(source: Option<v1::KnowledgeSource>) -> Result<Origin, Refusal> {
    let source = source.ok_or_else(|| refused_field("source", "where the documents come from is expected"))?;
    let classification = classification(source.classification()).unwrap_or(Classification::Internal);
    if source.uri.len() > 1_000 || !matches!(source.kind.as_str(), "" | "git" | "folder") {
        return Err(refused_field("source", "a `uri` of at most 1,000 bytes and a `kind` of git or folder are taken"));
    }
    Ok(Origin { name: source.name, uri: source.uri, kind: source.kind, classification, outside: source.outside })
}

/// Stores a document's bytes, durable before an event names them.
async fn keep(
    state: &GatewayState,
    caller: &Caller,
    origin: &Origin,
    document: v1::NewDocument,
    content: Digest,
) -> Result<Document, Refusal> {
    let v1::NewDocument { path, body, revision } = document;
    if revision.len() > 100 || path.len() > 1_000 {
        return Err(refused_field("documents", "a path of 1,000 and a revision of 100 bytes are taken at most"));
    }
    let bytes = body.len() as u64;
    // INVARIANT: a body is one document's alone and of one sending, so it can go when that document goes.
    let stored = wrapped(&(state.secret)(), &origin.name, &path, &body);
    let body = state.content.put(caller.scope(), Bytes::from(stored)).await.map_err(|error| unkept(&error))?;
    Ok(Document { path, content, body, bytes, revision })
}

fn unkept(error: &ContentError) -> Refusal {
    let kind = match error {
        ContentError::Full { .. } => ErrorKind::ResourceExhausted,
        _ => ErrorKind::Unavailable,
    };
    Refusal::new("GTW-0071", kind, error.to_string())
}

pub(super) async fn forget(
    state: &GatewayState,
    caller: &Caller,
    request: v1::ForgetDocumentsRequest,
) -> Result<v1::ForgetDocumentsResponse, Refusal> {
    let terms = Terms::of("ForgetDocuments", &request, &request.request_id, "")?;
    let caller = &state.mesh.charge(caller)?;
    let to = address(caller, &request.collection)?;
    let command = Command::ForgetDocuments { source: request.source, paths: request.paths };
    let reply = state.order(caller, to, &command, terms).await?;
    Ok(v1::ForgetDocumentsResponse { position: reply.position.0 })
}
