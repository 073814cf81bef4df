//! Cassettes: what endpoints answered once, byte for byte, to be played in their place.
//!
//! They stand between the client and the network, so what is played goes through everything that an
//! answer goes through, in the pieces in which it was read. Equal requests of a task are answered in
//! the order of their recording; another task begins at the first again, so that a retry here does
//! not eat the answer there. Clocks and ids that a request holds are its maker's to seed.

mod file;
mod key;
mod nearest;

use std::{
    collections::{HashMap, VecDeque},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use mesh_kernel::ports::Clock;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::Instant;

use self::file::{Embedded, Entry, Folder, Piece};
use super::{
    Fault,
    reply::{Body, Reply, Tape},
    secrets,
    trouble::Trouble,
};

pub use self::file::CassetteError;

/// The cassette that comes with the program: `config/agents/cassettes/product`.
static SHIPPED: Embedded = include!(concat!(env!("OUT_DIR"), "/cassette.rs"));

/// The model whose answers it holds: nobody's, for they were written by hand.
pub const SHIPPED_MODEL: &str = "written-by-hand";

/// Why there is no answer where no endpoint is set up.
const NOT_SET_UP: &str = "no endpoint is set up, and the shipped cassette has no answer to this request: set \
                          `OPENAI_BASE_URL` to an address and `OPENAI_API_KEY` to its key (a server on this machine \
                          needs no key)";

/// What is done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is answered from the cassette or not at all.
    Replay,
    /// It is sent, and the answer is recorded; the cassette begins empty.
    Record,
    /// It is answered from the cassette, else sent and recorded.
    RecordMissing,
}

/// A folder of recorded answers, in use.
pub struct Cassette {
    mode: Mode,
    clock: Arc<dyn Clock>,
    shelf: Arc<Mutex<Shelf>>,
}

struct Shelf {
    folder: Folder,
    entries: Vec<(Entry, Value)>,
    /// How many a task was given of each key.
    served: HashMap<(String, String), u32>,
    /// It stands in for an endpoint that nobody has set up.
    is_shipped: bool,
}

/// What is asked, as a cassette sees it.
pub(super) struct Asked<'a> {
    pub(super) path: &'a str,
    pub(super) body: &'a [u8],
    pub(super) task: &'a str,
    pub(super) endpoint: &'a str,
    pub(super) model: &'a str,
    pub(super) secret: &'a str,
}

/// What a cassette has.
pub(super) enum Found {
    Recorded(Box<Reply>),
    /// It is to be sent, onto this tape.
    Sent(Box<Recorder>),
}

impl Cassette {
    /// Opens a cassette; `Mode::Record` empties it.
    ///
    /// # Errors
    /// When the folder or its index cannot be read or made.
    pub fn open(folder: &Path, mode: Mode, clock: Arc<dyn Clock>) -> Result<Self, CassetteError> {
        let folder = Folder::at(PathBuf::from(folder));
        let entries = match mode {
            Mode::Replay => folder.read()?,
            Mode::Record => folder.emptied()?,
            Mode::RecordMissing => folder.made_and_read()?,
        };
        Ok(Self::of(folder, entries, mode, clock))
    }

    /// The cassette that comes with the program, for a node that has no endpoint.
    ///
    /// # Errors
    /// When it cannot be read; a test shows that it can.
    pub fn shipped(clock: Arc<dyn Clock>) -> Result<Self, CassetteError> {
        let folder = Folder::embedded("product", SHIPPED);
        let entries = folder.read()?;
        let cassette = Self::of(folder, entries, Mode::Replay, clock);
        cassette.shelf.lock().is_shipped = true;
        Ok(cassette)
    }

    fn of(folder: Folder, entries: Vec<(Entry, Value)>, mode: Mode, clock: Arc<dyn Clock>) -> Self {
        let shelf = Shelf { folder, entries, served: HashMap::new(), is_shipped: false };
        Self { mode, clock, shelf: Arc::new(Mutex::new(shelf)) }
    }

    /// Whether nothing is ever sent.
    pub(super) fn is_closed(&self) -> bool {
        self.mode == Mode::Replay
    }

    pub(super) fn find(&self, asked: Asked<'_>) -> Result<Found, Trouble> {
        let meant = key::meant(asked.body);
        let key = key::key(asked.path, &meant);
        let mut shelf = self.shelf.lock();
        let served = (asked.task.to_owned(), key);
        let ordinal = shelf.served.get(&served).copied().unwrap_or(0);
        match (shelf.place(&served.1, ordinal).filter(|_| self.mode != Mode::Record), self.mode) {
            (Some(place), _) => {
                shelf.served.insert(served, ordinal + 1);
                shelf.play(place).map(|reply| Found::Recorded(Box::new(reply)))
            }
            (None, Mode::Replay) => Err(shelf.missing(&meant, &served.1, ordinal)),
            (None, Mode::Record | Mode::RecordMissing) => {
                drop(shelf);
                self.recorder(&asked, meant, served).map(|recorder| Found::Sent(Box::new(recorder)))
            }
        }
    }

    fn recorder(&self, asked: &Asked<'_>, meant: Value, served: (String, String)) -> Result<Recorder, Trouble> {
        refuse_secrets("the request", asked.body, asked.secret)?;
        let entry = Entry {
            key: served.1.clone(),
            provider: asked.endpoint.to_owned(),
            model: asked.model.to_owned(),
            path: key::short(asked.path).to_owned(),
            recorded_at: self.clock.now().to_string(),
            ..Entry::default()
        };
        Ok(Recorder {
            shelf: self.shelf.clone(),
            served,
            entry,
            meant,
            request: asked.body.to_vec(),
            body: Vec::new(),
            secret: asked.secret.to_owned(),
            last: Instant::now(),
        })
    }
}

impl Shelf {
    fn place(&self, key: &str, ordinal: u32) -> Option<usize> {
        self.entries.iter().position(|(entry, _)| entry.key == key && entry.ordinal == ordinal)
    }

    fn play(&self, place: usize) -> Result<Reply, Trouble> {
        let Some((entry, _)) = self.entries.get(place) else {
            return Err(Trouble::new(Fault::Cassette, "the entry has gone"));
        };
        let body = self.folder.body(entry).map_err(|error| Trouble::new(Fault::Cassette, error.to_string()))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &entry.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
                headers.insert(name, value);
            }
        }
        Ok(Reply { status: entry.status, headers, body: Body::Recorded(pieces(&body, &entry.pieces), entry.broken) })
    }

    fn missing(&self, meant: &Value, key: &str, ordinal: u32) -> Trouble {
        if self.is_shipped {
            return Trouble::new(Fault::NoEndpoint, NOT_SET_UP);
        }
        let folder = self.folder.name();
        let times = self.entries.iter().filter(|(entry, _)| entry.key == key).count();
        if times > 0 {
            let asked = ordinal + 1;
            let message = format!(
                "the cassette `{folder}` answers this request {times} times, and it is asked for the {asked}. time: \
                 record it again"
            );
            return Trouble::new(Fault::NoCassetteEntry, message);
        }
        let candidates = self.entries.iter().enumerate().map(|(place, (_, meant))| (place, meant));
        let Some((place, differences)) = nearest::nearest(meant, candidates) else {
            return Trouble::new(Fault::NoCassetteEntry, format!("the cassette `{folder}` is empty: record it"));
        };
        let message = format!(
            "the cassette `{folder}` has no answer to this request; the nearest is entry {}, which differs: {}; record \
             it again if the change is meant",
            place + 1,
            differences.join("; ")
        );
        let mut trouble = Trouble::new(Fault::NoCassetteEntry, message);
        trouble.details = json!({"nearest": place + 1, "differences": differences});
        trouble
    }
}

/// The body in the pieces in which it was read.
fn pieces(body: &[u8], cuts: &[Piece]) -> VecDeque<Bytes> {
    let mut pieces = VecDeque::new();
    let mut from = 0;
    for Piece(until, _) in cuts {
        let until = usize::try_from(*until).unwrap_or(usize::MAX).min(body.len());
        pieces.extend(body.get(from..until).filter(|piece| !piece.is_empty()).map(Bytes::copy_from_slice));
        from = from.max(until);
    }
    pieces.extend(body.get(from..).filter(|rest| !rest.is_empty()).map(Bytes::copy_from_slice));
    pieces
}

fn refuse_secrets(what: &str, bytes: &[u8], secret: &str) -> Result<(), Trouble> {
    match secrets::find(bytes, secret) {
        None => Ok(()),
        Some(at) => {
            let message = format!("{what} holds something like a key at byte {at}: it is not written to a cassette");
            Err(Trouble::new(Fault::Cassette, message))
        }
    }
}

/// An answer that is being recorded; nothing is written when it is not read to its end.
pub(super) struct Recorder {
    shelf: Arc<Mutex<Shelf>>,
    /// The task and the key.
    served: (String, String),
    entry: Entry,
    meant: Value,
    request: Vec<u8>,
    body: Vec<u8>,
    secret: String,
    last: Instant,
}

impl Recorder {
    /// The head of the answer.
    pub(super) fn head(&mut self, status: u16, headers: &HeaderMap) {
        self.entry.status = status;
        let kept = |name: &str| {
            matches!(name, "content-type" | "retry-after" | "retry-after-ms") || name.starts_with("x-ratelimit-")
        };
        let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
        self.entry.headers = headers
            .iter()
            .filter(|(name, _)| kept(name.as_str()))
            .map(|(name, value)| (name.as_str().to_owned(), text(value)))
            .collect();
    }
}

impl Tape for Recorder {
    fn piece(&mut self, bytes: &Bytes) {
        self.body.extend_from_slice(bytes);
        let now = Instant::now();
        let pause = now.saturating_duration_since(std::mem::replace(&mut self.last, now));
        let until = u64::try_from(self.body.len()).unwrap_or(u64::MAX);
        self.entry.pieces.push(Piece(until, u64::try_from(pause.as_micros()).unwrap_or(u64::MAX)));
    }

    fn end(&mut self, broken: bool) -> Result<(), Trouble> {
        refuse_secrets("the answer", &self.body, &self.secret)?;
        let mut entry = std::mem::take(&mut self.entry);
        entry.broken = broken;
        entry.body_sha256 = key::hex(&self.body);
        let mut shelf = self.shelf.lock();
        // Counted here and not when it was sent: an attempt that came to nothing leaves no gap.
        let served = shelf.served.entry(self.served.clone()).or_default();
        entry.ordinal = *served;
        *served += 1;
        if shelf.place(&entry.key, entry.ordinal).is_some() {
            // Another task has recorded the same; one answer is enough.
            return Ok(());
        }
        shelf
            .folder
            .add(&entry, &self.request, &self.body)
            .map_err(|error| Trouble::new(Fault::Cassette, error.to_string()))?;
        shelf.entries.push((entry, std::mem::take(&mut self.meant)));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
