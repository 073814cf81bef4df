//! Places where a test lets the process die, each with the name of what was just done.
//!
//! Only a build with the feature `failpoints` has them; in every other one [`pass`] is nothing.

#[cfg(feature = "failpoints")]
pub use armed::{arm, pass};

/// The process comes by the place of this name.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn pass(_name: &str) {}

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    };

    static ARMED: OnceLock<(String, AtomicU64)> = OnceLock::new();

    /// Lets the process die when it comes by a place for the n-th time: `NAME:N`, from 1. Once in a process.
    ///
    /// # Errors
    /// When the text is not of that form.
    pub fn arm(text: &str) -> Result<(), String> {
        let wrong = || format!("`{text}` is no fail point: NAME:N is expected, such as `record:3`");
        let (name, times) = text.split_once(':').ok_or_else(wrong)?;
        let times = times.parse::<u64>().ok().filter(|times| *times > 0).ok_or_else(wrong)?;
        let _first = ARMED.set((name.to_owned(), AtomicU64::new(times)));
        Ok(())
    }

    /// The process comes by the place of this name, and ends there when its time has come: nothing is
    /// dropped, flushed or answered any more.
    pub fn pass(name: &str) {
        if let Some((wanted, left)) = ARMED.get()
            && wanted == name
            && left.fetch_sub(1, Ordering::Relaxed) == 1
        {
            eprintln!("fail point {name}");
            std::process::abort();
        }
    }
}
