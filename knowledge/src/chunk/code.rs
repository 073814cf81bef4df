//! Where code may be cut: between items, with the comments and attributes that belong to them.
//!
//! An item keeps its comment, its signature and its body as long as they are small enough together. A large
//! one is opened: a module, an implementation or a class between its members, a function between its
//! statements. The idea of splitting along the tree and joining what is small is that of cAST
//! (arXiv 2506.15655).

use tree_sitter::{Language, Node, Parser};

use super::{Kind, Limits, pack::Piece, pack::tokens};

/// Items below this many tokens share a chunk with their neighbours.
const SMALL_TOKENS: u32 = 80;
/// Deeper trees are cut by lines.
const DEPTH_MAX: usize = 48;

pub(super) fn pieces(path: &str, kind: Kind, text: &str, limits: &Limits) -> Option<Vec<Piece>> {
    let language: Language = match kind {
        Kind::Rust => tree_sitter_rust::LANGUAGE.into(),
        Kind::Python => tree_sitter_python::LANGUAGE.into(),
        Kind::TypeScript if path.ends_with(".ts") || path.ends_with(".mts") || path.ends_with(".cts") => {
            tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into()
        }
        Kind::TypeScript => tree_sitter_typescript::LANGUAGE_TSX.into(),
        _ => return None,
    };
    let mut parser = Parser::new();
    parser.set_language(&language).ok()?;
    let tree = parser.parse(text, None)?;
    let mut walk = Walk { text, limits, pieces: Vec::new() };
    walk.members(tree.root_node(), 0, text.len(), &[], 0);
    Some(walk.pieces)
}

struct Walk<'t> {
    text: &'t str,
    limits: &'t Limits,
    pieces: Vec<Piece>,
}

impl<'t> Walk<'t> {
    /// Gives the bytes from `from` to `to` to the children of `node`.
    fn members(&mut self, node: Node<'t>, from: usize, to: usize, place: &[String], depth: usize) {
        let begins = self.begins(node, from);
        if begins.is_empty() {
            return self.push(from, to, place, None);
        }
        let mut ends = begins.iter().skip(1).map(|(at, _)| *at).chain([to]);
        for (index, (begin, child)) in begins.iter().enumerate() {
            let begin = if index == 0 { from } else { *begin };
            let end = ends.next().unwrap_or(to);
            match child {
                Some(child) => self.member(*child, begin, end, place, depth),
                None => self.push(begin, end, place, None),
            }
        }
    }

    /// Where each child begins, its comments and attributes included. Comments that an empty line parts from
    /// what follows begin for themselves.
    fn begins(&self, node: Node<'t>, from: usize) -> Vec<(usize, Option<Node<'t>>)> {
        let mut begins: Vec<(usize, Option<Node<'t>>)> = Vec::new();
        let mut lead: Option<(usize, usize)> = None;
        let mut cursor = node.walk();
        for child in node.children(&mut cursor).filter(|child| child.end_byte() > from) {
            let start = self.line_start(child.start_byte(), from);
            if let Some((begun, _)) = lead.take_if(|(_, ended)| self.parted(*ended, child.start_byte())) {
                begins.push((begun, None));
            }
            // A comment behind an item, in its line, belongs to what is before it.
            let first_in_line = start == from || self.text.get(..start).is_some_and(|text| text.ends_with('\n'));
            let trails = !first_in_line && !begins.is_empty() && lead.is_none();
            if leads(child.kind()) {
                if !trails {
                    lead = Some((lead.map_or(start, |(begun, _)| begun), child.end_byte()));
                }
            } else if child.is_named() || begins.is_empty() {
                let begun = lead.take().map_or(start, |(begun, _)| begun);
                begins.push((begun, Some(child)));
            }
        }
        if let Some((begun, _)) = lead {
            begins.push((begun, None));
        }
        begins.dedup_by_key(|(at, _)| *at);
        begins
    }

    fn member(&mut self, node: Node<'t>, begin: usize, end: usize, place: &[String], depth: usize) {
        let counted = tokens(self.text.get(begin..end).unwrap_or_default());
        let inner = unwrapped(node);
        let Some(name) = self.name(inner) else {
            if counted <= self.limits.hard_tokens || depth >= DEPTH_MAX || node.child_count() == 0 {
                return self.push(begin, end, place, None);
            }
            return self.members(node, begin, end, place, depth + 1);
        };
        if counted < SMALL_TOKENS {
            return self.push(begin, end, place, Some(name));
        }
        let own: Vec<String> = place.iter().cloned().chain([name.clone()]).collect();
        let most = if is_container(inner.kind()) { self.limits.target_tokens } else { self.limits.hard_tokens };
        let body = body(inner).filter(|body| counted > most && depth < DEPTH_MAX && body.start_byte() > begin);
        match body {
            Some(body) => {
                self.lead(begin, body.start_byte(), &own, name);
                self.members(body, body.start_byte(), end, &own, depth + 1);
            }
            None => self.push(begin, end, &own, Some(name)),
        }
    }

    fn push(&mut self, begin: usize, end: usize, place: &[String], symbol: Option<String>) {
        if begin < end {
            self.pieces.push(Piece { symbol, ..Piece::new(begin..end, place) });
        }
    }

    /// What stands before a body that is opened. A short one says little alone and goes with what follows it.
    fn lead(&mut self, begin: usize, end: usize, place: &[String], name: String) {
        let leads = tokens(self.text.get(begin..end).unwrap_or_default()) < SMALL_TOKENS;
        if begin < end {
            self.pieces.push(Piece { symbol: Some(name), leads, ..Piece::new(begin..end, place) });
        }
    }

    /// What an item is called, if it is one that people look for.
    fn name(&self, node: Node<'t>) -> Option<String> {
        let field = |name: &str| node.child_by_field_name(name).and_then(|node| self.text.get(node.byte_range()));
        match node.kind() {
            "impl_item" => {
                let of = field("type")?;
                Some(field("trait").map_or_else(|| of.to_owned(), |what| format!("{what} for {of}")))
            }
            "lexical_declaration" | "variable_declaration" => {
                let declared = node.named_child(0)?;
                declared
                    .child_by_field_name("name")
                    .and_then(|name| self.text.get(name.byte_range()))
                    .map(str::to_owned)
            }
            kind if is_item(kind) => field("name").map(str::to_owned),
            _ => None,
        }
    }

    /// The start of the line, if nothing but spaces is before `at` in it.
    fn line_start(&self, at: usize, from: usize) -> usize {
        let before = self.text.get(from..at).unwrap_or_default();
        let indent = before.len() - before.trim_end_matches([' ', '\t']).len();
        let start = at - indent;
        if start == from || self.text.get(..start).is_some_and(|text| text.ends_with('\n')) { start } else { at }
    }

    fn parted(&self, from: usize, to: usize) -> bool {
        let between = self.text.get(from..to).unwrap_or_default();
        // A line comment of Rust holds its own line's end.
        let ended = self.text.get(..from).is_some_and(|text| text.ends_with('\n'));
        between.matches('\n').count() + usize::from(ended) >= 2
    }
}

fn leads(kind: &str) -> bool {
    matches!(
        kind,
        "comment" | "line_comment" | "block_comment" | "attribute_item" | "inner_attribute_item" | "decorator"
    )
}

fn is_item(kind: &str) -> bool {
    is_container(kind)
        || matches!(
            kind,
            "function_item"
                | "function_signature_item"
                | "struct_item"
                | "enum_item"
                | "union_item"
                | "const_item"
                | "static_item"
                | "type_item"
                | "macro_definition"
                | "function_definition"
                | "function_declaration"
                | "generator_function_declaration"
                | "method_definition"
                | "type_alias_declaration"
                | "enum_declaration"
        )
}

fn is_container(kind: &str) -> bool {
    matches!(
        kind,
        "impl_item"
            | "trait_item"
            | "mod_item"
            | "class_definition"
            | "class_declaration"
            | "abstract_class_declaration"
            | "interface_declaration"
            | "internal_module"
            | "module"
    )
}

/// The definition within a decoration or an export.
fn unwrapped(node: Node<'_>) -> Node<'_> {
    let within = match node.kind() {
        "decorated_definition" => node.child_by_field_name("definition"),
        "export_statement" => node.child_by_field_name("declaration"),
        "expression_statement" | "ambient_declaration" => {
            node.named_child(0).filter(|inner| is_container(inner.kind()))
        }
        _ => None,
    };
    within.unwrap_or(node)
}

fn body(node: Node<'_>) -> Option<Node<'_>> {
    node.child_by_field_name("body").or_else(|| {
        let value = node.named_child(0)?.child_by_field_name("value")?;
        value.child_by_field_name("body").or(Some(value))
    })
}
