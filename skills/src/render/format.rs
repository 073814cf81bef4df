//! Lists as rustfmt lays them out, so that a rendered product is formatted already.

/// Longest line.
const WIDTH: usize = 100;
/// Longest list that stands on one line.
const LIST_WIDTH: usize = 60;
/// Longest item of a list that is packed into lines.
const SHORT_ITEM: usize = 10;

/// A list in brackets at an indentation, after `before` and followed by `after` on its line.
pub(super) fn list(items: &[String], indent: usize, before: &str, after: &str) -> String {
    let line = format!("[{}]", items.join(", "));
    let fits = indent + chars(before) + chars(&line) + chars(after) <= WIDTH;
    if items.is_empty() || (chars(&line) <= LIST_WIDTH + 2 && fits) {
        return line;
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
