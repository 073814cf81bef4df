//! The kernel's spans of the eight steps, gathered for the collector.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use mesh_kernel::{
    envelope::{Timestamp, TraceId},
    ports::Clock,
};
use mesh_proto::otlp::trace::v1::Span;
use tokio::sync::mpsc;
use tracing::{
    Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, Filter},
    registry::LookupSpan,
};

use super::{ids, sampler::Sampler, span};

/// The target under which the kernel makes its spans.
const TARGET: &str = "mesh::path";

/// A layer that hands the spans of the path over. What nobody takes in time is dropped and counted: a
/// step of the path never waits for it.
pub struct PathLayer {
    clock: Arc<dyn Clock>,
    sampler: Sampler,
    sender: mpsc::Sender<Span>,
    missed: Arc<AtomicU64>,
}

/// Where the spans of the path come out.
pub struct PathSpans {
    pub(super) came: mpsc::Receiver<Span>,
    /// Spans that found no room.
    pub(super) missed: Arc<AtomicU64>,
}

impl PathLayer {
    /// A layer, and where its spans come out; `queue` of them wait at most.
    pub(crate) fn new(otlp: &super::Otlp, clock: Arc<dyn Clock>) -> (Self, PathSpans) {
        let (sender, came) = mpsc::channel(otlp.queue);
        let missed = Arc::<AtomicU64>::default();
        (Self { clock, sampler: otlp.sampler, sender, missed: missed.clone() }, PathSpans { came, missed })
    }
}

/// Lets the spans of the path through and nothing else.
pub(crate) struct OnlyPath;

impl<S> Filter<S> for OnlyPath {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        metadata.is_span() && metadata.target() == TARGET
    }
}

/// What is remembered of a span while it is open.
struct Open {
    trace: String,
    subject: String,
    began: Timestamp,
}

#[derive(Default)]
struct Fields {
    trace: String,
    subject: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        match field.name() {
            "trace_id" => self.trace = format!("{value:?}"),
            "subject" => self.subject = format!("{value:?}"),
            _ => {}
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for PathLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let Fields { trace, subject } = fields;
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Open { trace, subject, began: self.clock.now() });
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(open) = span.extensions_mut().remove::<Open>() else { return };
        if let Some(told) = self.told(span.name(), &open)
            && self.sender.try_send(told).is_err()
        {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl PathLayer {
    fn told(&self, step: &'static str, open: &Open) -> Option<Span> {
        let trace = ids::trace(&TraceId::parse(&open.trace).ok()?);
        if !self.sampler.takes(&trace, None) {
            return None;
        }
        let id = ids::path(&open.trace, &open.subject, step, open.began.unix_nanos());
        let run = open.subject.parse().ok().filter(|subject: &mesh_kernel::envelope::Address| {
            (subject.platform(), subject.kind()) == ("control-plane", "run")
        });
        let parent = run.map(|run| ids::run(&run, 1));
        let mut told = span::begun(trace, id, parent, step.to_owned(), open.began);
        span::text(&mut told, "mesh.trace_id", &open.trace);
        span::text(&mut told, "mesh.subject", &open.subject);
        span::end(&mut told, self.clock.now());
        Some(told)
    }
}
