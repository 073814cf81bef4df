//! `LineageService`: what came from what, of the caller's tenant.
//!
//! A question is answered from one view of one tenant's graph, on a thread for work that computes: a closure of millions
//! of nodes takes tens of milliseconds.

use std::{collections::BTreeMap, pin::Pin, sync::Arc};

use mesh_kernel::{
    envelope::{ErrorKind, Refusal, Timestamp},
    path::Caller,
};
use mesh_knowledge::lineage::{
    EdgeKind, EdgeKinds, NodeKind, Toward,
    export::{self, Form},
    find,
    graph::View,
    names::{Names, NotFound, Spent},
    store::Store,
    sweep::{Follow, Reached, closure},
};
use mesh_proto::v1::{self, lineage_service_server::LineageService};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::{
    GatewayState, WAIT_MAX,
    auth::caller,
    not_found,
    page::{Binding, size},
    status::{answer, refused_field, status},
};

/// What it takes to ask.
const ACTION: &str = "ReadLineage";
/// Edges of one node that are told.
const EDGES_MAX: usize = 500;
/// Nodes of one question about what they have in common.
const COMMON_MAX: usize = 64;
/// Nodes of a chain that are told.
const CHAIN_MAX: usize = 500;
/// Nodes of an export when the request does not say.
const EXPORTED: usize = 10_000;
/// Bytes of a piece of an export, about.
const PIECE: usize = 64 * 1024;
/// Rows on a page when the request does not say, and at most.
const SIZES: (usize, usize) = (50, 500);

/// The service.
pub(super) struct Lineage(pub(super) GatewayState);

#[tonic::async_trait]
impl LineageService for Lineage {
    type ExportStream = Pin<Box<dyn Stream<Item = Result<v1::ExportResponse, Status>> + Send>>;

    async fn get_node(&self, request: Request<v1::GetNodeRequest>) -> Result<Response<v1::GetNodeResponse>, Status> {
        answer(self.ask(&caller(&request)?, request.into_inner(), get_node).await)
    }

    async fn why(&self, request: Request<v1::WhyRequest>) -> Result<Response<v1::WhyResponse>, Status> {
        answer(self.ask(&caller(&request)?, request.into_inner(), why).await)
    }

    async fn impact(&self, request: Request<v1::ImpactRequest>) -> Result<Response<v1::ImpactResponse>, Status> {
        answer(self.ask(&caller(&request)?, request.into_inner(), impact).await)
    }

    async fn path(&self, request: Request<v1::PathRequest>) -> Result<Response<v1::PathResponse>, Status> {
        answer(self.ask(&caller(&request)?, request.into_inner(), path).await)
    }

    async fn common_cause(
        &self,
        request: Request<v1::CommonCauseRequest>,
    ) -> Result<Response<v1::CommonCauseResponse>, Status> {
        answer(self.ask(&caller(&request)?, request.into_inner(), common_cause).await)
    }

    async fn diff(&self, request: Request<v1::DiffRequest>) -> Result<Response<v1::DiffResponse>, Status> {
        answer(self.ask(&caller(&request)?, request.into_inner(), diff).await)
    }

    async fn export(&self, request: Request<v1::ExportRequest>) -> Result<Response<Self::ExportStream>, Status> {
        let pieces = self.ask(&caller(&request)?, request.into_inner(), exported).await;
        let pieces = pieces.map_err(|refusal| status(&refusal))?;
        Ok(Response::new(Box::pin(tokio_stream::iter(pieces.into_iter().map(Ok)))))
    }
}

/// What a question is answered from.
struct Asked {
    store: Arc<Store>,
    view: View,
    /// The journal position that the answer reflects.
    position: u64,
    /// Whose it is, for the tokens of pages.
    caller: Caller,
}

impl Lineage {
    async fn ask<Q: Send + 'static, A: Send + 'static>(
        &self,
        caller: &Caller,
        question: Q,
        answered: fn(&Asked, Q) -> Result<A, Refusal>,
    ) -> Result<A, Refusal> {
        let caller = self.0.mesh.charge(caller)?;
        self.0.mesh.admit_read(&caller, ACTION)?;
        let lineages = self.0.lineages.clone();
        // Whoever asks what a run gave that has just ended, is told.
        if !lineages.fresh(WAIT_MAX).await {
            return Err(behind());
        }
        let answering = tokio::task::spawn_blocking(move || {
            // Before the view: the answer has at least what it says that it reflects.
            let position = lineages.position().0;
            let store = lineages
                .of(caller.scope())
                .map_err(|error| Refusal::new("GTW-0071", ErrorKind::Internal, format!("the lineage: {error}")))?;
            let view = store.view();
            answered(&Asked { store, view, position, caller }, question)
        });
        let ended = answering.await;
        ended.map_err(|error| Refusal::new("GTW-0072", ErrorKind::Internal, error.to_string()))?
    }
}

fn behind() -> Refusal {
    let what = "the lineage is made anew and has not come as far as the journal: ask again in a while";
    Refusal::new("GTW-0073", ErrorKind::Unavailable, what)
}

impl Asked {
    fn find(&self, names: &Names, field: &str, text: &str) -> Result<u32, Refusal> {
        if text.is_empty() {
            return Err(refused_field(field, "a node is named by its name or id, or by the beginning of one"));
        }
        names.find(text, self.view.len()).map_err(|error| match error {
            NotFound::None(_) => not_found("node", text),
            NotFound::Several { .. } => refused_field(field, error.to_string()),
        })
    }

    fn node(&self, names: &Names, node: u32) -> v1::LineageNode {
        let known = self.view.known(node);
        v1::LineageNode {
            name: names.name(node).to_owned(),
            kind: self.view.kind(node).map(NodeKind::name).unwrap_or_default().to_owned(),
            label: names.label(node).to_owned(),
            time: Some(instant(known.at).into()),
            position: known.position,
            spent: spent(names.spent(node)),
        }
    }

    fn nodes(&self, names: &Names, nodes: impl Iterator<Item = u32>) -> Vec<v1::LineageNode> {
        nodes.map(|node| self.node(names, node)).collect()
    }

    /// A page of some nodes, and the token of the next one. Every page is of the graph as the first page saw it.
    fn page(
        &self,
        names: &Names,
        reached: &Reached,
        paging: &Paging,
        kinds: &[NodeKind],
    ) -> (Vec<v1::LineageNode>, String) {
        let told = |node: &u32| kinds.is_empty() || self.view.kind(*node).is_some_and(|kind| kinds.contains(&kind));
        let mut found: Vec<u32> = match paging.toward {
            Toward::Older => reached.newest_first(paging.after).filter(told).take(paging.size + 1).collect(),
            Toward::Newer => reached.oldest_first(paging.after).filter(told).take(paging.size + 1).collect(),
        };
        let is_more = found.len() > paging.size;
        found.truncate(paging.size);
        let last = found.last().filter(|_| is_more).map(|last| format!("{}|{last}", self.view.len()));
        (self.nodes(names, found.into_iter()), paging.binding.seal(last.as_deref()))
    }

    /// Where a page begins, and the graph as the first page saw it.
    fn paging(&mut self, what: &str, of: &str, asked: (i32, &str), toward: Toward) -> Result<Paging, Refusal> {
        let binding = Binding::new(self.caller.scope(), what, of);
        let request = binding.request(asked.0, asked.1)?;
        let mut after = None;
        if let Some((limit, last)) = request.after.as_deref().and_then(|after| after.split_once('|')) {
            self.view = self.view.first(limit.parse().unwrap_or(u32::MAX));
            after = last.parse().ok();
        }
        Ok(Paging { binding, size: request.size, after, toward })
    }
}

struct Paging {
    binding: Binding,
    size: usize,
    after: Option<u32>,
    toward: Toward,
}

/// What a caller wrote, not too much of it.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

fn instant(at: u64) -> Timestamp {
    Timestamp::from_unix_nanos(i64::try_from(at).unwrap_or(0).saturating_mul(1_000_000))
}

fn spent(spent: Spent) -> Option<v1::LineageSpent> {
    let Spent { tokens, cost, took_ms } = spent;
    (!spent.is_none()).then_some(v1::LineageSpent { tokens, cost_micros: cost, took_ms })
}

fn counts(counts: BTreeMap<NodeKind, u64>) -> Vec<v1::LineageCount> {
    counts.into_iter().map(|(kind, count)| v1::LineageCount { kind: kind.name().to_owned(), count }).collect()
}

fn edge(names: &Names, kind: EdgeKind, newer: u32, older: u32) -> v1::LineageEdge {
    let (from, to) = kind.reads(newer, older);
    let name = |node| names.name(node).to_owned();
    v1::LineageEdge { kind: kind.name().to_owned(), from: name(from), to: name(to) }
}

fn edge_kinds(field: &str, wanted: &[String]) -> Result<EdgeKinds, Refusal> {
    if wanted.is_empty() {
        return Ok(EdgeKinds::ALL);
    }
    let kinds: Result<Vec<EdgeKind>, Refusal> = wanted
        .iter()
        .map(|name| {
            let all: Vec<&str> = EdgeKind::ALL.iter().map(|kind| kind.name()).collect();
            let told = || format!("`{}` is no kind of edges; there are {}", shown(name), all.join(", "));
            EdgeKind::named(name).ok_or_else(|| refused_field(field, told()))
        })
        .collect();
    Ok(EdgeKinds::of(&kinds?))
}

/// The bounds of a question, brought to the view.
fn bounded(asked: &mut Asked, bounds: &v1::LineageBounds, toward: Toward) -> Result<(Follow, Vec<NodeKind>), Refusal> {
    let kinds = edge_kinds("bounds.edge_kinds", &bounds.edge_kinds)?;
    let depth = match bounds.depth {
        0 => None,
        depth => Some(u16::try_from(depth).map_err(|_| refused_field("bounds.depth", "at most 65535; 0 is no limit"))?),
    };
    let told: Result<Vec<NodeKind>, Refusal> = bounds
        .kinds
        .iter()
        .map(|name| {
            let all: Vec<&str> = NodeKind::ALL.iter().map(|kind| kind.name()).collect();
            let told = || format!("`{}` is no kind of nodes; there are {}", shown(name), all.join(", "));
            NodeKind::named(name).ok_or_else(|| refused_field("bounds.kinds", told()))
        })
        .collect();
    if let Some(at) = bounds.as_of.as_ref().map(|at| moment("bounds.as_of", at)).transpose()? {
        asked.view = asked.view.as_of(at);
    }
    if let Some(at) = bounds.since.as_ref().map(|at| moment("bounds.since", at)).transpose()? {
        asked.view = asked.view.since(at);
    }
    Ok((Follow { toward, kinds, depth }, told?))
}

fn moment(field: &str, at: &prost_types::Timestamp) -> Result<u64, Refusal> {
    let millis = u64::try_from(at.seconds).ok().and_then(|seconds| seconds.checked_mul(1_000));
    let part = u64::try_from(at.nanos / 1_000_000).ok();
    let at = millis.zip(part).and_then(|(millis, part)| millis.checked_add(part));
    at.ok_or_else(|| refused_field(field, "must be a moment since 1970"))
}

fn get_node(asked: &Asked, request: v1::GetNodeRequest) -> Result<v1::GetNodeResponse, Refusal> {
    let names = asked.store.names();
    let node = asked.find(&names, "node", &request.node)?;
    let (view, mut edges) = (&asked.view, Vec::new());
    edges.extend(view.edges_of(node, Toward::Older).into_iter().map(|(kind, older)| edge(&names, kind, node, older)));
    edges.extend(view.edges_of(node, Toward::Newer).into_iter().map(|(kind, newer)| edge(&names, kind, newer, node)));
    edges.truncate(EDGES_MAX);
    Ok(v1::GetNodeResponse { node: Some(asked.node(&names, node)), edges, position: asked.position })
}

/// What one closure tells.
struct Told {
    node: u32,
    reached: Reached,
    kinds: Vec<NodeKind>,
    paging: Paging,
}

fn reach(asked: &mut Asked, question: v1::WhyRequest, toward: Toward) -> Result<Told, Refusal> {
    let bounds = question.bounds.unwrap_or_default();
    let what = if toward == Toward::Older { "why" } else { "impact" };
    // Moments are left out: who says them as ages says another one for each page, and the token knows how far to look.
    let of = format!("{}\n{:?}\n{:?}\n{}", question.node, bounds.edge_kinds, bounds.kinds, bounds.depth);
    let paging = asked.paging(what, &of, (question.page_size, &question.page_token), toward)?;
    let node = asked.find(&asked.store.names(), "node", &question.node)?;
    let (follow, kinds) = bounded(asked, &bounds, toward)?;
    Ok(Told { node, reached: closure(&asked.view, &[node], follow), kinds, paging })
}

fn why(asked: &Asked, request: v1::WhyRequest) -> Result<v1::WhyResponse, Refusal> {
    let asked = &mut asked.again();
    let along = edge_kinds("bounds.edge_kinds", request.bounds.as_ref().map_or(&[], |bounds| &bounds.edge_kinds))?;
    let Told { node, reached, kinds, paging } = reach(asked, request, Toward::Older)?;
    let chain = find::chain(&asked.view, node, along, CHAIN_MAX);
    let names = asked.store.names();
    let (nodes, next_page_token) = asked.page(&names, &reached, &paging, &kinds);
    Ok(v1::WhyResponse {
        node: Some(asked.node(&names, node)),
        chain: asked.nodes(&names, chain.into_iter()),
        counts: counts(find::by_kind(&asked.view, &reached)),
        spent: spent(names.spent_by(&reached)),
        nodes,
        next_page_token,
        position: asked.position,
    })
}

fn impact(asked: &Asked, request: v1::ImpactRequest) -> Result<v1::ImpactResponse, Refusal> {
    let asked = &mut asked.again();
    let v1::ImpactRequest { node, bounds, page_size, page_token } = request;
    let question = v1::WhyRequest { node, bounds, page_size, page_token };
    let Told { node, reached, kinds, paging } = reach(asked, question, Toward::Newer)?;
    let names = asked.store.names();
    let (nodes, next_page_token) = asked.page(&names, &reached, &paging, &kinds);
    Ok(v1::ImpactResponse {
        node: Some(asked.node(&names, node)),
        counts: counts(find::by_kind(&asked.view, &reached)),
        spent: spent(names.spent_by(&reached)),
        nodes,
        next_page_token,
        position: asked.position,
    })
}

impl Asked {
    /// The same, to be narrowed.
    fn again(&self) -> Self {
        Self {
            store: self.store.clone(),
            view: self.view.clone(),
            position: self.position,
            caller: self.caller.clone(),
        }
    }
}

fn path(asked: &Asked, request: v1::PathRequest) -> Result<v1::PathResponse, Refusal> {
    let names = asked.store.names();
    let (one, two) = (asked.find(&names, "from", &request.from)?, asked.find(&names, "to", &request.to)?);
    let kinds = edge_kinds("edge_kinds", &request.edge_kinds)?;
    let (newer, older) = (one.max(two), one.min(two));
    let Some(hops) = find::path(&asked.view, newer, older, kinds) else {
        return Ok(v1::PathResponse { position: asked.position, ..Default::default() });
    };
    let (mut nodes, mut edges, mut at) = (vec![asked.node(&names, newer)], Vec::new(), newer);
    for (kind, next) in hops {
        edges.push(edge(&names, kind, at, next));
        nodes.push(asked.node(&names, next));
        at = next;
    }
    Ok(v1::PathResponse { nodes, edges, position: asked.position })
}

fn common_cause(asked: &Asked, request: v1::CommonCauseRequest) -> Result<v1::CommonCauseResponse, Refusal> {
    let asked = &mut asked.again();
    if !(2..=COMMON_MAX).contains(&request.nodes.len()) {
        return Err(refused_field("nodes", format!("2 to {COMMON_MAX} nodes are expected")));
    }
    let of = request.nodes.join("\n");
    let paging = asked.paging("common", &of, (request.page_size, &request.page_token), Toward::Older)?;
    let nodes: Result<Vec<u32>, Refusal> = {
        let names = asked.store.names();
        request.nodes.iter().map(|node| asked.find(&names, "nodes", node)).collect()
    };
    let Some(reached) = find::common(&asked.view, &nodes?, EdgeKinds::ALL) else {
        return Ok(v1::CommonCauseResponse::default());
    };
    let names = asked.store.names();
    let (nodes, next_page_token) = asked.page(&names, &reached, &paging, &[]);
    let counts = counts(find::by_kind(&asked.view, &reached));
    Ok(v1::CommonCauseResponse { nodes, counts, next_page_token, position: asked.position })
}

fn diff(asked: &Asked, request: v1::DiffRequest) -> Result<v1::DiffResponse, Refusal> {
    let names = asked.store.names();
    let (one, two) = (asked.find(&names, "one", &request.one)?, asked.find(&names, "two", &request.two)?);
    let size = size(request.page_size, SIZES.0, SIZES.1)?;
    // What belongs to a run came after it: a run is compared by what came of it, anything else by what led to it.
    let both_runs = [one, two].iter().all(|node| asked.view.kind(*node) == Some(NodeKind::Run));
    let toward = if both_runs { Toward::Newer } else { Toward::Older };
    let (only_one, only_two) = find::differ(&asked.view, one, two, Follow::all(toward));
    Ok(v1::DiffResponse {
        counts_one: counts(find::by_kind(&asked.view, &only_one)),
        counts_two: counts(find::by_kind(&asked.view, &only_two)),
        only_one: asked.nodes(&names, only_one.newest_first(None).take(size)),
        only_two: asked.nodes(&names, only_two.newest_first(None).take(size)),
        position: asked.position,
    })
}

fn exported(asked: &Asked, request: v1::ExportRequest) -> Result<Vec<v1::ExportResponse>, Refusal> {
    let form = Form::named(&request.format).ok_or_else(|| {
        let all = Form::ALL.map(|(name, _)| name).join(", ");
        refused_field("format", format!("`{}` is no form; there are {all}", shown(&request.format)))
    })?;
    let nodes_max = match request.nodes_max as usize {
        0 => EXPORTED,
        more if more <= export::NODES_MAX => more,
        _ => return Err(refused_field("nodes_max", format!("at most {} nodes are exported", export::NODES_MAX))),
    };
    let names = asked.store.names();
    let node = asked.find(&names, "node", &request.node)?;
    let toward = if request.impact { Toward::Newer } else { Toward::Older };
    let reached = closure(&asked.view, &[node], Follow::all(toward));
    let (text, left_out) = export::export(&asked.view, &names, &reached, form, nodes_max);
    let position = asked.position;
    let mut pieces = Vec::with_capacity(text.len() / PIECE + 1);
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(rest.floor_char_boundary(PIECE));
        pieces.push(v1::ExportResponse { text: piece.to_owned(), left_out: 0, position });
        rest = behind;
    }
    if let Some(last) = pieces.last_mut() {
        last.left_out = left_out;
    }
    Ok(pieces)
}
