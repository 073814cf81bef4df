//! Server-sent events out of bytes that come in any pieces.
//!
//! **Source**: the HTML standard, section 9.2.6, with one addition: what stands unfinished at the
//! end of the stream is given when asked for, since some servers leave out the last empty line.

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Event {
    /// The `event` field; empty for a message.
    pub(super) name: String,
    /// The `data` lines.
    pub(super) data: Vec<u8>,
}

/// Reads events; it holds no more than the event that is on the way.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: Vec<u8>,
    event: Event,
    has_data: bool,
    /// The last byte was a carriage return, so a line feed belongs to it.
    after_return: bool,
    begun: bool,
}

impl Events {
    /// Takes the next bytes and gives each event that they complete to `sink`, until it fails.
    pub(super) fn take<E>(&mut self, bytes: &[u8], mut sink: impl FnMut(&Event) -> Result<(), E>) -> Result<(), E> {
        for piece in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let (text, end) = match piece.split_last() {
                Some((end @ (b'\n' | b'\r'), text)) => (text, Some(*end)),
                _ => (piece, None),
            };
            let is_second_half = self.after_return && text.is_empty() && end == Some(b'\n');
            self.after_return = end == Some(b'\r');
            if is_second_half {
                continue;
            }
            self.line.extend_from_slice(text);
            if end.is_some() {
                self.end_of_line(&mut sink)?;
            }
        }
        Ok(())
    }

    /// What stands unfinished: the event without its empty line.
    pub(super) fn rest(mut self) -> Option<Event> {
        let nothing = |_: &Event| Ok::<_, std::convert::Infallible>(());
        if !self.line.is_empty() {
            let _ = self.end_of_line(&mut { nothing });
        }
        self.has_data.then_some(self.event)
    }

    fn end_of_line<E>(&mut self, sink: &mut impl FnMut(&Event) -> Result<(), E>) -> Result<(), E> {
        let mut line = std::mem::take(&mut self.line);
        if !std::mem::replace(&mut self.begun, true) && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return if std::mem::take(&mut self.has_data) { sink(&event) } else { Ok(()) };
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push(b'\n');
                }
                self.event.data.extend_from_slice(value);
            }
            b"event" => self.event.name = String::from_utf8_lossy(value).into_owned(),
            _ => {}
        }
        // The next line needs no new buffer.
        line.clear();
        self.line = line;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] =
        b"\xef\xbb\xbf: hello\r\ndata: one\r\n\r\nevent: keepalive\rdata:\r\rdata:two\ndata: \xc3\xa9\n\nid: 7\n\ndata: rest";

    fn read(pieces: &[&[u8]]) -> (Vec<Event>, Option<Event>) {
        let (mut events, mut seen) = (Events::default(), Vec::new());
        for piece in pieces {
            let keep = |event: &Event| {
                seen.push(event.clone());
                Ok::<_, std::convert::Infallible>(())
            };
            let Ok(()) = events.take(piece, keep);
        }
        (seen, events.rest())
    }

    fn event(name: &str, data: &str) -> Event {
        Event { name: name.into(), data: data.as_bytes().to_vec() }
    }

    #[test]
    fn every_line_ending_ends_a_line_and_comments_are_nothing() {
        let (seen, rest) = read(&[STREAM]);
        assert_eq!(seen, [event("", "one"), event("keepalive", ""), event("", "two\né")]);
        assert_eq!(rest, Some(event("", "rest")));
    }

    #[test]
    fn the_same_bytes_in_any_two_pieces_are_the_same_events() {
        let whole = read(&[STREAM]);
        for cut in 0..=STREAM.len() {
            let (left, right) = STREAM.split_at(cut);
            assert_eq!(read(&[left, right]), whole, "cut at {cut}");
        }
        let single: Vec<_> = STREAM.chunks(1).collect();
        assert_eq!(read(&single), whole);
    }
}
