//! Malformed requests over gRPC: the message, its frame, its headers.

use std::{future::poll_fn, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use http_body_util::{BodyExt as _, Full};
use mesh_proto::rpc;
use prost::Message as _;
use prost_reflect::DynamicMessage;
use tonic::{
    Code, Status,
    body::Body,
    codegen::{Bytes, Service as _, http},
    transport::Channel,
};

use super::{Told, message, seeds::Seeds};
use crate::Chance;

/// A watchdog: a request that is not answered fails the campaign.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// What no malformed request may be answered with: they speak of bugs and of a node in trouble.
const NEVER: &[Code] =
    &[Code::Cancelled, Code::Unknown, Code::DeadlineExceeded, Code::Internal, Code::Unavailable, Code::DataLoss];

/// One request.
#[derive(Debug)]
pub(super) struct Sent {
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// It must be refused.
    refused: bool,
    /// Its first message is its whole answer.
    streams: bool,
}

/// The request with this number.
pub(super) fn request(seeds: &Seeds, key: &str, chance: &mut Chance) -> Result<Sent> {
    let seed = chance.one(&seeds.requests).context("there are no seeds")?;
    let mut sent = Sent {
        path: format!("/{}/{}", seed.method.parent_service().full_name(), seed.method.name()),
        headers: vec![("content-type", "application/grpc".to_owned()), ("authorization", format!("Bearer {key}"))],
        body: Vec::new(),
        refused: false,
        streams: seed.method.is_server_streaming(),
    };
    let mut message = seeds.message(seed, chance)?;
    if !chance.once_in(3) {
        message::disturb(&mut message, &seeds.words, chance);
    }
    sent.refused = seeds.refuse(seed, &mut message, chance)?;
    let mut bytes = message.encode_to_vec();
    if chance.once_in(7) {
        message::damage(&mut bytes, chance);
        match DynamicMessage::decode(seed.method.input(), bytes.as_slice()) {
            // It is still a message, perhaps without what made it wrong.
            Ok(mut message) => {
                sent.refused = seeds.refuse(seed, &mut message, chance)?;
                bytes = message.encode_to_vec();
            }
            Err(_) => sent.refused = true,
        }
    }
    sent.body = framed(&bytes);
    if chance.once_in(12) {
        spoil(&mut sent, seeds, chance);
    }
    Ok(sent)
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&[0], &length.to_be_bytes()[..], bytes].concat()
}

/// Makes the request wrong around its message.
fn spoil(sent: &mut Sent, seeds: &Seeds, chance: &mut Chance) {
    sent.refused = true;
    let word = || -> String { "abc\u{7f}%/.~ ".to_owned() };
    match chance.below(8) {
        0 => sent.body.clear(),
        1 => sent.body.truncate(chance.index(sent.body.len())),
        // A frame that says that it is compressed, in whichever way.
        2 => sent.body.splice(..1, [1 + chance.below(255) as u8]).for_each(drop),
        // A frame that says that it is longer, up to 4 GB.
        3 => sent.body.splice(1..2, [1 + chance.below(255) as u8]).for_each(drop),
        4 => sent.body = (0..chance.below(4_000)).map(|_| chance.bits() as u8 | 2).collect(),
        5 => header(sent, "authorization", seeds.words.word(chance)),
        6 => sent.path = format!("/{}", sent.path.split_at(chance.index(sent.path.len() - 1)).0),
        _ => {
            sent.headers.push((
                "grpc-encoding",
                chance.one(&["br", "x", "gzip, gzip", ""]).map_or_else(word, |one| (*one).to_owned()),
            ));
            sent.body.splice(..1, [1]).for_each(drop);
        }
    }
}

/// Sets a header to as much of a text as a header can carry.
fn header(sent: &mut Sent, name: &'static str, text: String) {
    let value: String = text.chars().filter(|c| (' '..='~').contains(c)).take(4_000).collect();
    sent.headers.retain(|(other, _)| *other != name);
    sent.headers.push((name, value));
}

/// Sends it and judges the answer.
///
/// # Errors
/// When the answer is not as it must be.
pub(super) async fn send(channel: &Channel, sent: Sent) -> Result<Told> {
    let shown = shown(&sent);
    exchange(channel, sent).await.with_context(|| shown)
}

/// A request for whoever looks into what went wrong.
fn shown(sent: &Sent) -> String {
    let bytes: Vec<u8> = sent.body.iter().copied().take(300).collect();
    format!("{} {:?}, {} bytes: {}", sent.path, sent.headers, sent.body.len(), bytes.escape_ascii())
}

async fn exchange(channel: &Channel, sent: Sent) -> Result<Told> {
    let mut request = http::Request::post(&sent.path).header("te", "trailers");
    for (name, value) in &sent.headers {
        request = request.header(*name, value);
    }
    let request = request.body(Body::new(Full::new(Bytes::from(sent.body))))?;
    let answer = tokio::time::timeout(ANSWERED_WITHIN, answer(channel.clone(), request, sent.streams));
    match answer.await.with_context(|| format!("no answer to {}", sent.path))?? {
        None if sent.refused => bail!("{} was answered and must be refused", sent.path),
        None => Ok(Told::Answered),
        Some(status) => judge(&sent.path, &status).map(|()| Told::Refused(status.code())),
    }
}

/// The refusal, or nothing when it was answered.
async fn answer(mut channel: Channel, request: http::Request<Body>, streams: bool) -> Result<Option<Status>> {
    poll_fn(|cx| channel.poll_ready(cx)).await?;
    let (head, mut body) = channel.call(request).await?.into_parts();
    ensure!(head.status == 200 || head.status.is_client_error(), "HTTP status {}", head.status);
    if head.status != 200 {
        return Ok(Some(Status::invalid_argument(format!("HTTP status {}", head.status))));
    }
    let mut status = Status::from_header_map(&head.headers);
    while status.is_none() {
        let frame = body.frame().await.context("it ended without a status")??;
        match frame.into_trailers() {
            Ok(trailers) => status = Some(Status::from_header_map(&trailers).context("no status in the trailers")?),
            Err(_) if streams => return Ok(None),
            Err(_) => {}
        }
    }
    Ok(status.filter(|status| status.code() != Code::Ok))
}

/// A clear error: a code that blames the request, in words, with a reason that a program can read.
fn judge(path: &str, status: &Status) -> Result<()> {
    ensure!(!NEVER.contains(&status.code()), "{path}: {status:?}");
    let ours = path.starts_with("/mesh.v1.") && !matches!(status.code(), Code::Unimplemented | Code::OutOfRange);
    if ours && !status.message().starts_with("HTTP status") {
        ensure!(status.message().len() > 10, "{path}: no words: {status:?}");
        let details = rpc::Status::decode(status.details())?.details;
        ensure!(details.iter().any(|any| any.type_url.ends_with("ErrorInfo")), "{path}: no reason: {status:?}");
    }
    Ok(())
}
