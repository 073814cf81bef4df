//! Whether versions of skills can be registered, and what comes of it.

use crate::contract::{Manifest, check_manifest};

use super::{
    BYTES_MAX, Entry, Error, Event, MANIFEST_BYTES_MAX, SKILLS_MAX, Skills, VERSIONS_MAX, digest, is_dev, length,
};

/// The versions among these that are not registered as they are, when all can be.
///
/// # Errors
/// As the registration itself would be refused.
pub fn check(state: &Skills, manifests: &[Manifest], replaces_dev: bool) -> Result<Vec<(String, String)>, Error> {
    let events = register(state, manifests.to_vec(), replaces_dev, "")?;
    Ok(events.iter().filter_map(registered).map(|it| (it.name.clone(), it.version.clone())).collect())
}

fn registered(event: &Event) -> Option<&Manifest> {
    match event {
        Event::SkillRegistered { manifest, .. } | Event::SkillReplaced { manifest, .. } => Some(manifest),
        Event::SkillDeprecated { .. } | Event::SkillWithdrawn { .. } => None,
    }
}

/// Room that is left of what a tenant may register.
struct Room {
    names: usize,
    bytes: usize,
}

pub(super) fn register(
    state: &Skills,
    manifests: Vec<Manifest>,
    replaces_dev: bool,
    by: &str,
) -> Result<Vec<Event>, Error> {
    let mut events: Vec<Event> = Vec::new();
    let mut room = Room { names: state.skills.len(), bytes: state.bytes };
    for manifest in manifests {
        let name = manifest.name.clone();
        check_manifest(&manifest).map_err(|source| Error::Manifest { name: name.clone(), source })?;
        let digest = digest(&manifest);
        let versions = state.skills.get(&name).map(Vec::as_slice).unwrap_or_default();
        let stands = versions.iter().find(|entry| entry.manifest.version == manifest.version);
        if let Some(other) = shadowed(&manifest, versions) {
            return Err(Error::Shadowed { name, other });
        }
        let twice =
            events.iter().filter_map(registered).find(|it| (&it.name, &it.version) == (&name, &manifest.version));
        let changed = || Error::Changed { name: name.clone(), version: manifest.version.clone() };
        if let Some(twice) = twice {
            if *twice != manifest {
                return Err(changed());
            }
            continue;
        }
        if stands.is_some_and(|entry| entry.digest == digest) {
            continue;
        }
        let can_be_replaced = |entry: &Entry| replaces_dev && is_dev(&manifest.version) && entry.withdrawn.is_none();
        let replaced = match stands {
            Some(entry) if !can_be_replaced(entry) => return Err(changed()),
            stands => stands,
        };
        room.take(&manifest, versions, replaced)?;
        let (manifest, by) = (Box::new(manifest), by.to_owned());
        events.push(match replaced {
            Some(_) => Event::SkillReplaced { manifest, digest, by },
            None => Event::SkillRegistered { manifest, digest, by },
        });
    }
    Ok(events)
}

/// Whose skill of this name another kind of host has, so that a higher version does not quietly take its calls.
fn shadowed(manifest: &Manifest, versions: &[Entry]) -> Option<String> {
    let server = |manifest: &Manifest| manifest.mcp.as_ref().map(|tool| tool.server.name.clone());
    let mut standing = versions.iter().filter(|entry| entry.withdrawn.is_none());
    let other = standing.find(|entry| server(&entry.manifest) != server(manifest))?;
    let whose =
        server(&other.manifest).map_or_else(|| "no server's".to_owned(), |name| format!("the server `{name}`'s"));
    Some(format!("{} is {whose}", other.manifest.version))
}

impl Room {
    /// Takes what the manifest needs.
    fn take(&mut self, manifest: &Manifest, versions: &[Entry], replaced: Option<&Entry>) -> Result<(), Error> {
        let name = manifest.name.clone();
        let bytes = length(manifest);
        self.names += usize::from(versions.is_empty());
        self.bytes = (self.bytes + bytes).saturating_sub(replaced.map_or(0, |entry| length(&entry.manifest)));
        let full = |what: String| Err(Error::Full { name: name.clone(), what });
        if bytes > MANIFEST_BYTES_MAX {
            Err(Error::Large { name, bytes })
        } else if self.names > SKILLS_MAX {
            full(format!("the tenant has {SKILLS_MAX} skills already"))
        } else if versions.len() >= VERSIONS_MAX && replaced.is_none() {
            full(format!("it has {VERSIONS_MAX} versions already; register it under another name"))
        } else if self.bytes > BYTES_MAX {
            full(format!("the tenant's manifests would take more than {BYTES_MAX} bytes"))
        } else {
            Ok(())
        }
    }
}
