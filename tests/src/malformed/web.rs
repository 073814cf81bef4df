//! Malformed requests over HTTP, byte by byte through a socket of their own.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{Told, message, seeds::Seeds};
use crate::Chance;

/// How long a server may think about something before it is told that nothing more comes.
const MORE_WITHIN: Duration = Duration::from_millis(300);
/// A watchdog: a server that then neither answers nor hangs up fails the campaign.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

/// The bytes of one request.
pub(super) fn request(seeds: &Seeds, host: &str, key: &str, chance: &mut Chance) -> Result<Vec<u8>> {
    let seed = chance.one(&seeds.web).context("there are no seeds")?;
    let mut text = seed.replace("{host}", host).replace("{key}", key);
    for _ in 0..chance.below(3) {
        text = text.replacen("@word", &seeds.words.word(chance), 1);
        if chance.once_in(2) {
            text = seeds.words.spoil(&text, chance);
        }
    }
    let mut bytes = text.into_bytes();
    if chance.once_in(4) {
        message::damage(&mut bytes, chance);
    }
    bytes.extend_from_slice(b"\r\n\r\n");
    Ok(bytes)
}

/// Sends it and judges the answer: never a server's error, and never nothing at all.
///
/// # Errors
/// When the answer is not as it must be.
pub(super) async fn send(host: &str, bytes: Vec<u8>) -> Result<Told> {
    let mut stream = TcpStream::connect(host).await?;
    // Closed at once, so that hundreds of thousands leave no ports behind.
    stream.set_zero_linger()?;
    // Who is refused early may be hung up on before everything is sent.
    let _ = stream.write_all(&bytes).await;
    let mut head = [0; 12];
    let mut read = timeout(MORE_WITHIN, stream.read_exact(&mut head)).await;
    if read.is_err() {
        let _ = stream.shutdown().await;
        read = Ok(timeout(ANSWERED_WITHIN, stream.read_exact(&mut head)).await.context("no answer over HTTP")?);
    }
    if !matches!(read, Ok(Ok(_))) {
        return Ok(Told::HungUp);
    }
    let status: u16 = std::str::from_utf8(&head)?.get(9..).unwrap_or_default().parse().context("no HTTP status")?;
    ensure!(status < 500, "HTTP status {status}");
    Ok(if status < 400 { Told::Answered } else { Told::RefusedByHttp(status) })
}
