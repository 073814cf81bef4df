//! Times, states and texts as people read them.

use std::time::Duration;

use mesh_kernel::envelope::Timestamp;

use super::Tone;

/// A text from elsewhere, without what could steer the terminal.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { ' ' } else { c }).collect()
}

/// The text, or a dash when there is none.
pub(crate) fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// An instant of the contract as RFC 3339 in seconds; a dash when it is not set.
pub(crate) fn instant(at: Option<prost_types::Timestamp>) -> String {
    match at {
        Some(at) => prost_types::Timestamp { seconds: at.seconds, nanos: 0 }.to_string(),
        None => "-".to_owned(),
    }
}

/// How long ago an instant was: `12s ago`; a dash when it is not set.
pub(crate) fn age(at: Option<prost_types::Timestamp>, now: Timestamp) -> String {
    match at {
        Some(at) => format!("{} ago", coarse(now.since(Timestamp::from(at)))),
        None => "-".to_owned(),
    }
}

/// The time from one instant to another, or to now while it lasts; a dash before it began.
pub(crate) fn span(from: Option<prost_types::Timestamp>, to: Option<prost_types::Timestamp>, now: Timestamp) -> String {
    match from {
        Some(from) => duration(to.map_or(now, Timestamp::from).since(Timestamp::from(from))),
        None => "-".to_owned(),
    }
}

/// A length of time in its two largest units: `850ms`, `4.2s`, `3m 7s`, `2h 5m`, `3d 4h`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{}ms", time.as_millis()),
        1..=9 if time.subsec_millis() >= 50 => format!("{:.1}s", time.as_secs_f64()),
        1..=59 => format!("{seconds}s"),
        60..=3_599 => two(seconds / 60, "m", seconds % 60, "s"),
        3_600..=86_399 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "m"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// A length of time in its largest unit, for ages.
fn coarse(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..=59 => format!("{seconds}s"),
        60..=3_599 => format!("{}m", seconds / 60),
        3_600..=86_399 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn two(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    if small == 0 { format!("{large}{large_unit}") } else { format!("{large}{large_unit} {small}{small_unit}") }
}

/// The name of an enum's value as people write it: `RUN_STATE_WAITING` becomes `waiting`.
pub(crate) fn label(name: &str, prefix: &str) -> String {
    let own = name.strip_prefix(prefix).unwrap_or(name).trim_start_matches('_');
    if own == "UNSPECIFIED" { "-".to_owned() } else { own.to_lowercase().replace('_', "-") }
}

/// The tone of a state's label.
pub(crate) fn tone_of(label: &str) -> Tone {
    match label {
        "succeeded" | "granted" | "active" | "running-well" | "approve" => Tone::Good,
        "failed" | "rejected" | "expired" | "quarantined" | "crash-looping" | "wedged" => Tone::Bad,
        "waiting" | "waiting-approval" | "waiting-signal" | "waiting-timer" | "pending" | "paused" => Tone::Waits,
        "running" | "compensating" | "starting" | "waking" => Tone::Busy,
        "created" | "ready" | "skipped" | "cancelled" | "disabled" | "stopped" | "asleep" | "compensated" => {
            Tone::Faint
        }
        _ => Tone::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_two_units_at_most() {
        for (millis, told) in [
            (0, "0ms"),
            (850, "850ms"),
            (1_000, "1s"),
            (4_210, "4.2s"),
            (12_900, "12s"),
            (60_000, "1m"),
            (187_000, "3m 7s"),
            (7_500_000, "2h 5m"),
            (273_600_000, "3d 4h"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), told);
        }
    }

    #[test]
    fn an_age_counts_from_now() {
        let now = Timestamp::from_unix_nanos(100_000_000_000);
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        assert_eq!(age(at(40), now), "1m ago");
        assert_eq!(age(at(200), now), "0s ago");
        assert_eq!(age(None, now), "-");
        assert_eq!(span(at(90), None, now), "10s");
        assert_eq!(span(at(90), at(91), now), "1s");
    }

    #[test]
    fn an_enums_value_is_told_without_its_prefix() {
        assert_eq!(label("STEP_STATE_WAITING_APPROVAL", "STEP_STATE"), "waiting-approval");
        assert_eq!(label("RUN_STATE_UNSPECIFIED", "RUN_STATE"), "-");
    }
}
