use mesh_kernel::envelope::{CorrelationId, EventId, Principal, TraceId};
use serde_json::json;

use super::*;
use crate::contract::{Effect, FailureClass};

fn manifest(name: &str, version: &str) -> Manifest {
    Manifest { version: version.to_owned(), ..Manifest::new(name, "shouts").takes(json!({ "type": "object" })) }
}

/// The one entity, with what it was told.
struct Told {
    state: Skills,
    events: Vec<Event>,
}

impl Told {
    fn new() -> Self {
        Self { state: Skills::default(), events: Vec::new() }
    }

    /// How many events came of it, or the code of the refusal.
    fn tell(&mut self, command: Command) -> Result<usize, &'static str> {
        let at = Timestamp::from_unix_nanos(1_800_000_000_000_000_000);
        let id: EventId = EventId::parse("evt-0198f000-0000-7000-8000-000000000001").unwrap();
        let trace: TraceId = TraceId::parse("trace-0198f000-0000-7000-8000-000000000001").unwrap();
        let address = address(&TenantId::parse("acme").unwrap()).unwrap();
        let cause = Cause {
            address: address.clone(),
            event_id: id.clone(),
            at,
            principal: Principal { name: "key:ada".into(), roles: Vec::new(), on_behalf_of: None },
            trace_id: trace.clone(),
            correlation_id: CorrelationId::from(&id),
            key: None,
            version: self.events.len() as u64,
        };
        let events = SkillsDecider.decide(&self.state, command, &cause).map_err(|error| error.code())?;
        let (count, correlation) = (events.len(), CorrelationId::from(&id));
        for event in events {
            self.events.push(event.clone());
            let recorded = Recorded {
                address: &address,
                event_id: &id,
                version: self.events.len() as u64,
                at,
                principal: &cause.principal,
                trace_id: &trace,
                correlation_id: &correlation,
            };
            // As it comes back from the journal.
            let event = serde_json::from_value(serde_json::to_value(event).unwrap()).unwrap();
            SkillsDecider.evolve(&mut self.state, event, &recorded);
        }
        Ok(count)
    }

    fn register(&mut self, manifests: &[Manifest]) -> Result<usize, &'static str> {
        self.tell(Command::RegisterSkills { manifests: manifests.to_vec(), replaces_dev: false })
    }

    fn deprecate(&mut self, name: &str, version: &str) -> Result<usize, &'static str> {
        let [name, version] = [name, version].map(str::to_owned);
        self.tell(Command::DeprecateSkill { name, version, reason: "use another".into() })
    }

    fn replace(&mut self, manifest: &Manifest) -> Result<usize, &'static str> {
        self.tell(Command::RegisterSkills { manifests: vec![manifest.clone()], replaces_dev: true })
    }

    fn withdraw(&mut self, name: &str, version: &str) -> Result<usize, &'static str> {
        let [name, version] = [name, version].map(str::to_owned);
        self.tell(Command::WithdrawSkill { name, version, reason: "it lies".into() })
    }

    fn current(&self, name: &str) -> &str {
        &current(&self.state.skills[name]).unwrap().manifest.version
    }
}

#[test]
fn a_version_never_changes_and_the_same_again_changes_nothing() {
    let mut told = Told::new();
    let shout = manifest("acme.shout", "1.0.0");
    assert_eq!(told.register(std::slice::from_ref(&shout)), Ok(1));
    assert_eq!(told.register(std::slice::from_ref(&shout)), Ok(0));
    let other = shout.clone().effect(Effect::AtLeastOnce);
    assert_eq!(told.register(&[manifest("acme.other", "1.0.0"), other.clone()]), Err("SKL-0003"));
    assert_eq!(told.state.skills.len(), 1, "half of it was kept");
    assert_eq!(told.register(&[manifest("acme.other", "1.0.0"), Manifest { version: "1.0.1".into(), ..other }]), Ok(2));
    let twice = manifest("acme.twice", "1.0.0");
    assert_eq!(told.register(&[twice.clone(), twice.clone()]), Ok(1));
    assert_eq!(
        told.register(&[manifest("acme.x", "1.0.0"), manifest("acme.x", "1.0.0").fails(&FailureClass::ALL)]),
        Err("SKL-0003")
    );
}

#[test]
fn a_manifest_of_before_has_the_digest_that_it_had() {
    // As a node wrote it before categories, hosts, files, ceilings and codes were known.
    let written = json!({
        "name": "acme.shout", "version": "1.0.0", "description": "shouts", "input": { "type": "object" },
        "output": true, "effect": "pure", "timeoutMs": 60_000, "isInstant": false, "failures": [],
        "permissions": [], "examples": [],
    });
    let read: Manifest = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(read, manifest("acme.shout", "1.0.0"));
    assert_eq!(digest(&read), Digest::of(&serde_json::to_vec(&written).unwrap()));
}

#[test]
fn what_is_called_is_the_highest_release_that_is_not_deprecated() {
    let mut told = Told::new();
    for version in ["1.9.0", "1.10.0", "2.0.0-beta.1", "0.3.0"] {
        assert_eq!(told.register(&[manifest("acme.shout", version)]), Ok(1));
    }
    assert_eq!(told.current("acme.shout"), "1.10.0");
    assert_eq!(told.deprecate("acme.shout", "1.10.0"), Ok(1));
    assert_eq!(told.deprecate("acme.shout", "1.10.0"), Ok(0));
    assert_eq!(told.current("acme.shout"), "1.9.0");
    assert_eq!(told.deprecate("acme.shout", "3.0.0"), Err("SKL-0005"));
    assert_eq!(told.deprecate("acme.none", "1.0.0"), Err("SKL-0005"));
}

#[test]
fn nobody_calls_what_is_withdrawn_and_the_same_manifest_again_does_not_bring_it_back() {
    let mut told = Told::new();
    assert_eq!(told.register(&[manifest("acme.shout", "1.0.0"), manifest("acme.shout", "1.1.0")]), Ok(2));
    assert_eq!(told.deprecate("acme.shout", "1.0.0"), Ok(1));
    assert_eq!((told.withdraw("acme.shout", "1.1.0"), told.withdraw("acme.shout", "1.1.0")), (Ok(1), Ok(0)));
    assert_eq!(told.current("acme.shout"), "1.0.0", "one that is deprecated goes before one that is withdrawn");
    assert_eq!(told.withdraw("acme.shout", "1.0.0"), Ok(1));
    assert!(current(&told.state.skills["acme.shout"]).is_none());
    assert_eq!(latest(&told.state.skills["acme.shout"]).and_then(|it| it.withdrawn.as_deref()), Some("it lies"));
    assert_eq!(told.register(&[manifest("acme.shout", "1.1.0")]), Ok(0), "a worker that starts again is no reason");
    assert!(current(&told.state.skills["acme.shout"]).is_none());
    assert_eq!(told.withdraw("acme.shout", "9.0.0"), Err("SKL-0005"));
}

#[test]
fn a_version_for_development_is_replaced_and_takes_no_more_room() {
    let mut told = Told::new();
    let dev = manifest("acme.shout", "1.0.0-dev");
    assert_eq!(told.register(std::slice::from_ref(&dev)), Ok(1));
    let other = Manifest { description: "x".repeat(1_000), ..dev.clone() };
    assert_eq!(told.register(std::slice::from_ref(&other)), Err("SKL-0003"), "not in every tenant");
    assert_eq!(told.replace(&other), Ok(1));
    assert_eq!((told.replace(&other), told.state.skills["acme.shout"].len()), (Ok(0), 1));
    assert_eq!(told.replace(&dev), Ok(1));
    assert_eq!(told.state.bytes, length(&dev));
    let release = manifest("acme.shout", "1.0.0");
    assert_eq!(told.replace(&release), Ok(1));
    assert_eq!(told.replace(&Manifest { description: "other".into(), ..release }), Err("SKL-0003"));
    assert_eq!(told.withdraw("acme.shout", "1.0.0-dev"), Ok(1));
    assert_eq!(told.replace(&other), Err("SKL-0003"), "what is withdrawn comes back by another name");
    for (version, expected) in [("1.0.0-dev", true), ("1.0.0-dev.3", true), ("1.0.0-develop", false), ("1.0.0", false)]
    {
        assert_eq!(is_dev(version), expected, "{version}");
    }
}

#[test]
fn a_check_says_what_the_registration_would() {
    let mut told = Told::new();
    let shout = manifest("acme.shout", "1.0.0");
    assert_eq!(check(&told.state, &[shout.clone(), shout.clone()], false).unwrap().len(), 1);
    assert_eq!(told.register(std::slice::from_ref(&shout)), Ok(1));
    assert_eq!(check(&told.state, std::slice::from_ref(&shout), false).unwrap(), []);
    let other = shout.effect(Effect::AtLeastOnce);
    assert_eq!(check(&told.state, &[other], false).unwrap_err().code(), "SKL-0003");
}

#[test]
fn what_cannot_be_called_is_refused() {
    let mut told = Told::new();
    for bad in [
        manifest("shout", "1.0.0"),
        manifest("acme.shout", "1"),
        manifest("acme.shout", "1.0.0").takes(json!({ "type": "strnig" })),
    ] {
        assert_eq!(told.register(&[bad]), Err("SKL-0001"));
    }
    let large = Manifest { description: "x".repeat(MANIFEST_BYTES_MAX), ..manifest("acme.shout", "1.0.0") };
    assert_eq!(told.register(&[large]), Err("SKL-0002"));
    let many: Vec<_> = (0..=VERSIONS_MAX).map(|n| manifest("acme.shout", &format!("1.0.{n}"))).collect();
    assert_eq!(told.register(&many[..VERSIONS_MAX]), Ok(VERSIONS_MAX));
    assert_eq!(told.register(&many), Err("SKL-0004"));
    assert!(told.state.bytes > 100 * VERSIONS_MAX);
}
