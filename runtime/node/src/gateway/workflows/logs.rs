//! What the attempts of a run's steps have written, now and as it comes.

use std::collections::{BTreeMap, VecDeque};

use super::{Answers, run_address, watch::RunFollow};
use crate::gateway::{GatewayState, open::kept_open, status::status};
use futures_util::stream;
use mesh_kernel::{
    envelope::{ErrorKind, Refusal},
    path::Caller,
};
use mesh_proto::v1;
use mesh_skills::logs::{Chunk, Follower, LineKind, LogError, LogId, LogLine};

/// Read from one log at a time. **Units**: bytes.
const PIECE_BYTES: usize = 256 * 1024;
/// What one answer holds at most; what comes after is left to the stream. **Units**: bytes of text.
const ANSWER_BYTES_MAX: usize = 24 * 1024 * 1024;

/// Which attempts of a run.
struct Which {
    run_id: String,
    step_id: String,
    attempt: u32,
    tail_lines: u32,
}

impl Which {
    fn takes(&self, id: &LogId) -> bool {
        (self.step_id.is_empty() || id.step == self.step_id) && (self.attempt == 0 || id.attempt == self.attempt)
    }

    fn step(&self) -> Option<&str> {
        (!self.step_id.is_empty()).then_some(self.step_id.as_str())
    }
}

/// Everything that was written so far.
///
/// # Errors
/// `NotFound` when there is no such run, `ResourceExhausted` when it is too much for one answer.
pub(super) async fn read(
    state: &GatewayState,
    caller: &Caller,
    request: v1::GetRunLogsRequest,
) -> Result<v1::GetRunLogsResponse, Refusal> {
    let v1::GetRunLogsRequest { run_id, step_id, attempt, tail_lines } = request;
    let which = Which { run_id, step_id, attempt, tail_lines };
    let address = run_address(caller, &which.run_id)?;
    state.mesh.query(caller, &address, "GetRunLogs", "summary").await?;
    let (logs, scope) = (state.logs.clone(), caller.scope().clone());
    let read = tokio::task::spawn_blocking(move || {
        let mut chunks = Vec::new();
        let mut bytes = 0;
        for entry in logs.list(&scope, &which.run_id).map_err(|error| unreadable(&error))? {
            if !which.takes(&entry.id) {
                continue;
            }
            let mut from = 0;
            let mut lines = Vec::new();
            loop {
                let page = logs.read(&scope, &entry.id, from, PIECE_BYTES).map_err(|error| unreadable(&error))?;
                lines.extend(page.lines);
                from = page.next;
                if !page.more {
                    break;
                }
            }
            let lines = last(lines, which.tail_lines);
            bytes += lines.iter().map(|line| line.text.len() + 32).sum::<usize>();
            if bytes > ANSWER_BYTES_MAX {
                return Err(too_much());
            }
            chunks.push(chunk(&entry.id, lines));
        }
        Ok(v1::GetRunLogsResponse { chunks })
    });
    read.await.unwrap_or_else(|error| {
        Err(Refusal::new("GTW-0020", ErrorKind::Internal, format!("reading logs stopped: {error}")))
    })
}

struct Following {
    follower: Follower,
    run: RunFollow,
    which: Which,
    ready: VecDeque<Chunk>,
    /// The first look is cut to the last lines.
    first: bool,
    ended: bool,
}

/// What was written so far, then what comes, until the run has ended.
///
/// # Errors
/// `NotFound` when there is no such run.
pub(super) async fn watch(
    state: &GatewayState,
    caller: &Caller,
    request: v1::WatchRunLogsRequest,
) -> Result<Answers<v1::WatchRunLogsResponse>, Refusal> {
    let v1::WatchRunLogsRequest { run_id, step_id, attempt, tail_lines } = request;
    let which = Which { run_id, step_id, attempt, tail_lines };
    let permit = state.mesh.admit_stream(caller, "WatchRunLogs")?;
    let run = RunFollow::new(state, caller, &which.run_id, 0).await?;
    let follower = state.logs.follow(caller.scope(), &which.run_id, which.step());
    let going = Following { follower, run, which, ready: VecDeque::new(), first: true, ended: false };
    let lines = stream::unfold(Some(going), |going| async {
        let mut going = going?;
        match going.next().await {
            Ok(Some(chunk)) => {
                let chunk = self::chunk(&chunk.id, chunk.lines);
                Some((Ok(v1::WatchRunLogsResponse { chunk: Some(chunk) }), Some(going)))
            }
            Ok(None) => None,
            Err(refusal) => Some((Err(status(&refusal)), None)),
        }
    });
    Ok(Box::pin(kept_open(lines, permit)))
}

impl Following {
    /// The next lines; none when the run has ended and everything was told.
    async fn next(&mut self) -> Result<Option<Chunk>, Refusal> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Ok(Some(chunk));
            }
            if self.ended {
                let rest = self.follower.poll().map_err(|error| unreadable(&error))?;
                if rest.is_empty() {
                    return Ok(None);
                }
                self.take(rest);
                continue;
            }
            if self.first {
                let before = self.follower.poll().map_err(|error| unreadable(&error))?;
                self.take(before);
                self.first = false;
                continue;
            }
            tokio::select! {
                chunks = self.follower.next() => {
                    let chunks = chunks.map_err(|error| unreadable(&error))?;
                    self.take(chunks);
                }
                ended = self.run.ended() => {
                    ended?;
                    self.ended = true;
                }
            }
        }
    }

    fn take(&mut self, chunks: Vec<Chunk>) {
        let tail = if self.first { self.which.tail_lines } else { 0 };
        let wanted = chunks.into_iter().filter(|chunk| self.which.takes(&chunk.id));
        let mut kept: BTreeMap<LogId, Vec<LogLine>> = BTreeMap::new();
        for chunk in wanted {
            kept.entry(chunk.id).or_default().extend(chunk.lines);
        }
        self.ready.extend(kept.into_iter().map(|(id, lines)| Chunk { id, lines: last(lines, tail) }));
    }
}

/// The last `count` lines; all with 0.
fn last(mut lines: Vec<LogLine>, count: u32) -> Vec<LogLine> {
    let count = count as usize;
    if count > 0 && lines.len() > count {
        lines.drain(..lines.len() - count);
    }
    lines
}

fn chunk(id: &LogId, lines: Vec<LogLine>) -> v1::LogChunk {
    v1::LogChunk {
        step_id: id.step.clone(),
        item: id.item,
        attempt: id.attempt,
        lines: lines.into_iter().map(line).collect(),
    }
}

fn line(line: LogLine) -> v1::LogLine {
    let kind = match line.kind {
        LineKind::Note => v1::LogLineKind::Note,
        LineKind::Out => v1::LogLineKind::Out,
        LineKind::Err => v1::LogLineKind::Err,
        LineKind::Progress => v1::LogLineKind::Progress,
        LineKind::Failure => v1::LogLineKind::Failure,
    };
    v1::LogLine {
        write_time: Some(line.at.into()),
        kind: kind.into(),
        text: line.text,
        progress: line.progress.map(|progress| v1::LogProgress { done: progress.done, total: progress.total }),
    }
}

fn unreadable(error: &LogError) -> Refusal {
    let kind = match error {
        LogError::Id(_) => ErrorKind::NotFound,
        LogError::Io { .. } => ErrorKind::Unavailable,
    };
    Refusal::new("GTW-0021", kind, error.to_string())
}

fn too_much() -> Refusal {
    Refusal::new(
        "GTW-0022",
        ErrorKind::ResourceExhausted,
        "the logs of this run are too long for one answer: name a step, ask for the last lines, or watch them",
    )
}
