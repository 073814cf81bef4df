//! Which pieces, and in which order.

use super::{Bounds, LeftOut, Package, Reason, SOURCES_MAX, Source, Verdict, text};
use crate::{fuse::Fingerprint, shelf::Candidate};

/// Bits by which fingerprints of nearly the same text differ at most.
const APART_MAX: u32 = 3;

/// Makes a package of candidates, best first. `judge` is asked about each before its text is looked at;
/// `redact` gives a text without what looks like a secret, or nothing when there is none in it.
///
/// **Cost** grows with the candidates' texts: each is counted at most once, and the whole at the end.
pub fn pack(
    candidates: Vec<Candidate>,
    bounds: &Bounds,
    judge: &dyn Fn(&Candidate) -> Verdict,
    redact: &dyn Fn(&str) -> Option<String>,
) -> Package {
    let mut package = Packing::new(bounds);
    for candidate in candidates {
        package.offer(candidate, judge, redact);
    }
    package.done()
}

struct Packing<'a> {
    bounds: &'a Bounds,
    taken: Vec<Source>,
    left_out: Vec<LeftOut>,
    seen: Vec<Fingerprint>,
    used: u64,
}

impl<'a> Packing<'a> {
    fn new(bounds: &'a Bounds) -> Self {
        let used = bounds.counter.count(text::HEAD);
        Self { bounds, taken: Vec::new(), left_out: Vec::new(), seen: Vec::new(), used }
    }

    fn offer(
        &mut self,
        mut candidate: Candidate,
        judge: &dyn Fn(&Candidate) -> Verdict,
        redact: &dyn Fn(&str) -> Option<String>,
    ) {
        let verdict = judge(&candidate);
        if let Verdict::Deny(why) = verdict {
            return self.leave(&candidate, Reason::Policy, why);
        }
        if self.taken.len() >= self.bounds.sources.min(SOURCES_MAX) {
            return self.leave(&candidate, Reason::Sources, String::new());
        }
        let mut redacted = false;
        if verdict == Verdict::Redact
            && let Some(text) = redact(&candidate.shelved.piece.text)
        {
            candidate.shelved.piece.text = text;
            redacted = true;
        }
        let same = Fingerprint::of(&candidate.shelved.piece.text);
        if self.seen.iter().any(|seen| seen.apart(same) <= APART_MAX) {
            return self.leave(&candidate, Reason::Duplicate, "nearly the same text is in it already".to_owned());
        }
        let handle = format!("S{}", self.taken.len() + 1);
        let tokens = self.bounds.counter.count(&text::piece(&handle, &candidate));
        if self.used + tokens > self.bounds.tokens {
            let left = self.bounds.tokens.saturating_sub(self.used);
            return self.leave(&candidate, Reason::Budget, format!("{tokens} tokens, and {left} were left"));
        }
        self.used += tokens;
        self.seen.push(same);
        self.taken.push(Source { handle, candidate, tokens, redacted });
    }

    fn leave(&mut self, candidate: &Candidate, reason: Reason, detail: String) {
        // Who may not read it need not know what it is called either.
        let path = match reason {
            Reason::Policy => String::new(),
            _ => candidate.shelved.document.path.clone(),
        };
        self.left_out.push(LeftOut { chunk: candidate.shelved.piece.id, path, reason, detail });
    }

    fn done(mut self) -> Package {
        loop {
            let sources = ordered(self.taken.clone());
            let text = text::whole(&sources);
            let tokens_used = self.bounds.counter.count(&text);
            // Parts that fit one by one nearly always fit together; the budget is hard all the same.
            if tokens_used <= self.bounds.tokens || self.taken.is_empty() {
                return Package { sources, left_out: self.left_out, text, tokens_used };
            }
            if let Some(last) = self.taken.pop() {
                self.leave(&last.candidate, Reason::Budget, "the whole was too long with it".to_owned());
            }
        }
    }
}

/// The best first, the second best last.
fn ordered(mut sources: Vec<Source>) -> Vec<Source> {
    if sources.len() > 2 {
        let second = sources.remove(1);
        sources.push(second);
    }
    sources
}
