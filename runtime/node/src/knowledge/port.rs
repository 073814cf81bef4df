//! The port: a skill asks for a context package.

use std::sync::{Arc, OnceLock};

use mesh_kernel::{
    BoxFuture,
    envelope::{Classification, ErrorKind, Refusal},
    path::Command,
};
use mesh_skills::contract::{Call, ContextAsk, ContextGiven, ContextPiece, Contexts, Failure};

use super::{Ask, Knowledge};

/// Answers skills that want a context package. Knowledge is handed in after it was made, for the performers of
/// skills are a part of the kernel that it speaks to.
#[derive(Clone, Default)]
pub struct ContextsPort(Arc<OnceLock<Arc<Knowledge>>>);

impl ContextsPort {
    /// Says whom to ask. Once, before the first skill runs.
    pub fn connect(&self, knowledge: Arc<Knowledge>) {
        if self.0.set(knowledge).is_err() {
            tracing::error!("the port of context packages was connected twice; the first one stays");
        }
    }

    async fn build(&self, call: &Call, ask: ContextAsk) -> Result<ContextGiven, Failure> {
        let starting = || Failure::external("knowledge.starting", "the node is starting: try again");
        let knowledge = self.0.get().ok_or_else(starting)?;
        let mesh = knowledge.mesh().map_err(|refusal| failure(&refusal))?;
        let caller = mesh.on_behalf("knowledge", &call.scope, &call.cause);
        let ask = Ask {
            intent: ask.intent,
            collections: ask.collections,
            token_budget: ask.token_budget,
            // Who acts by itself sees what anyone in the tenant may see.
            ceiling: Some(Classification::Internal),
            inside_only: ask.inside_only,
            ..Ask::default()
        };
        let sending = |command: Command| Command {
            key: Some(call.key.clone()),
            correlation: Some(call.cause.correlation_id.clone()),
            trace: Some(call.cause.trace_id.clone()),
            causation: Some(call.cause.event_id.clone()),
            project: call.cause.project_id.clone(),
            ..command
        };
        let built = knowledge.build(&caller, ask, Some(&call.key), sending).await;
        let (package, _) = built.map_err(|refusal| failure(&refusal))?;
        let piece = |source: mesh_proto::v1::ContextSource| ContextPiece {
            handle: source.handle,
            citation: source.citation,
            tainted: source.r#match.is_some_and(|found| found.tainted),
        };
        Ok(ContextGiven {
            id: package.id,
            text: package.text,
            tokens: package.tokens_used,
            pieces: package.sources.into_iter().map(piece).collect(),
        })
    }
}

impl Contexts for ContextsPort {
    fn build<'a>(&'a self, call: &'a Call, ask: ContextAsk) -> BoxFuture<'a, Result<ContextGiven, Failure>> {
        Box::pin(Self::build(self, call, ask))
    }
}

fn failure(refusal: &Refusal) -> Failure {
    let code = format!("knowledge.{}", refusal.code.to_ascii_lowercase());
    match refusal.kind {
        ErrorKind::InvalidArgument | ErrorKind::NotFound | ErrorKind::PermissionDenied => {
            Failure::validation(&code, refusal.message.clone())
        }
        ErrorKind::ResourceExhausted => Failure::resource(&code, refusal.message.clone()),
        ErrorKind::Internal | ErrorKind::Unimplemented => Failure::internal(&code, refusal.message.clone()),
        _ => Failure::external(&code, refusal.message.clone()),
    }
}
