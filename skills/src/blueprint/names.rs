//! Names that become identifiers, tables and addresses, and those that cannot.

/// Longest name, in characters.
pub(super) const NAME_LEN_MAX: usize = 40;

/// Names that Rust keeps for itself, or that the product's own code uses in the same places.
const RUST: &[&str] = &[
    "abstract", "as", "async", "await", "become", "bool", "box", "break", "char", "const", "continue", "crate", "do",
    "dyn", "else", "enum", "error", "extern", "false", "final", "fn", "for", "gen", "i64", "if", "impl", "in", "input",
    "let", "loop", "macro", "match", "mod", "move", "mut", "none", "option", "override", "priv", "pub", "ref",
    "result", "return", "scope", "self", "some", "static", "str", "string", "struct", "super", "trait", "true", "try",
    "type", "typeof", "unsafe", "unsized", "use", "value", "vec", "virtual", "where", "while", "yield",
];

/// Names that SQL keeps for itself.
const SQL: &[&str] = &[
    "all",
    "alter",
    "and",
    "any",
    "begin",
    "between",
    "by",
    "case",
    "check",
    "collate",
    "column",
    "commit",
    "constraint",
    "create",
    "cross",
    "current_date",
    "current_time",
    "current_timestamp",
    "default",
    "delete",
    "desc",
    "distinct",
    "drop",
    "end",
    "escape",
    "except",
    "exists",
    "foreign",
    "from",
    "group",
    "having",
    "index",
    "inner",
    "insert",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "key",
    "left",
    "like",
    "limit",
    "natural",
    "not",
    "notnull",
    "null",
    "offset",
    "on",
    "or",
    "order",
    "outer",
    "primary",
    "references",
    "right",
    "rollback",
    "rowid",
    "select",
    "set",
    "table",
    "then",
    "to",
    "transaction",
    "trigger",
    "union",
    "unique",
    "update",
    "using",
    "values",
    "view",
    "when",
    "with",
    "without",
];

/// Columns that every record has, and what forms add.
const FIELDS: &[&str] = &["id", "state", "created_at", "updated_at"];

/// Modules and tables of the product itself.
const ENTITIES: &[&str] = &[
    "app",
    "audit",
    "core",
    "domain",
    "main",
    "migration",
    "person",
    "product",
    "spine",
    "sqlite",
    "std",
    "tenant",
    "token",
    "invitation",
    "users",
    "state",
    "transition",
    "record",
];

/// Parts of addresses that every product has.
const PATHS: &[&str] = &[
    "account",
    "activity",
    "api",
    "assets",
    "favicon.ico",
    "healthz",
    "invitation",
    "log-in",
    "log-out",
    "me",
    "openapi.json",
    "people",
    "plan",
    "readyz",
    "settings",
    "sign-up",
    "export",
];

/// Operations of every entity, which a transition would hide.
const TRANSITIONS: &[&str] = &["edit", "new"];

/// Where a name is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Of a product.
    Product,
    /// Of an entity.
    Entity,
    /// Of a field.
    Field,
    /// In an address.
    Path,
    /// Of a transition.
    Transition,
    /// Of a role, a state, a value, an edition.
    Word,
}

/// What is wrong with a name, and how to mend it.
pub(super) fn wrong(name: &str, usage: Use) -> Option<(String, String)> {
    let dashes = matches!(usage, Use::Product | Use::Path);
    if !well_formed(name, dashes) {
        let separator = if dashes { "`-`" } else { "`_`" };
        return Some((
            format!("`{name}` is not a name"),
            format!("use small letters, digits and {separator}, begin with a letter, {NAME_LEN_MAX} at most"),
        ));
    }
    let lists: &[(&[&str], &str)] = match usage {
        Use::Product => &[(ENTITIES, "the product's own code")],
        Use::Entity => {
            &[(RUST, "Rust"), (SQL, "SQL"), (ENTITIES, "the product's own code"), (FIELDS, "the product's own code")]
        }
        Use::Field => &[(RUST, "Rust"), (SQL, "SQL"), (FIELDS, "every record")],
        Use::Path => &[(PATHS, "the product's own pages")],
        Use::Transition => {
            &[(RUST, "Rust"), (TRANSITIONS, "the product's own pages"), (&["delete"], "the product's own pages")]
        }
        Use::Word => &[(&["self", "super", "crate"], "Rust"), (&["now", "today"], "dates in samples")],
    };
    let (_, whose) = lists.iter().find(|(words, _)| words.contains(&name))?;
    Some((
        format!("the name `{name}` is kept by {whose}"),
        format!("choose another, such as `{name}_{}`", if usage == Use::Field { "value" } else { "item" }),
    ))
}

fn well_formed(name: &str, dashes: bool) -> bool {
    let separator = if dashes { '-' } else { '_' };
    name.len() <= NAME_LEN_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with(separator)
        && !name.contains([separator, separator].iter().collect::<String>().as_str())
        && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == separator)
}

/// `in_progress` as people read it: `In progress`.
pub(super) fn titled(name: &str) -> String {
    let spaced = name.replace(['_', '-'], " ");
    let mut letters = spaced.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => spaced,
    }
}

/// A sentence as the name of a function: `a_booking_ends_after_it_starts`.
pub(super) fn function_name(sentence: &str) -> String {
    let words: Vec<String> = sentence
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    words.join("_")
}

#[cfg(test)]
mod tests {
    use super::{Use, function_name, titled, wrong};

    #[test]
    fn names_that_rust_sql_or_the_product_keep_are_refused() {
        for (name, usage) in [
            ("type", Use::Field),
            ("order", Use::Entity),
            ("created_at", Use::Field),
            ("settings", Use::Path),
            ("delete", Use::Transition),
            ("Ticket", Use::Entity),
            ("a__b", Use::Field),
            ("1st", Use::Field),
            ("my_product", Use::Product),
            ("", Use::Word),
            ("today", Use::Word),
        ] {
            assert!(wrong(name, usage).is_some(), "{name}");
        }
        for (name, usage) in [("ticket", Use::Entity), ("my-product", Use::Product), ("due_on", Use::Field)] {
            assert_eq!(wrong(name, usage), None, "{name}");
        }
    }

    #[test]
    fn names_and_sentences_are_turned_into_each_other() {
        assert_eq!(titled("in_progress"), "In progress");
        assert_eq!(function_name("A booking ends, after it starts."), "a_booking_ends_after_it_starts");
    }
}
