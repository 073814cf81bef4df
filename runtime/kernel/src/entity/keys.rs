//! The idempotency window of an entity: which keys it has done, and which events they caused.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::envelope::{Headers, IdempotencyKey};

/// Keys that an entity remembers. Older ones are the decider's business (an outcome of an old
/// attempt, a second submit): it sees them in its state.
const KEYS_MAX: usize = 256;

/// The versions of the first and the last event that a key caused, and the request that it stood for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeySpan {
    pub(crate) first: u64,
    pub(crate) last: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<Box<str>>,
}

impl KeySpan {
    /// The events from `first` to `last`, without a word about the request.
    pub(crate) fn new(first: u64, last: u64) -> Self {
        Self { first, last, request: None }
    }

    /// Whether a command with these headers is the same request; a side that says nothing is.
    pub(crate) fn is_of(&self, headers: &Headers) -> bool {
        match (&self.request, headers.request()) {
            (Some(known), Some(given)) => **known == *given,
            _ => true,
        }
    }
}

/// The last keys that an entity has done, bounded.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct KeyWindow {
    order: VecDeque<IdempotencyKey>,
    spans: HashMap<IdempotencyKey, KeySpan>,
}

impl KeyWindow {
    /// What the key of these headers caused, when it is remembered.
    pub(crate) fn get(&self, headers: &Headers) -> Option<KeySpan> {
        self.spans.get(headers.idempotency_key.as_ref()?).cloned()
    }

    /// Remembers that the event with this version and these headers was caused under their key.
    pub(crate) fn add(&mut self, headers: &Headers, version: u64) {
        let Some(key) = &headers.idempotency_key else { return };
        if let Some(span) = self.spans.get_mut(key) {
            span.last = version;
            return;
        }
        self.insert(key, headers, KeySpan::new(version, version));
    }

    /// Remembers that a request was answered with no event while the entity stood at this version.
    ///
    /// In memory and in snapshots alone, for there is no event to find it by: after a crash the request
    /// is decided anew.
    pub(crate) fn add_nothing(&mut self, headers: &Headers, version: u64) {
        if let Some(key) = headers.idempotency_key.as_ref().filter(|_| headers.request().is_some()) {
            self.insert(key, headers, KeySpan::new(version + 1, version));
        }
    }

    fn insert(&mut self, key: &IdempotencyKey, headers: &Headers, mut span: KeySpan) {
        if self.order.len() >= KEYS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.spans.remove(&oldest);
        }
        span.request = headers.request().map(Into::into);
        self.order.push_back(key.clone());
        self.spans.insert(key.clone(), span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::Principal;

    fn headers(key: usize, request: Option<&str>) -> Headers {
        let mut headers = Headers::new("acme/p/k/id".parse().unwrap(), Principal::system("test"));
        headers.idempotency_key = Some(IdempotencyKey::parse(&format!("k{key}")).unwrap());
        headers.extensions.extend(request.map(|request| (Headers::REQUEST.to_owned(), request.to_owned())));
        headers
    }

    #[test]
    fn the_window_forgets_the_oldest_key_first() {
        let mut window = KeyWindow::default();
        for n in 0..=KEYS_MAX {
            window.add(&headers(n, None), n as u64 + 1);
        }
        assert_eq!(window.get(&headers(0, None)), None);
        assert_eq!(window.get(&headers(1, None)), Some(KeySpan::new(2, 2)));
        window.add(&headers(1, None), 300);
        assert_eq!(window.get(&headers(1, None)), Some(KeySpan::new(2, 300)));
    }

    #[test]
    fn a_key_is_of_the_request_that_it_came_with_even_from_a_snapshot() {
        let mut window = KeyWindow::default();
        window.add(&headers(1, Some("a")), 1);
        window.add_nothing(&headers(2, Some("b")), 1);
        window.add_nothing(&headers(3, None), 1);
        let kept = serde_json::to_vec(&window).unwrap();
        let window: KeyWindow = serde_json::from_slice(&kept).unwrap();
        for (given, same) in [(Some("a"), true), (Some("b"), false), (None, true)] {
            assert_eq!(window.get(&headers(1, given)).unwrap().is_of(&headers(1, given)), same, "{given:?}");
        }
        let nothing = window.get(&headers(2, Some("b"))).unwrap();
        assert_eq!((nothing.first, nothing.last), (2, 1));
        assert_eq!(window.get(&headers(3, None)), None, "what is no request is decided anew");
    }

    #[test]
    fn a_window_of_an_older_snapshot_is_read() {
        let text = r#"{"order":["k1"],"spans":{"k1":{"first":1,"last":2}}}"#;
        let window: KeyWindow = serde_json::from_str(text).unwrap();
        assert!(window.get(&headers(1, Some("a"))).unwrap().is_of(&headers(1, Some("a"))));
    }
}
