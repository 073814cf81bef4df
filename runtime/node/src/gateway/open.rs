//! Streams that are open: each holds its tenant's permit until its reader goes or it ends.

use futures_util::{Stream, StreamExt};
use mesh_kernel::tenant::StreamPermit;

/// The same stream, with a permit that is given back when it is dropped.
pub(super) fn kept_open<S: Stream>(stream: S, permit: StreamPermit) -> impl Stream<Item = S::Item> {
    stream.map(move |item| {
        let _open = &permit;
        item
    })
}
