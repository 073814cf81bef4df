//! Where the template's files come from.

use std::path::{Path, PathBuf};

use super::{Error, Files};

/// A template: the one in the binary, or a folder that stands in for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TemplateSource {
    /// The template that was there when this program was built.
    #[default]
    Embedded,
    /// A folder of the same shape as `config/templates/saas`.
    Folder(PathBuf),
}

/// Paths and contents, sorted by path.
static EMBEDDED: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/template.rs"));

impl TemplateSource {
    /// All files by path.
    ///
    /// **Errors**: a folder that cannot be read.
    pub(super) fn files(&self) -> Result<Files, Error> {
        match self {
            Self::Embedded => {
                let files = EMBEDDED.iter();
                Ok(files.map(|(path, content)| ((*path).to_owned(), content.to_vec())).collect())
            }
            Self::Folder(root) => {
                let mut files = Files::new();
                gather(root, root, &mut files).map_err(|cause| Error::Template { path: root.clone(), cause })?;
                Ok(files)
            }
        }
    }
}

/// Plain files below a folder; links are passed over, and so is what a build has left.
fn gather(root: &Path, folder: &Path, files: &mut Files) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() && entry.file_name() != "target" {
            gather(root, &path, files)?;
        } else if kind.is_file()
            && let Ok(name) = path.strip_prefix(root)
        {
            let name = name.to_string_lossy().replace('\\', "/");
            files.insert(name, std::fs::read(&path)?);
        }
    }
    Ok(())
}
