//! From text to tree, with bounds on what a text may ask of us.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use super::{Key, Kind, Mistake, Node, Span};

/// Longest text that is read, in bytes.
pub const SOURCE_BYTES_MAX: usize = 1024 * 1024;
/// Deepest nesting of lists and mappings.
pub const DEPTH_MAX: usize = 64;
/// Most nodes of a tree, aliases counted as often as they are used.
pub const NODES_MAX: usize = 100_000;

/// Reads one YAML document (or a JSON text) into a tree; an empty text is null.
///
/// Aliases are replaced by copies of what they name, within [`NODES_MAX`]; `<<` has no special
/// meaning, as in YAML 1.2.
///
/// **Errors**: the first thing that is not YAML, a key that stands twice in a mapping, a key that
/// is not a plain value, a tag other than YAML's own, a second document, or a bound that is
/// exceeded.
///
/// **Cost** grows with the length of the text and the number of nodes.
pub fn parse(source: &str) -> Result<Node, Mistake> {
    if source.len() > SOURCE_BYTES_MAX {
        let message = format!("the text has {} bytes, and at most {SOURCE_BYTES_MAX} are read", source.len());
        return Err(Mistake::new(START, message).with_help("split it, or remove what is not needed"));
    }
    let mut builder = Builder::default();
    for event in Parser::new_from_str(source) {
        let (event, span) = event
            .map_err(|error| Mistake::new(place(error.marker()), format!("this is not YAML: {}", error.info())))?;
        builder.take(event, place(&span.start))?;
    }
    Ok(builder.root.unwrap_or(Node { span: START, kind: Kind::Null }))
}

const START: Span = Span { line: 1, column: 1 };

/// A list or mapping that is not yet closed.
struct Open {
    span: Span,
    anchor: usize,
    body: Body,
}

enum Body {
    Seq(Vec<Node>),
    Map(Vec<(Key, Node)>, Option<Key>),
}

#[derive(Default)]
struct Builder {
    root: Option<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    documents: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Mistake> {
        match event {
            Event::DocumentStart(_) => self.begin_document(span),
            Event::Scalar(text, style, anchor, tag) => {
                let kind = scalar(&text, style, tag.as_deref(), span)?;
                self.add(Node { span, kind }, anchor, 1)
            }
            Event::SequenceStart(anchor, tag) => self.enter(span, anchor, tag.as_deref(), Body::Seq(Vec::new())),
            Event::MappingStart(anchor, tag) => self.enter(span, anchor, tag.as_deref(), Body::Map(Vec::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => self.leave(),
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn begin_document(&mut self, span: Span) -> Result<(), Mistake> {
        self.documents += 1;
        if self.documents > 1 {
            return Err(Mistake::new(span, "a second document begins here")
                .with_help("keep one document a file: remove the `---`"));
        }
        Ok(())
    }

    fn enter(&mut self, span: Span, anchor: usize, tag: Option<&Tag>, body: Body) -> Result<(), Mistake> {
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
            return Err(foreign_tag(tag, span));
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(Mistake::new(span, format!("lists and mappings are nested more than {DEPTH_MAX} deep"))
                .with_help("flatten the structure"));
        }
        if self.key_is_due() {
            return Err(
                Mistake::new(span, "a list or mapping cannot be a key").with_help("use a plain text as the key")
            );
        }
        self.open.push(Open { span, anchor, body });
        Ok(())
    }

    fn leave(&mut self) -> Result<(), Mistake> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let kind = match open.body {
            Body::Seq(items) => Kind::Seq(items),
            Body::Map(entries, _) => Kind::Map(entries),
        };
        let node = Node { span: open.span, kind };
        self.add(node, open.anchor, 1)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Mistake> {
        let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
            return Err(Mistake::new(span, "this alias names a value that holds it").with_help("write the value out"));
        };
        self.add(Node { span, ..node }, 0, size)
    }

    /// Puts a finished node where it belongs; `size` is what it adds to the count of nodes.
    fn add(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), Mistake> {
        self.nodes += size;
        if self.nodes > NODES_MAX {
            return Err(Mistake::new(node.span, format!("the text holds more than {NODES_MAX} values"))
                .with_help("aliases count as often as they are used: write fewer of them"));
        }
        if anchor != 0 {
            let size = count(&node);
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open { body: Body::Seq(items), .. }) => items.push(node),
            Some(Open { body: Body::Map(entries, due), .. }) => match due.take() {
                Some(key) => entries.push((key, node)),
                None => *due = Some(key_of(node, entries)?),
            },
        }
        Ok(())
    }

    fn key_is_due(&self) -> bool {
        matches!(self.open.last(), Some(Open { body: Body::Map(_, None), .. }))
    }
}

fn key_of(node: Node, entries: &[(Key, Node)]) -> Result<Key, Mistake> {
    let name = match node.kind {
        Kind::String(text) => text,
        Kind::Null => "null".to_owned(),
        Kind::Bool(value) => value.to_string(),
        Kind::Int(value) => value.to_string(),
        Kind::Float(value) => value.to_string(),
        Kind::Seq(_) | Kind::Map(_) => {
            return Err(
                Mistake::new(node.span, "a list or mapping cannot be a key").with_help("use a plain text as the key")
            );
        }
    };
    if let Some((first, _)) = entries.iter().find(|(key, _)| key.name == name) {
        let message = format!("the key `{name}` stands here twice, first on line {}", first.span.line);
        return Err(Mistake::new(node.span, message).with_help("remove or rename one of them"));
    }
    Ok(Key { span: node.span, name })
}

/// How many nodes a tree has; at most [`DEPTH_MAX`] deep, or an alias made it so.
fn count(node: &Node) -> usize {
    let mut waiting = vec![node];
    let mut seen = 0;
    while let Some(node) = waiting.pop() {
        seen += 1;
        match &node.kind {
            Kind::Seq(items) => waiting.extend(items),
            Kind::Map(entries) => waiting.extend(entries.iter().map(|(_, value)| value)),
            _ => {}
        }
    }
    seen
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Result<Kind, Mistake> {
    match tag {
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => {
            return Ok(Kind::String(text.to_owned()));
        }
        Some(tag) if !tag.is_yaml_core_schema() => return Err(foreign_tag(tag, span)),
        _ => {}
    }
    if style == ScalarStyle::Plain { plain(text, span) } else { Ok(Kind::String(text.to_owned())) }
}

/// YAML 1.2's core schema.
fn plain(text: &str, span: Span) -> Result<Kind, Mistake> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Kind::Null),
        "true" | "True" | "TRUE" => return Ok(Kind::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Kind::Bool(false)),
        ".inf" | ".Inf" | "+.inf" => return Ok(Kind::Float(f64::INFINITY)),
        "-.inf" | "-.Inf" => return Ok(Kind::Float(f64::NEG_INFINITY)),
        ".nan" | ".NaN" => return Ok(Kind::Float(f64::NAN)),
        _ => {}
    }
    let radix =
        [("0x", 16), ("0o", 8)].into_iter().find_map(|(prefix, radix)| Some((text.strip_prefix(prefix)?, radix)));
    if let Some((digits, radix)) = radix
        && digits.chars().all(|letter| letter.is_digit(radix))
        && !digits.is_empty()
    {
        return i64::from_str_radix(digits, radix).map(Kind::Int).map_err(|_| too_large(text, span));
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map(Kind::Int).map_err(|_| too_large(text, span));
    }
    let looks_like_a_number = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    match text.parse() {
        Ok(number) if looks_like_a_number => Ok(Kind::Float(number)),
        _ => Ok(Kind::String(text.to_owned())),
    }
}

fn too_large(text: &str, span: Span) -> Mistake {
    Mistake::new(span, format!("the whole number `{text}` does not fit in 64 bits"))
        .with_help("put it in quotes if it is a text")
}

fn foreign_tag(tag: &Tag, span: Span) -> Mistake {
    Mistake::new(span, format!("the tag `{tag}` is not known")).with_help("remove it")
}

fn place(marker: &saphyr_parser::Marker) -> Span {
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    Span { line: number(marker.line()).max(1), column: number(marker.col()).saturating_add(1) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{DEPTH_MAX, SOURCE_BYTES_MAX, parse};

    #[test]
    fn every_value_keeps_its_line_and_column() {
        let tree = parse("name: helpdesk\nsteps:\n  - id: a\n    when: 3\n").unwrap();
        for (pointer, line, column) in
            [("", 1, 1), ("/name", 1, 7), ("/steps", 3, 3), ("/steps/0", 3, 5), ("/steps/0/when", 4, 11)]
        {
            let span = tree.at(pointer).unwrap().span;
            assert_eq!((span.line, span.column), (line, column), "{pointer}");
        }
        let (key, _) = tree.at("/steps/0").unwrap().entry("when").unwrap();
        assert_eq!((key.span.line, key.span.column), (4, 5));
    }

    #[test]
    fn plain_values_follow_the_core_schema() {
        for (text, value) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("yes", json!("yes")),
            ("True", json!(true)),
            ("-12", json!(-12)),
            ("0x1F", json!(31)),
            ("1.5e3", json!(1500.0)),
            ("2026-01-02", json!("2026-01-02")),
            ("1.2.3", json!("1.2.3")),
            ("'12'", json!("12")),
            ("!!str 12", json!("12")),
            ("{\"a\": [1, null]}", json!({"a": [1, null]})),
        ] {
            assert_eq!(parse(text).unwrap().to_json(), value, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_place() {
        for (text, place, part) in [
            ("a: 1\na: 2\n", (2, 1), "stands here twice"),
            ("a: [1, 2\nb: 3", (2, 2), "not YAML"),
            ("a: !secret x", (1, 4), "tag"),
            ("a: 99999999999999999999", (1, 4), "64 bits"),
            ("a: 1\n---\nb: 2\n", (2, 1), "second document"),
            ("? [1]\n: 2\n", (1, 3), "key"),
        ] {
            let mistake = parse(text).unwrap_err();
            assert!(mistake.message.contains(part), "{text}: {mistake}");
            assert_eq!((mistake.line, mistake.column), place, "{text}: {mistake}");
        }
    }

    #[test]
    fn bounds_hold_against_hostile_texts() {
        let long = "x".repeat(SOURCE_BYTES_MAX + 1);
        assert!(parse(&long).unwrap_err().message.contains("bytes"));
        let deep = "[".repeat(DEPTH_MAX + 1);
        assert!(parse(&deep).unwrap_err().message.contains("deep"));
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let before = format!("*a{}", level - 1);
            let all = vec![before; 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{all}]\n"));
        }
        assert!(parse(&bomb).unwrap_err().message.contains("more than"));
    }

    #[test]
    fn an_alias_is_a_copy_of_what_it_names() {
        let tree = parse("a: &x {b: 1}\nc: *x\n").unwrap();
        assert_eq!(tree.to_json(), json!({"a": {"b": 1}, "c": {"b": 1}}));
        assert_eq!(tree.at("/c").unwrap().span.line, 2);
    }

    #[test]
    fn the_nearest_node_stands_for_what_is_missing() {
        let tree = parse("a:\n  b: 1\n").unwrap();
        assert_eq!(tree.nearest("/a/b/c/d").span.line, 2);
        assert!(tree.at("/a/x").is_none());
    }
}
