//! What goes back: a head and pieces of a body, with pauses and breaks between them.

use std::{io, sync::Arc, time::Duration, vec};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::{Response, body::Frame};
use serde_json::Value;

/// A body whose pieces are made while it is sent.
pub(crate) type Body = BoxBody<Bytes, io::Error>;

/// What a request is answered with.
pub(crate) enum Reply {
    /// Nothing: the connection is closed.
    Closed,
    /// Nothing, for ever.
    Silent,
    /// An answer.
    Answer { status: u16, headers: Vec<(&'static str, String)>, pieces: Vec<Piece> },
}

/// A part of a body.
#[derive(Clone)]
pub(crate) enum Piece {
    /// These bytes, in one write.
    Bytes(Bytes),
    /// A pause.
    Wait(Duration),
    /// The connection breaks.
    Break,
    /// Nothing more comes, and the connection stays.
    Hang,
}

impl Reply {
    /// An answer of JSON.
    pub(crate) fn json(status: u16, value: &Value) -> Self {
        Self::text(status, "application/json", value.to_string())
    }

    /// An answer of this content type.
    pub(crate) fn text(status: u16, kind: &str, text: impl Into<String>) -> Self {
        let pieces = vec![Piece::Bytes(Bytes::from(text.into()))];
        Self::Answer { status, headers: vec![("content-type", kind.to_owned())], pieces }
    }

    /// A stream of events.
    pub(crate) fn events(pieces: Vec<Piece>) -> Self {
        Self::Answer { status: 200, headers: vec![("content-type", "text/event-stream".into())], pieces }
    }

    /// The same with a further header.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name, value.into()));
        }
        self
    }
}

/// An event with this data.
pub(crate) fn event(value: &Value) -> Piece {
    raw(&format!("data: {value}\n\n"))
}

/// These characters as they are.
pub(crate) fn raw(text: &str) -> Piece {
    Piece::Bytes(Bytes::copy_from_slice(text.as_bytes()))
}

/// The end of a stream.
pub(crate) fn done() -> Piece {
    raw("data: [DONE]\n\n")
}

pub(crate) fn response(
    status: u16,
    headers: Vec<(&'static str, String)>,
    pieces: Vec<Piece>,
    open: &Arc<()>,
) -> Result<Response<Body>, io::Error> {
    let body = StreamBody::new(stream::unfold(Writing { pieces: pieces.into_iter(), _open: open.clone() }, next));
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(BodyExt::boxed(body)).map_err(io::Error::other)
}

/// A body on its way; counted until it is at its end or the client is gone.
struct Writing {
    pieces: vec::IntoIter<Piece>,
    _open: Arc<()>,
}

async fn next(mut writing: Writing) -> Option<(Result<Frame<Bytes>, io::Error>, Writing)> {
    loop {
        match writing.pieces.next()? {
            Piece::Bytes(bytes) => return Some((Ok(Frame::data(bytes)), writing)),
            Piece::Wait(pause) => tokio::time::sleep(pause).await,
            Piece::Break => return Some((Err(io::Error::other("broken off, as told")), writing)),
            Piece::Hang => std::future::pending().await,
        }
    }
}
