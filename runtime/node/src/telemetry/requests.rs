//! gRPC requests by method and code: counted once each, when the last of the answer has left.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    http::HeaderMap,
    middleware::Next,
    response::Response,
};
use mesh_kernel::{
    ports::Clock,
    telemetry::{Timed, Timing},
};
use tonic::Code;

use crate::gateway::methods;

/// The codes of gRPC by their numbers.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// What methods of other services, and paths that are none, are counted under.
const OTHERS: &str = "other";

/// The requests of a node. A method is named when the contract has it, so nobody can make names up.
pub struct Requests {
    clock: Arc<dyn Clock>,
    methods: BTreeMap<String, Arc<Method>>,
    others: Arc<Method>,
}

/// What is counted of one method.
#[derive(Debug, Default)]
struct Method {
    codes: [AtomicU64; CODES.len()],
    took: Timing,
    open: AtomicU64,
}

/// What was counted of one method.
#[derive(Debug)]
pub(super) struct Counted<'a> {
    /// `WorkflowService/SubmitRun`.
    pub(super) method: &'a str,
    /// How often it was answered, by code; none that never happened.
    pub(super) codes: Vec<(&'static str, u64)>,
    /// How long it took.
    pub(super) took: Timed,
    /// Requests under way.
    pub(super) open: u64,
}

impl Requests {
    /// Nothing counted yet.
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        let methods = methods().into_iter().map(|method| (method.path, Arc::default())).collect();
        Arc::new(Self { clock, methods, others: Arc::default() })
    }

    /// All methods that were ever called, in the order of their names.
    pub(super) fn counted(&self) -> impl Iterator<Item = Counted<'_>> {
        let named = self.methods.iter().map(|(path, method)| (path.trim_start_matches("/mesh.v1."), method));
        named
            .chain([(OTHERS, &self.others)])
            .map(|(name, method)| method.counted(name))
            .filter(|counted| counted.open > 0 || !counted.codes.is_empty())
    }
}

impl Method {
    fn counted<'a>(&self, method: &'a str) -> Counted<'a> {
        let codes = CODES.iter().zip(&self.codes).map(|(code, count)| (*code, count.load(Ordering::Relaxed)));
        Counted {
            method,
            codes: codes.filter(|(_, count)| *count > 0).collect(),
            took: self.took.timed(),
            open: self.open.load(Ordering::Relaxed),
        }
    }
}

/// Counts a request and its answer.
pub async fn count(State(requests): State<Arc<Requests>>, request: Request, next: Next) -> Response {
    let method = requests.methods.get(request.uri().path()).unwrap_or(&requests.others).clone();
    method.open.fetch_add(1, Ordering::Relaxed);
    let mut open = Open { began: requests.clock.monotonic(), clock: requests.clock.clone(), method, code: None };
    let response = next.run(request).await;
    // A refusal has its code at the front, everything else behind its last message.
    open.code = code(response.headers());
    response.map(|body| Body::new(Watched { body, open }))
}

fn code(headers: &HeaderMap) -> Option<usize> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// A request that is being answered; counted when it is dropped, whatever became of it.
struct Open {
    method: Arc<Method>,
    clock: Arc<dyn Clock>,
    began: Duration,
    /// None while the answer goes on; when it never comes, the caller went away.
    code: Option<usize>,
}

impl Drop for Open {
    fn drop(&mut self) {
        let code = self.code.unwrap_or(Code::Cancelled as usize);
        if let Some(count) = self.method.codes.get(code) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.method.took.record(self.clock.monotonic().saturating_sub(self.began));
        self.method.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer, whose trailers carry the code.
struct Watched {
    body: Body,
    open: Open,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(trailers) = frame.trailers_ref()
        {
            self.open.code = code(trailers);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}
