//! Cargo's progress bar: `Building [=====>    ] 12/174: serde, tokio`.
//!
//! It is the only place where cargo says of how many; JSON messages tell what is done and not what
//! is left.

/// One state of the bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) done: u64,
    pub(super) total: u64,
    /// What is compiled now, as cargo abbreviates it.
    pub(super) units: String,
}

/// What was told of the bar so far.
#[derive(Debug, Default)]
pub(super) struct Bar {
    last: Option<(u64, u64)>,
}

impl Bar {
    /// The state in this line, when it is the bar.
    pub(super) fn read(line: &str) -> Option<Step> {
        let rest = line.trim_start().strip_prefix("Building [")?;
        let (_, rest) = rest.split_once("] ")?;
        let (count, units) = rest.split_once(':').unwrap_or((rest, ""));
        let (done, total) = count.trim().split_once('/')?;
        Some(Step {
            done: done.trim().parse().ok()?,
            total: total.trim().parse().ok()?,
            units: units.trim().to_owned(),
        })
    }

    /// The step, when it says another number than the last.
    pub(super) fn news(&mut self, step: Step) -> Option<Step> {
        let now = Some((step.done, step.total));
        if self.last == now {
            return None;
        }
        self.last = now;
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_read_and_nothing_else_is() {
        let step = Bar::read("    Building [=========>    ]  12/174: serde, tokio(build)...   ").unwrap();
        assert_eq!((step.done, step.total, step.units.as_str()), (12, 174, "serde, tokio(build)..."));
        assert_eq!(Bar::read("   Building [=> ] 3/4").unwrap().units, "");
        for other in
            ["   Compiling serde v1.0.0", "error[E0308]: mismatched types", "Building [x", "Building [=] x/y: z"]
        {
            assert_eq!(Bar::read(other), None, "`{other}`");
        }
    }

    #[test]
    fn a_number_is_told_once() {
        let step = |done| Step { done, total: 9, units: String::new() };
        let mut bar = Bar::default();
        assert!(bar.news(step(1)).is_some());
        assert!(bar.news(step(1)).is_none());
        assert!(bar.news(step(2)).is_some());
    }
}
