//! Side-by-side comparisons and micro-benches.
