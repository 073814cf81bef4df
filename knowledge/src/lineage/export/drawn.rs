//! Pictures: Graphviz by petgraph, and Mermaid.

use petgraph::dot::{Config, Dot};

use super::Shown;

pub(super) fn dot(shown: &Shown<'_>) -> String {
    let label = |number: u32| {
        let node = shown.node(number);
        quoted(&format!("{}\n{}", node.kind, if node.label.is_empty() { node.name } else { node.label }))
    };
    let edge = |_, edge: petgraph::graph::EdgeReference<'_, super::EdgeKind>| format!("label=\"{}\"", edge.weight());
    let node =
        |_, (_, number): (_, &u32)| format!("label={} tooltip={}", label(*number), quoted(shown.node(*number).name));
    let config = [Config::NodeNoLabel, Config::EdgeNoLabel];
    format!("{:?}", Dot::with_attr_getters(&shown.part, &config, &edge, &node))
}

/// A text in quotes: nothing in it ends the quotes, and lines are broken as Graphviz breaks them.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            other if other.is_control() => quoted.push(' '),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

pub(super) fn mermaid(shown: &Shown<'_>) -> String {
    let mut text = String::from("flowchart TD\n");
    for node in shown.nodes() {
        let label = if node.label.is_empty() { node.name } else { node.label };
        text.push_str(&format!("  n{}[\"{}: {}\"]\n", node.number, node.kind, escaped(label)));
    }
    for (kind, newer, older) in shown.edges() {
        let (from, to) = kind.reads(newer, older);
        text.push_str(&format!("  n{from} -->|{kind}| n{to}\n"));
    }
    text
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '"' | '#' | '<' | '>' | '&' | '`' => escaped.push_str(&format!("#{};", u32::from(character))),
            other if other.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}
