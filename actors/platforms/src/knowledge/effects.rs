//! What Knowledge does in the outside world: it makes an index of documents' bodies, on the node's own disk.
//!
//! A round may be asked for again after a crash: what is shelved already is neither embedded nor indexed twice,
//! and a body that is gone stays gone.

use std::sync::Arc;

use bytes::Bytes;
use mesh_kernel::{
    BoxFuture,
    entity::{EffectRequest, encode_tagged},
    envelope::TenantScope,
    ports::{
        ContentError, ContentStore, Digest, Effects, Outcome,
        effects::{Concurrency, EffectCall},
    },
};
use mesh_knowledge::shelf::{self, Document, Incoming, Shelves, Standing};

use super::{
    machines::collection::{HANDLER, Round, ToIndex},
    messages::{CollectionCommand as Command, Indexed},
};

/// What stands before a document's bytes in the content store.
const MARK: &[u8] = b"mesh document 1\n";

/// A document's bytes as the content store keeps them: with its place, and a mark of this one sending, so that
/// no other document ever shares the body.
pub fn wrapped(sending: &str, source: &str, path: &str, bytes: &[u8]) -> Vec<u8> {
    let head = format!("{sending}\n{source}\n{path}\n");
    [MARK, head.as_bytes(), bytes].concat()
}

/// The bytes that were wrapped.
fn unwrapped(body: &Bytes) -> Option<Bytes> {
    let rest = body.strip_prefix(MARK)?;
    let mut at = MARK.len();
    let mut lines = rest.split_inclusive(|byte| *byte == b'\n');
    for _ in 0..3 {
        at += lines.next()?.len();
    }
    Some(body.slice(at..))
}

/// Performs rounds of indexing.
pub struct IndexEffects {
    shelves: Arc<Shelves>,
    content: Arc<dyn ContentStore>,
    /// Rounds at once in the node: they are work for processors.
    at_once: usize,
}

impl IndexEffects {
    /// A performer over these shelves and bodies.
    pub fn new(shelves: Arc<Shelves>, content: Arc<dyn ContentStore>, at_once: usize) -> Self {
        Self { shelves, content, at_once }
    }

    async fn index(&self, scope: &TenantScope, round: Round) -> Command {
        let (number, generation) = (round.round, round.generation);
        let standing = Standing { generation, began: round.began, rounds: number.saturating_sub(1) };
        let failed = |reason: String| Command::RecordFailure { round: number, generation, reason };
        let mut incoming = Vec::with_capacity(round.documents.len());
        let mut lost = Vec::new();
        for one in round.documents {
            match self.read(scope, &one).await {
                Ok(Some(bytes)) => incoming.push(coming(one, bytes)),
                Ok(None) => lost.push(skipped(one, "its body is not in the content store: send it again")),
                Err(error) => return failed(error.to_string()),
            }
        }
        let removed = round.removed;
        let gone: Vec<(String, String)> = removed.iter().map(|gone| (gone.source.clone(), gone.path.clone())).collect();
        let (shelves, own, collection) = (self.shelves.clone(), scope.clone(), round.collection);
        let shelved = shelves.shelve(own, collection, standing, incoming, gone).await;
        let outcomes = match shelved {
            Ok(outcomes) => outcomes,
            Err(error) if error.wants_rebuild() => {
                return Command::RebuildIndex { generation, reason: error.to_string() };
            }
            Err(error) => return failed(error.to_string()),
        };
        for body in &round.bodies {
            if let Err(error) = self.content.remove(scope, *body).await {
                return failed(error.to_string());
            }
        }
        let documents = outcomes.into_iter().map(indexed).chain(lost).collect();
        Command::RecordIndexed { round: number, generation, documents, removed, bodies: round.bodies }
    }

    async fn read(&self, scope: &TenantScope, one: &ToIndex) -> Result<Option<Bytes>, ContentError> {
        match self.content.get(scope, one.document.body).await {
            Ok(body) => Ok(unwrapped(&body).filter(|bytes| Digest::of(bytes) == one.document.content)),
            Err(ContentError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn coming(one: ToIndex, bytes: Bytes) -> Incoming {
    let ToIndex { source, document, classification, outside } = one;
    let crate::knowledge::messages::Document { path, content, revision, .. } = document;
    Incoming { document: Document { source, path, content, revision, classification, outside }, bytes }
}

fn skipped(one: ToIndex, why: &str) -> Indexed {
    let ToIndex { source, document, .. } = one;
    Indexed { source, path: document.path, content: document.content, chunks: 0, skipped: why.to_owned() }
}

fn indexed(outcome: shelf::Outcome) -> Indexed {
    let shelf::Outcome { source, path, content, chunks, skipped } = outcome;
    Indexed { source, path, content, chunks, skipped: skipped.unwrap_or_default() }
}

impl Effects for IndexEffects {
    fn handlers(&self) -> Vec<&'static str> {
        vec![HANDLER]
    }

    fn concurrency(&self) -> Concurrency {
        Concurrency { total: self.at_once, per_tenant: self.at_once.div_ceil(2), ..Concurrency::default() }
    }

    fn perform(&self, call: EffectCall) -> BoxFuture<'_, Option<Outcome>> {
        Box::pin(async move {
            let round: Round = match serde_json::from_slice(&call.request.input) {
                Ok(round) => round,
                Err(error) => {
                    tracing::error!(%error, "a round of indexing cannot be read: nothing is indexed");
                    return None;
                }
            };
            // A round that was begun is ended: it is bounded, and doing it twice helps nobody.
            tell(&self.index(&call.scope, round).await)
        })
    }

    fn failed(&self, request: &EffectRequest, reason: &str) -> Option<Outcome> {
        let round: Round = serde_json::from_slice(&request.input).ok()?;
        let reason = format!("the performer failed: {reason}");
        tell(&Command::RecordFailure { round: round.round, generation: round.generation, reason })
    }
}

fn tell(command: &Command) -> Option<Outcome> {
    encode_tagged(command, 1).inspect_err(|error| tracing::error!(%error, "an outcome cannot be told")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_comes_out_as_it_went_in_and_shares_its_body_with_none() {
        let bytes = b"# Title\n\nwith lines\n";
        let one = wrapped("1", "docs", "a.md", bytes);
        assert_eq!(unwrapped(&one.clone().into()).unwrap(), bytes.as_slice());
        assert_ne!(Digest::of(&one), Digest::of(&wrapped("2", "docs", "a.md", bytes)));
        assert_eq!(unwrapped(&wrapped("1", "s", "p", b"").into()).unwrap(), b"".as_slice());
        assert_eq!(unwrapped(&Bytes::from_static(b"another body\na\nb\nc\n")), None);
    }
}
