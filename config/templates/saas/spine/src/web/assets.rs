//! The files that pages load. They are part of the binary: no network, no content delivery.

use super::{Reply, Request};
use crate::Error;

/// `GET /assets/{name}`.
pub fn asset(request: &Request) -> Result<Reply, Error> {
    match request.param("name") {
        "app.css" => Ok(Reply::file("text/css; charset=utf-8", include_bytes!("../../assets/app.css"))),
        "app.js" => Ok(Reply::file("text/javascript; charset=utf-8", include_bytes!("../../assets/app.js"))),
        "htmx.min.js" => Ok(Reply::file("text/javascript; charset=utf-8", include_bytes!("../../assets/htmx.min.js"))),
        "icon.svg" => Ok(Reply::file("image/svg+xml", include_bytes!("../../assets/icon.svg"))),
        _ => Err(Error::NotFound),
    }
}

/// `GET /favicon.ico`.
pub fn favicon(_: &Request) -> Result<Reply, Error> {
    Ok(Reply::redirect("/assets/icon.svg"))
}
