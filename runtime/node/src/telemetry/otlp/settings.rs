//! The standard variables, read and checked.

use std::{fmt, path::PathBuf, time::Duration};

use super::sampler::{NAMES, Sampler};
use crate::config::{Mistake, Place};

/// Where traces go and how; made of the standard `OTEL_*` variables.
#[derive(Clone)]
pub struct Otlp {
    pub(super) endpoint: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) timeout: Duration,
    pub(super) gzip: bool,
    pub(super) ca: Option<PathBuf>,
    pub(super) resource: Vec<(String, String)>,
    pub(super) sampler: Sampler,
    pub(super) batch: usize,
    pub(super) every: Duration,
    pub(super) queue: usize,
}

/// Headers may hold a secret: they are never shown.
impl fmt::Debug for Otlp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Otlp").field("endpoint", &self.endpoint).field("batch", &self.batch).finish_non_exhaustive()
    }
}

/// Variables of the environment, and what is wrong with them.
struct Variables<'a> {
    all: &'a [(String, String)],
    mistakes: Vec<Mistake>,
}

impl Otlp {
    /// Reads the variables; `None` when no endpoint is set or they say that nothing is to be told.
    ///
    /// # Errors
    /// Every variable that says what cannot be done.
    pub fn read(environment: &[(String, String)]) -> Result<Option<Self>, Vec<Mistake>> {
        let mut variables = Variables { all: environment, mistakes: Vec::new() };
        let off = variables.get("OTEL_SDK_DISABLED").is_some_and(|off| off.eq_ignore_ascii_case("true"))
            || variables.get("OTEL_TRACES_EXPORTER") == Some("none");
        let Some((name, endpoint)) = variables.otlp("ENDPOINT").filter(|_| !off) else { return Ok(None) };
        let endpoint = variables.endpoint(name, endpoint);
        let otlp = Self {
            endpoint,
            headers: variables.headers(),
            timeout: variables
                .otlp("TIMEOUT")
                .map_or(Duration::from_secs(10), |(name, text)| variables.millis(name, text)),
            gzip: variables.gzip(),
            ca: variables.otlp("CERTIFICATE").map(|(_, path)| PathBuf::from(path)),
            resource: variables.resource(),
            sampler: variables.sampler(),
            batch: variables.count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512),
            every: variables.delay("OTEL_BSP_SCHEDULE_DELAY", Duration::from_secs(5)),
            queue: variables.count("OTEL_BSP_MAX_QUEUE_SIZE", 2_048),
        };
        variables.protocol();
        if variables.mistakes.is_empty() { Ok(Some(otlp)) } else { Err(variables.mistakes) }
    }
}

impl<'a> Variables<'a> {
    /// A variable that is set to something.
    fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.all.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// The variable for traces, else the one for all signals.
    fn otlp(&self, what: &str) -> Option<(String, &'a str)> {
        ["OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"].iter().find_map(|prefix| {
            let name = format!("{prefix}{what}");
            self.get(&name).map(|value| (name, value))
        })
    }

    fn wrong(&mut self, name: impl Into<String>, message: String, help: &str) {
        let place = Place::Environment(name.into());
        self.mistakes.push(Mistake { place, message, help: help.to_owned() });
    }

    fn endpoint(&mut self, name: String, endpoint: &str) -> String {
        let insecure = self.otlp("INSECURE").is_none_or(|(_, value)| value.eq_ignore_ascii_case("true"));
        let scheme = if insecure { "http" } else { "https" };
        let url = if endpoint.contains("://") { endpoint.to_owned() } else { format!("{scheme}://{endpoint}") };
        let is_http = url.starts_with("http://") || url.starts_with("https://");
        if !is_http || tonic::transport::Endpoint::from_shared(url.clone()).is_err() {
            self.wrong(name, format!("`{endpoint}` is no address of a collector"), "`http://127.0.0.1:4317` is one");
        } else if url.starts_with("https://") && self.otlp("CERTIFICATE").is_none() {
            let help = "set OTEL_EXPORTER_OTLP_CERTIFICATE to the file of the authority to trust";
            self.wrong(name, format!("`{endpoint}` needs a certificate authority"), help);
        }
        url
    }

    fn protocol(&mut self) {
        if let Some((name, other)) = self.otlp("PROTOCOL").filter(|(_, value)| *value != "grpc") {
            let help = "set OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=grpc and the endpoint to the collector's gRPC port, or \
                        OTEL_TRACES_EXPORTER=none";
            self.wrong(name, format!("`{other}` is not spoken here: `grpc` is"), help);
        }
    }

    fn gzip(&mut self) -> bool {
        match self.otlp("COMPRESSION") {
            None => false,
            Some((_, "none")) => false,
            Some((_, "gzip")) => true,
            Some((name, other)) => {
                self.wrong(name, format!("`{other}` is no compression"), "gzip and none are");
                false
            }
        }
    }

    fn headers(&mut self) -> Vec<(String, String)> {
        let Some((name, text)) = self.otlp("HEADERS") else { return Vec::new() };
        let headers = pairs(text);
        let fits = |(key, value): &(String, String)| {
            key.parse::<tonic::metadata::MetadataKey<tonic::metadata::Ascii>>().is_ok()
                && value.parse::<tonic::metadata::MetadataValue<tonic::metadata::Ascii>>().is_ok()
        };
        match headers.filter(|headers| headers.iter().all(fits)) {
            Some(headers) => headers,
            None => {
                // The text is not repeated: it may hold a secret.
                self.wrong(name, "it holds no headers".to_owned(), "`name=value,name=value` is expected");
                Vec::new()
            }
        }
    }

    fn resource(&mut self) -> Vec<(String, String)> {
        let given = self.get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        let mut attributes = pairs(given).unwrap_or_else(|| {
            let help = "`name=value,name=value` is expected";
            self.wrong("OTEL_RESOURCE_ATTRIBUTES", format!("`{given}` holds no attributes"), help);
            Vec::new()
        });
        let mut set = |key: &str, value: &str, over: bool| {
            if over {
                attributes.retain(|(known, _)| known != key);
            }
            if attributes.iter().all(|(known, _)| known != key) {
                attributes.push((key.to_owned(), value.to_owned()));
            }
        };
        set("service.version", env!("CARGO_PKG_VERSION"), false);
        match self.get("OTEL_SERVICE_NAME") {
            Some(name) => set("service.name", name, true),
            None => set("service.name", "mesh", false),
        }
        attributes
    }

    fn sampler(&mut self) -> Sampler {
        let name = self.get("OTEL_TRACES_SAMPLER").unwrap_or("parentbased_always_on");
        let argument = self.get("OTEL_TRACES_SAMPLER_ARG");
        Sampler::named(name, argument).unwrap_or_else(|| {
            let with = argument.map(|argument| format!(" with `{argument}`")).unwrap_or_default();
            let help = format!("one of {NAMES} is expected; the argument of a ratio is a number from 0 to 1");
            self.wrong("OTEL_TRACES_SAMPLER", format!("`{name}`{with} is no sampler"), &help);
            Sampler::OFF
        })
    }

    fn count(&mut self, name: &str, default: usize) -> usize {
        let Some(text) = self.get(name) else { return default };
        text.parse().ok().filter(|count| (1..=65_536).contains(count)).unwrap_or_else(|| {
            self.wrong(name, format!("`{text}` is no number from 1 to 65536"), "leave it out for the default");
            default
        })
    }

    fn delay(&mut self, name: &str, default: Duration) -> Duration {
        self.get(name).map_or(default, |text| self.millis(name.to_owned(), text))
    }

    fn millis(&mut self, name: String, text: &str) -> Duration {
        text.parse().ok().filter(|millis| (1..=600_000).contains(millis)).map_or_else(
            || {
                self.wrong(name, format!("`{text}` is no time"), "milliseconds from 1 to 600000 are expected");
                Duration::from_secs(10)
            },
            Duration::from_millis,
        )
    }
}

/// `a=b,c=d`, values percent-decoded as the standard has it.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    text.split(',').map(str::trim).filter(|pair| !pair.is_empty()).map(pair).collect()
}

fn pair(pair: &str) -> Option<(String, String)> {
    let (name, value) = pair.split_once('=')?;
    let name = name.trim();
    (!name.is_empty()).then_some(())?;
    Some((name.to_owned(), decoded(value.trim())?))
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.extend(mesh_kernel::envelope::hex::decode(digits)?);
            rest = after.get(2..)?;
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Otlp>, Vec<Mistake>> {
        let all: Vec<_> = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Otlp::read(&all)
    }

    const AT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317");

    #[test]
    fn nothing_is_told_unless_an_endpoint_is_set() {
        assert!(read(&[]).unwrap().is_none());
        assert!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]).unwrap().is_none());
        assert!(read(&[AT, ("OTEL_SDK_DISABLED", "true")]).unwrap().is_none());
        assert!(read(&[AT, ("OTEL_TRACES_EXPORTER", "none")]).unwrap().is_none());
        // What is off is not checked.
        assert!(read(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")]).unwrap().is_none());
    }

    #[test]
    fn what_is_for_traces_goes_before_what_is_for_all() {
        let otlp = read(&[AT, ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4317")]).unwrap().unwrap();
        assert_eq!(otlp.endpoint, "http://collector:4317");
        assert_eq!(otlp.resource.last().unwrap(), &("service.name".to_owned(), "mesh".to_owned()));
        let named = [
            AT,
            ("OTEL_SERVICE_NAME", "factory"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=x, deployment.environment=a%20b"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%3Db"),
        ];
        let otlp = read(&named).unwrap().unwrap();
        let of = |key: &str| -> Vec<&str> {
            let named = otlp.resource.iter().filter(|(name, _)| name == key);
            named.map(|(_, value)| value.as_str()).collect()
        };
        assert_eq!(of("service.name"), ["factory"]);
        assert_eq!(of("deployment.environment"), ["a b"]);
        assert_eq!(otlp.headers, [("x-key".to_owned(), "a=b".to_owned())]);
        assert!(!format!("{otlp:?}").contains("a=b"), "a header was shown");
    }

    #[test]
    fn every_mistake_is_told_with_how_to_mend_it_and_no_secret() {
        let wrong = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "hidden"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip"),
            ("OTEL_TRACES_SAMPLER", "often"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ]);
        let told: Vec<String> = wrong.unwrap_err().iter().map(ToString::to_string).collect();
        let told = told.join("\n");
        assert_eq!(told.matches("help:").count(), 7, "{told}");
        assert!(!told.contains("hidden"), "{told}");
    }
}
