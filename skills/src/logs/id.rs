//! Which attempt a log belongs to, and where in the tenant's folder it lies.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Longest file or folder name made of an id. **Units**: bytes, after escaping.
const COMPONENT_BYTES_MAX: usize = 200;

/// One attempt of one step (and item) of one run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogId {
    /// The run.
    pub run: String,
    /// The step.
    pub step: String,
    /// Which item of a for-each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// The attempt, from 1.
    pub attempt: u32,
}

/// An id that no file can be named after.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no name of a run or step: 1 to 200 bytes are expected")]
pub struct LogIdError(String);

impl LogId {
    /// Where it lies below the tenant's folder: `run/step/item-attempt.ndjson`.
    ///
    /// INVARIANT: the path never leaves the tenant's folder, whatever the id holds.
    ///
    /// # Errors
    /// [`LogIdError`] when a part is empty or too long.
    pub(super) fn path(&self) -> Result<PathBuf, LogIdError> {
        let item = self.item.map_or_else(|| "_".to_owned(), |item| item.to_string());
        Ok(PathBuf::from(escape(&self.run)?).join(escape(&self.step)?).join(format!("{item}-{}.ndjson", self.attempt)))
    }

    /// The id that [`Self::path`] made this step folder and file name of.
    pub(super) fn parse(run: &str, step: &str, file: &str) -> Option<Self> {
        let (item, attempt) = file.strip_suffix(".ndjson")?.split_once('-')?;
        Some(Self {
            run: run.to_owned(),
            step: unescape(step)?,
            item: if item == "_" { None } else { Some(item.parse().ok()?) },
            attempt: attempt.parse().ok()?,
        })
    }
}

/// One file name: letters, digits, `-`, `_`, and `.` or `:` after the first character; the rest as
/// `%xx`. So `..`, `/` and NUL cannot occur.
pub(super) fn escape(part: &str) -> Result<String, LogIdError> {
    let no = || LogIdError(part.chars().take(64).collect());
    let mut name = String::with_capacity(part.len());
    for (index, byte) in part.bytes().enumerate() {
        let plain =
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || (index > 0 && matches!(byte, b'.' | b':'));
        if plain {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02x}"));
        }
    }
    if name.is_empty() || name.len() > COMPONENT_BYTES_MAX {
        return Err(no());
    }
    Ok(name)
}

fn unescape(name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let pair = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use std::path::Component;

    use super::*;

    #[test]
    fn no_id_leaves_the_tenants_folder() {
        for hostile in ["..", ".", "../../etc", "/etc/passwd", "a/b", "a\0b", "ä", ".hidden", "%2e%2e"] {
            let id = LogId { run: hostile.into(), step: hostile.into(), item: None, attempt: 1 };
            let path = id.path().unwrap();
            assert_eq!(path.components().count(), 3, "{}", path.display());
            assert!(path.components().all(|part| matches!(part, Component::Normal(_))), "{}", path.display());
        }
        assert!(escape("").is_err());
        assert!(escape(&"x".repeat(201)).is_err());
    }

    #[test]
    fn an_id_is_read_back_from_its_path() {
        for (step, item) in [("build", None), ("a.b:c_d", Some(7)), ("ä /%", Some(0))] {
            let id = LogId { run: "run-1".into(), step: step.into(), item, attempt: 3 };
            let path = id.path().unwrap();
            let parts: Vec<_> = path.iter().map(|part| part.to_str().unwrap()).collect();
            assert_eq!(LogId::parse("run-1", parts[1], parts[2]).unwrap(), id);
        }
        for stray in ["x", "1.ndjson", "a-1.ndjson", "_-x.ndjson"] {
            assert!(LogId::parse("r", "s", stray).is_none(), "`{stray}` was taken");
        }
    }
}
