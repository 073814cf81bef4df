//! How long an endpoint asks to wait: milliseconds, seconds, or an HTTP date.

use std::time::Duration;

use hyper::header::HeaderMap;
use mesh_kernel::envelope::Timestamp;

/// The longest delay that is believed; who asks for more is better not waited for.
pub(super) const LATEST: Duration = Duration::from_secs(120);

/// The delay that the headers ask for, at most [`LATEST`]; what cannot be read asks for none.
pub(super) fn asked_for(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let from_number = |text: &str, unit: f64| {
        let number: f64 = text.parse().ok()?;
        let seconds = (number * unit).clamp(0.0, LATEST.as_secs_f64());
        number.is_finite().then(|| Duration::from_secs_f64(seconds))
    };
    let delay = text("retry-after-ms").and_then(|text| from_number(text, 0.001)).or_else(|| {
        let text = text("retry-after")?;
        from_number(text, 1.0).or_else(|| {
            let due = seconds_of_date(text)?;
            let now = now.unix_nanos().div_euclid(1_000_000_000);
            Some(Duration::from_secs(u64::try_from(due - now).unwrap_or(0)))
        })
    });
    delay.map(|delay| delay.min(LATEST))
}

/// Unix seconds of an IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT`.
///
/// **Source**: RFC 9110, section 5.6.7. The two obsolete forms are not sent by anyone we met.
fn seconds_of_date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_once(", ")?.1.split(' ');
    let day: i64 = words.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let month = words.next()?;
    let month = i64::try_from(MONTHS.iter().position(|name| *name == month)?).ok()? + 1;
    let year: i64 = words.next()?.parse().ok().filter(|year| (1970..=9999).contains(year))?;
    let mut clock =
        words.next()?.split(':').map(|part| part.parse::<i64>().ok().filter(|part| (0..=60).contains(part)));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    if words.next() != Some("GMT") || clock.next().is_some() {
        return None;
    }
    Some(days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Days from 1970 to a day of the Gregorian calendar.
///
/// **Source**: Howard Hinnant, "chrono-compatible low-level date algorithms": years begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delay(name: &'static str, value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        // 6 November 1994, 08:49:34.
        asked_for(&headers, Timestamp::from_unix_nanos(784_111_774_500_000_000))
    }

    #[test]
    fn a_delay_is_read_in_each_of_its_spellings_and_capped() {
        for (name, value, millis) in [
            ("retry-after-ms", "1500", Some(1500)),
            ("retry-after", "2", Some(2000)),
            ("retry-after", "0.5", Some(500)),
            ("retry-after", "86400", Some(120_000)),
            ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT", Some(3000)),
            ("retry-after", "Sun, 06 Nov 1994 08:49:30 GMT", Some(0)),
            ("retry-after", "Sun, 06 Nov 2094 08:49:37 GMT", Some(120_000)),
            ("retry-after", "-1", Some(0)),
            ("retry-after", "NaN", None),
            ("retry-after", "soon", None),
            ("retry-after", "Sun, 06 Nov 1994 08:49:37 CET", None),
        ] {
            assert_eq!(delay(name, value), millis.map(Duration::from_millis), "{name}: {value}");
        }
    }

    #[test]
    fn days_are_counted_over_leap_years() {
        for (date, expected) in
            [((1970, 1, 1), 0), ((2000, 2, 29), 11_016), ((2000, 3, 1), 11_017), ((2026, 11, 23), 20_780)]
        {
            let (year, month, day) = date;
            assert_eq!(days(year, month, day), expected, "{date:?}");
        }
    }
}
