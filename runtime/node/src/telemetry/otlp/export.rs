//! The way to the collector: one connection, batches, and trying again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mesh_proto::otlp::{
    collector::trace::v1::{ExportTraceServiceRequest, trace_service_client::TraceServiceClient},
    common::v1::InstrumentationScope,
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use tonic::{
    Code, Request, Status,
    codec::CompressionEncoding,
    metadata::{Ascii, MetadataKey, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

use super::{Otlp, span};
use crate::telemetry::genai;

/// The longest pause before a batch is tried again.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Why there is no way to the collector.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The authority's file cannot be read.
    #[error("the certificate authority of the collector, `{}`, cannot be read: {source}; see OTEL_EXPORTER_OTLP_CERTIFICATE", path.display())]
    Authority {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The address or the authority cannot be used.
    #[error("the collector at `{endpoint}` cannot be addressed: {source}; see OTEL_EXPORTER_OTLP_ENDPOINT")]
    Endpoint {
        /// The address.
        endpoint: String,
        /// What is wrong with it.
        #[source]
        source: tonic::transport::Error,
    },
}

/// What became of spans.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// The collector has them.
    pub taken: u64,
    /// Nobody has them: the collector refused them for good, or did not take a sample in time.
    pub lost: u64,
    /// Requests that are tried again.
    pub tried_again: u64,
}

#[derive(Default)]
struct Counters {
    taken: AtomicU64,
    lost: AtomicU64,
    tried_again: AtomicU64,
}

/// The collector, as the node reaches it. Cheap to clone.
#[derive(Clone)]
pub struct Sink(Arc<Inner>);

struct Inner {
    client: TraceServiceClient<Channel>,
    headers: Vec<(MetadataKey<Ascii>, MetadataValue<Ascii>)>,
    resource: Resource,
    timeout: Duration,
    batch: usize,
    counters: Counters,
}

impl Sink {
    /// The way that the variables describe. It connects when there is something to send.
    ///
    /// # Errors
    /// [`SinkError`].
    pub fn new(otlp: &Otlp) -> Result<Self, SinkError> {
        let mut client = TraceServiceClient::new(channel(otlp)?);
        if otlp.gzip {
            client = client.send_compressed(CompressionEncoding::Gzip);
        }
        let header = |(key, value): &(String, String)| {
            let mut value: MetadataValue<Ascii> = value.parse().ok()?;
            value.set_sensitive(true);
            Some((key.parse().ok()?, value))
        };
        let resource = otlp.resource.iter().map(|(key, value)| span::pair(key, value)).collect();
        Ok(Self(Arc::new(Inner {
            client,
            headers: otlp.headers.iter().filter_map(header).collect(),
            resource: Resource { attributes: resource, ..Resource::default() },
            timeout: otlp.timeout,
            batch: otlp.batch,
            counters: Counters::default(),
        })))
    }

    /// What became of spans so far.
    pub fn sent(&self) -> Sent {
        let counters = &self.0.counters;
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Sent { taken: of(&counters.taken), lost: of(&counters.lost), tried_again: of(&counters.tried_again) }
    }

    /// Sends all spans, batch by batch, for as long as it takes; answers when the collector has taken
    /// or refused each.
    ///
    /// **Cancel safety**: dropped, the spans of a batch may have arrived or not.
    pub(super) async fn send(&self, spans: Vec<Span>) {
        for batch in spans.chunks(self.0.batch) {
            let mut pause = Duration::from_secs(1);
            while let Err(status) = self.once(batch).await {
                if !passes(status.code()) {
                    self.lost(batch.len() as u64);
                    tracing::warn!(spans = batch.len(), code = ?status.code(), message = status.message(),
                        "the collector refused spans: they are not sent again");
                    break;
                }
                if pause == Duration::from_secs(1) {
                    tracing::warn!(code = ?status.code(), "the collector does not answer: spans wait in the journal");
                }
                self.0.counters.tried_again.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }

    /// Counts spans that nobody will have.
    pub(super) fn lost(&self, spans: u64) {
        self.0.counters.lost.fetch_add(spans, Ordering::Relaxed);
    }

    /// Sends one batch, once.
    pub(super) async fn once(&self, batch: &[Span]) -> Result<(), Status> {
        let scope = InstrumentationScope {
            name: "mesh".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let schema_url = genai::SCHEMA_URL.to_owned();
        let spans = ScopeSpans { scope: Some(scope), spans: batch.to_vec(), schema_url };
        let all = ResourceSpans {
            resource: Some(self.0.resource.clone()),
            scope_spans: vec![spans],
            ..ResourceSpans::default()
        };
        let mut request = Request::new(ExportTraceServiceRequest { resource_spans: vec![all] });
        request.set_timeout(self.0.timeout);
        for (key, value) in &self.0.headers {
            request.metadata_mut().insert(key.clone(), value.clone());
        }
        let answered = tokio::time::timeout(self.0.timeout, self.0.client.clone().export(request)).await;
        let answer = answered.map_err(|_| Status::deadline_exceeded("no answer in time"))??.into_inner();
        let refused = answer.partial_success.map_or(0, |partial| u64::try_from(partial.rejected_spans).unwrap_or(0));
        self.lost(refused);
        self.0.counters.taken.fetch_add((batch.len() as u64).saturating_sub(refused), Ordering::Relaxed);
        Ok(())
    }
}

/// The codes after which the standard has a client try again.
fn passes(code: Code) -> bool {
    use Code::{Aborted, Cancelled, DataLoss, DeadlineExceeded, OutOfRange, ResourceExhausted, Unavailable};
    matches!(code, Cancelled | DeadlineExceeded | ResourceExhausted | Aborted | OutOfRange | Unavailable | DataLoss)
}

fn channel(otlp: &Otlp) -> Result<Channel, SinkError> {
    let wrong = |source| SinkError::Endpoint { endpoint: otlp.endpoint.clone(), source };
    let endpoint = Endpoint::from_shared(otlp.endpoint.clone()).map_err(wrong)?.connect_timeout(otlp.timeout);
    let Some(path) = otlp.ca.as_ref().filter(|_| otlp.endpoint.starts_with("https://")) else {
        return Ok(endpoint.connect_lazy());
    };
    let pem = std::fs::read(path).map_err(|source| SinkError::Authority { path: path.clone(), source })?;
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
    Ok(endpoint.tls_config(tls).map_err(wrong)?.connect_lazy())
}
