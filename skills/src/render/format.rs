//! Lists as rustfmt lays them out, so that a rendered product is formatted already.

/// Longest line.
const WIDTH: usize = 120;
/// Longest item of a list that is packed into lines.
const SHORT_ITEM: usize = 10;

/// A list in brackets at an indentation, after `before` and followed by `after` on its line.
pub(super) fn list(items: &[String], indent: usize, before: &str, after: &str) -> String {
    let line = format!("[{}]", items.join(", "));
    let fits = indent + chars(before) + chars(&line) + chars(after) <= WIDTH;
    let plain = items.iter().all(|item| !item.contains('\n'));
    if items.is_empty() || (fits && plain) {
        return line;
    }
    // A list of one opens its only item on its own line.
    if let [item] = items
        && item.ends_with(['}', ']'])
    {
        return format!("[{}]", item.replace("\n    ", "\n"));
    }
    let inner = " ".repeat(indent + 4);
    let body = if items.iter().all(|item| chars(item) <= SHORT_ITEM) {
        packed(items, &inner)
    } else {
        let lines: Vec<String> = items.iter().map(|item| format!("{inner}{item},\n")).collect();
        lines.concat()
    };
    format!("[\n{body}{}]", " ".repeat(indent))
}

fn packed(items: &[String], indent: &str) -> String {
    let mut lines = Vec::new();
    let mut line = indent.to_owned();
    for item in items {
        if chars(&line) + chars(item) + 1 > WIDTH {
            lines.push(line.trim_end().to_owned());
            line = indent.to_owned();
        }
        line.push_str(item);
        line.push_str(", ");
    }
    lines.push(line.trim_end().to_owned());
    lines.join("\n") + "\n"
}

/// `let NAME = &[…];` at an indentation, broken after `=` where that lets the list stay whole.
pub(super) fn bound(items: &[String], indent: usize, name: &str) -> String {
    let before = format!("let {name} = &");
    let one_line = list(items, indent, &before, ";");
    if one_line.contains('\n') {
        let below = list(items, indent + 4, "&", ";");
        if !below.contains('\n') {
            return format!("let {name} =\n{}&{below};", " ".repeat(indent + 4));
        }
    }
    format!("{before}{one_line};")
}

/// A struct with its fields at an indentation, after `before` and followed by `after` on its line.
pub(super) fn braced(fields: &[String], indent: usize, name: &str, before: &str, after: &str) -> String {
    let line = format!("{name} {{ {} }}", fields.join(", "));
    let plain = fields.iter().all(|field| !field.contains('\n'));
    if plain && indent + chars(before) + chars(&line) + chars(after) <= WIDTH {
        return line;
    }
    let inner = " ".repeat(indent + 4);
    let lines: Vec<String> = fields.iter().map(|field| format!("{inner}{field},\n")).collect();
    format!("{name} {{\n{}{}}}", lines.concat(), " ".repeat(indent))
}

/// A call or signature at an indentation: `name(a, b)` and what follows.
pub(super) fn call(arguments: &[String], indent: usize, name: &str, after: &str) -> String {
    let line = format!("{name}({}){after}", arguments.join(", "));
    if indent + chars(&line) <= WIDTH {
        return line;
    }
    let inner = " ".repeat(indent + 4);
    let lines: Vec<String> = arguments.iter().map(|one| format!("{inner}{one},\n")).collect();
    format!("{name}(\n{}{}){after}", lines.concat(), " ".repeat(indent))
}

/// An expression at an indentation, broken before each `&&` and `||` that no bracket holds.
pub(super) fn wrapped(code: &str, indent: usize, before: &str, after: &str) -> String {
    if indent + chars(before) + chars(code) + chars(after) <= WIDTH {
        return code.to_owned();
    }
    let (mut depth, mut out) = (0_i32, String::new());
    let mut rest = code;
    while let Some(letter) = rest.chars().next() {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            ' ' if depth == 0 && (rest.starts_with(" && ") || rest.starts_with(" || ")) => {
                out.push('\n');
                out.push_str(&" ".repeat(indent + 3));
            }
            _ => {}
        }
        out.push(letter);
        rest = rest.get(letter.len_utf8()..).unwrap_or_default();
    }
    out
}

/// A `use` of names from a path, on one line or several.
pub(super) fn uses(names: &[String], path: &str) -> String {
    let mut names = names.to_vec();
    names.sort();
    names.dedup();
    match names.as_slice() {
        [] => String::new(),
        [name] => format!("use {path}::{name};"),
        names => {
            let line = format!("use {path}::{{{}}};", names.join(", "));
            if chars(&line) <= WIDTH {
                return line;
            }
            let mut lines = Vec::new();
            let mut current = String::from("   ");
            for name in names {
                if chars(&current) + chars(name) + 2 > WIDTH {
                    lines.push(current);
                    current = String::from("   ");
                }
                current.push(' ');
                current.push_str(name);
                current.push(',');
            }
            lines.push(current);
            format!("use {path}::{{\n{}\n}};", lines.join("\n"))
        }
    }
}

fn chars(text: &str) -> usize {
    text.chars().count()
}
