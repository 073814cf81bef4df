//! The manifest: what a backup holds.
//!
//! ```text
//! mesh-backup 1
//! durable <position>
//! file <name> <length> <crc-32c of each 64 KiB, in hexadecimal, with commas>
//! end <number of files> <crc-32c of everything above>
//! ```

use mesh_kernel::ports::Position;

use super::BackupError;
use crate::files::{Files, read_full, read_whole, write_all};

pub(super) const NAME: &str = "manifest";
const TMP: &str = "manifest.tmp";
const FORMAT: u32 = 1;
/// What one checksum covers. **Units**: bytes.
pub(super) const CHUNK: usize = 64 * 1024;

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) name: String,
    pub(super) len: u64,
    pub(super) crcs: Vec<u32>,
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) durable: Position,
    pub(super) items: Vec<Item>,
}

impl Manifest {
    pub(super) fn bytes(&self) -> u64 {
        self.items.iter().map(|item| item.len).sum()
    }

    /// Makes the folder a backup.
    pub(super) fn save(&self, files: &dyn Files) -> Result<(), BackupError> {
        let text = self.encode();
        let save = || {
            let file = files.create(TMP)?;
            write_all(file.as_ref(), text.as_bytes(), 0)?;
            file.fdatasync()?;
            // All names before this one's.
            files.sync_dir()?;
            files.rename(TMP, NAME)?;
            files.sync_dir()
        };
        save().map_err(|error| BackupError::io(NAME, error))
    }

    pub(super) fn load(files: &dyn Files) -> Result<Self, BackupError> {
        let file = files.open(NAME).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => BackupError::Incomplete,
            _ => BackupError::io(NAME, error),
        })?;
        let bytes = read_whole(file.as_ref()).map_err(|error| BackupError::io(NAME, error))?;
        let text = String::from_utf8(bytes).map_err(|_| BackupError::damaged(NAME, 0, "it is no text"))?;
        Self::decode(&text)
    }

    fn encode(&self) -> String {
        let mut text = format!("mesh-backup {FORMAT}\ndurable {}\n", self.durable.0);
        for item in &self.items {
            let crcs: Vec<String> = item.crcs.iter().map(|crc| format!("{crc:08x}")).collect();
            text.push_str(&format!("file {} {} {}\n", item.name, item.len, crcs.join(",")));
        }
        let crc = crc32c::crc32c(text.as_bytes());
        text.push_str(&format!("end {} {crc:08x}\n", self.items.len()));
        text
    }

    fn decode(text: &str) -> Result<Self, BackupError> {
        let bad = |what| BackupError::damaged(NAME, 0, what);
        if let Some(found) = text.lines().next().and_then(|line| line.strip_prefix("mesh-backup "))
            && let Ok(found) = found.parse()
            && found > FORMAT
        {
            return Err(BackupError::Format { found, ours: FORMAT });
        }
        let (above, end) = text.trim_end_matches('\n').rsplit_once('\n').ok_or_else(|| bad("it is cut short"))?;
        let crc = crc32c::crc32c_append(crc32c::crc32c(above.as_bytes()), b"\n");
        let mut manifest = Self::default();
        for line in above.lines().skip(1) {
            let mut words = line.split(' ');
            match words.next() {
                Some("durable") => {
                    manifest.durable = Position(number(words.next()).ok_or_else(|| bad("a position is none"))?)
                }
                Some("file") => manifest.items.push(item(words).ok_or_else(|| bad("a line is not as it was written"))?),
                _ => return Err(bad("a line is not as it was written")),
            }
        }
        let expected = format!("end {} {crc:08x}", manifest.items.len());
        if end == expected && text.ends_with('\n') && text.starts_with("mesh-backup ") {
            Ok(manifest)
        } else {
            Err(bad("its checksum is wrong"))
        }
    }
}

fn number(word: Option<&str>) -> Option<u64> {
    word?.parse().ok()
}

fn item<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Item> {
    let name = words.next()?.to_owned();
    let len = number(words.next())?;
    let crcs = words.next()?.split(',').filter(|word| !word.is_empty());
    let crcs = crcs.map(|word| u32::from_str_radix(word, 16).ok()).collect::<Option<Vec<u32>>>()?;
    (crcs.len() as u64 == len.div_ceil(CHUNK as u64)).then_some(Item { name, len, crcs })
}

/// Gives a file of a backup to `take`, chunk by chunk, each checked.
pub(super) fn each_chunk(
    files: &dyn Files,
    item: &Item,
    mut take: impl FnMut(&[u8], u64) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let fail = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => BackupError::damaged(&item.name, 0, "the file is missing"),
        _ => BackupError::io(&item.name, error),
    };
    let file = files.open(&item.name).map_err(fail)?;
    let len = file.len().map_err(fail)?;
    let mut chunk = vec![0; CHUNK];
    let mut at = 0;
    for crc in &item.crcs {
        let want = (item.len - at).min(CHUNK as u64) as usize;
        let into = chunk.get_mut(..want).unwrap_or_default();
        let got = read_full(file.as_ref(), into, at).map_err(fail)?;
        if got < want || crc32c::crc32c(into) != *crc {
            return Err(BackupError::damaged(&item.name, at, "the checksum is wrong"));
        }
        take(into, at)?;
        at += got as u64;
    }
    if len != item.len {
        let what = format!("the file has {len} bytes, and {} were written", item.len);
        return Err(BackupError::damaged(&item.name, item.len.min(len), &what));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_as_it_was_written_and_not_otherwise() {
        let item = |name: &str, len: u64| Item {
            name: name.to_owned(),
            len,
            crcs: (0..len.div_ceil(CHUNK as u64)).map(|n| n as u32 + 7).collect(),
        };
        let manifest = Manifest {
            durable: Position(9),
            items: vec![item("store", 64), item("a.b.body", 200_000), item("empty", 0)],
        };
        let text = manifest.encode();
        assert_eq!(Manifest::decode(&text).unwrap(), manifest);
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            if let Ok(other) = String::from_utf8(bytes) {
                assert!(Manifest::decode(&other).is_err(), "byte {at}");
            }
            assert!(Manifest::decode(&text[..at]).is_err(), "cut at {at}");
        }
        let newer = text.replacen("mesh-backup 1", "mesh-backup 7", 1);
        assert!(matches!(Manifest::decode(&newer), Err(BackupError::Format { found: 7, ours: 1 })));
    }
}
