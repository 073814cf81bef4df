//! The graph against petgraph on random graphs.

use std::collections::BTreeSet;

use petgraph::{Direction, algo, graph::DiGraph, visit::Bfs};
use proptest::prelude::*;

use crate::lineage::{
    EdgeKind, EdgeKinds, NodeKind, Toward,
    face::subgraph,
    find::{common, differ, path},
    graph::{Graph, Known, Refused, View, Writer},
    sweep::{Follow, Reached, closure},
};

type Model = DiGraph<(), EdgeKind, u32>;

/// Nodes with edges to older ones; kinds by number.
fn graphs(nodes: usize) -> impl Strategy<Value = Vec<Vec<(u8, u32)>>> {
    prop::collection::vec(prop::collection::vec((0_u8..16, any::<u32>()), 0..5), 1..nodes).prop_map(|nodes| {
        (0_u32..)
            .zip(nodes)
            .map(
                |(at, edges)| {
                    if at == 0 { Vec::new() } else { edges.into_iter().map(|(kind, to)| (kind, to % at)).collect() }
                },
            )
            .collect()
    })
}

fn build(nodes: &[Vec<(u8, u32)>], seal_at: usize) -> (std::sync::Arc<Graph>, Model) {
    let (mut writer, mut model) = (Writer::new(), Model::default());
    for (at, edges) in nodes.iter().enumerate() {
        let edges: Vec<_> =
            edges.iter().map(|(kind, to)| (EdgeKind::from_number(*kind).expect("a kind"), *to)).collect();
        let place = model.add_node(());
        for (kind, to) in &edges {
            model.add_edge(place, (*to).into(), *kind);
        }
        let known = Known { position: at as u64 / 3, at: at as u64 * 10 };
        writer.push(NodeKind::Artifact, known, &edges).expect("taken");
        if at == seal_at {
            writer.seal();
        }
    }
    writer.publish();
    (writer.graph(), model)
}

fn set(reached: &Reached) -> BTreeSet<u32> {
    let up: Vec<u32> = reached.oldest_first(None).collect();
    let mut down: Vec<u32> = reached.newest_first(None).collect();
    down.reverse();
    assert_eq!(up, down, "both orders tell of the same nodes");
    assert_eq!(up.len(), reached.len());
    up.into_iter().collect()
}

fn expected(model: &Model, start: u32, toward: Toward, limit: u32) -> BTreeSet<u32> {
    let seen = |model: &Model| {
        let mut bfs = Bfs::new(model, start.into());
        std::iter::from_fn(|| bfs.next(model)).map(|node| node.index() as u32).collect::<BTreeSet<_>>()
    };
    let mut model = model.filter_map(|node, ()| (node.index() < limit as usize).then_some(()), |_, kind| Some(*kind));
    if toward == Toward::Newer {
        model.reverse();
    }
    seen(&model)
}

fn all(view: &View, start: u32, toward: Toward) -> BTreeSet<u32> {
    set(&closure(view, &[start], Follow::all(toward)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_closure_is_what_petgraph_reaches_now_and_as_of_any_moment(
        nodes in graphs(120), seal in 0_usize..120, start in any::<u32>(), limit in any::<u32>(),
    ) {
        let (graph, model) = build(&nodes, seal);
        let view = graph.view();
        let start = start % view.len();
        for toward in [Toward::Older, Toward::Newer] {
            prop_assert_eq!(all(&view, start, toward), expected(&model, start, toward, view.len()));
            let limit = start + 1 + limit % (view.len() - start);
            prop_assert_eq!(all(&view.first(limit), start, toward), expected(&model, start, toward, limit));
        }
        prop_assert_eq!(view.as_of(35).len(), view.len().min(4));
        prop_assert_eq!(view.as_of_position(1).len(), view.len().min(6));
    }

    #[test]
    fn a_path_is_as_short_as_petgraphs_and_each_hop_of_it_is_an_edge(
        nodes in graphs(120), seal in 0_usize..120, one in any::<u32>(), two in any::<u32>(),
    ) {
        let (graph, model) = build(&nodes, seal);
        let view = graph.view();
        let (one, two) = (one % view.len(), two % view.len());
        let (newer, older) = (one.max(two), one.min(two));
        let shortest = algo::dijkstra(&model, newer.into(), Some(older.into()), |_| 1_usize).get(&petgraph::graph::NodeIndex::from(older)).copied();
        let found = path(&view, newer, older, EdgeKinds::ALL);
        prop_assert_eq!(found.as_ref().map(Vec::len), shortest);
        let mut at = newer;
        for hop in found.unwrap_or_default() {
            prop_assert!(view.edges_of(at, Toward::Older).contains(&hop));
            at = hop.1;
        }
    }

    #[test]
    fn what_is_common_and_what_differs_is_made_of_both_closures(
        nodes in graphs(120), one in any::<u32>(), two in any::<u32>(),
    ) {
        let (graph, _) = build(&nodes, 60);
        let view = graph.view();
        let (one, two) = (one % view.len(), two % view.len());
        let (first, second) = (all(&view, one, Toward::Older), all(&view, two, Toward::Older));
        let both = common(&view, &[one, two], EdgeKinds::ALL).expect("some");
        prop_assert_eq!(set(&both), &first & &second);
        let (only_first, only_second) = differ(&view, one, two, Follow::all(Toward::Older));
        prop_assert_eq!(set(&only_first), &first - &second);
        prop_assert_eq!(set(&only_second), &second - &first);
    }

    #[test]
    fn depth_and_kinds_bound_what_is_followed(nodes in graphs(60), start in any::<u32>(), depth in 0_u16..5) {
        let (graph, model) = build(&nodes, 30);
        let view = graph.view();
        let start = start % view.len();
        let near: BTreeSet<u32> = algo::dijkstra(&model, start.into(), None, |_| 1_usize)
            .into_iter().filter(|(_, far)| *far <= usize::from(depth)).map(|(node, _)| node.index() as u32).collect();
        let follow = Follow { depth: Some(depth), ..Follow::all(Toward::Older) };
        prop_assert_eq!(set(&closure(&view, &[start], follow)), near);
        let some = &[EdgeKind::Used, EdgeKind::Caused];
        let kinds = EdgeKinds::of(some);
        let narrow = model.filter_map(|_, ()| Some(()), |_, kind| some.contains(kind).then_some(*kind));
        for toward in [Toward::Older, Toward::Newer] {
            let reached = closure(&view, &[start], Follow { kinds, ..Follow::all(toward) });
            prop_assert_eq!(set(&reached), expected(&narrow, start, toward, view.len()));
        }
    }

    #[test]
    fn petgraphs_algorithms_work_on_a_view(nodes in graphs(60)) {
        let (graph, model) = build(&nodes, 30);
        let view = graph.view();
        let order = algo::toposort(&view, None).expect("no circle");
        prop_assert_eq!(order.len(), view.len() as usize);
        let last = view.len() - 1;
        let reached = closure(&view, &[last], Follow::all(Toward::Older));
        let part = subgraph(&view, &reached, usize::MAX);
        prop_assert_eq!(part.node_count(), reached.len());
        let edges = model.edge_indices().filter_map(|edge| model.edge_endpoints(edge));
        let inside = edges.filter(|(from, to)| reached.has(from.index() as u32) && reached.has(to.index() as u32));
        prop_assert_eq!(part.edge_count(), inside.count());
        prop_assert_eq!(model.neighbors_directed(0.into(), Direction::Incoming).count(),
            view.edges_of(0, Toward::Newer).len());
    }
}

/// Large enough that closures become passes, and that the tail is sealed on the way.
fn large(nodes: u32) -> Vec<Vec<(u8, u32)>> {
    let mut chance = 7_u64;
    let mut draw = move |below: u32| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(chance >> 33).unwrap_or(0) % below.max(1)
    };
    (0..nodes)
        .map(|node| (0..3).filter(|_| node > 0).map(|_| (draw(16) as u8, node - 1 - draw(node.min(500)))).collect())
        .collect()
}

#[test]
fn a_pass_over_the_bitmap_finds_what_a_walk_finds() {
    let nodes = large(20_000);
    let (graph, model) = build(&nodes, usize::MAX);
    let view = graph.view();
    for start in [0, 63, 64, 5_000, 19_999] {
        for toward in [Toward::Older, Toward::Newer] {
            assert_eq!(all(&view, start, toward), expected(&model, start, toward, view.len()), "{start} {toward:?}");
        }
    }
    let recent = view.since(150_000);
    assert!(set(&closure(&recent, &[19_999], Follow::all(Toward::Older))).into_iter().all(|node| node >= 15_000));
    // A page goes on where the one before it ended.
    let reached = closure(&view, &[19_999], Follow::all(Toward::Older));
    let whole: Vec<u32> = reached.newest_first(None).collect();
    let mut paged: Vec<u32> = Vec::new();
    while paged.len() < whole.len() {
        let page: Vec<u32> = reached.newest_first(paged.last().copied()).take(777).collect();
        paged.extend(page);
    }
    assert_eq!(paged, whole);
}

#[test]
fn an_edge_to_a_newer_node_is_refused_and_nothing_of_its_node_is_kept() {
    let mut writer = Writer::new();
    let one = writer.push(NodeKind::Run, Known::default(), &[]).expect("taken");
    let refused = writer.push(NodeKind::Step, Known::default(), &[(EdgeKind::PartOf, one), (EdgeKind::Used, 1)]);
    assert_eq!(refused, Err(Refused::NotOlder { node: 1, target: 1 }));
    writer.publish();
    assert_eq!((writer.nodes(), writer.edges(), writer.graph().view().len()), (1, 0, 1));
    assert!(writer.graph().view().edges_of(one, Toward::Newer).is_empty());
}

#[test]
fn readers_beside_the_writer_see_a_prefix_that_is_whole() {
    let nodes = large(60_000);
    let mut writer = Writer::new();
    let graph = writer.graph();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut last = 0;
            while last < 60_000 {
                let view = graph.view();
                assert!(view.len() >= last, "what was published stays");
                last = view.len();
                let Some(node) = last.checked_sub(1) else { continue };
                let told = view.edges_of(node, Toward::Older);
                assert_eq!(told.len(), nodes.get(node as usize).expect("a node").len());
                for (kind, older) in told {
                    let back = view.edges_of(older, Toward::Newer);
                    assert!(back.contains(&(kind, node)), "an edge is seen from both of its ends");
                    assert!(back.iter().all(|(_, newer)| *newer < view.len()));
                }
            }
        });
        for edges in &nodes {
            let edges: Vec<_> =
                edges.iter().map(|(kind, to)| (EdgeKind::from_number(*kind).expect("a kind"), *to)).collect();
            writer.push(NodeKind::Artifact, Known::default(), &edges).expect("taken");
            writer.publish();
        }
        reader.join().expect("the reader saw nothing wrong");
    });
}
