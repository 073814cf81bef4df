//! The text form that Prometheus reads, version 0.0.4.

use std::{fmt::Write as _, time::Duration};

use mesh_kernel::telemetry::Timed;

/// The media type of the text.
pub(crate) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Ends of the buckets that are told, as powers of two of a nanosecond: 1 µs to 69 s in steps of 4.
const BUCKET_ENDS: [u32; 14] = [10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36];

/// What a family of samples is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Only grows while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// Names and values of labels.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// The text as it grows.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    /// Begins a family; its samples follow at once.
    pub(super) fn family<'t>(&'t mut self, name: &'static str, form: Form, help: &str) -> Family<'t> {
        let form = if form == Form::Counter { "counter" } else { "gauge" };
        self.head(name, form, help);
        Family { text: self, name }
    }

    /// Begins a family of histograms of seconds.
    pub(super) fn histograms<'t>(&'t mut self, name: &'static str, help: &str) -> Histograms<'t> {
        self.head(name, "histogram", help);
        Histograms { text: self, name }
    }

    /// The whole text.
    pub(super) fn done(self) -> String {
        self.0
    }

    fn head(&mut self, name: &str, form: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {form}"));
    }

    fn sample(&mut self, name: &str, labels: Labels<'_>, value: impl std::fmt::Display) {
        if labels.is_empty() {
            return self.line(format_args!("{name} {value}"));
        }
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        self.line(format_args!("{name}{{{}}} {value}", labels.join(",")));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.0.write_fmt(line);
        self.0.push('\n');
    }
}

/// Samples of one name.
pub(super) struct Family<'t> {
    text: &'t mut Text,
    name: &'static str,
}

impl Family<'_> {
    /// One sample.
    pub(super) fn tell(&mut self, labels: Labels<'_>, value: u64) {
        self.text.sample(self.name, labels, value);
    }

    /// One sample of a time, in seconds.
    pub(super) fn tell_time(&mut self, labels: Labels<'_>, value: Duration) {
        self.text.sample(self.name, labels, value.as_secs_f64());
    }
}

/// Histograms of one name.
pub(super) struct Histograms<'t> {
    text: &'t mut Text,
    name: &'static str,
}

impl Histograms<'_> {
    /// One histogram.
    pub(super) fn tell(&mut self, labels: Labels<'_>, timed: &Timed) {
        let bucket = format!("{}_bucket", self.name);
        let mut told = |end: &str, count| {
            let labels: Vec<(&str, &str)> = labels.iter().copied().chain([("le", end)]).collect();
            self.text.sample(&bucket, &labels, count);
        };
        for power in BUCKET_ENDS {
            let end = Duration::from_nanos(1 << power);
            told(&end.as_secs_f64().to_string(), timed.within(end));
        }
        told("+Inf", timed.count());
        self.text.sample(&format!("{}_sum", self.name), labels, timed.sum.as_secs_f64());
        self.text.sample(&format!("{}_count", self.name), labels, timed.count());
    }
}

impl Histograms<'_> {
    /// One histogram of ready buckets: their ends, and how many were at most this; the sum, and how many in all.
    pub(super) fn tell_buckets(
        &mut self,
        labels: &[(String, String)],
        buckets: impl Iterator<Item = (String, u64)>,
        (sum, count): (f64, u64),
    ) {
        let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let bucket = format!("{}_bucket", self.name);
        for (end, within) in buckets.chain([("+Inf".to_owned(), count)]) {
            let labels: Vec<(&str, &str)> = labels.iter().copied().chain([("le", end.as_str())]).collect();
            self.text.sample(&bucket, &labels, within);
        }
        self.text.sample(&format!("{}_sum", self.name), &labels, sum);
        self.text.sample(&format!("{}_count", self.name), &labels, count);
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use mesh_kernel::telemetry::Timing;

    use super::*;

    #[test]
    fn a_label_cannot_end_its_line() {
        let mut text = Text::default();
        text.family("mesh_x", Form::Gauge, "X.").tell(&[("of", "a\"} 1\nb\\")], 2);
        assert_eq!(text.done(), "# HELP mesh_x X.\n# TYPE mesh_x gauge\nmesh_x{of=\"a\\\"} 1\\nb\\\\\"} 2\n");
    }

    #[test]
    fn a_histogram_grows_from_bucket_to_bucket_and_ends_with_all() {
        let timing = Timing::default();
        for micros in [1, 100, 100, 120_000_000] {
            timing.record(Duration::from_micros(micros));
        }
        let mut text = Text::default();
        text.histograms("mesh_t_seconds", "T.").tell(&[("kind", "k")], &timing.timed());
        let text = text.done();
        let value = |line: &str| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
        let buckets: Vec<f64> = text.lines().filter(|line| line.contains("_bucket")).map(value).collect();
        assert_eq!(buckets.len(), BUCKET_ENDS.len() + 1);
        assert!(buckets.is_sorted());
        assert_eq!((buckets[0], *buckets.last().unwrap()), (1.0, 4.0));
        assert!(text.contains("mesh_t_seconds_bucket{kind=\"k\",le=\"0.000001024\"} 1\n"), "{text}");
        assert!(text.contains("mesh_t_seconds_sum{kind=\"k\"} 120.000201\n"), "{text}");
    }
}
