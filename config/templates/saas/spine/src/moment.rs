//! Time: one clock that is handed around, and dates as people write them.
//!
//! Moments are UTC. In records a date is `2026-01-31` and a date with time `2026-01-31T14:00`;
//! both sort as text.

/// Where the time comes from.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// Always the same moment, for tests.
    Fixed(Moment),
}

impl Clock {
    /// The present moment.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine")]
    pub fn now(self) -> Moment {
        match self {
            Self::Fixed(moment) => moment,
            Self::System => {
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                let seconds = since.map_or(0, |passed| passed.as_secs());
                Moment(i64::try_from(seconds).unwrap_or(i64::MAX))
            }
        }
    }
}

/// A moment: seconds since 1970 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

const DAY: i64 = 86_400;

impl Moment {
    /// The moment some seconds later.
    #[must_use]
    pub fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// `2026-01-31`.
    pub fn date(self) -> String {
        let (year, month, day) = civil(self.0.div_euclid(DAY));
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// `2026-01-31T14:00`.
    pub fn minute(self) -> String {
        let seconds = self.0.rem_euclid(DAY);
        format!("{}T{:02}:{:02}", self.date(), seconds / 3600, seconds / 60 % 60)
    }

    /// `2026-01-31T14:00:05Z`.
    pub fn rfc3339(self) -> String {
        format!("{}:{:02}Z", self.minute(), self.0.rem_euclid(60))
    }

    /// A date or date with time that may be relative to this moment: `today`, `now`, `+3d`,
    /// `-2d 14:00`. Anything else is returned as it is.
    pub fn resolve(self, text: &str) -> String {
        match text {
            "today" => return self.date(),
            "now" => return self.minute(),
            _ => {}
        }
        let (days, time) = text.split_once(' ').map_or((text, None), |(days, time)| (days, Some(time)));
        let signed = days.starts_with(['+', '-']);
        let Some(days) = days.strip_suffix('d').filter(|_| signed) else {
            return text.to_owned();
        };
        let Ok(days) = days.parse::<i64>() else {
            return text.to_owned();
        };
        let date = self.plus(days.saturating_mul(DAY)).date();
        match time {
            Some(time) => format!("{date}T{time}"),
            None => date,
        }
    }
}

/// Whether a text is a date of the calendar, `2026-02-29` not being one.
pub fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else {
        return false;
    };
    let (Some(year), Some(month), Some(day)) = (digits(year, 4), digits(month, 2), digits(day, 2)) else {
        return false;
    };
    (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day)
}

/// Whether a text is a date with hours and minutes: `2026-01-31T14:00`.
pub fn is_date_time(text: &str) -> bool {
    let Some((date, time)) = text.split_once('T') else {
        return false;
    };
    let Some((hours, minutes)) = time.split_once(':') else {
        return false;
    };
    is_date(date)
        && digits(hours, 2).is_some_and(|hours| hours < 24)
        && digits(minutes, 2).is_some_and(|minutes| minutes < 60)
}

fn digits(text: &str, len: usize) -> Option<i64> {
    let well_formed = text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
    well_formed.then(|| text.parse().ok()).flatten()
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Year, month and day of a day since 1970.
///
/// **Source**: Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::{Moment, is_date, is_date_time};

    #[test]
    fn moments_are_written_as_the_calendar_has_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(Moment(seconds).rfc3339(), text);
        }
    }

    #[test]
    fn relative_dates_are_resolved_and_others_kept() {
        let now = Moment(1_767_225_599);
        for (text, resolved) in [
            ("today", "2025-12-31"),
            ("now", "2025-12-31T23:59"),
            ("+1d", "2026-01-01"),
            ("-31d 09:30", "2025-11-30T09:30"),
            ("2026-05-01", "2026-05-01"),
            ("1d", "1d"),
        ] {
            assert_eq!(now.resolve(text), resolved);
        }
    }

    #[test]
    fn dates_that_the_calendar_lacks_are_refused() {
        assert!(is_date("2024-02-29") && is_date_time("2024-02-29T23:59"));
        for text in ["2023-02-29", "2024-13-01", "2024-1-01", "", "20240101"] {
            assert!(!is_date(text), "{text}");
        }
        for text in ["2024-01-01", "2024-01-01T24:00", "2024-01-01T1:00", "2024-01-01 10:00"] {
            assert!(!is_date_time(text), "{text}");
        }
    }
}
