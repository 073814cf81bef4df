//! The configuration as text: the file of defaults, and what is in force with where it came from.

use super::{KEYS, Key, Place, Settings, keys::SECTIONS};

/// Text of a comment line, without its mark.
const WIDTH: usize = 96;

/// `mesh.toml` with every default explained. The copy in `config/` is this text, a test says so.
pub fn default_file() -> String {
    let mut text = String::from(
        "# Agent Mesh: every setting with its default. Made from the code by `mesh config default`.\n\
         #\n\
         # A copy in the data folder, or the file that `--config` names, is read at the start. Variables\n\
         # of the environment go before it, flags before those: MESH_SERVER_LISTEN=…, `--set server.listen=…`.\n\
         # A key that is not known is refused.\n",
    );
    for (section, about) in SECTIONS {
        text.push_str("\n# ");
        text.push_str(about);
        text.push_str(&format!("\n[{section}]\n"));
        for key in KEYS.iter().filter(|key| key.section() == *section) {
            text.push_str(&explained(key));
        }
    }
    text
}

fn explained(key: &Key) -> String {
    let mut text = String::new();
    for line in wrapped(key.meaning) {
        text.push_str(&format!("# {line}\n"));
    }
    text.push_str(&format!("# Takes {}.\n", key.form.range()));
    text.push_str(&format!("{} = {}\n", key.own_name(), key.default_toml()));
    text
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// What is in force, as TOML; each value that is not the default says where it came from.
pub fn show(settings: &Settings) -> String {
    let mut text = String::new();
    let mut section = "";
    for (key, setting) in settings.all() {
        if key.section() != section {
            section = key.section();
            let gap = if text.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{gap}[{section}]\n"));
        }
        text.push_str(&format!("{} = {}", key.own_name(), setting.value.toml()));
        if setting.place != Place::Default {
            text.push_str(&format!(" # {}", setting.place));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::Layers;
    use super::*;

    #[test]
    fn the_file_in_config_is_the_one_that_the_code_makes() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/mesh.toml");
        let kept = std::fs::read_to_string(path).unwrap();
        assert!(kept == default_file(), "config/mesh.toml is old: `cargo run -- config default > config/mesh.toml`");
    }

    #[test]
    fn the_file_of_defaults_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let bare = Layers { data: folder.path().to_owned(), ..Layers::default() };
        let before = bare.settle().unwrap();
        std::fs::write(folder.path().join("mesh.toml"), default_file()).unwrap();
        let after = bare.settle().unwrap();
        let values = |settings: &Settings| -> Vec<_> { settings.all().map(|(_, s)| s.value.clone()).collect() };
        assert_eq!(values(&before), values(&after));
        assert_eq!(before.all().count(), KEYS.len());
    }

    #[test]
    fn what_is_shown_says_where_it_was_set() {
        let layers = Layers {
            data: "/nowhere".into(),
            environment: vec![("MESH_LOG_FORMAT".to_owned(), "json".to_owned())],
            ..Layers::default()
        };
        let shown = show(&layers.settle().unwrap());
        assert!(shown.contains("format = \"json\" # environment variable MESH_LOG_FORMAT"), "{shown}");
        assert!(shown.contains("\n[pages]\nlogin_time = \"10m\"\n"), "{shown}");
    }
}
