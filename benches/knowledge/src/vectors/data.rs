//! Vectors, queries, tenants and the truth, as files that every side reads.
//!
//! A mixture of 1,000 Gaussians that are longer in some directions than in others, normalised. Tenants are drawn by
//! lot, without regard to the clusters: the worst case for a filter on a graph that all share.

use std::{
    fs,
    io::{BufWriter, Write as _},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use anyhow::{Context as _, Result};

/// How many nearest are asked for.
pub(super) const K: usize = 10;
/// A row's tenant is one of so many.
pub(super) const TENANTS: u64 = 100;
/// Whether a filter lets a tenant through.
type Passes = fn(u8) -> bool;
/// What filters let through: all, the tenant 7, and the tenants that end with 3.
pub(super) const FILTERS: [(&str, Passes); 3] =
    [("all", |_| true), ("1", |tenant| tenant == 7), ("10", |tenant| tenant % 10 == 3)];

const CLUSTERS: usize = 1000;

/// Numbers that look drawn by lot (splitmix64, Steele and others 2014).
pub(super) struct Lots(pub(super) u64);

impl Lots {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn uniform(&mut self) -> f32 {
        ((self.next() >> 40) as f32 + 0.5) / (1_u64 << 24) as f32
    }

    /// Normal, by Box and Muller.
    fn normal(&mut self) -> f32 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f32::consts::TAU * self.uniform()).cos()
    }
}

/// Draws vectors of the mixture.
struct Mixture {
    centres: Vec<Vec<f32>>,
    spreads: Vec<Vec<f32>>,
}

impl Mixture {
    fn of(dimensions: usize) -> Self {
        let mut lots = Lots(1);
        let mut draw = |of: &dyn Fn(&mut Lots) -> f32| -> Vec<Vec<f32>> {
            (0..CLUSTERS).map(|_| (0..dimensions).map(|_| of(&mut lots)).collect()).collect()
        };
        Self { centres: draw(&Lots::normal), spreads: draw(&|lots| (0.6 * lots.normal()).exp()) }
    }

    fn draw(&self, lots: &mut Lots) -> Vec<f32> {
        let at = (lots.next() % CLUSTERS as u64) as usize;
        let (centre, spread) = (self.centres.get(at).into_iter().flatten(), self.spreads.get(at).into_iter().flatten());
        let mut vector: Vec<f32> = centre.zip(spread).map(|(centre, spread)| centre + spread * lots.normal()).collect();
        let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|number| *number /= length);
        vector
    }
}

/// Makes the files, unless they are there.
///
/// # Errors
/// What the system says.
pub(super) fn make(folder: &Path, rows: usize, dimensions: usize, queries: usize) -> Result<()> {
    let made = folder.join(format!("made-{queries}"));
    if made.exists() {
        return Ok(());
    }
    eprintln!("{}: drawing vectors", folder.display());
    let mixture = Mixture::of(dimensions);
    let mut lots = Lots(2);
    let base: Vec<f32> = (0..rows).flat_map(|_| mixture.draw(&mut lots)).collect();
    let asked: Vec<f32> = (0..queries).flat_map(|_| mixture.draw(&mut lots)).collect();
    let tenants: Vec<u8> = (0..rows).map(|_| (lots.next() % TENANTS) as u8).collect();
    write(&folder.join("base.f32"), base.iter().map(|number| number.to_le_bytes()))?;
    write(&folder.join("queries.f32"), asked.iter().map(|number| number.to_le_bytes()))?;
    fs::write(folder.join("tenants.u8"), &tenants)?;
    let truth = truth(&base, &asked, &tenants, dimensions);
    for (at, (name, _)) in FILTERS.iter().enumerate() {
        let ids = truth.iter().filter_map(|of| of.get(at)).flatten();
        write(&folder.join(format!("truth-{name}.u32")), ids.map(|id| id.to_le_bytes()))?;
    }
    Ok(fs::write(made, "")?)
}

fn write(path: &Path, numbers: impl Iterator<Item = [u8; 4]>) -> Result<()> {
    let mut to = BufWriter::new(fs::File::create(path)?);
    for number in numbers {
        to.write_all(&number)?;
    }
    Ok(to.flush()?)
}

/// The numbers of a file.
///
/// # Errors
/// What the system says.
pub(super) fn numbers<T>(path: &Path, of: fn([u8; 4]) -> T) -> Result<Vec<T>> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    Ok(bytes.as_chunks::<4>().0.iter().map(|four| of(*four)).collect())
}

/// For each query and each filter the true nearest, on two threads.
fn truth(base: &[f32], asked: &[f32], tenants: &[u8], dimensions: usize) -> Vec<[Vec<u32>; 3]> {
    let queries: Vec<&[f32]> = asked.chunks_exact(dimensions).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((at, query)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, *queries.get(at)?)))
        {
            let scores: Vec<f32> = base.chunks_exact(dimensions).map(|vector| dot(vector, query)).collect();
            done.push((at, FILTERS.map(|(_, passes)| nearest(&scores, tenants, passes))));
        }
        done
    };
    let mut done = thread::scope(|scope| {
        let other = scope.spawn(work);
        let mut done = work();
        done.extend(other.join().unwrap_or_default());
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, truth)| truth).collect()
}

fn nearest(scores: &[f32], tenants: &[u8], passes: Passes) -> Vec<u32> {
    let mut best: Vec<(f32, u32)> = Vec::with_capacity(K + 1);
    for (row, (score, _)) in scores.iter().zip(tenants).enumerate().filter(|(_, (_, tenant))| passes(**tenant)) {
        if best.len() < K || best.last().is_some_and(|last| last.0 < *score) {
            best.insert(best.partition_point(|held| held.0 >= *score), (*score, row as u32));
            best.truncate(K);
        }
    }
    best.into_iter().map(|(_, row)| row).collect()
}

/// The inner product, in lanes that the compiler makes wide.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 16];
    for (a, b) in a.as_chunks::<16>().0.iter().zip(b.as_chunks::<16>().0) {
        lanes.iter_mut().zip(a.iter().zip(b)).for_each(|(lane, (a, b))| *lane += a * b);
    }
    let rest = a.as_chunks::<16>().1.iter().zip(b.as_chunks::<16>().1).map(|(a, b)| a * b).sum::<f32>();
    lanes.iter().sum::<f32>() + rest
}
