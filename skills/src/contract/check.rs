//! Whether what a skill says of how far it reaches can be.

use std::time::Duration;

use super::{Effect, FailureClass, FailureCode, Manifest, Permission, Rate};

/// Longest list of servers, of files, of codes. **Units**: entries.
const ENTRIES_MAX: usize = 100;

/// Most calls of one skill at once that can be said. **Units**: calls.
const CONCURRENT_MAX: u32 = 10_000;

/// Most calls of a rate that can be said.
const RATE_CALLS_MAX: u32 = 1_000_000;

/// What of how far a skill says that it reaches is contradictory or none at all: the field, and why.
pub(super) fn contradiction(manifest: &Manifest) -> Option<(&'static str, String)> {
    let checks = [category, lists, hosts, files, resources, failures, instructions];
    checks.into_iter().find_map(|check| check(manifest))
}

type Wrong = Option<(&'static str, String)>;

fn wrong(is_wrong: bool, field: &'static str, why: &str) -> Wrong {
    is_wrong.then(|| (field, why.to_owned()))
}

fn category(manifest: &Manifest) -> Wrong {
    let category = manifest.category.as_ref().filter(|category| !is_word(category))?;
    Some(("category", format!("`{category}` is no category: write lower-case letters, digits and `-`")))
}

fn lists(manifest: &Manifest) -> Wrong {
    let Manifest { hosts, files, failure_codes, .. } = manifest;
    let lists = [("hosts", hosts.len()), ("files", files.len()), ("failures", failure_codes.len())];
    let (field, count) = lists.into_iter().find(|(_, count)| *count > ENTRIES_MAX)?;
    Some((field, format!("it has {count} {field}; at most {ENTRIES_MAX} are taken")))
}

fn hosts(manifest: &Manifest) -> Wrong {
    if let Some(host) = manifest.hosts.iter().find(|host| !is_host(host)) {
        let why = format!("`{host}` is no host: write `api.example.com`, `*.example.com` or `10.0.0.7:8443`");
        return Some(("hosts", why));
    }
    let may = |permission| manifest.permissions.contains(&permission);
    let is_wrong = !manifest.hosts.is_empty() && !may(Permission::Network) && !may(Permission::Loopback);
    wrong(is_wrong, "hosts", "it names hosts, and needs neither `network` nor `loopback`")
}

fn files(manifest: &Manifest) -> Wrong {
    if let Some(scope) = manifest.files.iter().find(|scope| !is_scope(&scope.path)) {
        let why = format!("`{}` is no file scope: write a path below the folder, without `..`", scope.path);
        return Some(("files", why));
    }
    let is_wrong = !manifest.files.is_empty() && !manifest.permissions.contains(&Permission::Files);
    wrong(is_wrong, "files", "it names files, and does not need `files`")
}

fn resources(manifest: &Manifest) -> Wrong {
    if manifest.resources.memory_max == Some(0) {
        return wrong(true, "resources", "no call can do with no memory");
    }
    if let Some(rate) = manifest.resources.rate
        && !is_rate(&rate)
    {
        let what =
            format!("a rate is of 1 to {RATE_CALLS_MAX} calls in 1ms to 1d, with a burst of 1 to {RATE_CALLS_MAX}");
        return wrong(true, "resources", &what);
    }
    let is_wrong = manifest.resources.concurrent_max.is_some_and(|most| most == 0 || most > CONCURRENT_MAX);
    wrong(is_wrong, "resources", &format!("1 to {CONCURRENT_MAX} calls at once can be said"))
}

fn is_rate(rate: &Rate) -> bool {
    let calls = 1..=RATE_CALLS_MAX;
    let is_long_enough = !rate.per.is_zero() && rate.per <= Duration::from_secs(86_400);
    calls.contains(&rate.calls) && is_long_enough && rate.burst.is_none_or(|burst| calls.contains(&burst))
}

fn failures(manifest: &Manifest) -> Wrong {
    let codes = &manifest.failure_codes;
    codes.iter().enumerate().find_map(|(n, FailureCode { code, class, .. })| {
        let is_code = code.contains('.') && code.split('.').all(is_word) && code.len() <= 100;
        let why = if !is_code {
            format!("`{code}` is no failure code: write `area.what-is-wrong`")
        } else if codes.iter().take(n).any(|other| other.code == *code) {
            format!("the failure code `{code}` stands there twice")
        } else if *class == FailureClass::Cancelled {
            format!("the failure code `{code}` is of class cancelled, which only the node gives")
        } else if *class != FailureClass::Internal && !manifest.failures.contains(class) {
            format!("the failure code `{code}` is of class {class}, in which it never fails")
        } else {
            return None;
        };
        Some(("failures", why))
    })
}

fn instructions(manifest: &Manifest) -> Wrong {
    let given = manifest.instructions.as_ref()?;
    let reaches = manifest.effect != Effect::Pure || !manifest.permissions.is_empty();
    wrong(given.text.trim().is_empty(), "instructions", "there is no text in them")
        .or_else(|| wrong(reaches, "instructions", "it is read and not called: it is pure and needs no permission"))
}

fn is_word(text: &str) -> bool {
    let is_inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    text.len() <= 80 && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(is_inside)
}

/// A name or an address, with `*.` before it for all below a name, and a port behind it.
fn is_host(text: &str) -> bool {
    let (name, port) = text.rsplit_once(':').unwrap_or((text, "1"));
    let name = name.strip_prefix("*.").unwrap_or(name);
    let is_inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let is_label = |label: &str| !label.is_empty() && label.len() <= 63 && label.bytes().all(is_inside);
    name.len() <= 253 && name.split('.').all(is_label) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_scope(path: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', '\0']);
    path.len() <= 400 && path.split('/').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{FileScope, Resources, check_manifest};

    fn plain() -> Manifest {
        Manifest::new("shop.order", "Orders.").fails(&[FailureClass::External])
    }

    fn code(code: &str, class: FailureClass) -> Vec<FailureCode> {
        vec![FailureCode { code: code.into(), class, description: "It is so.".into() }]
    }

    #[test]
    fn what_a_skill_says_of_its_reach_must_not_contradict_itself() {
        let reach = |path: &str| vec![FileScope { path: path.into(), write: true }];
        let network = || plain().needs(&[Permission::Network, Permission::Files]);
        let good = Manifest {
            category: Some("shop".into()),
            hosts: ["api.example.com", "*.example.com", "10.0.0.7:8443"].map(str::to_owned).into(),
            files: reach("reports/**"),
            failure_codes: code("shop.no-stock", FailureClass::External),
            resources: Resources { memory_max: Some(1), concurrent_max: Some(2), rate: None },
            ..network()
        };
        check_manifest(&good).unwrap();
        for (bad, word) in [
            (Manifest { category: Some("My shop".into()), ..plain() }, "no category"),
            (Manifest { hosts: vec!["api.example.com".into()], ..plain() }, "neither `network`"),
            (Manifest { hosts: vec!["https://x/".into()], ..network() }, "no host"),
            (Manifest { hosts: vec!["a:99999".into()], ..network() }, "no host"),
            (Manifest { files: reach("a"), ..plain() }, "does not need `files`"),
            (Manifest { files: reach("../a"), ..network() }, "no file scope"),
            (Manifest { files: reach("/etc"), ..network() }, "no file scope"),
            (Manifest { failure_codes: code("No", FailureClass::External), ..plain() }, "no failure code"),
            (Manifest { failure_codes: code("a.b", FailureClass::Timeout), ..plain() }, "never fails"),
            (Manifest { failure_codes: code("a.b", FailureClass::Cancelled), ..plain() }, "only the node"),
            (
                plain().fails_with("a.b", FailureClass::External, "x").fails_with("a.b", FailureClass::External, "y"),
                "twice",
            ),
            (Manifest { hosts: vec!["a".into(); ENTRIES_MAX + 1], ..network() }, "at most"),
            (Manifest { resources: Resources { memory_max: Some(0), ..Resources::default() }, ..plain() }, "memory"),
            (plain().at_most(0), "at once"),
        ] {
            let told = check_manifest(&bad).unwrap_err().to_string();
            assert!(told.contains(word) && told.contains("`shop.order`"), "{told}");
        }
    }
}
