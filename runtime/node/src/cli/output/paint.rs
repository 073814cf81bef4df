//! Colours, where they can be seen and nobody asked for none.

/// What a colour means here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Tone {
    /// Nothing in particular.
    #[default]
    Plain,
    /// Ended well.
    Good,
    /// Ended badly.
    Bad,
    /// Waits for someone.
    Waits,
    /// Is being done.
    Busy,
    /// Beside the point.
    Faint,
    /// Looked for.
    Strong,
}

/// Whether colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint(bool);

impl Paint {
    /// No colours.
    #[cfg(test)]
    pub(crate) const NONE: Self = Self(false);

    /// Colours on a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`.
    ///
    /// **Source**: no-color.org.
    pub(crate) fn for_terminal(terminal: bool) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self(terminal && !refused)
    }

    /// The text in the tone's colour.
    pub(crate) fn tone(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Waits => "33",
            Tone::Busy => "36",
            Tone::Faint => "2",
            Tone::Strong => "1",
        };
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_coloured_where_nobody_can_see_it() {
        assert_eq!(Paint::for_terminal(false).tone(Tone::Bad, "x"), "x");
        assert_eq!(Paint(true).tone(Tone::Bad, "x"), "\u{1b}[31mx\u{1b}[0m");
    }
}
