//! Live parts: server-sent events that carry rendered HTML.
//!
//! A stream that was cut begins again with the whole part, so nothing is lost or doubled: what is
//! sent is always the state, never a difference.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::{Path, State},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::Stream;
use mesh_kernel::{envelope::Refusal, follow::Subscription, path::Caller, tenant::StreamPermit};
use minijinja::context;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{
    Pages,
    guard::page_of,
    pages::{run_of, run_value, runs_of, tree_of},
    render,
};

/// How long changes are gathered before a part is sent again.
const GATHER: Duration = Duration::from_millis(150);

/// How often parts that change without events (the tree, a step's progress) are looked at.
const LOOK: Duration = Duration::from_secs(1);

type Sender = mpsc::Sender<Result<Event, Infallible>>;

fn sse(receiver: mpsc::Receiver<Result<Event, Infallible>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::default())
}

/// Sends a part; `false` when nobody listens any more.
async fn send(sender: &Sender, name: &str, html: String) -> bool {
    sender.send(Ok(Event::default().event(name).data(html.replace('\r', "")))).await.is_ok()
}

/// A part that is sent again only when it has changed.
#[derive(Default)]
struct Part(String);

impl Part {
    async fn send(&mut self, sender: &Sender, name: &str, html: String) -> bool {
        if self.0 == html {
            return !sender.is_closed();
        }
        self.0.clone_from(&html);
        send(sender, name, html).await
    }
}

/// Waits until something of the tenant has happened, or a second has passed.
async fn changed(subscription: &mut Subscription) -> Result<(), Refusal> {
    if let Ok(seen) = tokio::time::timeout(LOOK, subscription.next()).await {
        seen?;
        tokio::time::sleep(GATHER).await;
        while !subscription.poll().await?.is_empty() {}
    }
    Ok(())
}

/// A follower of the tenant's events, and the permit that stays with its stream.
fn subscribe(pages: &Pages, caller: &Caller) -> Result<(Subscription, StreamPermit), Refusal> {
    let permit = pages.mesh.admit_stream(caller, "WatchRuns")?;
    Ok((pages.mesh.subscribe(caller, pages.lists.cursor())?, permit))
}

/// `/events`: the list of runs.
pub(super) async fn runs(State(pages): State<Arc<Pages>>, Extension(caller): Extension<Caller>) -> Response {
    let (mut subscription, permit) = match subscribe(&pages, &caller) {
        Ok(subscribed) => subscribed,
        Err(refusal) => return page_of(&pages, &refusal),
    };
    let (sender, receiver) = mpsc::channel(4);
    drop(mesh_kernel::task::spawn("page.runs", async move {
        let _open = permit;
        let mut part = Part::default();
        while let Ok(runs) = runs_of(&pages, &caller).await {
            let html = render::text(&pages, "runs_body.html", context! { runs });
            if !part.send(&sender, "runs", html).await || changed(&mut subscription).await.is_err() {
                return;
            }
        }
    }));
    sse(receiver).into_response()
}

/// `/runs/{run}/events`: a run and the tree beside it.
pub(super) async fn run(
    State(pages): State<Arc<Pages>>,
    Extension(caller): Extension<Caller>,
    Path(run): Path<String>,
) -> Response {
    let subscription = run_of(&pages, &caller, &run).await.and_then(|_| subscribe(&pages, &caller));
    let (mut subscription, permit) = match subscription {
        Ok(subscribed) => subscribed,
        Err(refusal) => return page_of(&pages, &refusal),
    };
    let (sender, receiver) = mpsc::channel(4);
    drop(mesh_kernel::task::spawn("page.run", async move {
        let _open = permit;
        let (mut part, mut tree) = (Part::default(), Part::default());
        while let Ok(viewed) = run_of(&pages, &caller, &run).await {
            let value = run_value(&pages, &caller, &run, viewed);
            let html = render::text(&pages, "run_body.html", context! { run => value });
            let actors = render::text(&pages, "tree_body.html", context! { tree => tree_of(&pages, &caller) });
            let sent = part.send(&sender, "run", html).await && tree.send(&sender, "tree", actors).await;
            if !sent || changed(&mut subscription).await.is_err() {
                return;
            }
        }
    }));
    sse(receiver).into_response()
}

/// `/tree/events`: the actor tree.
pub(super) async fn tree(State(pages): State<Arc<Pages>>, Extension(caller): Extension<Caller>) -> Response {
    let permit = match pages.mesh.admit_stream(&caller, "GetActorTree") {
        Ok(permit) => permit,
        Err(refusal) => return page_of(&pages, &refusal),
    };
    let (sender, receiver) = mpsc::channel(4);
    drop(mesh_kernel::task::spawn("page.tree", async move {
        let _open = permit;
        let mut part = Part::default();
        loop {
            let html = render::text(&pages, "tree_body.html", context! { tree => tree_of(&pages, &caller) });
            if !part.send(&sender, "tree", html).await {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }));
    sse(receiver).into_response()
}
