//! Durations as people write them: `30s`, `5m`, `1h30m`, `250ms`.

use std::time::Duration;

/// Reads `30s`, `5m`, `2h`, `1h30m`, `1.5s`, `250ms`, `3d`.
///
/// **Units**: `ms`, `s`, `m`, `h`, `d`; at most 3,650 days.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at_checked(digits)?;
        let unit_len = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(unit_len)?;
        let seconds = match unit.trim() {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        let number: f64 = number.parse().ok()?;
        let part = number * seconds;
        if !part.is_finite() || part > SECONDS_MAX {
            return None;
        }
        // Rounded to microseconds: binary fractions would else leave odd nanoseconds.
        total += Duration::from_micros((part * 1e6).round() as u64);
        rest = after;
    }
    (total.as_secs_f64() <= SECONDS_MAX).then_some(total)
}

const SECONDS_MAX: f64 = 3650.0 * 86_400.0;

/// A duration for people: `1h30m`, `250ms`, `2.5s`.
pub fn show_duration(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        return format!("{}ms", duration.as_millis());
    }
    if duration < Duration::from_secs(60) {
        let text = format!("{:.1}", duration.as_secs_f64());
        return format!("{}s", text.trim_end_matches('0').trim_end_matches('.'));
    }
    let seconds = duration.as_secs();
    let parts = [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    parts.iter().filter(|(count, _)| *count > 0).take(2).map(|(count, unit)| format!("{count}{unit}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in
            [("30s", 30.0), ("5m", 300.0), ("1h30m", 5400.0), ("1.5s", 1.5), ("250ms", 0.25), ("2d", 172_800.0)]
        {
            assert_eq!(parse_duration(text).unwrap().as_secs_f64(), seconds, "{text}");
        }
        for bad in ["", "5", "m", "5x", "-3s", "5 apples", "99999999d"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations_are_shown_briefly() {
        for (seconds, text) in [(0.25, "250ms"), (2.5, "2.5s"), (30.0, "30s"), (5400.0, "1h30m"), (90_061.0, "1d1h")] {
            assert_eq!(show_duration(Duration::from_secs_f64(seconds)), text);
        }
    }
}
