//! Reads the body of an answer within its times and bounds.
//!
//! The library's own reader of streams is not used: it takes in whatever comes whether or not we
//! keep up, does not tell a stream that was cut from one that ended, and writes bodies that it
//! cannot read into the log.

use std::time::Duration;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::{
    assembler::Assembler,
    refused,
    sse::{Event, Events},
};
use crate::models::{Fault, chat::Answer, config::Timeouts, reply::Body, trouble::Trouble};

/// Largest answer that is read. **Units**: bytes.
pub(super) const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Most of a refusal that is read. **Units**: bytes.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

/// How long the figures may come after the end; they come at once or never.
const AFTER_FINISH: Duration = Duration::from_secs(2);

/// What an answer came as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Stream,
    Json,
}

/// What the headers announce.
pub(super) fn form(headers: &HeaderMap, streams: bool) -> Result<Form, Trouble> {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        "text/event-stream" => Ok(Form::Stream),
        // Also for a stream: an endpoint that cannot stream has still answered.
        "application/json" => Ok(Form::Json),
        kind if kind.ends_with("+json") => Ok(Form::Json),
        "" if streams => Ok(Form::Stream),
        "" => Ok(Form::Json),
        other if streams => Err(Trouble::new(Fault::NotAStream, format!("a stream was asked for and `{other}` came"))),
        other => Err(Trouble::new(Fault::NotJson, format!("JSON was asked for and `{other}` came"))),
    }
}

/// One answer being read.
pub(super) struct Reading<'a> {
    pub(super) started: Instant,
    pub(super) timeouts: Timeouts,
    pub(super) assembler: Assembler,
    pub(super) on_text: &'a mut (dyn FnMut(&str) + Send),
    /// When the first piece came, and the last.
    first: Option<Instant>,
    last: Instant,
    done: bool,
}

impl<'a> Reading<'a> {
    pub(super) fn new(
        started: Instant,
        timeouts: Timeouts,
        assembler: Assembler,
        on_text: &'a mut (dyn FnMut(&str) + Send),
    ) -> Self {
        Self { started, timeouts, assembler, on_text, first: None, last: started, done: false }
    }

    /// Reads to the end: the answer, and how long its first piece took.
    pub(super) async fn stream(mut self, mut body: Body) -> Result<(Answer, Option<Duration>), Trouble> {
        let (mut events, mut read) = (Events::default(), 0);
        while !self.done {
            let piece = match self.piece(&mut body).await {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                // What is lost after the end is figures at most.
                Err(trouble) if self.assembler.is_finished() && trouble.fault != Fault::Cassette => break,
                Err(trouble) => return Err(trouble.losing(self.assembler.usage())),
            };
            read += piece.len();
            if read > ANSWER_BYTES_MAX {
                return Err(too_large().losing(self.assembler.usage()));
            }
            events.take(&piece, |event| self.event(event))?;
        }
        if let Some(rest) =
            events.rest().filter(|rest| !self.done && serde_json::from_slice::<Value>(&rest.data).is_ok())
        {
            self.event(&rest)?;
        }
        let first = self.first.map(|first| first - self.started);
        let answer = self.assembler.answer()?;
        body.settle(Instant::now() + AFTER_FINISH).await.map_err(|trouble| trouble.losing(answer.usage))?;
        Ok((answer, first))
    }

    /// Reads a whole JSON value.
    pub(super) async fn json(mut self, body: Body) -> Result<Answer, Trouble> {
        let value = whole_json(body, self.started, &self.timeouts).await?;
        self.assembler.whole(&value)?;
        let answer = self.assembler.answer()?;
        if !answer.said.text.is_empty() {
            (self.on_text)(&answer.said.text);
        }
        Ok(answer)
    }

    async fn piece(&mut self, body: &mut Body) -> Result<Option<Bytes>, Trouble> {
        let total = self.started + self.timeouts.total;
        let (next, fault) = match self.first {
            None => (self.started + self.timeouts.first_token, Fault::TimeoutFirstToken),
            Some(_) if self.assembler.is_finished() => (self.last + AFTER_FINISH, Fault::TimeoutIdle),
            Some(_) => (self.last + self.timeouts.idle, Fault::TimeoutIdle),
        };
        let (until, fault) = if total < next { (total, Fault::TimeoutTotal) } else { (next, fault) };
        timeout_at(until, body.next()).await.unwrap_or_else(|_| Err(self.too_slow(fault)))
    }

    fn too_slow(&self, fault: Fault) -> Trouble {
        too_slow(fault, &self.timeouts)
    }

    fn event(&mut self, event: &Event) -> Result<(), Trouble> {
        if self.done || event.data.is_empty() || matches!(event.name.as_str(), "keepalive" | "ping") {
            return Ok(());
        }
        // Comments and keepalives do not count: they come from machines in between as well.
        self.last = Instant::now();
        self.first.get_or_insert(self.last);
        if event.data == b"[DONE]" {
            self.done = true;
            return Ok(());
        }
        let value: Value = match serde_json::from_slice(&event.data) {
            Ok(value) => value,
            Err(_) if self.assembler.is_finished() => return Ok(()),
            Err(error) => {
                let message = format!("a piece of the answer is not JSON: {error}");
                return Err(Trouble::new(Fault::BrokenChunk, message).losing(self.assembler.usage()));
            }
        };
        if event.name == "error" && value.get("error").is_none() {
            return Err(refused::in_body(&value).losing(self.assembler.usage()));
        }
        let text = self.assembler.chunk(&value)?;
        if !text.is_empty() {
            (self.on_text)(text);
        }
        Ok(())
    }
}

/// A whole body, as JSON.
pub(super) async fn whole_json(mut body: Body, started: Instant, timeouts: &Timeouts) -> Result<Value, Trouble> {
    let until = started + timeouts.total;
    let mut whole = Vec::new();
    loop {
        let piece = timeout_at(until, body.next()).await.map_err(|_| too_slow(Fault::TimeoutTotal, timeouts))??;
        let Some(piece) = piece else { break };
        whole.extend_from_slice(&piece);
        if whole.len() > ANSWER_BYTES_MAX {
            return Err(too_large());
        }
    }
    serde_json::from_slice(&whole)
        .map_err(|error| Trouble::new(Fault::NotJson, format!("the answer is not JSON: {error}")))
}

/// What an endpoint says when it refuses, as much of it as is read.
pub(super) async fn refusal(mut body: Body, until: Instant) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Ok(Ok(Some(piece))) = timeout_at(until, body.next()).await {
        let room = REFUSAL_BYTES_MAX - whole.len();
        whole.extend_from_slice(piece.get(..room).unwrap_or(&piece));
        if whole.len() >= REFUSAL_BYTES_MAX {
            break;
        }
    }
    whole
}

pub(super) fn too_slow(fault: Fault, timeouts: &Timeouts) -> Trouble {
    let (what, limit) = match fault {
        Fault::TimeoutFirstToken => ("nothing came", timeouts.first_token),
        Fault::TimeoutIdle => ("nothing more came", timeouts.idle),
        _ => ("the answer was not at its end", timeouts.total),
    };
    Trouble::new(fault, format!("{what} within {} ms", limit.as_millis()))
}

fn too_large() -> Trouble {
    Trouble::new(Fault::TooLarge, format!("the answer is larger than {ANSWER_BYTES_MAX} bytes"))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::models::chat::Arguments;

    const STREAM: &str = ": hello\n\n\
        data: {\"id\":\"c\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"Grüße ✓\"}}]}\n\n\
        event: keepalive\ndata: {}\n\n\
        data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":\"}}]}}]}\r\n\r\n\
        data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"\\\"é\\\"}\"}}]}}]}\n\n\
        data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n\
        data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n\
        data: [DONE]\n\n";

    async fn read(pieces: &[&[u8]]) -> (Result<Answer, Trouble>, String) {
        let body = Body::Recorded(pieces.iter().map(|piece| Bytes::copy_from_slice(piece)).collect(), false);
        let mut text = String::new();
        let mut on_text = |piece: &str| text.push_str(piece);
        let reading = Reading::new(Instant::now(), Timeouts::default(), Assembler::new(0), &mut on_text);
        let answer = reading.stream(body).await.map(|(answer, _)| answer);
        (answer, text)
    }

    #[tokio::test]
    async fn the_same_bytes_cut_anywhere_are_the_same_answer() {
        let bytes = STREAM.as_bytes();
        let (whole, text) = read(&[bytes]).await;
        let whole = whole.unwrap();
        assert_eq!((whole.said.text.as_str(), text.as_str()), ("Grüße ✓", "Grüße ✓"));
        assert_eq!(whole.said.tool_calls[0].arguments, Arguments::Object(serde_json::json!({"x": "é"})));
        for cut in 0..=bytes.len() {
            let (left, right) = bytes.split_at(cut);
            let (answer, text) = read(&[left, right]).await;
            assert_eq!(answer.unwrap(), whole, "cut at {cut}");
            assert_eq!(text, "Grüße ✓", "cut at {cut}");
        }
        let single: Vec<_> = bytes.chunks(1).collect();
        assert_eq!(read(&single).await.0.unwrap(), whole);
    }

    #[tokio::test]
    async fn a_stream_that_ends_before_its_finish_reason_is_an_answer_at_no_cut() {
        let bytes = STREAM.as_bytes();
        let finish = STREAM.find("\"tool_calls\"}]}").unwrap() + "\"tool_calls\"}]}".len();
        for cut in 0..bytes.len() {
            let (answer, _) = read(&[bytes.get(..cut).unwrap()]).await;
            if cut < finish {
                assert_eq!(answer.unwrap_err().fault, Fault::EndedEarly, "cut at {cut}");
            } else {
                assert!(answer.is_ok(), "cut at {cut}: the finish reason had come");
            }
        }
    }

    #[tokio::test]
    async fn a_connection_that_breaks_after_the_end_costs_figures_and_not_the_answer() {
        let piece = b"data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\n";
        let body = Body::Recorded(VecDeque::from([Bytes::from_static(piece)]), true);
        let mut on_text = |_: &str| {};
        let reading = Reading::new(Instant::now(), Timeouts::default(), Assembler::new(0), &mut on_text);
        let (answer, _) = reading.stream(body).await.unwrap();
        assert!(answer.usage.estimated);
    }
}
