use std::{fs, path::Path};

use proptest::prelude::*;

use super::*;

const KINDS: [Kind; 8] =
    [Kind::Markdown, Kind::Html, Kind::Rust, Kind::Python, Kind::TypeScript, Kind::OpenApi, Kind::Protobuf, Kind::Text];

fn cut(kind: Kind, text: &str) -> Vec<Chunk> {
    chunk("some/file", kind, text, &Limits::default())
}

fn places(chunks: &[Chunk]) -> Vec<&str> {
    chunks.iter().map(|chunk| chunk.place.as_str()).collect()
}

/// What holds for the chunks of every document.
fn hold(kind: Kind, text: &str, chunks: &[Chunk]) -> Result<(), String> {
    let mut covered = 0;
    let mut seen = std::collections::BTreeSet::new();
    for each in chunks {
        let told = format!("{kind:?} {:?} {:?}", each.bytes, each.place);
        let source = text.get(each.bytes.clone()).ok_or(format!("{told}: no text"))?;
        // What nobody could read may be left out at the ends.
        let gap = text.get(covered..each.bytes.start.max(covered)).unwrap_or_default();
        if !gap.trim().is_empty() && kind != Kind::Html {
            return Err(format!("{told}: {gap:?} is in no chunk"));
        }
        covered = covered.max(each.bytes.end);
        if kind != Kind::Html && each.text != source {
            return Err(format!("{told}: text is not the source"));
        }
        let before = text.get(..each.bytes.start).unwrap_or_default().matches('\n').count() as u32 + 1;
        let after = before + source.strip_suffix('\n').unwrap_or(source).matches('\n').count() as u32 + 1;
        if each.lines != (before..after) {
            return Err(format!("{told}: lines {:?}, not {before}..{after}", each.lines));
        }
        let most = Limits::default().hard_tokens;
        if each.tokens > most {
            return Err(format!("{told}: {} tokens", each.tokens));
        }
        if !seen.insert((each.place.clone(), each.ordinal)) {
            return Err(format!("{told}: a second chunk of this place and number {}", each.ordinal));
        }
    }
    let rest = text.get(covered..).unwrap_or_default();
    if kind != Kind::Html && !rest.trim().is_empty() {
        Err(format!("{kind:?}: {rest:?} is in no chunk"))
    } else {
        Ok(())
    }
}

#[test]
fn prose_is_cut_at_headings_and_each_chunk_knows_the_headings_above_it() {
    let text = "# Guide\n\n## Install\n\nRun it.\n\n```sh\n# no heading\ncargo run\n```\n\n## Use\n\nOne.\n\nTwo.\n\nOld\n---\n\nLast.\n";
    let chunks = cut(Kind::Markdown, text);
    assert_eq!(places(&chunks), ["Guide > Install", "Guide > Use", "Guide > Old"]);
    let first = chunks.first().unwrap();
    assert!(first.text.starts_with("# Guide") && first.text.contains("# no heading"));
    assert_eq!(first.lines, 1..12);
    assert_eq!(first.prefix, "some/file > Guide > Install");
    assert!(first.embedded().starts_with("some/file > Guide > Install\n# Guide"));
    hold(Kind::Markdown, text, &chunks).unwrap();
}

#[test]
fn a_section_that_is_too_long_is_cut_between_paragraphs_and_repeats_a_sentence() {
    let paragraph =
        |number: usize| format!("Paragraph {number} begins. {} It ends here.\n\n", "Words go on and on. ".repeat(20));
    let text = format!("# Long\n\n{}", (0..6).map(paragraph).collect::<String>());
    let chunks = cut(Kind::Markdown, &text);
    assert!(chunks.len() > 1);
    hold(Kind::Markdown, &text, &chunks).unwrap();
    for each in chunks.iter().skip(1) {
        assert!(each.text.starts_with("It ends here.\n\nParagraph"), "{:?}", each.text.get(..40));
        assert_eq!(each.place, "Long");
    }
    assert_eq!(chunks.iter().map(|each| each.ordinal).collect::<Vec<_>>(), (0..chunks.len()).collect::<Vec<_>>());
}

#[test]
fn a_fence_and_a_table_stay_whole_as_long_as_they_may() {
    let fence = format!("```rust\n{}```\n", "let one = 1;\n\n".repeat(60));
    let table = format!("| a | b |\n|---|---|\n{}", "| 1 | 2 |\n".repeat(40));
    let text = format!(
        "# A\n\nBefore. {}\n\n{fence}\nBetween. {}\n\n{table}\n",
        "Word word. ".repeat(60),
        "Word word. ".repeat(60)
    );
    let chunks = cut(Kind::Markdown, &text);
    assert!(chunks.iter().any(|each| each.text.contains(&fence)));
    assert!(chunks.iter().any(|each| each.text.contains(&table)));
}

#[test]
fn an_item_keeps_its_comment_its_attributes_and_its_body() {
    let text = "//! The file.\n\nuse std::fmt;\n\n/// Opens it.\n#[must_use]\npub fn open(path: &str) -> bool {\n    path.is_empty()\n}\n";
    let long = format!("{text}\nimpl fmt::Display for Thing {{\n{}}}\n", (0..30).map(|n| format!("    /// Method {n}, which does a thing that takes some words to tell.\n    fn method_{n}(&self, argument: u32) -> u32 {{\n        let doubled = argument * 2 + {n};\n        let again = doubled.saturating_add(argument).saturating_sub({n});\n        doubled.wrapping_mul(again).wrapping_add(self.field_that_is_long)\n    }}\n\n")).collect::<String>());
    let chunks = cut(Kind::Rust, &long);
    hold(Kind::Rust, &long, &chunks).unwrap();
    assert_eq!(chunks.iter().map(|each| each.text.as_str()).collect::<String>(), long);
    let open = chunks.iter().find(|each| each.text.contains("fn open")).unwrap();
    assert!(open.text.contains("/// Opens it.\n#[must_use]"));
    assert_eq!(open.symbol.as_deref(), Some("open"));
    let method = chunks.iter().find(|each| each.text.contains("fn method_7(")).unwrap();
    assert!(method.text.contains("/// Method 7,"));
    assert!(method.place.starts_with("fmt::Display for Thing"), "{}", method.place);
    assert!(method.symbol.as_deref().unwrap().split(' ').any(|symbol| symbol == "method_7"));
}

#[test]
fn python_and_typescript_are_cut_at_what_they_define() {
    let body = "    value = compute_something(argument, other_argument)\n".repeat(14);
    let python = format!(
        "import os\n\n\n@cached\ndef first(argument):\n    \"\"\"Says what.\"\"\"\n{body}\n\nclass Second:\n    def inner(self):\n    {body}\n"
    );
    let chunks = cut(Kind::Python, &python);
    hold(Kind::Python, &python, &chunks).unwrap();
    let first = chunks.iter().find(|each| each.symbol.as_deref() == Some("first")).unwrap();
    assert!(first.text.starts_with("@cached\ndef first"));
    let body = "  const value = computeSomething(argument, otherArgument);\n".repeat(14);
    let script = format!(
        "import x from 'x';\n\n/** Says what. */\nexport function first(argument: string): void {{\n{body}}}\n\nexport const second = (a: number) => {{\n{body}}};\n"
    );
    let chunks = chunk("a/b.ts", Kind::TypeScript, &script, &Limits::default());
    hold(Kind::TypeScript, &script, &chunks).unwrap();
    let first = chunks.iter().find(|each| each.symbol.as_deref() == Some("first")).unwrap();
    assert!(first.text.starts_with("/** Says what. */\nexport function first"));
    assert!(chunks.iter().any(|each| each.place == "second"));
}

#[test]
fn a_description_of_an_interface_is_cut_at_its_operations_in_yaml_and_in_json() {
    let yaml = "openapi: 3.1.0\ninfo:\n  title: Shop\n  version: '1'\npaths:\n  /orders:\n    get:\n      operationId: listOrders\n      summary: All orders\n    post:\n      operationId: createOrder\n  /orders/{id}:\n    delete:\n      summary: Away with it\ncomponents:\n  schemas:\n    Order:\n      type: object\n";
    let chunks = cut(Kind::OpenApi, yaml);
    hold(Kind::OpenApi, yaml, &chunks).unwrap();
    assert_eq!(
        places(&chunks),
        [
            "",
            "paths > /orders > GET",
            "paths > /orders > POST",
            "paths > /orders/{id} > DELETE",
            "components > schemas > Order"
        ]
    );
    let symbols: Vec<_> = chunks.iter().filter_map(|each| each.symbol.as_deref()).collect();
    assert_eq!(symbols, ["listOrders", "createOrder", "Order"]);
    let json = r#"{"openapi":"3.0.0","info":{"title":"Shöp"},"paths":{"/orders":{"get":{"operationId":"listOrders"},"post":{}}}}"#;
    let chunks = cut(Kind::OpenApi, json);
    hold(Kind::OpenApi, json, &chunks).unwrap();
    assert_eq!(places(&chunks), ["", "paths > /orders > GET", "paths > /orders > POST"]);
    assert!(chunks.last().unwrap().text.starts_with("\"post\""));
}

#[test]
fn protocol_buffers_are_cut_at_messages_and_large_services_at_their_methods() {
    let method = |n: usize| {
        format!(
            "  // Says what number {n} does, in a sentence that takes some room to read.\n  rpc Method{n}(Request{n}) returns (stream Answer{n}) {{ option deprecated = true; }} // behind\n"
        )
    };
    let text = format!(
        "syntax = \"proto3\";\npackage shop.v1; // one\n\n// An order.\nmessage Order {{\n  string id = 1;\n  message Line {{ int32 count = 1; }}\n}}\n\nservice Shop {{\n{}}}\n",
        (0..12).map(method).collect::<String>()
    );
    let chunks = cut(Kind::Protobuf, &text);
    hold(Kind::Protobuf, &text, &chunks).unwrap();
    assert_eq!(chunks.iter().map(|each| each.text.as_str()).collect::<String>(), text);
    let order = chunks.iter().find(|each| each.symbol.as_deref() == Some("Order")).unwrap();
    assert!(order.text.starts_with("\n// An order.") || order.text.starts_with("// An order."), "{:?}", order.text);
    let method = chunks.iter().find(|each| each.symbol.as_deref() == Some("Method7")).unwrap();
    assert_eq!(method.place, "Shop > Method7");
    assert!(method.text.contains("number 7") && !method.text.contains("number 8"));
}

#[test]
fn pages_are_read_without_their_tags_and_cited_by_their_bytes() {
    let text = "<!doctype html><html><head><title>Shop</title><style>p { color: red }</style></head><body>\n<h1>Buying</h1><p>Take &amp; <b>pay</b>.\n Twice.</p><script>if (a < b) { x() }</script><h2>Back</h2><p>Bring it.</p><pre>a\n  b</pre></body></html>";
    let chunks = cut(Kind::Html, text);
    assert_eq!(places(&chunks), ["", "Buying", "Buying > Back"]);
    let buying = chunks.get(1).unwrap();
    assert_eq!(buying.text, "Buying\n\nTake & pay. Twice.");
    assert!(text.get(buying.bytes.clone()).unwrap().contains("<b>pay</b>"));
    assert!(chunks.last().unwrap().text.ends_with("a\n  b"));
    assert!(chunks.iter().all(|each| !each.text.contains("color") && !each.text.contains("x()")));
}

#[test]
fn plain_text_is_cut_by_lines_that_overlap() {
    let text: String = (1..=200).map(|n| format!("line {n}\n")).collect();
    let chunks = cut(Kind::Text, &text);
    hold(Kind::Text, &text, &chunks).unwrap();
    assert_eq!(chunks.first().unwrap().lines, 1..61);
    assert_eq!(chunks.get(1).unwrap().lines, 51..111);
}

#[test]
fn what_a_document_is_and_why_it_is_left_out() {
    let limits = Limits::default();
    let kind = |path: &str, text: &str| detect(path, text.as_bytes(), &limits).map(|(kind, _)| kind);
    for (path, text, is) in [
        ("a/README.md", "# A", Kind::Markdown),
        ("a/x.RS", "fn x() {}", Kind::Rust),
        ("a/api.yaml", "openapi: 3.1.0\n", Kind::OpenApi),
        ("a/api.json", "{\n  \"swagger\": \"2.0\"", Kind::OpenApi),
        ("a/other.yaml", "name: openapi\n", Kind::Text),
        ("a/x.proto", "", Kind::Protobuf),
        ("Makefile", "all:\n", Kind::Text),
        (".env.example", "KEY=\n", Kind::Text),
    ] {
        assert_eq!(kind(path, text), Ok(is), "{path}");
    }
    assert_eq!(kind("x", "a\0b"), Err(Skipped::Binary { at: 1 }));
    assert!(matches!(kind("conf/.env", "A=1"), Err(Skipped::Secret(_))));
    assert!(matches!(kind("tls/server.key", "x"), Err(Skipped::Secret(_))));
    let key = ["-----BEGIN RSA ", "PRIVATE KEY-----\nMII"].concat();
    assert!(matches!(kind("notes.md", &key), Err(Skipped::Secret(_))));
    let token = ["gh", "p_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"].concat();
    assert!(matches!(kind("notes.md", &format!("token = {token}")), Err(Skipped::Secret(_))));
    assert_eq!(kind("notes.md", "a `ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx` is a token"), Ok(Kind::Markdown));
    assert_eq!(detect("x", &[b'a', 0xff], &limits), Err(Skipped::NotUtf8 { at: 1 }));
    let small = Limits { document_bytes: 3, ..limits };
    assert_eq!(detect("x", b"four", &small), Err(Skipped::TooLarge { bytes: 4, limit: 3 }));
}

#[test]
fn what_holds_for_chunks_holds_for_files_of_this_repository() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for path in [
        "ARCHITECTURE.md",
        "docs/agents.md",
        "knowledge/src/chunk/pack.rs",
        "tests/tidy.rs",
        "knowledge/models/make",
        "benches/plot.py",
        "Cargo.toml",
    ] {
        let bytes = fs::read(root.join(path)).unwrap();
        let (kind, text) = detect(path, &bytes, &Limits::default()).unwrap();
        let chunks = chunk(path, kind, text, &Limits::default());
        hold(kind, text, &chunks).unwrap_or_else(|wrong| panic!("{path}: {wrong}"));
        assert_eq!(chunks, chunk(path, kind, text, &Limits::default()));
        assert!(chunks.len() > 1 || text.len() < 3_000, "{path}");
    }
}

fn document() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "# A\n",
        "## B b\n",
        "text. ",
        "More words here. ",
        "\n",
        "\n\n",
        "```\n",
        "| a | b |\n",
        "---\n",
        "fn a() {",
        "}",
        "{",
        "// c\n",
        "impl X for Y {\n",
        "class A:\n",
        "    def b(self):\n",
        "        pass\n",
        "export const c = () => {\n",
        "openapi: 3.0.0\n",
        "paths:\n",
        "  /a:\n",
        "    get:\n",
        "      x: 1\n",
        "message M {\n",
        "rpc R(A) returns (B);\n",
        "\"",
        "'",
        "<p>",
        "</p>",
        "<h1>",
        "</h1>",
        "<table>",
        "<!--",
        "&amp;",
        "é",
        "🙂",
        "\t",
        "long_name_that_goes_on_and_on_and_on ",
        "\r\n",
        "/*",
        "*/",
        ";",
    ]);
    prop::collection::vec((parts, 1usize..30), 0..60)
        .prop_map(|parts| parts.into_iter().map(|(part, times)| part.repeat(times)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_document_loses_a_byte_or_breaks_a_limit(text in document()) {
        for kind in KINDS {
            let chunks = cut(kind, &text);
            if let Err(wrong) = hold(kind, &text, &chunks) {
                return Err(TestCaseError::fail(wrong));
            }
        }
    }
}
