//! A span in the collector's form, built up part by part.

use mesh_kernel::envelope::Timestamp;
use mesh_proto::otlp::{
    common::v1::{AnyValue, ArrayValue, KeyValue, any_value::Value},
    trace::v1::{Span, Status, span, status::StatusCode},
};

use super::ids::SpanId;

/// Longest text of an attribute. **Units**: bytes.
const TEXT_BYTES_MAX: usize = 1_024;

/// A span that began.
pub(super) fn begun(trace: [u8; 16], id: SpanId, parent: Option<SpanId>, name: String, at: Timestamp) -> Span {
    Span {
        trace_id: trace.to_vec(),
        span_id: id.to_vec(),
        parent_span_id: parent.map(|id| id.to_vec()).unwrap_or_default(),
        name,
        kind: span::SpanKind::Internal as i32,
        start_time_unix_nano: nanos(at),
        ..Span::default()
    }
}

/// Says when a span ended; never before it began.
pub(super) fn end(span: &mut Span, at: Timestamp) {
    span.end_time_unix_nano = nanos(at).max(span.start_time_unix_nano);
}

/// Says that what the span is about went well.
pub(super) fn well(span: &mut Span) {
    span.status = Some(Status { code: StatusCode::Ok as i32, message: String::new() });
}

/// Says that what the span is about failed, and why.
pub(super) fn failed(span: &mut Span, why: &str) {
    span.status = Some(Status { code: StatusCode::Error as i32, message: cut(why) });
}

/// Adds something that happened in between.
pub(super) fn event(span: &mut Span, at: Timestamp, name: impl Into<String>) {
    let event = span::Event { time_unix_nano: nanos(at), name: name.into(), ..span::Event::default() };
    span.events.push(event);
}

/// Adds a text; an empty one says nothing and is left out.
pub(super) fn text(span: &mut Span, key: &str, value: &str) {
    if !value.is_empty() {
        span.attributes.push(pair(key, value));
    }
}

/// Adds a number.
pub(super) fn number(span: &mut Span, key: &str, value: u64) {
    put(span, key, Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)));
}

/// Adds a number with a fraction.
pub(super) fn decimal(span: &mut Span, key: &str, value: f64) {
    put(span, key, Value::DoubleValue(value));
}

/// Adds a list of texts.
pub(super) fn texts(span: &mut Span, key: &str, values: &[&str]) {
    let one = |value: &&str| AnyValue { value: Some(Value::StringValue(cut(value))) };
    put(span, key, Value::ArrayValue(ArrayValue { values: values.iter().map(one).collect() }));
}

fn put(span: &mut Span, key: &str, value: Value) {
    let value = Some(AnyValue { value: Some(value) });
    span.attributes.push(KeyValue { key: key.to_owned(), value, ..KeyValue::default() });
}

/// A key and its text.
pub(super) fn pair(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(cut(value))) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// A link to the span of a caller, from its W3C trace context.
pub(super) fn link(traceparent: &str) -> Option<span::Link> {
    let mut parts = traceparent.split('-').skip(1);
    let trace_id = mesh_kernel::envelope::hex::decode(parts.next()?)?;
    let span_id = mesh_kernel::envelope::hex::decode(parts.next()?)?;
    (trace_id.len() == 16 && span_id.len() == 8).then(|| span::Link { trace_id, span_id, ..span::Link::default() })
}

fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.unix_nanos()).unwrap_or(0)
}

fn cut(text: &str) -> String {
    let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= TEXT_BYTES_MAX).last().unwrap_or(0);
    if text.len() <= TEXT_BYTES_MAX { text.to_owned() } else { format!("{}…", text.get(..end).unwrap_or_default()) }
}
