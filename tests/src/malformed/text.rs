//! Text that was right and is made wrong: YAML, CEL, ids, filters, paths, and lengths of everything.

use crate::Chance;

/// Openings that parsers go down with, and what closes each.
const NESTS: &[(&str, &str)] = &[
    ("[", "]"),
    ("{a: ", "}"),
    ("(", ")"),
    ("- ", ""),
    ("? ", ""),
    ("!", ""),
    ("!!seq [", "]"),
    ("true ? 1 : ", ""),
    ("has(", ")"),
    ("size([", "])"),
    ("input.", ""),
    ("-", ""),
    ("&a [*a, ", "]"),
    ("\n ", ""),
    ("${", "}"),
    ("\"", "\""),
    ("../", ""),
    ("%", ""),
];

/// How long a text may become. **Units**: bytes.
const BYTES_MAX: usize = 200_000;

/// What stands in the seeds: whole texts, and the words that they are spoilt with.
#[derive(Debug, Clone, Default)]
pub(super) struct Words {
    /// Ids, paths, filters, tokens and scalars, each a line of `words.txt`.
    pub(super) words: Vec<String>,
    /// CEL, each a line of `expressions.txt`.
    pub(super) expressions: Vec<String>,
}

impl Words {
    /// A word that names nothing: from the seeds, often spoilt further, now and then very long.
    pub(super) fn word(&self, chance: &mut Chance) -> String {
        let word = self.pick(&self.words, chance);
        match chance.below(40) {
            0 => word.repeat(1 + chance.index(3_000)),
            1 => nest(chance),
            2..=19 => self.spoil(&word, chance),
            _ => word,
        }
    }

    /// An expression that is CEL or nearly so.
    pub(super) fn expression(&self, chance: &mut Chance) -> String {
        let expression = self.pick(&self.expressions, chance);
        match chance.below(30) {
            0 => nest(chance),
            1 => vec![expression; 1 + chance.index(300)].join(" + "),
            2..=9 => expression,
            10..=14 => format!("{expression} {} {}", self.operator(chance), self.pick(&self.expressions, chance)),
            _ => self.spoil(&expression, chance),
        }
    }

    /// A text of many lines, spoilt in a few places.
    pub(super) fn document(&self, text: &str, chance: &mut Chance) -> String {
        let mut text = text.to_owned();
        for _ in 0..=chance.below(4) {
            text = match chance.below(5) {
                0 => self.spoil(&text, chance),
                1 => self.within_braces(&text, chance),
                _ => self.line(&text, chance),
            };
        }
        text.truncate(floor(&text, BYTES_MAX));
        text
    }

    /// Changes a text somewhere: a part goes, comes twice, moves, or another word takes its place.
    pub(super) fn spoil(&self, text: &str, chance: &mut Chance) -> String {
        let from = floor(text, chance.index(text.len() + 1));
        let to = floor(text, (from + chance.index(1 + text.len().min(24))).min(text.len()));
        let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        let (head, cut, tail) = (part(0, from), part(from, to), part(to, text.len()));
        match chance.below(6) {
            0 => format!("{head}{tail}"),
            1 => format!("{head}{cut}{cut}{tail}"),
            2 => format!("{tail}{head}"),
            3 => head.to_owned(),
            4 => format!("{head}{}{tail}", letter(chance)),
            _ => format!("{head}{}{tail}", self.pick(&self.words, chance)),
        }
    }

    /// Changes one line: its place, its indentation, its value, or that it is there.
    fn line(&self, text: &str, chance: &mut Chance) -> String {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let (at, other) = (chance.index(lines.len()), chance.index(lines.len()));
        let Some(line) = lines.get(at).cloned() else { return self.word(chance) };
        let key = line.split_once(':').map(|(key, _)| key.to_owned());
        match (chance.below(7), key) {
            (0, _) => drop(lines.remove(at)),
            (1, _) => lines.insert(other, line),
            (2, _) => lines.swap(at, other),
            (3, _) => lines.splice(at..=at, [format!("{}{line}", " ".repeat(1 + chance.index(6)))]).for_each(drop),
            (4, Some(key)) => lines.splice(at..=at, [format!("{key}: {}", self.word(chance))]).for_each(drop),
            (5, Some(key)) => {
                lines.splice(at..=at, [format!("{key}: ${{{}}}", self.expression(chance))]).for_each(drop);
            }
            _ => lines.splice(at..=at, [self.spoil(&line, chance)]).for_each(drop),
        }
        lines.join("\n")
    }

    /// Puts another expression into one of the text's `${ … }`.
    fn within_braces(&self, text: &str, chance: &mut Chance) -> String {
        let places: Vec<usize> = text.match_indices("${").map(|(at, _)| at + 2).collect();
        let Some(&from) = chance.one(&places) else { return self.line(text, chance) };
        let (head, rest) = text.split_at(from);
        let tail = rest.find('}').and_then(|end| rest.get(end..)).unwrap_or_default();
        format!("{head}{}{tail}", self.expression(chance))
    }

    fn pick(&self, from: &[String], chance: &mut Chance) -> String {
        chance.one(from).cloned().unwrap_or_default()
    }

    fn operator(&self, chance: &mut Chance) -> &'static str {
        chance
            .one(&["+", "-", "*", "/", "%", "==", "!=", "<", "in", "&&", "||", "?", ".", ",", "=", "="])
            .unwrap_or(&"+")
    }
}

/// Openings within openings, closed or not.
fn nest(chance: &mut Chance) -> String {
    let (open, close) = chance.one(NESTS).copied().unwrap_or(("(", ")"));
    let deep = match chance.below(3) {
        0 => chance.index(64),
        1 => chance.index(2_000),
        _ => chance.index(20_000),
    };
    let closed = if chance.once_in(2) { deep } else { chance.index(deep + 1) };
    format!("{}1{}", open.repeat(deep), close.repeat(closed))
}

fn letter(chance: &mut Chance) -> char {
    const ODD: &[char] = &[
        '\0',
        '\u{1}',
        '\t',
        '\r',
        '\n',
        '\u{7f}',
        '\u{85}',
        '\u{a0}',
        '\u{200b}',
        '\u{202e}',
        '\u{2028}',
        '\u{feff}',
        '\u{fffd}',
        '\u{ffff}',
        '\u{1f600}',
        '\u{10ffff}',
        'İ',
        'ß',
        '\u{301}',
        '%',
        '\\',
        '"',
        '\'',
        '`',
        '$',
        '{',
        '}',
        '[',
        ']',
        '&',
        '*',
        '!',
        '|',
        '>',
        '#',
        ':',
        '-',
        '~',
        '@',
    ];
    let plain = char::from_u32(u32::try_from(chance.below(0xd800)).unwrap_or_default());
    if chance.once_in(4) { plain.unwrap_or(' ') } else { chance.one(ODD).copied().unwrap_or(' ') }
}

/// The last place at or before `at` where a letter begins.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}
