//! The graph of steps: cycles, and who stands before whom.

use petgraph::{
    algo::{tarjan_scc, toposort},
    graph::{DiGraph, NodeIndex},
};

use super::{Fault, StepIndex};

/// What is known of the graph once it has no circle.
pub(super) struct Graph {
    /// For each step, a bit for every step that it needs, directly or through others.
    before: Vec<Bits>,
}

/// A set of steps, a bit each.
#[derive(Clone, Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn with_len(len: usize) -> Self {
        Self(vec![0; len.div_ceil(64)])
    }

    fn set(&mut self, at: usize) {
        if let Some(word) = self.0.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
    }

    fn has(&self, at: usize) -> bool {
        self.0.get(at / 64).is_some_and(|word| word & (1 << (at % 64)) != 0)
    }

    fn add(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }
}

impl Graph {
    /// Makes the graph of `needs`, one list for each step.
    ///
    /// # Errors
    /// A fault for each circle; it names the steps in it. Those steps can never be reached.
    pub(super) fn new(needs: &[Vec<StepIndex>], ids: &[&str]) -> Result<Self, Vec<Fault>> {
        let mut graph: DiGraph<(), (), u32> = DiGraph::with_capacity(needs.len(), needs.len());
        for _ in needs {
            graph.add_node(());
        }
        for (step, needs) in needs.iter().enumerate() {
            for need in needs {
                graph.add_edge(NodeIndex::new(*need as usize), NodeIndex::new(step), ());
            }
        }
        let Ok(order) = toposort(&graph, None) else {
            return Err(circles(&graph, needs, ids));
        };
        let mut before = vec![Bits::with_len(needs.len()); needs.len()];
        for node in order {
            let step = node.index();
            let mut bits = Bits::with_len(needs.len());
            for need in needs.get(step).into_iter().flatten() {
                bits.set(*need as usize);
                if let Some(theirs) = before.get(*need as usize) {
                    bits.add(theirs);
                }
            }
            if let Some(place) = before.get_mut(step) {
                *place = bits;
            }
        }
        Ok(Self { before })
    }

    /// Whether `step` needs `other`, directly or through others.
    pub(super) fn needs(&self, step: usize, other: StepIndex) -> bool {
        self.before.get(step).is_some_and(|bits| bits.has(other as usize))
    }
}

fn circles(graph: &DiGraph<(), (), u32>, needs: &[Vec<StepIndex>], ids: &[&str]) -> Vec<Fault> {
    tarjan_scc(graph)
        .into_iter()
        .filter_map(|members| {
            let members: Vec<usize> = members.into_iter().map(NodeIndex::index).collect();
            let first = members.iter().copied().min()?;
            let itself = needs.get(first)?.iter().any(|need| *need as usize == first);
            if members.len() < 2 && !itself {
                return None;
            }
            let names: Vec<String> = walk(first, &members, needs)
                .into_iter()
                .map(|step| format!("`{}`", ids.get(step).copied().unwrap_or_default()))
                .collect();
            let message = format!("these steps wait for each other for ever: {}", names.join(" needs "));
            Some(Fault::new(format!("/steps/{first}/needs"), message).help("remove one of these needs"))
        })
        .collect()
}

/// A way from `first` along needs within the circle, back to `first`.
fn walk(first: usize, members: &[usize], needs: &[Vec<StepIndex>]) -> Vec<usize> {
    let mut way = vec![first];
    let mut seen = vec![first];
    let mut at = first;
    loop {
        let within: Vec<usize> = needs
            .get(at)
            .into_iter()
            .flatten()
            .map(|need| *need as usize)
            .filter(|need| members.contains(need))
            .collect();
        if within.contains(&first) {
            way.push(first);
            return way;
        }
        let Some(next) = within.into_iter().find(|need| !seen.contains(need)) else {
            // A dead end within the component: the names so far still show the tangle.
            way.push(first);
            return way;
        };
        seen.push(next);
        way.push(next);
        at = next;
    }
}
