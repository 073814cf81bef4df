//! What nodes are called, what people read about them, and what they cost.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};
use serde::{Deserialize, Serialize};

use super::sweep::Reached;

/// Most names that are told when a text fits several nodes.
const TOLD_MAX: usize = 8;

/// What something cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spent {
    /// **Units**: tokens, in and out.
    pub tokens: u64,
    /// **Units**: millionths of the currency.
    pub cost: u64,
    /// **Units**: milliseconds.
    pub took_ms: u64,
}

impl Spent {
    /// Whether it is nothing.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    fn add(&mut self, other: Self) {
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.cost = self.cost.saturating_add(other.cost);
        self.took_ms = self.took_ms.saturating_add(other.took_ms);
    }
}

/// Why a text names no node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    /// None fits.
    #[error("no node is called `{0}`, nor begins so; `mesh lineage` takes ids of runs, tasks, steps and commits")]
    None(String),
    /// Several fit.
    #[error("`{text}` fits several nodes: {}; write more of it", .names.join(", "))]
    Several {
        /// What was asked for.
        text: String,
        /// Some that fit.
        names: Vec<String>,
    },
}

/// Texts one behind the other.
#[derive(Default)]
pub(super) struct Texts {
    pub(super) bytes: Vec<u8>,
    pub(super) ends: Vec<u64>,
}

impl Texts {
    fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.ends.push(self.bytes.len() as u64);
    }

    fn get(&self, at: u32) -> &str {
        let end = self.ends.get(at as usize).copied().unwrap_or(0);
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before as usize)).copied().unwrap_or(0);
        let range = usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0);
        self.bytes.get(range).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// Whether every text ends where the next begins, and the last one with the bytes.
    pub(super) fn is_whole(&self, count: usize) -> bool {
        self.ends.len() == count
            && self.ends.is_sorted()
            && self.ends.last().copied().unwrap_or(0) == self.bytes.len() as u64
            && std::str::from_utf8(&self.bytes).is_ok()
    }
}

/// The names of one tenant's nodes. A name is there once.
#[derive(Default)]
pub struct Names {
    pub(super) names: Texts,
    pub(super) labels: Texts,
    /// In ascending order of nodes; most nodes cost nothing.
    pub(super) spent: Vec<(u32, Spent)>,
    by_name: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Names {
    /// With the names that a file held, and the table of them made anew.
    pub(super) fn loaded(names: Texts, labels: Texts, spent: Vec<(u32, Spent)>) -> Self {
        let mut loaded = Self { names, labels, spent, ..Self::default() };
        let count = u32::try_from(loaded.names.ends.len()).unwrap_or(u32::MAX);
        for node in 0..count {
            loaded.enter(node);
        }
        loaded
    }

    fn enter(&mut self, node: u32) {
        let Self { names, by_name, hasher, .. } = self;
        let hash = hasher.hash_one(names.get(node));
        by_name.insert_unique(hash, node, |node| hasher.hash_one(names.get(*node)));
    }

    /// Calls the next node so.
    pub(super) fn push(&mut self, name: &str, label: &str, spent: Spent) {
        let node = u32::try_from(self.names.ends.len()).unwrap_or(u32::MAX);
        self.names.push(name);
        self.labels.push(label);
        if !spent.is_none() {
            self.spent.push((node, spent));
        }
        self.enter(node);
    }

    /// The node that is called exactly so.
    pub fn exactly(&self, name: &str) -> Option<u32> {
        self.by_name.find(self.hasher.hash_one(name), |node| self.names.get(*node) == name).copied()
    }

    /// What a node is called.
    pub fn name(&self, node: u32) -> &str {
        self.names.get(node)
    }

    /// What people read about a node.
    pub fn label(&self, node: u32) -> &str {
        self.labels.get(node)
    }

    /// What a node cost.
    pub fn spent(&self, node: u32) -> Spent {
        let at = self.spent.binary_search_by_key(&node, |(node, _)| *node);
        at.ok().and_then(|at| self.spent.get(at)).map_or_else(Spent::default, |(_, spent)| *spent)
    }

    /// What some nodes cost together, each counted once.
    pub fn spent_by(&self, reached: &Reached) -> Spent {
        let mut sum = Spent::default();
        self.spent.iter().filter(|(node, _)| reached.has(*node)).for_each(|(_, spent)| sum.add(*spent));
        sum
    }

    /// The node that a person means: its name, its id within its kind, or the beginning of either when nothing else
    /// begins so. `below` hides nodes that a reader does not see yet.
    ///
    /// **Cost**: a name that is complete is looked up; anything else is compared with every name.
    ///
    /// # Errors
    /// [`NotFound`], with some of the names when several fit.
    pub fn find(&self, text: &str, below: u32) -> Result<u32, NotFound> {
        if let Some(node) = self.exactly(text).filter(|node| *node < below) {
            return Ok(node);
        }
        let mut fits: Vec<(usize, u32)> = Vec::new();
        let count = u32::try_from(self.names.ends.len()).unwrap_or(u32::MAX).min(below);
        for node in (0..count).filter(|_| !text.is_empty()) {
            let name = self.names.get(node);
            let id = name.split_once('/').map_or(name, |(_, id)| id);
            if id == text {
                return Ok(node);
            }
            if name.starts_with(text) || id.starts_with(text) {
                // A run before its steps: they begin with its id.
                fits.push((name.matches('/').count(), node));
            }
        }
        let outermost = fits.iter().map(|(depth, _)| *depth).min();
        let mut nodes = fits.iter().filter(|(depth, _)| Some(*depth) == outermost).map(|(_, node)| *node);
        match (nodes.next(), nodes.next()) {
            (Some(node), None) => Ok(node),
            (None, _) => Err(NotFound::None(text.to_owned())),
            (Some(one), Some(two)) => {
                let names = [one, two].into_iter().chain(nodes).take(TOLD_MAX);
                let names = names.map(|node| format!("`{}`", self.names.get(node))).collect();
                Err(NotFound::Several { text: text.to_owned(), names })
            }
        }
    }

    /// What it takes. **Units**: bytes.
    pub fn bytes(&self) -> usize {
        let texts = |texts: &Texts| texts.bytes.capacity() + texts.ends.capacity() * size_of::<u64>();
        texts(&self.names)
            + texts(&self.labels)
            + self.spent.capacity() * size_of::<(u32, Spent)>()
            + self.by_name.allocation_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_found_by_what_a_person_has_at_hand() {
        let mut names = Names::default();
        for name in ["run/run-01ab", "step/run-01ab/build/1", "run/run-01cd", "commit/01ffee", "workflow/hello@1"] {
            names.push(name, "", Spent::default());
        }
        assert_eq!(names.find("run/run-01ab", 5), Ok(0));
        assert_eq!(names.find("run-01ab", 5), Ok(0), "an id within its kind");
        assert_eq!(names.find("run-01a", 5), Ok(0), "the run, not its steps");
        assert_eq!(names.find("01ff", 5), Ok(3));
        assert_eq!(names.find("hello", 5), Ok(4));
        assert_eq!(names.find("hello", 4), Err(NotFound::None("hello".into())), "not known yet");
        assert_eq!(names.find("", 5), Err(NotFound::None(String::new())));
        let told = names.find("run-01", 5).expect_err("two runs").to_string();
        assert!(told.contains("`run/run-01ab`, `run/run-01cd`"), "{told}");
    }
}
