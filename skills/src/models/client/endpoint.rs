//! An endpoint with its address and key in hand.

use std::{net::IpAddr, sync::Arc};

use async_openai::config::{Config as Api, OpenAIConfig};
use hyper::header::{HeaderName, HeaderValue};
use reqwest::Url;

use crate::models::config::{Endpoint, Text};

/// An endpoint that can be asked. No `Debug`: it holds the key.
pub(in crate::models) struct Resolved {
    pub(in crate::models) settings: Endpoint,
    /// Where async-openai finds address, key and headers.
    pub(super) api: Arc<dyn Api>,
    /// Empty when the endpoint is asked without.
    pub(in crate::models) key: String,
}

/// Looks up what stands in the environment. The error says which variables are to be set.
pub(super) fn resolve(
    name: &str,
    settings: &Endpoint,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Resolved, String> {
    let url = text(&settings.url, env);
    let key = settings.key_from.as_deref().and_then(env).filter(|key| !key.is_empty());
    let may_go_without = settings.key_from.is_none() || url.as_deref().is_some_and(is_loopback);
    let Some(url) = url.filter(|_| key.is_some() || may_go_without) else {
        return Err(not_set_up(name, settings));
    };
    let key = key.unwrap_or_default();
    let parsed = Url::parse(&url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if parsed.is_none() {
        return Err(format!(
            "the endpoint `{name}` has no address that can be asked: `http://…` or `https://…` is expected"
        ));
    }
    if HeaderValue::from_str(&key).is_err() {
        return Err(format!("the key of the endpoint `{name}` holds signs that no header may hold: set it again"));
    }
    // Given empty, or the library takes its own from the environment.
    let mut api = OpenAIConfig::new()
        .with_api_base(url.trim_end_matches('/'))
        .with_api_key(&*key)
        .with_org_id("")
        .with_project_id("");
    for (header, value) in &settings.headers {
        let wrong = || format!("the endpoint `{name}` has a header `{header}` that cannot be sent");
        let header_name = HeaderName::from_bytes(header.as_bytes()).map_err(|_| wrong())?;
        api = api.with_header(header_name, value.as_str()).map_err(|_| wrong())?;
    }
    Ok(Resolved { settings: settings.clone(), api: Arc::new(api), key })
}

/// The endpoint without address and key: for answers that come from a cassette.
pub(super) fn nowhere(settings: &Endpoint) -> Endpoint {
    Endpoint { url: Text::Given("http://cassette.invalid/v1".into()), key_from: None, ..settings.clone() }
}

/// The text, when it is set.
pub(super) fn text(text: &Text, env: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    match text {
        Text::Given(text) => Some(text.clone()),
        Text::From(name) => env(name),
    }
    .filter(|text| !text.is_empty())
}

fn not_set_up(name: &str, settings: &Endpoint) -> String {
    let address = match &settings.url {
        Text::From(variable) => format!("`{variable}` to its address"),
        Text::Given(_) => String::new(),
    };
    let key = settings.key_from.as_ref().map(|variable| format!("`{variable}` to its key")).unwrap_or_default();
    let both = if address.is_empty() || key.is_empty() { "" } else { " and " };
    format!("the endpoint `{name}` is not set up: set {address}{both}{key} (a server on this machine needs no key)")
}

fn is_loopback(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::config::Config;

    fn resolved(variables: &[(&str, &str)]) -> Result<Resolved, String> {
        let env = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        resolve("default", &Config::default().endpoints["default"], &env)
    }

    #[test]
    fn without_address_or_key_one_line_names_both_variables() {
        for variables in [&[][..], &[("OPENAI_API_KEY", "k")], &[("OPENAI_BASE_URL", "https://example.org/v1")]] {
            let said = resolved(variables).err().unwrap();
            assert!(said.contains("`OPENAI_BASE_URL`") && said.contains("`OPENAI_API_KEY`"), "{said}");
            assert!(!said.contains('\n'), "{said}");
        }
    }

    #[test]
    fn a_server_on_this_machine_needs_no_key_and_another_does() {
        for url in ["http://127.0.0.1:8000/v1", "http://localhost/v1/", "http://[::1]:1"] {
            assert!(resolved(&[("OPENAI_BASE_URL", url)]).is_ok(), "{url}");
        }
        for url in ["http://127.0.0.1.example.org/v1", "https://example.org", "http://10.0.0.1/v1"] {
            assert!(resolved(&[("OPENAI_BASE_URL", url)]).is_err(), "{url}");
        }
    }

    #[test]
    fn a_key_or_an_address_that_cannot_be_sent_is_told_without_being_shown() {
        let said = resolved(&[("OPENAI_BASE_URL", "https://h/v1"), ("OPENAI_API_KEY", "se\ncret")]).err().unwrap();
        assert!(said.contains("key") && !said.contains("cret"), "{said}");
        assert!(resolved(&[("OPENAI_BASE_URL", "ftp://h/v1"), ("OPENAI_API_KEY", "k")]).is_err());
    }
}
