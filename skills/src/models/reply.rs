//! What comes back from an endpoint, or from a cassette in its place: a head, and a body in pieces.

use std::{collections::VecDeque, error::Error as _};

use bytes::Bytes;
use hyper::header::HeaderMap;
use tokio::time::{Instant, timeout_at};

use super::{Fault, trouble::Trouble};

/// What came back; the body is still on its way.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

/// A body that is read piece by piece, so that a slow reader slows the sender.
pub(super) enum Body {
    /// From an endpoint.
    Live(reqwest::Response),
    /// From a cassette: the pieces as they were once read, and whether the connection broke then.
    Recorded(VecDeque<Bytes>, bool),
    /// From an endpoint, onto a tape.
    Taped(reqwest::Response, Option<Box<dyn Tape>>),
}

/// Keeps what is read.
pub(super) trait Tape: Send {
    /// The next piece.
    fn piece(&mut self, bytes: &Bytes);

    /// No more comes; `broken` when the connection broke.
    fn end(&mut self, broken: bool) -> Result<(), Trouble>;
}

impl Reply {
    /// The same, onto a tape.
    pub(super) fn taped(self, tape: Box<dyn Tape>) -> Self {
        let body = match self.body {
            Body::Live(response) => Body::Taped(response, Some(tape)),
            other => other,
        };
        Self { body, ..self }
    }
}

impl Body {
    /// The next bytes; none at the end.
    ///
    /// **Cancel safety**: no bytes are lost when it is dropped while it waits.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Trouble> {
        match self {
            Self::Live(response) => response.chunk().await.map_err(broken),
            Self::Recorded(pieces, breaks) => match pieces.pop_front() {
                None if *breaks => Err(Trouble::new(Fault::CutOff, "the connection broke when this was recorded")),
                piece => Ok(piece),
            },
            Self::Taped(response, kept) => {
                let Some(tape) = kept else { return Ok(None) };
                match response.chunk().await {
                    Ok(Some(bytes)) => {
                        tape.piece(&bytes);
                        Ok(Some(bytes))
                    }
                    Ok(None) => end(kept, false).map(|()| None),
                    Err(error) => end(kept, true).and(Err(broken(error))),
                }
            }
        }
    }

    /// Reads what is left when it goes onto a tape: one that stops at our last look would be no
    /// record of what came. Otherwise the rest is nobody's business.
    pub(super) async fn settle(mut self, until: Instant) -> Result<(), Trouble> {
        while let Self::Taped(_, tape @ Some(_)) = &mut self {
            if Instant::now() >= until {
                return end(tape, false);
            }
            if let Ok(piece) = timeout_at(until, self.next()).await {
                piece?;
            }
        }
        Ok(())
    }
}

/// Ends a tape once.
fn end(tape: &mut Option<Box<dyn Tape>>, broken: bool) -> Result<(), Trouble> {
    tape.take().map_or(Ok(()), |mut tape| tape.end(broken))
}

fn broken(error: reqwest::Error) -> Trouble {
    Trouble::new(Fault::CutOff, format!("the connection broke within the answer: {}", told(error)))
}

/// An error and its causes, without the address: that may hold a secret.
pub(super) fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
