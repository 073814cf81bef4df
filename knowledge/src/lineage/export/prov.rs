//! W3C PROV-JSON.
//!
//! **Source**: <https://www.w3.org/submissions/prov-json/>

use serde_json::{Map, Value, json};

use super::{Class, EdgeKind, Shown, class, time};

/// What our names stand behind.
const PREFIX: &str = "urn:agent-mesh:lineage:";

pub(super) fn text(shown: &Shown<'_>) -> String {
    let mut document = Map::new();
    document.insert("prefix".into(), json!({ "mesh": PREFIX }));
    for node in shown.nodes() {
        let mut said = Map::new();
        said.insert("prov:type".into(), json!({ "$": format!("mesh:{}", node.kind), "type": "prov:QUALIFIED_NAME" }));
        said.insert("mesh:name".into(), node.name.into());
        if !node.label.is_empty() {
            said.insert("prov:label".into(), node.label.into());
        }
        if !node.spent.is_none() {
            said.insert("mesh:tokens".into(), node.spent.tokens.into());
            said.insert("mesh:costMicros".into(), node.spent.cost.into());
            said.insert("mesh:tookMs".into(), node.spent.took_ms.into());
        }
        let (record, at) = match class(node.kind) {
            Class::Entity => ("entity", "prov:generatedAtTime"),
            Class::Activity => ("activity", "prov:startTime"),
            Class::Agent => ("agent", "mesh:knownAt"),
        };
        said.insert(at.into(), time(node.known).into());
        put(&mut document, record, qualified(node.name), said.into());
    }
    for (number, (kind, newer, older)) in shown.edges().enumerate() {
        let (newer, older) = (shown.node(newer), shown.node(older));
        let (relation, to, from) = relation(kind, class(newer.kind), class(older.kind));
        let turned = relation == "hadMember";
        let (newer, older) = (qualified(newer.name), qualified(older.name));
        let (first, second) = if turned { (older, newer) } else { (newer, older) };
        let said = json!({ to: first, from: second, "mesh:edge": kind.name() });
        put(&mut document, relation, format!("_:e{number}"), said);
    }
    Value::Object(document).to_string()
}

/// The relation between a newer and an older node, and what its two ends are called.
fn relation(kind: EdgeKind, newer: Class, older: Class) -> (&'static str, &'static str, &'static str) {
    use Class::{Activity, Agent, Entity};
    use EdgeKind::{Caused, CommittedAs, DerivedFrom, GroundedOn, PartOf, ProducedBy, Supersedes, Used};
    match (kind, newer, older) {
        (Used, Activity, Entity) => ("used", "prov:activity", "prov:entity"),
        (ProducedBy, Entity, Activity) => ("wasGeneratedBy", "prov:entity", "prov:activity"),
        (DerivedFrom | GroundedOn | CommittedAs | Supersedes, Entity, Entity) => {
            ("wasDerivedFrom", "prov:generatedEntity", "prov:usedEntity")
        }
        (Caused, Activity, Activity) => ("wasInformedBy", "prov:informed", "prov:informant"),
        (PartOf, Entity, Entity) => ("hadMember", "prov:collection", "prov:entity"),
        (_, Activity, Agent) => ("wasAssociatedWith", "prov:activity", "prov:agent"),
        _ => ("wasInfluencedBy", "prov:influencee", "prov:influencer"),
    }
}

fn put(document: &mut Map<String, Value>, record: &str, id: String, said: Value) {
    let records = document.entry(record).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(records) = records {
        records.insert(id, said);
    }
}

/// A name as a local one: what such a name may not hold is written as percent signs.
fn qualified(name: &str) -> String {
    let mut text = String::from("mesh:");
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' | b'@' => text.push(char::from(byte)),
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}
