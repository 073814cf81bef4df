//! From the text of a `models.yaml` to the configuration, with every mistake told at its place.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value};

use super::{Candidate, Config, Endpoint, Text, Timeouts};
use crate::{
    models::{Price, Prices},
    yaml::{Kind, Mistake, Node, Span, parse, suggest},
};

const TOP: [&str; 5] = ["endpoints", "classes", "prices", "atOnce", "atOncePerTenant"];
const ENDPOINT: [&str; 10] = [
    "url",
    "urlFrom",
    "keyFrom",
    "headers",
    "concurrent",
    "requestsPerMinute",
    "tokensPerMinute",
    "timeouts",
    "stream",
    "maxTokensAs",
];
const TIMEOUTS: [&str; 4] = ["connect", "firstToken", "idle", "total"];
const CANDIDATE: [&str; 4] = ["endpoint", "model", "modelFrom", "extra"];
const PRICES: [&str; 3] = ["version", "currency", "models"];
const PRICE: [&str; 4] = ["input", "cachedInput", "output", "reasoning"];

/// The longest time that can be set.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn config(text: &str) -> Result<Config, Vec<Mistake>> {
    let root = parse(text).map_err(|mistake| vec![mistake])?;
    let mut reader = Reader::default();
    let config = reader.config(&root);
    reader.mistakes.sort();
    if reader.mistakes.is_empty() { Ok(config) } else { Err(reader.mistakes) }
}

#[derive(Default)]
struct Reader {
    mistakes: Vec<Mistake>,
}

impl Reader {
    fn config(&mut self, root: &Node) -> Config {
        self.mapping(root, "the file", Some(&TOP));
        let endpoints = self.named(root, "endpoints", Self::endpoint);
        let classes = self.classes(root, &endpoints);
        let prices = root.get("prices").map(|node| self.prices(node)).unwrap_or_default();
        let mut config = Config { endpoints, classes, prices, ..Config::nothing() };
        self.bound(root, "atOnce", &mut config.at_once);
        self.bound(root, "atOncePerTenant", &mut config.at_once_per_tenant);
        config
    }

    fn endpoint(&mut self, name: &str, node: &Node) -> Endpoint {
        self.mapping(node, &format!("the endpoint `{name}`"), Some(&ENDPOINT));
        let mut endpoint = Endpoint {
            url: self.text_or_from(node, "url", "urlFrom"),
            key_from: self.text(node, "keyFrom"),
            headers: self.headers(node),
            requests_per_minute: self.number(node, "requestsPerMinute"),
            tokens_per_minute: self.number(node, "tokensPerMinute"),
            ..Endpoint::default()
        };
        self.key_variable(node, endpoint.key_from.as_deref());
        self.bound(node, "concurrent", &mut endpoint.concurrent);
        if let Some(timeouts) = node.get("timeouts") {
            endpoint.timeouts = self.timeouts(timeouts);
        }
        if let Some(member) = self.text(node, "maxTokensAs") {
            endpoint.max_tokens_as = member;
        }
        if let Some(stream) = node.get("stream") {
            match stream.as_bool() {
                Some(stream) => endpoint.stream = stream,
                None => self.wrong_kind(stream, "stream", "true or false"),
            }
        }
        endpoint
    }

    /// A key in the file would end in a repository: only the variable's name may stand there.
    fn key_variable(&mut self, node: &Node, name: Option<&str>) {
        let is_name = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
                && !text.is_empty()
        };
        let Some((_, value)) = node.entry("keyFrom") else { return };
        if name.is_some_and(|name| !is_name(name)) {
            let message = "`keyFrom` is no name of an environment variable";
            self.say(value.span, message, "write the variable's name in capitals; the key itself never stands here");
        }
    }

    fn headers(&mut self, node: &Node) -> BTreeMap<String, String> {
        let Some(headers) = node.get("headers") else { return BTreeMap::new() };
        let mut read = BTreeMap::new();
        for (key, value) in self.mapping(headers, "`headers`", None) {
            if matches!(key.name.to_ascii_lowercase().as_str(), "authorization" | "api-key" | "x-api-key") {
                let message = format!("the header `{}` would hold a key", key.name);
                self.say(key.span, message, "name the key's environment variable under `keyFrom`");
            }
            match value.as_str() {
                Some(text) => drop(read.insert(key.name.clone(), text.to_owned())),
                None => self.wrong_kind(value, &key.name, "a text"),
            }
        }
        read
    }

    fn timeouts(&mut self, node: &Node) -> Timeouts {
        self.mapping(node, "`timeouts`", Some(&TIMEOUTS));
        let mut timeouts = Timeouts::default();
        for (name, into) in [
            ("connect", &mut timeouts.connect),
            ("firstToken", &mut timeouts.first_token),
            ("idle", &mut timeouts.idle),
            ("total", &mut timeouts.total),
        ] {
            let Some(value) = node.get(name) else { continue };
            match value.as_str().and_then(duration) {
                Some(read) => *into = read,
                None => self.wrong_kind(value, name, "a time such as `500ms`, `30s` or `10m`, at most a day"),
            }
        }
        timeouts
    }

    fn classes(&mut self, root: &Node, endpoints: &BTreeMap<String, Endpoint>) -> BTreeMap<String, Vec<Candidate>> {
        self.named(root, "classes", |reader, name, node| {
            let Some(items) = node.as_seq() else {
                reader.wrong_kind(node, name, "a list of candidates, best first");
                return Vec::new();
            };
            if items.is_empty() {
                let message = format!("the class `{name}` has no candidate");
                reader.say(node.span, message, "list at least one, or leave the class out");
            }
            items.iter().map(|item| reader.candidate(item, endpoints)).collect()
        })
    }

    fn candidate(&mut self, node: &Node, endpoints: &BTreeMap<String, Endpoint>) -> Candidate {
        self.mapping(node, "a candidate", Some(&CANDIDATE));
        let endpoint = self.text(node, "endpoint").unwrap_or_default();
        match node.get("endpoint") {
            None => self.say(node.span, "a candidate has no `endpoint`", "name one of `endpoints`"),
            Some(at) if at.as_str().is_some() && !endpoints.contains_key(&endpoint) => {
                let help = near(&endpoint, endpoints.keys());
                self.say(at.span, format!("there is no endpoint `{endpoint}`"), help);
            }
            Some(_) => {}
        }
        let extra = node.get("extra").map(|extra| {
            self.mapping(extra, "`extra`", None);
            extra.to_json()
        });
        Candidate {
            endpoint,
            model: self.text_or_from(node, "model", "modelFrom"),
            extra: match extra {
                Some(Value::Object(members)) => members,
                _ => Map::new(),
            },
        }
    }

    fn prices(&mut self, node: &Node) -> Prices {
        self.mapping(node, "`prices`", Some(&PRICES));
        for needed in ["version", "currency"] {
            if node.get(needed).is_none() {
                let help = "costs are recorded with both, so that nobody has to guess them later";
                self.say(node.span, format!("`prices` has no `{needed}`"), help);
            }
        }
        Prices {
            version: self.text(node, "version").unwrap_or_default(),
            currency: self.text(node, "currency").unwrap_or_default(),
            models: self.named(node, "models", Self::price),
        }
    }

    fn price(&mut self, name: &str, node: &Node) -> Price {
        self.mapping(node, &format!("the price of `{name}`"), Some(&PRICE));
        for needed in ["input", "output"] {
            if node.get(needed).is_none() {
                let message = format!("the price of `{name}` has no `{needed}`");
                self.say(node.span, message, "in micro-units per million tokens: 0.15 per million is 150000");
            }
        }
        let input = self.number(node, "input").unwrap_or_default();
        let output = self.number(node, "output").unwrap_or_default();
        Price {
            input,
            output,
            cached_input: self.number(node, "cachedInput").unwrap_or(input),
            reasoning: self.number(node, "reasoning").unwrap_or(output),
        }
    }

    /// The entries of the mapping under `key`, each read by `read`.
    fn named<T>(
        &mut self,
        node: &Node,
        key: &str,
        mut read: impl FnMut(&mut Self, &str, &Node) -> T,
    ) -> BTreeMap<String, T> {
        let Some(value) = node.get(key) else { return BTreeMap::new() };
        let entries = self.mapping(value, &format!("`{key}`"), None);
        entries.iter().map(|(key, value)| (key.name.clone(), read(self, &key.name, value))).collect()
    }

    /// The entries of a mapping; keys that are not known are mistakes.
    fn mapping<'a>(&mut self, node: &'a Node, what: &str, known: Option<&[&str]>) -> &'a [(crate::yaml::Key, Node)] {
        let Some(entries) = node.as_map() else {
            if !node.is_null() || known.is_none_or(|known| known != TOP) {
                let message = format!("{what} is {}, and a mapping is expected", node.kind_name());
                self.say(node.span, message, "write `name: value` lines");
            }
            return &[];
        };
        for (key, _) in entries {
            if let Some(known) = known.filter(|known| !known.contains(&key.name.as_str())) {
                let help = near(&key.name, known);
                self.say(key.span, format!("{what} has no `{}`", key.name), help);
            }
        }
        entries
    }

    fn text(&mut self, node: &Node, key: &str) -> Option<String> {
        let value = node.get(key)?;
        let text = value.as_str().filter(|text| !text.is_empty());
        if text.is_none() {
            self.wrong_kind(value, key, "a text");
        }
        text.map(str::to_owned)
    }

    fn text_or_from(&mut self, node: &Node, key: &str, from: &str) -> Text {
        match (self.text(node, key), self.text(node, from)) {
            (Some(text), None) => Text::Given(text),
            (None, Some(name)) => Text::From(name),
            (Some(_), Some(_)) => {
                self.say(node.span, format!("both `{key}` and `{from}` are given"), "keep one of them");
                Text::Given(String::new())
            }
            (None, None) => {
                if node.get(key).is_none() && node.get(from).is_none() && node.as_map().is_some() {
                    let help = format!("`{from}` names an environment variable");
                    self.say(node.span, format!("`{key}` or `{from}` is missing"), help);
                }
                Text::Given(String::new())
            }
        }
    }

    fn number(&mut self, node: &Node, key: &str) -> Option<u64> {
        let value = node.get(key)?;
        let number = value.as_int().and_then(|number| u64::try_from(number).ok());
        if number.is_none() {
            self.wrong_kind(value, key, "a whole number, 0 or more");
        }
        number
    }

    /// A bound that is at least 1.
    fn bound(&mut self, node: &Node, key: &str, into: &mut usize) {
        let Some(value) = node.get(key) else { return };
        match value.as_int().and_then(|number| usize::try_from(number).ok()).filter(|number| *number > 0) {
            Some(number) => *into = number,
            None => self.wrong_kind(value, key, "a whole number, 1 or more"),
        }
    }

    fn wrong_kind(&mut self, node: &Node, key: &str, wanted: &str) {
        let is = match &node.kind {
            Kind::Int(number) => format!("`{number}`"),
            Kind::String(text) if key != "keyFrom" => format!("`{}`", text.chars().take(40).collect::<String>()),
            _ => node.kind_name().to_owned(),
        };
        self.mistakes.push(Mistake::new(node.span, format!("`{key}` is {is}, and {wanted} is expected")));
    }

    fn say(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.mistakes.push(Mistake::new(span, message).with_help(help));
    }
}

fn near<S: AsRef<str>>(word: &str, known: impl IntoIterator<Item = S> + Clone) -> String {
    match suggest(word, known.clone()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => {
            let known: Vec<_> = known.into_iter().map(|name| format!("`{}`", name.as_ref())).collect();
            format!("known are {}", known.join(", "))
        }
    }
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let read = match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.checked_mul(60)?),
        _ => return None,
    };
    (!read.is_zero() && read <= LONGEST).then_some(read)
}
