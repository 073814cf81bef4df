//! `mesh tail`: what happens, as it happens.

use std::ops::ControlFlow;

use clap::Args;
use mesh_proto::v1::{
    self, TailResponse, tail_request::Source, tail_response::Item, telemetry_service_client::TelemetryServiceClient,
};
use serde_json::Value;

use super::{
    Failure, clients,
    connect::Link,
    context::Context,
    output::{Tone, clean, duration, instant, or_dash, to_json},
    stream::{Resumable, follow},
};

/// What `mesh tail` takes.
#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// Live signals of actors instead of the journal's events; a gap is told with its count
    #[arg(long, conflicts_with_all = ["cursor", "beginning", "event_types", "trace", "correlation"])]
    signals: bool,
    /// Begin with everything that is kept, instead of now
    #[arg(long, conflicts_with = "cursor")]
    beginning: bool,
    /// Go on behind this cursor
    #[arg(long, value_name = "CURSOR", default_value = "", hide_default_value = true)]
    cursor: String,
    /// Only events of this type, such as RunSubmitted; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    event_types: Vec<String>,
    /// Only of addresses that begin so, such as acme/control-plane/run/
    #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
    address: String,
    /// Only events of this lineage, trace-…
    #[arg(long, value_name = "TRACE", default_value = "", hide_default_value = true)]
    trace: String,
    /// Only events of this activity, such as a run
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    correlation: String,
    /// Show what each event says
    #[arg(long)]
    payload: bool,
    /// Stop when everything recorded so far was shown
    #[arg(long, conflicts_with = "signals")]
    no_follow: bool,
}

impl Resumable for TailResponse {
    fn cursor(&self) -> &str {
        &self.cursor
    }
}

pub(super) async fn tail(args: Tail, context: Context) -> Result<(), Failure> {
    let client = clients::telemetry(context.link().await?);
    let open = |cursor| opened(client.clone(), v1::TailRequest { source: Some(source(&args, cursor)) });
    follow(args.cursor.clone(), open, |message: TailResponse| {
        if args.no_follow && matches!(message.item, Some(Item::CaughtUp(_))) {
            return Ok(ControlFlow::Break(()));
        }
        told(&message, &args, &context)?;
        Ok(ControlFlow::Continue(()))
    })
    .await
}

fn source(args: &Tail, cursor: String) -> Source {
    if args.signals {
        return Source::Signals(v1::SignalTail { address_prefix: args.address.clone() });
    }
    let from_start = args.beginning || (args.no_follow && args.cursor.is_empty());
    let start = if from_start { v1::WatchStart::Beginning } else { v1::WatchStart::Now };
    Source::Journal(v1::JournalTail {
        cursor,
        start: start.into(),
        event_types: args.event_types.clone(),
        subject_prefix: args.address.clone(),
        trace_id: args.trace.clone(),
        correlation_id: args.correlation.clone(),
    })
}

async fn opened(
    mut client: TelemetryServiceClient<Link>,
    request: v1::TailRequest,
) -> Result<tonic::Streaming<TailResponse>, tonic::Status> {
    Ok(client.tail(request).await?.into_inner())
}

fn told(message: &TailResponse, args: &Tail, context: &Context) -> Result<(), Failure> {
    let out = &context.out;
    match &message.item {
        None | Some(Item::CaughtUp(_)) => Ok(()),
        Some(Item::Event(event)) if out.is_json() => Ok(out.line(event_json(message, event)?.to_string())?),
        Some(_) if out.is_json() => out.json("TailResponse", message),
        Some(Item::Event(event)) => {
            let envelope = event.envelope.clone().unwrap_or_default();
            out.line(event_line(&envelope, event.version, out.paint))?;
            if args.payload {
                out.line(format!("    {}", clean(&String::from_utf8_lossy(&envelope.payload))))?;
            }
            Ok(())
        }
        Some(Item::Signal(signal)) => Ok(out.line(signal_line(signal))?),
        Some(Item::Gap(gap)) => {
            let text = format!("… {} signals were missed: this reader is too slow", gap.missed);
            Ok(out.line(out.paint.tone(Tone::Waits, &text))?)
        }
    }
}

fn event_line(envelope: &v1::Envelope, version: u64, paint: super::output::Paint) -> String {
    let subject = envelope.headers.as_ref().map(|headers| headers.subject.as_str()).unwrap_or_default();
    format!(
        "{}  {}  {} #{version}",
        instant(envelope.occurred_at),
        paint.tone(Tone::Strong, &clean(&envelope.event_type)),
        clean(or_dash(subject)),
    )
}

fn signal_line(signal: &v1::ActorSignal) -> String {
    let took = |time: Option<prost_types::Duration>| {
        time.and_then(|time| std::time::Duration::try_from(time).ok()).map(duration).unwrap_or_else(|| "-".to_owned())
    };
    clean(&format!(
        "{}  {:<12} {}  {}  waited {}  took {}  {}",
        instant(signal.occur_time),
        signal.kind,
        signal.address,
        or_dash(&signal.message_type),
        took(signal.waited),
        took(signal.took),
        signal.reason,
    ))
}

/// The message as JSON, the payload as what it is instead of as base64.
fn event_json(message: &TailResponse, event: &v1::TailEvent) -> Result<Value, Failure> {
    let mut json = to_json("TailResponse", message)?;
    if let Some(envelope) = json.pointer_mut("/event/envelope") {
        let payload = event.envelope.as_ref().map(|envelope| envelope.payload.clone()).unwrap_or_default();
        *envelope = readable(envelope.take(), &payload);
    }
    Ok(json)
}

/// An envelope's JSON with its payload as JSON, where it is JSON.
pub(super) fn readable(mut envelope: Value, payload: &[u8]) -> Value {
    if let (Some(fields), Ok(payload)) = (envelope.as_object_mut(), serde_json::from_slice::<Value>(payload)) {
        fields.insert("payload".to_owned(), payload);
    }
    envelope
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::Paint;

    #[test]
    fn an_event_is_one_line_and_its_payload_readable_json() {
        let envelope = v1::Envelope {
            event_type: "RunSubmitted".into(),
            payload: br#"{"n":1}"#.to_vec().into(),
            headers: Some(v1::Headers { subject: "acme/control-plane/run/run-1".into(), ..Default::default() }),
            ..Default::default()
        };
        assert_eq!(event_line(&envelope, 3, Paint::NONE), "-  RunSubmitted  acme/control-plane/run/run-1 #3");
        let event = v1::TailEvent { envelope: Some(envelope), version: 3, position: 9 };
        let message = TailResponse { cursor: "c".into(), item: Some(Item::Event(event.clone())) };
        let json = event_json(&message, &event).unwrap();
        assert_eq!(json.pointer("/event/envelope/payload/n"), Some(&Value::from(1)));
        assert_eq!(json["cursor"], "c");
    }
}
