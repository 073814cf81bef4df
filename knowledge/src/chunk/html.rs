//! Where HTML may be cut: at headings and between blocks; what is read of it has no tags.

use super::pack::Piece;

/// What stands within these is not read.
const UNREAD: [&str; 6] = ["script", "style", "template", "noscript", "svg", "iframe"];
/// What stands within these stays together.
const ATOMS: [&str; 2] = ["pre", "table"];
const BLOCKS: [&str; 34] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hr",
    "html",
    "li",
    "main",
    "nav",
    "ol",
    "p",
    "section",
    "summary",
    "title",
    "tr",
    "ul",
];

#[derive(Default)]
struct Read {
    pieces: Vec<Piece>,
    place: Vec<(usize, String)>,
    /// Where the block that is read now began, and what was read of it.
    start: usize,
    said: String,
    /// Within `pre` spaces are kept.
    keeps_spaces: bool,
    atom: Option<&'static str>,
    heading: Option<usize>,
}

pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let mut read = Read::default();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(open) = rest.find('<') else {
            read.say(rest);
            break;
        };
        read.say(rest.get(..open).unwrap_or_default());
        let tag_at = at + open;
        let (name, closing, end) = tag(text, tag_at);
        at = match UNREAD.iter().find(|unread| **unread == name && !closing) {
            Some(unread) => after(text, end, unread),
            None => end,
        };
        if name.is_empty() && end == tag_at + 1 {
            read.say("<");
        } else {
            read.tag(&name, closing, tag_at, at);
        }
    }
    read.flush(text.len());
    if let Some(last) = read.pieces.last_mut() {
        last.bytes.end = text.len();
    }
    read.pieces
}

impl Read {
    fn say(&mut self, raw: &str) {
        let text = decoded(raw);
        if self.keeps_spaces {
            self.said.push_str(&text);
            return;
        }
        for c in text.chars() {
            if !c.is_whitespace() {
                self.said.push(c);
            } else if !self.said.is_empty() && !self.said.ends_with(char::is_whitespace) {
                self.said.push(' ');
            }
        }
    }

    fn tag(&mut self, name: &str, closing: bool, start: usize, end: usize) {
        if let Some(atom) = self.atom {
            if closing && name == atom {
                self.flush(end);
                (self.atom, self.keeps_spaces) = (None, false);
            } else if matches!(name, "tr" | "br") {
                self.said.push('\n');
            } else if matches!(name, "td" | "th") && closing {
                self.said.push_str(" | ");
            }
        } else if let Some(atom) = ATOMS.into_iter().find(|atom| *atom == name && !closing) {
            self.flush(start);
            (self.atom, self.keeps_spaces) = (Some(atom), atom == "pre");
        } else if BLOCKS.contains(&name) {
            self.flush(start);
            let level = name.strip_prefix('h').and_then(|level| level.parse().ok());
            self.heading = level.filter(|_| !closing);
        } else if name == "br" {
            self.said.push('\n');
        }
    }

    /// Ends the block: what was said becomes a piece, and its bytes go up to `end`.
    fn flush(&mut self, end: usize) {
        let said = std::mem::take(&mut self.said);
        let said = said.trim_matches(['\n', ' ']).to_owned();
        if said.is_empty() {
            return;
        }
        let heading = self.heading.take();
        if let Some(level) = heading {
            self.place.retain(|(above, _)| *above < level);
            self.place.push((level, said.clone()));
        }
        let names: Vec<String> = self.place.iter().map(|(_, title)| title.clone()).collect();
        let piece = Piece { text: Some(said), leads: heading.is_some(), ..Piece::new(self.start..end, &names) };
        self.pieces.push(piece);
        self.start = end;
    }
}

/// The name of the tag at `at`, whether it closes, and where it ends. A comment has the name `!`.
fn tag(text: &str, at: usize) -> (String, bool, usize) {
    let rest = text.get(at..).unwrap_or_default();
    let until = |mark: &str| rest.find(mark).map_or(text.len(), |found| at + found + mark.len());
    if rest.starts_with("<!--") {
        return ("!".to_owned(), false, until("-->"));
    }
    let inside = rest.strip_prefix('<').unwrap_or(rest);
    let (inside, closing) = inside.strip_prefix('/').map_or((inside, false), |inside| (inside, true));
    if !inside.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '!' | '?')) {
        return (String::new(), false, at + 1);
    }
    let name: String = inside.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    (name.to_ascii_lowercase(), closing, at + length(rest))
}

/// How long a tag is; a `>` within quotes does not end it.
fn length(tag: &str) -> usize {
    let mut quote = None;
    for (at, c) in tag.char_indices() {
        match (quote, c) {
            (None, '>') => return at + 1,
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    // A quote that nothing closes: the tag ends at the first `>` after all.
    tag.find('>').map_or(tag.len(), |at| at + 1)
}

/// Behind the closing tag of `name`.
fn after(text: &str, from: usize, name: &str) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    let closing = rest
        .match_indices("</")
        .find(|(at, _)| rest.get(at + 2..at + 2 + name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)));
    closing.map_or(text.len(), |(at, _)| {
        from + at + rest.get(at..).and_then(|tag| tag.find('>')).map_or(rest.len() - at, |end| end + 1)
    })
}

/// Text with its entities read. Those that it does not know stay as they are.
fn decoded(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('&') {
        text.push_str(before);
        let entity = after
            .split_once(';')
            .filter(|(name, _)| name.len() <= 10)
            .and_then(|(name, after)| Some((entity(name)?, after)));
        match entity {
            Some((c, after)) => {
                text.push(c);
                rest = after;
            }
            None => {
                text.push('&');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}

fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code);
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "ndash" => '–',
        "mdash" => '—',
        "hellip" => '…',
        "copy" => '©',
        "laquo" => '«',
        "raquo" => '»',
        "lsquo" => '‘',
        "rsquo" => '’',
        "ldquo" => '“',
        "rdquo" => '”',
        "times" => '×',
        "rarr" => '→',
        _ => return None,
    })
}
