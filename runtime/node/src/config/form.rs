//! The forms that a value can have, and how each is read from text.

use std::{net::SocketAddr, time::Duration};

/// What a key takes, with its range.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// A whole number.
    Count {
        /// The least allowed.
        min: u64,
        /// The most allowed.
        max: u64,
    },
    /// A length of time: a number and `ms`, `s`, `m`, `h` or `d`.
    Time {
        /// The least allowed.
        min: Duration,
        /// The most allowed.
        max: Duration,
    },
    /// An amount of memory or disk: a number and `B`, `KiB`, `MiB` or `GiB`.
    Bytes {
        /// The least allowed.
        min: u64,
        /// The most allowed.
        max: u64,
    },
    /// An IP address and a port; port 0 takes a free one.
    Listen,
    /// One of some words.
    OneOf(&'static [&'static str]),
    /// Any text; the words say what it means.
    Text(&'static str),
    /// Several texts; in the environment and in flags they are parted by commas.
    List(&'static str),
}

/// A value in one of the forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Of [`Form::Count`].
    Count(u64),
    /// Of [`Form::Time`].
    Time(Duration),
    /// Of [`Form::Bytes`].
    Bytes(u64),
    /// Of [`Form::Listen`].
    Listen(SocketAddr),
    /// Of [`Form::OneOf`] and [`Form::Text`].
    Text(String),
    /// Of [`Form::List`].
    List(Vec<String>),
}

impl Form {
    /// Reads a value from its text.
    ///
    /// # Errors
    /// What was expected instead, in words.
    pub fn read(&self, text: &str) -> Result<Value, String> {
        let text = text.trim();
        let value = match *self {
            Self::Count { min, max } => count(text).filter(|n| (min..=max).contains(n)).map(Value::Count),
            Self::Time { min, max } => time(text).filter(|t| (min..=max).contains(t)).map(Value::Time),
            Self::Bytes { min, max } => bytes(text).filter(|n| (min..=max).contains(n)).map(Value::Bytes),
            Self::Listen => text.parse().ok().map(Value::Listen),
            Self::OneOf(words) => words.contains(&text).then(|| Value::Text(text.to_owned())),
            Self::Text(_) => Some(Value::Text(text.to_owned())),
            Self::List(_) => Some(Value::List(list(text))),
        };
        value.ok_or_else(|| format!("{} is expected", self.range()))
    }

    /// What is allowed, in words.
    pub fn range(&self) -> String {
        match *self {
            Self::Count { min, max } => format!("a whole number from {min} to {max}"),
            Self::Time { min, max } => format!("a time from {} to {}", write_time(min), write_time(max)),
            Self::Bytes { min, max } => format!("a size from {} to {}", write_bytes(min), write_bytes(max)),
            Self::Listen => "an IP address and a port, such as 127.0.0.1:7400 (port 0 takes a free one)".to_owned(),
            Self::OneOf(words) => format!("one of {}", words.join(", ")),
            Self::Text(what) | Self::List(what) => what.to_owned(),
        }
    }
}

impl Value {
    /// The value as `mesh.toml` spells it.
    pub fn toml(&self) -> String {
        match self {
            Self::Count(n) => n.to_string(),
            Self::Time(time) => quoted(&write_time(*time)),
            Self::Bytes(bytes) => quoted(&write_bytes(*bytes)),
            Self::Listen(addr) => quoted(&addr.to_string()),
            Self::Text(text) => quoted(text),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
                format!("[{}]", items.join(", "))
            }
        }
    }

    /// The value as JSON, in the same spelling.
    pub fn json(&self) -> serde_json::Value {
        match self {
            Self::Count(n) => (*n).into(),
            Self::Time(time) => write_time(*time).into(),
            Self::Bytes(bytes) => write_bytes(*bytes).into(),
            Self::Listen(addr) => addr.to_string().into(),
            Self::Text(text) => text.clone().into(),
            Self::List(items) => items.clone().into(),
        }
    }
}

fn quoted(text: &str) -> String {
    // JSON's escapes are a subset of those of a TOML basic string.
    serde_json::Value::from(text).to_string()
}

fn count(text: &str) -> Option<u64> {
    text.replace('_', "").parse().ok()
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// Splits `10 MiB` into 10 and `MiB`.
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    Some((count(number)?, unit.trim()))
}

const TIMES: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

fn in_units(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor)
}

/// Reads `250ms`, `30s`, `5m`, `24h`, `7d`.
pub(crate) fn time(text: &str) -> Option<Duration> {
    in_units(text, &TIMES).map(Duration::from_millis)
}

fn bytes(text: &str) -> Option<u64> {
    in_units(text, &SIZES)
}

fn write_units(amount: u64, units: &[(&str, u64)], gap: &str) -> String {
    let fits = units.iter().find(|(_, factor)| amount >= *factor && amount.is_multiple_of(*factor));
    let (unit, factor) = fits.or(units.last()).copied().unwrap_or(("", 1));
    format!("{}{gap}{unit}", amount / factor)
}

fn write_time(time: Duration) -> String {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 { "0s".to_owned() } else { write_units(millis, &TIMES, "") }
}

fn write_bytes(bytes: u64) -> String {
    write_units(bytes, &SIZES, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_survives_its_text() {
        let time = Form::Time { min: Duration::ZERO, max: Duration::from_secs(864_000) };
        let size = Form::Bytes { min: 0, max: u64::MAX };
        for (form, text) in [
            (time, "0s"),
            (time, "250ms"),
            (time, "90s"),
            (time, "1d"),
            (time, "7d"),
            (size, "0 B"),
            (size, "1500 B"),
            (size, "64 KiB"),
            (size, "2 GiB"),
        ] {
            let value = form.read(text).unwrap();
            assert_eq!(value.toml(), format!("\"{text}\""));
        }
    }

    #[test]
    fn what_is_outside_its_range_is_told_the_range() {
        let time = Form::Time { min: Duration::from_secs(1), max: Duration::from_secs(3_600) };
        for bad in ["", "1", "0s", "2h", "-3s", "1 week", "99999999999999999999s"] {
            assert_eq!(time.read(bad).unwrap_err(), "a time from 1s to 1h is expected", "{bad}");
        }
        assert!(Form::Count { min: 1, max: 9 }.read("10").unwrap_err().contains("from 1 to 9"));
        assert!(Form::Listen.read("localhost").unwrap_err().contains("127.0.0.1:7400"));
        assert!(Form::OneOf(&["a", "b"]).read("c").unwrap_err().contains("one of a, b"));
    }
}
