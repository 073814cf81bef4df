//! What can be set, and where the paths of a search change over.

use super::error::Error;

/// Thresholds and bounds of an embedded store. The defaults were measured; see `knowledge/README.md`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Chunks of one store at most.
    pub rows_max: usize,
    /// From so many rows on, codes of one bit choose which rows are scanned by their codes of eight.
    pub bits_min: usize,
    /// Of vectors with fewer numbers, one bit each says too little: their codes of eight bits are all scanned.
    pub bits_dimensions_min: usize,
    /// From so many rows outside a graph on, one is due for them.
    pub graph_min: usize,
    /// So many rows outside a graph at most, beside one: then they are due to come into it.
    pub tail_max: usize,
    /// With at most so many matches a filter's rows are scanned, graph or not.
    pub matches_scanned_max: usize,
    /// Links of a node of the graph; twice as many on its lowest floor.
    pub links: usize,
    /// Candidates that the links of a new node are chosen from.
    pub build_width: usize,
    /// Candidates of a search in a graph: more of them find more and take longer.
    pub search_width: usize,
    /// Threads of a build.
    pub build_threads: usize,
    /// Part of a graph's rows that may be deleted before it is built anew. **Units**: percent.
    pub dead_percent_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rows_max: 4_000_000,
            bits_min: 10_000,
            bits_dimensions_min: 256,
            graph_min: 50_000,
            tail_max: 20_000,
            matches_scanned_max: 20_000,
            links: 16,
            build_width: 100,
            search_width: 96,
            build_threads: 1,
            dead_percent_max: 20,
        }
    }
}

impl Settings {
    /// Whether a store can work with them.
    ///
    /// # Errors
    /// [`Error::Setting`], which names the one that is out of range.
    pub fn check(&self) -> Result<(), Error> {
        let ranges = [
            ("rows_max", self.rows_max, 1, u32::MAX as usize - 1),
            ("bits_min", self.bits_min, 64, usize::MAX),
            ("bits_dimensions_min", self.bits_dimensions_min, 1, usize::MAX),
            ("graph_min", self.graph_min, 64, usize::MAX),
            ("tail_max", self.tail_max, 64, usize::MAX),
            ("matches_scanned_max", self.matches_scanned_max, 0, usize::MAX),
            ("links", self.links, 4, 64),
            ("build_width", self.build_width, 8, 10_000),
            ("search_width", self.search_width, 1, 10_000),
            ("build_threads", self.build_threads, 1, 64),
            ("dead_percent_max", self.dead_percent_max, 1, 90),
        ];
        match ranges.into_iter().find(|(_, value, min, max)| !(min..=max).contains(&value)) {
            Some((name, value, min, max)) => {
                Err(Error::Setting(format!("`{name}` is {value}: from {min} to {max} is possible")))
            }
            None => Ok(()),
        }
    }
}
