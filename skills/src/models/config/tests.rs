use super::*;
use crate::models::Price;

const EXAMPLE: &str = include_str!("../../../../config/models.yaml");

fn mistakes(text: &str) -> Vec<String> {
    Config::read(text, "models.yaml").unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn the_example_that_we_ship_has_no_mistakes_and_says_what_it_shows() {
    let config = Config::read(EXAMPLE, "models.yaml").unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    assert_eq!(config.candidates("reasoning").len(), 2, "the example shows falling back");
    assert!(!config.candidates("a class that is not listed").is_empty(), "the example shows the default class");
    for candidate in config.classes.values().flatten() {
        if let Text::Given(model) = &candidate.model {
            assert!(config.prices.models.contains_key(model), "`{model}` has no price");
        }
    }
}

#[test]
fn a_mistake_in_the_example_is_told_with_its_place_and_the_nearest_key() {
    for (from, to, told) in [
        ("urlFrom:", "urlForm:", "did you mean `urlFrom`?"),
        ("requestsPerMinute:", "requestPerMinute:", "did you mean `requestsPerMinute`?"),
        ("firstToken: 60s", "firstToken: 60", "`firstToken` is `60`, and a time"),
        ("- endpoint: local", "- endpoint: locl", "there is no endpoint `locl` (did you mean `local`?)"),
        ("cachedInput:", "cachedInputs:", "did you mean `cachedInput`?"),
        ("currency: ", "#", "`prices` has no `currency`"),
        ("keyFrom: PROVIDER_API_KEY", "keyFrom: a-real-key", "`keyFrom` is no name of an environment variable"),
    ] {
        let text = EXAMPLE.replacen(from, to, 1);
        assert_ne!(text, EXAMPLE, "the example has no `{from}`");
        let line = text.lines().zip(EXAMPLE.lines()).position(|(new, old)| new != old).unwrap() + 1;
        let said = mistakes(&text);
        assert!(said.iter().any(|said| said.contains(told)), "{from}: {said:?}");
        let near = |said: &String| said.starts_with("models.yaml:") && !said.contains("a-real-key");
        assert!(said.iter().all(near), "{said:?}");
        if to != "#" {
            assert!(said.iter().any(|said| said.starts_with(&format!("models.yaml:{line}:"))), "{line}: {said:?}");
        }
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let said = mistakes(
        "endpoints:\n  a:\n    url: http://localhost\n    urlFrom: X\n    concurrent: 0\n    headers: {Authorization: x}\n\
         classes:\n  c: []\n  d:\n    - {endpoint: a}\n",
    );
    assert_eq!(said.len(), 5, "{said:#?}");
}

#[test]
fn a_class_without_candidates_is_served_by_the_default_one_or_by_nobody() {
    let text = "endpoints: {a: {url: 'http://localhost/v1'}}\nclasses:\n  fast: [{endpoint: a, model: m}]\n";
    let config = Config::read(text, "m").unwrap();
    assert_eq!((config.candidates("fast").len(), config.candidates("deep").len()), (1, 0));
    assert_eq!(Config::default().candidates("deep"), Config::default().candidates("fast"));
}

#[test]
fn a_price_that_is_not_told_apart_is_the_one_it_is_part_of() {
    let text = "prices: {version: v, currency: USD, models: {m: {input: 5, output: 7}}}";
    let prices = Config::read(text, "m").unwrap().prices;
    assert_eq!(prices.models["m"], Price { input: 5, cached_input: 5, output: 7, reasoning: 7 });
}
