//! Where Markdown may be cut: at headings, and between paragraphs, fences, tables and lists.

use super::pack::Piece;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    Heading(usize),
    Fence,
    Table,
    Paragraph,
    Blank,
}

pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let blocks = blocks(text);
    let mut place: Vec<(usize, String)> = Vec::new();
    let mut pieces = Vec::new();
    let ends = blocks.iter().skip(1).map(|(start, _)| *start).chain([text.len()]);
    for (index, ((start, block), end)) in blocks.iter().zip(ends).enumerate() {
        let start = if index == 0 { 0 } else { *start };
        if let Block::Heading(level) = block {
            place.retain(|(above, _)| above < level);
            place.push((*level, title(text.get(start..end).unwrap_or_default())));
        }
        let names: Vec<String> = place.iter().map(|(_, title)| title.clone()).collect();
        pieces.push(Piece { leads: matches!(block, Block::Heading(_)), ..Piece::new(start..end, &names) });
    }
    if pieces.is_empty() {
        pieces.push(Piece::new(0..text.len(), &[]));
    }
    pieces
}

/// Where each block begins. Empty lines belong to the block before them.
fn blocks(text: &str) -> Vec<(usize, Block)> {
    let mut blocks: Vec<(usize, Block)> = Vec::new();
    let mut now = Block::Blank;
    let mut lines_of_block = 0;
    let mut fence: Option<String> = front_matter(text);
    if fence.is_some() {
        blocks.push((0, Block::Fence));
    }
    let mut at = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let start = at;
        at += line.len();
        let trimmed = line.trim();
        if let Some(mark) = &fence {
            if number > 0 && closes(trimmed, mark) {
                fence = None;
                now = Block::Blank;
            }
            continue;
        }
        let next = sort(line, trimmed);
        if let (Block::Paragraph, Block::Paragraph, 1, Some(level)) = (now, next, lines_of_block, underline(trimmed)) {
            if let Some((_, block)) = blocks.last_mut() {
                *block = Block::Heading(level);
            }
            now = Block::Blank;
            continue;
        }
        let goes_on = next == now && matches!(next, Block::Paragraph | Block::Table);
        lines_of_block = if goes_on { lines_of_block + 1 } else { 1 };
        if !goes_on && next != Block::Blank {
            blocks.push((start, next));
        }
        if next == Block::Fence {
            fence = Some(trimmed.chars().take_while(|c| matches!(c, '`' | '~')).collect());
        }
        now = if matches!(next, Block::Heading(_)) { Block::Blank } else { next };
    }
    blocks
}

fn front_matter(text: &str) -> Option<String> {
    let rest = text.strip_prefix("---\n")?;
    rest.lines().take(100).any(|line| line.trim_end() == "---").then(|| "---".to_owned())
}

fn closes(line: &str, mark: &str) -> bool {
    line.starts_with(mark) && line.trim_start_matches(|c| mark.starts_with(c)).is_empty()
}

fn sort(line: &str, trimmed: &str) -> Block {
    let indent = line.len() - line.trim_start_matches(' ').len();
    let level = trimmed.chars().take_while(|c| *c == '#').count();
    if trimmed.is_empty() {
        Block::Blank
    } else if trimmed.starts_with("```") || trimmed.starts_with("~~~") {
        Block::Fence
    } else if (1..=6).contains(&level)
        && indent <= 3
        && trimmed.get(level..).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
    {
        Block::Heading(level)
    } else if trimmed.starts_with('|') {
        Block::Table
    } else {
        Block::Paragraph
    }
}

/// The level of a heading that is underlined by this line.
fn underline(line: &str) -> Option<usize> {
    let all = |mark: char| line.len() >= 2 && line.chars().all(|c| c == mark);
    if all('=') { Some(1) } else { all('-').then_some(2) }
}

/// A heading's words, without marks, links' targets and what closes it.
fn title(heading: &str) -> String {
    let line = heading.trim().lines().next().unwrap_or_default();
    let line = line.trim_start_matches('#').trim().trim_end_matches('#').trim_end();
    let mut title = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("](") {
        title.push_str(before);
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    title.push_str(rest);
    title.replace(['`', '[', ']'], "").replace("**", "").trim().to_owned()
}
