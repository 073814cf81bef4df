//! Named tasks: the one place where the kernel starts something that runs by itself.

use std::future::Future;

use tokio::task::JoinHandle;

/// Starts a named task on the runtime.
///
/// The name says who owns it when a task dump or a log is read. The caller keeps the handle or
/// hands it to a supervisor; a task that nobody can stop is a leak.
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tracing::trace!(task = name, "task started");
    #[expect(clippy::disallowed_methods, reason = "this is the owner that the ban points to")]
    tokio::spawn(future)
}
