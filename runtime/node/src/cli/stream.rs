//! Streams that go on where they stood when the connection is lost.

use std::{future::Future, ops::ControlFlow, time::Duration};

use tonic::{Code, Status, Streaming};

use super::Failure;

/// Attempts in a row that reach nobody, before the stream is given up; about half a minute.
const ATTEMPTS_MAX: u32 = 12;

/// A message of a stream that knows where it stands.
pub(crate) trait Resumable {
    /// The cursor behind this message; empty when it has none.
    fn cursor(&self) -> &str;
}

/// Hands every message to `each` until it breaks or the stream ends.
///
/// When the connection is lost the stream is opened again behind the last cursor, so that nothing is
/// lost or seen twice; a live stream without cursors simply begins anew.
pub(crate) async fn follow<T, Opened>(
    mut cursor: String,
    mut open: impl FnMut(String) -> Opened,
    mut each: impl FnMut(T) -> Result<ControlFlow<()>, Failure>,
) -> Result<(), Failure>
where
    T: Resumable,
    Opened: Future<Output = Result<Streaming<T>, Status>>,
{
    let mut attempt = 0;
    loop {
        let mut lost = match open(cursor.clone()).await {
            Ok(mut stream) => loop {
                match stream.message().await {
                    Ok(Some(message)) => {
                        attempt = 0;
                        if !message.cursor().is_empty() {
                            message.cursor().clone_into(&mut cursor);
                        }
                        if each(message)?.is_break() {
                            return Ok(());
                        }
                    }
                    Ok(None) => return Ok(()),
                    Err(status) => break status,
                }
            },
            Err(status) => status,
        };
        attempt += 1;
        if !is_lost(&lost) || attempt > ATTEMPTS_MAX {
            if is_lost(&lost) && lost.message().is_empty() {
                lost = Status::unavailable("the connection to the node is lost");
            }
            return Err(lost.into());
        }
        tokio::time::sleep(delay(attempt)).await;
    }
}

/// Whether the connection is gone, rather than the request refused.
fn is_lost(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable)
        || (matches!(status.code(), Code::Unknown | Code::Cancelled | Code::Internal)
            && std::error::Error::source(status).is_some())
}

fn delay(attempt: u32) -> Duration {
    Duration::from_millis(100_u64.saturating_mul(1 << attempt.min(6))).min(Duration::from_secs(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_not_taken_for_a_lost_connection() {
        assert!(is_lost(&Status::unavailable("going down")));
        assert!(!is_lost(&Status::not_found("no such run")));
        assert!(!is_lost(&Status::internal("a bug")));
    }

    #[test]
    fn the_pauses_grow_and_are_bounded() {
        let pauses: Vec<u128> = (1..=7).map(|attempt| delay(attempt).as_millis()).collect();
        assert_eq!(pauses, [200, 400, 800, 1_600, 3_200, 4_000, 4_000]);
    }
}
