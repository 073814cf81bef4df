//! The form of a definition, checked against the message's own descriptor.
//!
//! The walk gives a tree with canonical keys and long forms in place of short ones, each value still
//! at its place in the text, and every mistake of form on the way. What is wrong is left out, so
//! that the rest can still be looked at.

use mesh_skills::yaml::{Key, Kind as NodeKind, Mistake, Node, Span, suggest};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use super::parse_duration;

/// What the walk found.
pub(super) struct Formed {
    /// The tree with canonical keys.
    pub(super) tree: Node,
    /// Mistakes, each with the JSON pointer of what is wrong.
    pub(super) mistakes: Vec<(String, Mistake)>,
}

/// Short forms that people like: the message, and the field that a bare text stands for.
const SHORT: [(&str, &str); 5] = [
    ("mesh.v1.SignalStep", "name"),
    ("mesh.v1.TimerStep", "duration"),
    ("mesh.v1.WorkflowStep", "definition"),
    ("mesh.v1.ApprovalStep", "title"),
    ("mesh.v1.AgentStep", "agent"),
];

/// Walks `node` as a message of this type.
pub(super) fn form(node: &Node, message: &MessageDescriptor) -> Formed {
    let mut walk = Walk { mistakes: Vec::new() };
    let tree = walk.message(node, message, "").unwrap_or(Node { span: node.span, kind: NodeKind::Map(Vec::new()) });
    Formed { tree, mistakes: walk.mistakes }
}

struct Walk {
    mistakes: Vec<(String, Mistake)>,
}

impl Walk {
    fn wrong(&mut self, pointer: &str, span: Span, message: String, help: Option<String>) {
        let mistake = Mistake::new(span, message);
        let mistake = match help {
            Some(help) => mistake.with_help(help),
            None => mistake,
        };
        self.mistakes.push((pointer.to_owned(), mistake));
    }

    fn message(&mut self, node: &Node, message: &MessageDescriptor, at: &str) -> Option<Node> {
        match message.full_name() {
            "google.protobuf.Struct" => return self.object(node, at),
            "google.protobuf.Value" => return Some(node.clone()),
            "google.protobuf.Duration" => return self.duration(node, at),
            _ => {}
        }
        if let Some(long) = long_form(node, message) {
            return self.message(&long, message, at);
        }
        let Some(entries) = node.as_map() else {
            self.wrong(at, node.span, format!("a mapping is expected here, not {}", node.kind_name()), None);
            return None;
        };
        let mut formed: Vec<(Key, Node)> = Vec::new();
        for (key, value) in entries {
            if let Some(entry) = self.entry(key, value, message, at, &formed) {
                formed.push(entry);
            }
        }
        self.one_of_each(&mut formed, message, at);
        Some(Node { span: node.span, kind: NodeKind::Map(formed) })
    }

    fn entry(
        &mut self,
        key: &Key,
        value: &Node,
        message: &MessageDescriptor,
        at: &str,
        before: &[(Key, Node)],
    ) -> Option<(Key, Node)> {
        let pointer = format!("{at}/{}", escape(&key.name));
        let field = message.get_field_by_json_name(&key.name).or_else(|| message.get_field_by_name(&key.name));
        let Some(field) = field else {
            let names: Vec<String> = message.fields().map(|field| field.json_name().to_owned()).collect();
            let help = suggest(&key.name, &names)
                .map(|near| format!("did you mean `{near}`?"))
                .unwrap_or_else(|| format!("known are `{}`", names.join("`, `")));
            self.wrong(&pointer, key.span, format!("`{}` is not known here", key.name), Some(help));
            return None;
        };
        let name = field.json_name().to_owned();
        if before.iter().any(|(key, _)| key.name == name) {
            self.wrong(&pointer, key.span, format!("`{name}` stands here twice"), Some("remove one".to_owned()));
            return None;
        }
        if value.is_null() && !is_any_value(&field) {
            return None;
        }
        let value = self.field(value, &field, &format!("{at}/{name}"))?;
        Some((Key { span: key.span, name }, value))
    }

    fn field(&mut self, node: &Node, field: &FieldDescriptor, at: &str) -> Option<Node> {
        if field.is_map() {
            return self.map(node, field, at);
        }
        if field.is_list() {
            return self.list(node, field, at);
        }
        self.single(node, &field.kind(), at)
    }

    fn list(&mut self, node: &Node, field: &FieldDescriptor, at: &str) -> Option<Node> {
        let kind = field.kind();
        let Some(items) = node.as_seq() else {
            // `needs: build` for `needs: [build]`.
            if matches!(kind, Kind::String) && node.as_str().is_some() {
                return Some(Node { span: node.span, kind: NodeKind::Seq(vec![node.clone()]) });
            }
            let name = field.json_name();
            self.wrong(
                at,
                node.span,
                format!("`{name}` is a list, not {}", node.kind_name()),
                Some("begin each entry with `- `".to_owned()),
            );
            return None;
        };
        // An item that is wrong stays as an empty one, so that the others keep their places.
        let items = items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                self.single(item, &kind, &format!("{at}/{index}")).unwrap_or(Node {
                    span: item.span,
                    kind: match kind {
                        Kind::Message(_) => NodeKind::Map(Vec::new()),
                        _ => NodeKind::String(String::new()),
                    },
                })
            })
            .collect();
        Some(Node { span: node.span, kind: NodeKind::Seq(items) })
    }

    fn map(&mut self, node: &Node, field: &FieldDescriptor, at: &str) -> Option<Node> {
        let Kind::Message(entry) = field.kind() else { return None };
        let value_kind = entry.map_entry_value_field().kind();
        let Some(entries) = node.as_map() else {
            self.wrong(at, node.span, format!("a mapping is expected here, not {}", node.kind_name()), None);
            return None;
        };
        let entries = entries
            .iter()
            .filter_map(|(key, value)| {
                let pointer = format!("{at}/{}", escape(&key.name));
                Some((key.clone(), self.single(value, &value_kind, &pointer)?))
            })
            .collect();
        Some(Node { span: node.span, kind: NodeKind::Map(entries) })
    }

    fn single(&mut self, node: &Node, kind: &Kind, at: &str) -> Option<Node> {
        let expected = match (kind, &node.kind) {
            (Kind::Message(message), _) => return self.message(node, message, at),
            (Kind::String, NodeKind::String(_)) | (Kind::Bool, NodeKind::Bool(_)) => return Some(node.clone()),
            // `label: 3`, `when: true`: people mean the text.
            (Kind::String, NodeKind::Bool(_) | NodeKind::Int(_) | NodeKind::Float(_)) => {
                let text = node.to_json().to_string();
                return Some(Node { span: node.span, kind: NodeKind::String(text) });
            }
            (Kind::Uint32, NodeKind::Int(number)) if u32::try_from(*number).is_ok() => {
                return Some(node.clone());
            }
            (Kind::Double, NodeKind::Int(_) | NodeKind::Float(_)) => return Some(node.clone()),
            (Kind::String, _) => "a text",
            (Kind::Bool, _) => "`true` or `false`",
            (Kind::Uint32, _) => "a whole number, 0 or more",
            (Kind::Double, _) => "a number",
            _ => "something else",
        };
        self.wrong(at, node.span, format!("{expected} is expected here, not {}", shown(node)), None);
        None
    }

    fn object(&mut self, node: &Node, at: &str) -> Option<Node> {
        if node.as_map().is_some() {
            return Some(node.clone());
        }
        self.wrong(at, node.span, format!("a mapping is expected here, not {}", shown(node)), None);
        None
    }

    fn duration(&mut self, node: &Node, at: &str) -> Option<Node> {
        let duration = node.as_str().and_then(parse_duration);
        let Some(duration) = duration else {
            self.wrong(
                at,
                node.span,
                format!("a duration is expected here, not {}", shown(node)),
                Some("write `30s`, `5m`, `2h` or `1h30m`".to_owned()),
            );
            return None;
        };
        let text = match duration.subsec_nanos() {
            0 => format!("{}s", duration.as_secs()),
            nanos => format!("{}.{nanos:09}s", duration.as_secs()),
        };
        Some(Node { span: node.span, kind: NodeKind::String(text) })
    }

    /// Two fields of one `oneof` cannot stand together.
    fn one_of_each(&mut self, formed: &mut Vec<(Key, Node)>, message: &MessageDescriptor, at: &str) {
        for oneof in message.oneofs() {
            let names: Vec<String> = oneof.fields().map(|field| field.json_name().to_owned()).collect();
            let mut first: Option<String> = None;
            formed.retain(|(key, _)| {
                if !names.contains(&key.name) {
                    return true;
                }
                let Some(first) = &first else {
                    first = Some(key.name.clone());
                    return true;
                };
                self.wrong(
                    &format!("{at}/{}", key.name),
                    key.span,
                    format!("`{}` cannot stand beside `{first}`", key.name),
                    Some(format!("keep one of `{}`", names.join("`, `"))),
                );
                false
            });
        }
    }
}

/// The long form of a text that stands for a message.
fn long_form(node: &Node, message: &MessageDescriptor) -> Option<Node> {
    node.as_str()?;
    let (_, field) = SHORT.iter().find(|(name, _)| *name == message.full_name())?;
    let key = Key { span: node.span, name: (*field).to_owned() };
    Some(Node { span: node.span, kind: NodeKind::Map(vec![(key, node.clone())]) })
}

fn is_any_value(field: &FieldDescriptor) -> bool {
    matches!(field.kind(), Kind::Message(message) if message.full_name() == "google.protobuf.Value")
}

fn shown(node: &Node) -> String {
    match &node.kind {
        NodeKind::Seq(_) | NodeKind::Map(_) | NodeKind::Null => node.kind_name().to_owned(),
        _ => {
            let text: String = node.to_json().to_string().chars().take(40).collect();
            format!("`{}`", text.trim_matches('"'))
        }
    }
}

/// A key as a part of a JSON pointer.
pub(super) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
