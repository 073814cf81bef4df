//! Rules that a test can keep: what depends on what, what lies where, how large it is.
//!
//! A rule that keeps coming up in review becomes a test here.

#![expect(clippy::expect_used, reason = "these are tests and their helpers")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The crates and the crates of ours that each may depend on: the arrows of the house.
const ARROWS: &[(&str, &str, &[&str])] = &[
    ("proto", "mesh-proto", &[]),
    ("runtime/kernel", "mesh-kernel", &["mesh-proto"]),
    ("runtime/journal", "mesh-journal", &["mesh-kernel"]),
    ("knowledge", "mesh-knowledge", &["mesh-kernel"]),
    ("skills", "mesh-skills", &["mesh-kernel"]),
    ("skills/sdk/rust", "mesh-worker", &["mesh-proto"]),
    ("actors/workflows", "mesh-workflows", &["mesh-proto", "mesh-kernel", "mesh-skills"]),
    ("actors/agents", "mesh-agents", &["mesh-kernel", "mesh-skills"]),
    (
        "actors/platforms",
        "mesh-platforms",
        &["mesh-proto", "mesh-kernel", "mesh-knowledge", "mesh-skills", "mesh-workflows", "mesh-agents"],
    ),
    (
        "runtime/node",
        "mesh",
        &[
            "mesh-proto",
            "mesh-kernel",
            "mesh-journal",
            "mesh-knowledge",
            "mesh-skills",
            "mesh-workflows",
            "mesh-agents",
            "mesh-platforms",
        ],
    ),
];

/// Foreign crates and their doors: the folders that may name them.
const DOORS: &[(&str, &[&str])] = &[
    ("ractor", &["runtime/kernel/src/actor", "runtime/kernel/tests"]),
    ("tonic", &["proto", "runtime/node", "skills/sdk/rust"]),
    ("dashmap", &["runtime/kernel/src"]),
    (
        "rusqlite",
        &[
            "runtime/node/src/readmodel",
            "runtime/node/src/archive",
            "runtime/node/src/backup",
            "knowledge/src/shelf",
            "config/templates",
        ],
    ),
    ("memmap2", &["knowledge/src/sys"]),
    ("arc_swap", &["knowledge/src"]),
    ("petgraph", &["actors/workflows/src", "knowledge/src/lineage"]),
    ("hashbrown", &["knowledge/src/lineage"]),
    ("cel", &["actors/workflows/src"]),
    ("minijinja", &["skills/src/render", "runtime/node/src/http", "config/templates"]),
    ("axum", &["runtime/node/src", "config/templates"]),
    ("async_openai", &["skills/src/models/client"]),
    ("reqwest", &["skills/src/models", "skills/src/hosts/mcp"]),
    ("rmcp", &["skills/src/hosts/mcp", "runtime/node/src/gateway/mcp"]),
    ("tantivy", &["knowledge/src/lexical"]),
    ("tree_sitter", &["knowledge/src/chunk"]),
    ("tiktoken", &["knowledge/src/tokens"]),
    ("saphyr_parser", &["skills/src/yaml", "knowledge/src/chunk"]),
    ("schemars", &["skills/src/contract", "skills/src/native", "skills/examples"]),
    ("proc_macro2", &["skills/src/rule"]),
    ("anyhow", &["runtime/node", "tests", "benches", "config/templates"]),
];

/// The rooms of the kernel, lowest floor first. A room uses rooms of its own floor or below.
const FLOORS: &[&[&str]] = &[
    &["envelope", "task", "fair", "failpoint"],
    &["ports", "entity"],
    &["work", "tenant", "telemetry"],
    &["actor"],
    &["path"],
    &["follow"],
];

/// What may lie in a platform's room.
const ROOM: &[&str] = &[
    "mod.rs",
    "messages.rs",
    "messages",
    "machines",
    "reactions.rs",
    "reactions",
    "effects.rs",
    "effects",
    "supervisor.rs",
    "config.rs",
    "error.rs",
];

/// What a machine never names: it does no I/O, reads no clock, draws nothing by chance.
const IMPURE: &[&str] = &[
    "tokio",
    "std::fs",
    "std::net",
    "std::process",
    "std::env",
    "SystemTime",
    "Instant::now",
    "async fn",
    "rand::",
    "uuid::Uuid::new",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace's folder")
}

/// Every file below `folder` with this ending, sorted.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return found;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                found.extend(files(&path, ending));
            }
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A source's lines without its test modules, comments left out.
fn code(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let until = text.find("\n#[cfg(test)]\nmod ").unwrap_or(text.len());
    text[..until].lines().map(str::to_owned).collect()
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

fn sources() -> Vec<PathBuf> {
    ["proto", "runtime", "skills", "actors", "knowledge"]
        .iter()
        .flat_map(|folder| files(&root().join(folder), ".rs"))
        .filter(|path| !relative(path).contains("/tests/") && !relative(path).contains("/target/"))
        .collect()
}

#[test]
fn the_arrows_between_crates_go_one_way() {
    for (folder, name, allowed) in ARROWS {
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).expect(folder);
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{folder} is not `{name}`");
        let dependencies = manifest.split("[dependencies]").nth(1).unwrap_or_default();
        let dependencies = dependencies.split("\n[").next().unwrap_or_default();
        for line in dependencies.lines().filter(|line| line.starts_with("mesh-")) {
            let dependency = line.split([' ', '=']).next().unwrap_or_default();
            assert!(allowed.contains(&dependency), "`{name}` may not depend on `{dependency}`");
        }
    }
}

#[test]
fn each_foreign_crate_has_one_door() {
    let mut strays = Vec::new();
    for path in sources() {
        let at = relative(&path);
        for (foreign, doors) in DOORS {
            if doors.iter().any(|door| at.starts_with(door)) {
                continue;
            }
            let (path_of, import) = (format!("{foreign}::"), format!("use {foreign}"));
            for line in code(&path).iter().filter(|line| !is_comment(line)) {
                let names = line
                    .match_indices(&path_of)
                    .any(|(index, _)| !line[..index].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'));
                if names || line.trim_start().starts_with(&format!("{import};")) {
                    strays.push(format!("{at}: {}", line.trim()));
                }
            }
        }
    }
    assert!(strays.is_empty(), "foreign crates outside their doors:\n{}", strays.join("\n"));
}

/// The top-level rooms of a crate that each of its rooms names.
fn rooms_named(src: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in files(src, ".rs") {
        let inside = path.strip_prefix(src).expect("below src").to_string_lossy().into_owned();
        let room = inside.split('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned();
        let is_test = inside.ends_with("tests.rs") || inside.contains("/tests/");
        if room == "lib" || room == "main" || is_test {
            continue;
        }
        let joined = code(&path).iter().filter(|line| !is_comment(line)).cloned().collect::<Vec<_>>().join("\n");
        let joined = joined.replace("crate::{\n", "crate::{");
        for (index, _) in joined.match_indices("crate::") {
            let rest = &joined[index + 7..];
            if joined[..index].ends_with('$') {
                continue;
            }
            let heads: Vec<String> = match rest.strip_prefix('{') {
                Some(group) => group_heads(group),
                None => vec![word(rest)],
            };
            named.entry(room.clone()).or_default().extend(heads.into_iter().filter(|head| *head != room));
        }
    }
    named
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first words of a `{a::…, b::{…}, C}` group, given what stands behind its brace.
fn group_heads(group: &str) -> Vec<String> {
    let (mut heads, mut depth, mut fresh) = (Vec::new(), 0, true);
    for (index, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            c if fresh && (c.is_alphanumeric() || c == '_') => {
                heads.push(word(&group[index..]));
                fresh = false;
            }
            _ => {}
        }
    }
    heads
}

#[test]
fn no_room_of_the_kernel_uses_a_room_above_it() {
    let floor = |room: &str| FLOORS.iter().position(|rooms| rooms.contains(&room));
    let mut upward = Vec::new();
    for (room, named) in rooms_named(&root().join("runtime/kernel/src")) {
        let Some(own) = floor(&room) else { panic!("the room `{room}` stands on no floor") };
        for other in named {
            if floor(&other).is_some_and(|other| other > own) {
                upward.push(format!("{room} -> {other}"));
            }
        }
    }
    assert!(upward.is_empty(), "arrows that run up the house: {upward:?}");
}

/// Rooms of the kernel whose files may name each other in a circle. The steps of the path are one
/// entity and one kernel told in chapters.
const ONE_STORY: &[&str] = &["path"];

/// The files of a room that each of its files names: by module, or by what `mod.rs` takes from it.
fn files_named(room: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let stem = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let text = |path: &Path| code(path).into_iter().filter(|line| !is_comment(line)).collect::<Vec<_>>().join("\n");
    let own: Vec<PathBuf> = files(room, ".rs").into_iter().filter(|path| path.parent() == Some(room)).collect();
    let names: BTreeSet<String> = own.iter().map(|path| stem(path)).filter(|name| name != "mod").collect();
    let mut home: BTreeMap<String, String> = names.iter().map(|name| (name.clone(), name.clone())).collect();
    let index = text(&room.join("mod.rs"));
    for (at, _) in index.match_indices("use ") {
        let taken = &index[at + 4..index[at..].find(';').map_or(index.len(), |end| at + end)];
        let Some((file, what)) = taken.split_once("::").filter(|(file, _)| names.contains(*file)) else { continue };
        let words = what.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
        home.extend(words.map(|word| (word.to_owned(), file.to_owned())));
    }
    let mut named = BTreeMap::new();
    for path in own.iter().filter(|path| stem(path) != "mod") {
        let (text, mut found) = (text(path), BTreeSet::new());
        for (at, _) in text.match_indices("super::").filter(|(at, _)| !text[..*at].ends_with("super::")) {
            let rest = &text[at + 7..];
            let heads = rest.strip_prefix('{').map_or_else(|| vec![word(rest)], group_heads);
            found.extend(heads.iter().filter_map(|head| home.get(head)).filter(|other| **other != stem(path)).cloned());
        }
        named.insert(stem(path), found);
    }
    named
}

/// What is left of a graph when everything that needs nothing of the rest was taken away, again and again.
fn circle(graph: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut left: BTreeSet<&String> = graph.keys().collect();
    loop {
        let free: Vec<&String> =
            left.iter().filter(|one| graph[**one].iter().all(|other| !left.contains(other))).copied().collect();
        if free.is_empty() {
            return left.iter().map(|one| format!("{one} -> {:?}", graph[*one])).collect();
        }
        left.retain(|one| !free.contains(one));
    }
}

#[test]
fn the_files_of_a_room_of_the_kernel_form_no_circle() {
    let mut arrows = 0;
    for room in FLOORS.iter().flat_map(|rooms| rooms.iter()).filter(|room| !ONE_STORY.contains(room)) {
        let graph = files_named(&root().join("runtime/kernel/src").join(room));
        arrows += graph.values().map(BTreeSet::len).sum::<usize>();
        let circle = circle(&graph);
        assert!(circle.is_empty(), "`{room}` has a circle among its files:\n{}", circle.join("\n"));
    }
    assert!(arrows > 50, "only {arrows} arrows were found: the test does not see");
}

#[test]
fn the_rooms_of_a_crate_form_no_circle() {
    for (folder, name, _) in ARROWS.iter().filter(|(folder, ..)| *folder != "runtime/kernel") {
        let circle = circle(&rooms_named(&root().join(folder).join("src")));
        assert!(circle.is_empty(), "`{name}` has a circle among its rooms:\n{}", circle.join("\n"));
    }
}

#[test]
fn no_platform_names_another() {
    let src = root().join("actors/platforms/src");
    let rooms: Vec<String> = fs::read_dir(&src)
        .expect("the platforms")
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    for (room, named) in rooms_named(&src) {
        let others: Vec<_> = named.iter().filter(|other| rooms.contains(other) && rooms.contains(&room)).collect();
        assert!(others.is_empty(), "the platform `{room}` names {others:?}");
    }
}

#[test]
fn a_room_holds_only_what_a_room_holds() {
    let src = root().join("actors/platforms/src");
    for room in fs::read_dir(&src).expect("the platforms").flatten().filter(|entry| entry.path().is_dir()) {
        assert!(room.path().join("mod.rs").exists(), "{} has no mod.rs", relative(&room.path()));
        for entry in fs::read_dir(room.path()).expect("a room").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            assert!(ROOM.contains(&name.as_str()), "`{name}` is strange in {}", relative(&room.path()));
        }
    }
}

#[test]
fn machines_are_pure() {
    let machines = sources().into_iter().filter(|path| {
        let at = relative(path);
        at.contains("/machines/")
            || at.contains("workflows/src/run/")
            || at.contains("agents/src/task/")
            || at.contains("workflows/src/plan/")
    });
    let mut impure = Vec::new();
    for path in machines.filter(|path| !path.ends_with("reactions.rs")) {
        for line in code(&path).iter().filter(|line| !is_comment(line)) {
            for word in IMPURE.iter().filter(|word| line.contains(*word)) {
                impure.push(format!("{}: `{word}` in {}", relative(&path), line.trim()));
            }
        }
    }
    assert!(impure.is_empty(), "{}", impure.join("\n"));
}

#[test]
fn the_whole_path_reads_in_one_sitting() {
    let lines: usize = files(&root().join("runtime/kernel/src/path"), ".rs")
        .iter()
        .map(|path| fs::read_to_string(path).unwrap_or_default().lines().count())
        .sum();
    assert!(lines <= 1500, "runtime/kernel/src/path has {lines} lines; 1,500 are allowed");
}

#[test]
fn files_and_functions_stay_small() {
    let (mut lengths, mut functions, mut long) = (Vec::new(), 0_usize, Vec::new());
    for path in sources() {
        let lines = code(&path);
        lengths.push((lines.len(), relative(&path)));
        let mut open: Option<(usize, String)> = None;
        for (number, line) in lines.iter().enumerate() {
            let indent: String = line.chars().take_while(|c| *c == ' ').collect();
            let trimmed = line.trim_start();
            let starts = [
                "fn ",
                "pub fn ",
                "async fn ",
                "pub async fn ",
                "pub(crate) fn ",
                "pub(super) fn ",
                "pub(super) async fn ",
                "pub(crate) async fn ",
                "const fn ",
                "pub const fn ",
            ];
            if open.is_none()
                && starts.iter().any(|start| trimmed.starts_with(start))
                && !trimmed.ends_with(';')
                && !trimmed.ends_with('}')
            {
                open = Some((number, indent));
            } else if let Some((from, indent)) = &open
                && *line == format!("{indent}}}")
            {
                functions += 1;
                let length = number - from + 1;
                if length > 60 {
                    long.push(format!("{} line {}: {length}", relative(&path), from + 1));
                }
                open = None;
            }
        }
    }
    lengths.sort();
    let p95 = lengths[lengths.len() * 95 / 100].0;
    assert!(p95 <= 450, "the 95th percentile of file lengths is {p95}; 450 is allowed");
    let (longest, at) = lengths.last().expect("there are files");
    assert!(*longest <= 600, "{at} has {longest} lines without its tests; 600 are allowed");
    let share = long.len() * 100;
    assert!(share <= functions * 2, "{} of {functions} functions have over 60 lines:\n{}", long.len(), long.join("\n"));
}

/// What the process may do when it dies, row by row: the failure table. Each has its test by this name.
const FAILURES: &[&str] = &[
    "a_request_lost_before_admission_leaves_no_trace",
    "a_reserved_quota_is_free_again_after_a_crash",
    "waking_is_invisible",
    "a_command_in_a_mailbox_is_delivered_again_by_its_source",
    "a_decision_that_was_not_recorded_never_happened",
    "crash_before_write",
    "an_unacknowledged_append_is_whole_or_absent",
    "a_repeated_request_gets_the_first_answer",
    "replay_equals_live",
    "an_acknowledged_event_reaches_every_follower",
    "a_projection_counts_each_event_once",
    "a_reactor_that_died_after_sending_repeats_nothing",
    "an_effect_that_never_ran_runs",
    "an_unknown_outcome_is_asked_again_with_the_same_key",
    "a_recorded_outcome_is_never_executed_again",
    "a_late_outcome_is_refused",
    "a_timer_fires_once_in_the_journal",
    "recovery_may_die_anywhere",
    "an_event_never_names_a_missing_body",
    "a_bad_snapshot_costs_only_time",
    "a_failed_flush_acknowledges_nothing",
    "a_full_disk_refuses_and_recovers",
    "two_owners_never_fork_an_entity",
    "a_frozen_owner_wakes_harmless",
];

#[test]
fn every_row_of_the_failure_table_has_its_test() {
    let folders = ["runtime/kernel/tests", "runtime/journal/tests", "actors/workflows/src/tests", "tests"];
    let tests: Vec<String> = folders
        .iter()
        .flat_map(|folder| files(&root().join(folder), ".rs"))
        .filter(|path| !path.ends_with("tidy.rs"))
        .map(|path| fs::read_to_string(path).unwrap_or_default())
        .collect();
    for row in FAILURES {
        let (function, of_the_table) = (format!("fn {row}("), format!("    {row}: Row::at("));
        let has_it = tests.iter().any(|text| text.contains(&function) || text.contains(&of_the_table));
        assert!(has_it, "`{row}` has no test of its name");
    }
}

#[test]
fn the_map_names_only_what_exists() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let mut checked = 0;
    // `path/to/file.rs` and `path/to/file.rs::function` in backticks.
    for quoted in map.split('`').skip(1).step_by(2) {
        let (file, function) = quoted.split_once("::").unwrap_or((quoted, ""));
        if !file.ends_with(".rs") || !file.contains('/') {
            continue;
        }
        let path = root().join(file);
        let text =
            fs::read_to_string(&path).unwrap_or_else(|_| panic!("ARCHITECTURE.md names `{file}`, which is not there"));
        assert!(
            function.is_empty() || text.contains(&format!("fn {function}")),
            "ARCHITECTURE.md names `{quoted}`, but there is no such function"
        );
        checked += 1;
    }
    assert!(checked >= 12, "ARCHITECTURE.md follows an envelope by file and function; only {checked} were found");
}

#[test]
fn nothing_unfinished_is_left_in_the_code() {
    for path in sources() {
        for line in code(&path) {
            let unfinished = ["todo!(", "unimplemented!(", "FIXME", "XXX", "being written"];
            assert!(!unfinished.iter().any(|word| line.contains(word)), "{}: {}", relative(&path), line.trim());
        }
    }
}
