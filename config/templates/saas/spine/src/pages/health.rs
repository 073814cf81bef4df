//! For whoever watches the process.

use serde_json::json;

use crate::Error;
use crate::web::{Reply, Request};

/// `GET /healthz`: the process lives.
pub(super) fn healthz(request: &Request) -> Result<Reply, Error> {
    Ok(Reply::json(&json!({"status": "ok", "product": request.product().name})))
}

/// `GET /readyz`: the files can be read and written.
pub(super) fn readyz(request: &Request) -> Result<Reply, Error> {
    match request.app.store.ready() {
        Ok(()) => Ok(Reply::json(&json!({"status": "ready"}))),
        Err(error) => {
            eprintln!("not ready: {error:?}");
            Ok(Reply::json(&json!({"status": "the data folder cannot be used"})).with_status(503))
        }
    }
}
