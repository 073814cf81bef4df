//! What somebody registers as a skill, and what has become of it.

use mesh_kernel::envelope::Refusal;
use mesh_proto::v1::{self, SkillEffect, skill_example::Gives as Told};
use mesh_skills::{
    catalogue::Entry,
    contract::{
        Accepts, Ceiling, Effect, Example, FailureClass, FailureCode, FileScope, Gives, Instructions, Manifest,
        Permission, Rate, Resources, Returns,
    },
    pools::{Before, Seen},
};
use serde_json::Value;

use super::{json::from_value, time::of_message};
use crate::{gateway::status::refused_field, manifest::brief};

/// A skill that a tenant has registered, as lists show it; so many workers have it.
pub(in crate::gateway) fn registered(entry: &Entry, workers: usize) -> v1::Skill {
    let Manifest { instructions, mcp, .. } = entry.manifest.as_ref();
    let host = match (instructions, mcp) {
        (Some(_), _) => "instructions",
        (None, Some(_)) => "mcp",
        (None, None) => "worker",
    };
    v1::Skill {
        host: host.to_owned(),
        workers: u32::try_from(workers).unwrap_or(u32::MAX),
        deprecated: entry.deprecated.clone().unwrap_or_default(),
        withdrawn: entry.withdrawn.clone().unwrap_or_default(),
        ..brief(&entry.manifest)
    }
}

fn instructed(given: v1::SkillInstructions) -> Instructions {
    let said = |text: String| Some(text).filter(|text| !text.is_empty());
    Instructions {
        text: given.text,
        license: said(given.license),
        compatibility: said(given.compatibility),
        allowed_tools: said(given.allowed_tools),
        metadata: given.metadata.into_iter().collect(),
    }
}

/// What somebody registers; `at` names the field that holds it.
///
/// # Errors
/// Names the field that says what cannot be.
pub(in crate::gateway) fn manifest(skill: v1::Skill, at: &str) -> Result<Manifest, Refusal> {
    let wrong = |field: &str, what: String| refused_field(&format!("{at}.{field}"), what);
    let effect = effect(skill.effect())
        .ok_or_else(|| wrong("effect", "say what a second call with the same key does".to_owned()))?;
    let timeout = skill.timeout.map_or(Ok(Manifest::new("", "").timeout), |timeout| {
        let given = of_message(timeout).filter(|given| !given.is_zero());
        given.ok_or_else(|| wrong("timeout", format!("`{}s` is no time that a call can take", timeout.seconds)))
    })?;
    let schema = |field: &str, given: Option<&prost_types::Value>| {
        given.map_or(Ok(Value::Bool(true)), |given| from_value(given, &format!("{at}.{field}")))
    };
    let (input, output) =
        (schema("input_schema", skill.input_schema.as_ref())?, schema("output_schema", skill.output_schema.as_ref())?);
    let plain = reach(&skill);
    let failure_codes = codes(&skill.failures, at)?;
    let failures = classes(&skill.failure_classes, &failure_codes, at)?;
    let permissions = permissions(&skill.permissions, &format!("{at}.permissions"))?;
    let examples = skill.examples.into_iter().enumerate();
    let examples = examples.map(|(n, given)| shown(given, &format!("{at}.examples[{n}]"))).collect::<Result<_, _>>()?;
    let said = Manifest { effect, timeout, input, output, failures, permissions, examples, failure_codes, ..plain };
    let said = Manifest { version: skill.version, ..said };
    // What they take and give is not the author's to say.
    Ok(skill.instructions.map(instructed).into_iter().fold(said, Manifest::instructs))
}

/// Its name, what it does, and how far it reaches.
fn reach(skill: &v1::Skill) -> Manifest {
    let plain = Manifest::new(&skill.name, &skill.description);
    let says_more = !skill.category.is_empty() && skill.category != plain.category();
    let resources = skill.resources.unwrap_or_default();
    Manifest {
        category: says_more.then(|| skill.category.clone()),
        hosts: skill.hosts.clone(),
        files: skill.files.iter().map(|scope| FileScope { path: scope.path.clone(), write: scope.write }).collect(),
        ceiling: ceiling(skill.ceiling()).unwrap_or_default(),
        accepts: accepts(skill.accepts()).unwrap_or_default(),
        returns: match skill.returns() {
            v1::SkillReturns::Unspecified => None,
            v1::SkillReturns::Trusted => Some(Returns::Trusted),
            v1::SkillReturns::Tainted => Some(Returns::Tainted),
        },
        resources: Resources {
            memory_max: Some(resources.memory_max).filter(|bytes| *bytes > 0),
            concurrent_max: Some(resources.concurrent_max).filter(|calls| *calls > 0),
            rate: resources.rate.map(rate),
        },
        ..plain
    }
}

/// A rate; one without a time is refused with the manifest.
fn rate(rate: v1::SkillRate) -> Rate {
    let per = rate.per.and_then(of_message).unwrap_or_default();
    Rate { calls: rate.calls, per, burst: Some(rate.burst).filter(|burst| *burst > 0) }
}

/// A breaker, as it stands.
pub(in crate::gateway) fn breaker(before: Before, seen: Seen) -> v1::SkillBreaker {
    v1::SkillBreaker {
        before: match before {
            Before::Skill(skill) => format!("skill {skill}"),
            Before::Host(host) => format!("host {host}"),
        },
        state: seen.stands.as_str().to_owned(),
        failures: seen.failures,
        open_time: seen.since.map(Into::into),
        retry_time: seen.tried.map(Into::into),
        last_failure: seen.last,
    }
}

/// What a skill must be allowed to do; `at` names the field that says it.
///
/// # Errors
/// Names what is no permission.
pub(super) fn permissions(names: &[String], at: &str) -> Result<Vec<Permission>, Refusal> {
    let permission = |name: &String| {
        Permission::ALL.into_iter().find(|known| known.as_str() == name).ok_or_else(|| {
            let known: Vec<_> = Permission::ALL.map(Permission::as_str).into();
            refused_field(at, format!("`{name}` is none; one of {} is expected", known.join(", ")))
        })
    };
    names.iter().map(permission).collect()
}

pub(super) fn ceiling(said: v1::Classification) -> Option<Ceiling> {
    match said {
        v1::Classification::Unspecified => None,
        v1::Classification::Public => Some(Ceiling::Public),
        v1::Classification::Internal => Some(Ceiling::Internal),
        v1::Classification::Confidential => Some(Ceiling::Confidential),
        v1::Classification::Restricted => Some(Ceiling::Restricted),
    }
}

pub(super) fn accepts(said: v1::SkillAccepts) -> Option<Accepts> {
    match said {
        v1::SkillAccepts::Unspecified => None,
        v1::SkillAccepts::Trusted => Some(Accepts::Trusted),
        v1::SkillAccepts::Tainted => Some(Accepts::Tainted),
    }
}

pub(super) fn effect(said: SkillEffect) -> Option<Effect> {
    match said {
        SkillEffect::Unspecified => None,
        SkillEffect::Pure => Some(Effect::Pure),
        SkillEffect::Idempotent => Some(Effect::Idempotent),
        SkillEffect::AtLeastOnce => Some(Effect::AtLeastOnce),
    }
}

fn codes(failures: &[v1::SkillFailure], at: &str) -> Result<Vec<FailureCode>, Refusal> {
    let code = |(n, failure): (usize, &v1::SkillFailure)| {
        let class = failure.failure_class.parse();
        let class =
            class.map_err(|error| refused_field(&format!("{at}.failures[{n}].failure_class"), format!("{error}")))?;
        Ok(FailureCode { code: failure.code.clone(), class, description: failure.description.clone() })
    };
    failures.iter().enumerate().map(code).collect()
}

/// The classes that are told, and those of the codes.
fn classes(told: &[String], codes: &[FailureCode], at: &str) -> Result<Vec<FailureClass>, Refusal> {
    let parsed = told.iter().map(|class| class.parse()).collect::<Result<Vec<FailureClass>, _>>();
    let mut classes = parsed.map_err(|error| refused_field(&format!("{at}.failure_classes"), error.to_string()))?;
    for class in codes.iter().map(|code| code.class) {
        if !classes.contains(&class) && !matches!(class, FailureClass::Internal | FailureClass::Cancelled) {
            classes.push(class);
        }
    }
    Ok(classes)
}

fn shown(example: v1::SkillExample, at: &str) -> Result<Example, Refusal> {
    let gives = match &example.gives {
        Some(Told::Output(output)) => Gives::Output(from_value(output, &format!("{at}.output"))?),
        Some(Told::FailureClass(class)) => Gives::Failure(
            class.parse().map_err(|error| refused_field(&format!("{at}.failure_class"), format!("{error}")))?,
        ),
        None => return Err(refused_field(at, "say what comes of it: `output` or `failure_class`")),
    };
    let input = example.input.as_ref().map_or(Ok(Value::Null), |input| from_value(input, &format!("{at}.input")))?;
    Ok(Example { title: example.title, input, gives, alone: example.alone })
}
