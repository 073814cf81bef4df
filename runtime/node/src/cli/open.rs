//! `mesh open`: the address of a page of a running node, with a log-in that works once.

use clap::Args;
use mesh_skills::product::http::Ask;
use serde::Deserialize;
use serde_json::json;

use super::{Failure, connect, context::Context};

/// What `mesh open` takes.
#[derive(Debug, Args)]
pub(crate) struct Open {
    /// The page, such as /tree or /runs/RUN
    #[arg(default_value = "/", value_name = "PAGE")]
    page: String,
}

#[derive(Deserialize)]
struct Login {
    token: String,
}

pub(super) async fn open(args: Open, context: Context) -> Result<(), Failure> {
    let running = context.data().running().ok().flatten();
    let running = running.ok_or_else(|| Failure::NoNode(context.global.data.clone()))?;
    let url = page(&running.http, &connect::key(&context.global)?, &args.page).await?;
    if context.out.is_json() {
        return Ok(context.out.line(json!({ "page": url }).to_string())?);
    }
    Ok(context.out.line(url)?)
}

/// The address of a page with a fresh log-in, asked of the node at `http`.
pub(super) async fn page(http: &str, key: &str, page: &str) -> Result<String, Failure> {
    let unreachable = |cause: String| Failure::Unreachable { address: http.to_owned(), cause };
    let ask = Ask::get(format!("{http}/logins")).with("authorization", format!("Bearer {key}"));
    let answer = ask.send().await.map_err(|failure| unreachable(failure.to_string()))?;
    let login: Login = serde_json::from_slice(&answer.body)
        .map_err(|_| unreachable(format!("the pages answered {}: is the key one of this node?", answer.status)))?;
    Ok(format!("{http}/login?token={}&next={page}", login.token))
}
