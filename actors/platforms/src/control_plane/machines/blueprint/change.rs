//! Whether a text is what it says it is, and whether what was released can follow it.
//!
//! Whoever sends a blueprint has checked all this before and told every mistake. It is checked again
//! here because tenants' files hang on it, and because another version may have been released since.

use mesh_kernel::ports::{Digest, content::INLINE_MAX};
use mesh_skills::blueprint::{Blueprint, Change, compare, digest as digest_of, parse};

use super::{Released, State};
use crate::control_plane::{
    BlueprintError as Error,
    messages::{ChangeKind, Source},
};

/// Checks a text against its digest and against the released one.
pub(super) fn check(state: &State, digest: Digest, source: &Source, base: Option<Digest>) -> Result<ChangeKind, Error> {
    let new = read(&state.name, source)?;
    if let Some(new) = &new {
        check_digest(digest, new)?;
    }
    let Some(released) = &state.released else {
        return Ok(ChangeKind::New);
    };
    if base != Some(released.digest) {
        return Err(Error::BaseMoved);
    }
    // What lies in the content store cannot be read here: then the sender's comparison stands.
    if let (Some(old), Some(new)) = (read(&state.name, &released.source)?, new) {
        check_growth(&state.name, released, &compare(&old, &new))?;
    }
    Ok(ChangeKind::Additive)
}

fn read(name: &str, source: &Source) -> Result<Option<Blueprint>, Error> {
    let Source::Inline(text) = source else {
        return Ok(None);
    };
    if text.len() > INLINE_MAX {
        return Err(Error::TooLarge { bytes: text.len(), bytes_max: INLINE_MAX });
    }
    let read = parse(text, name).map_err(|mistakes| Error::Mistakes {
        count: mistakes.len(),
        first: mistakes.first().map(ToString::to_string).unwrap_or_default(),
    });
    read.map(Some)
}

fn check_digest(given: Digest, blueprint: &Blueprint) -> Result<(), Error> {
    let (given, actual) = (given.to_string(), digest_of(blueprint));
    if given == actual {
        return Ok(());
    }
    Err(Error::Digest { given, actual })
}

fn check_growth(name: &str, released: &Released, change: &Change) -> Result<(), Error> {
    let Change::Refused { reasons } = change else {
        return Ok(());
    };
    Err(Error::Incompatible {
        name: name.to_owned(),
        version: released.version,
        reasons: reasons.iter().map(ToString::to_string).collect(),
    })
}
