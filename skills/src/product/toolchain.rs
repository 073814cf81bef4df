//! The programs that builds use, and the environment that they see.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// Environment of builds and of git: named here, and nothing else passes through.
#[derive(Debug, Clone)]
pub struct Toolchain {
    path: OsString,
    cargo_home: PathBuf,
    rustup_home: PathBuf,
    /// What says where crates come from; every cargo command needs the same answer.
    sources: Vec<(OsString, OsString)>,
    /// Proxies, certificates and tokens: for the one step that uses the network.
    network: Vec<(OsString, OsString)>,
}

/// How a command may reach the outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It is told nothing of proxies, certificates and tokens.
    Nothing,
    /// It may fetch crates.
    Network,
}

impl Toolchain {
    /// The toolchain that this process itself would use.
    pub fn of_this_process() -> Self {
        Self::from_env(std::env::vars_os().collect())
    }

    fn from_env(vars: Vec<(OsString, OsString)>) -> Self {
        let get = |name: &str| vars.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let home = PathBuf::from(get("HOME").unwrap_or_else(|| "/".into()));
        let folder = |name: &str, default: &str| get(name).map_or_else(|| home.join(default), PathBuf::from);
        let (cargo_home, rustup_home) = (folder("CARGO_HOME", ".cargo"), folder("RUSTUP_HOME", ".rustup"));
        let path = get("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
        let (mut sources, mut network) = (Vec::new(), Vec::new());
        for (key, value) in vars {
            match key.to_str().map_or(Passes::Nowhere, passes) {
                Passes::Everywhere => sources.push((key, value)),
                Passes::ToTheNetwork => network.push((key, value)),
                Passes::Nowhere => {}
            }
        }
        Self { path, cargo_home, rustup_home, sources, network }
    }

    /// The whole environment of a cargo command whose own files lie in `home`.
    pub fn cargo_env(&self, home: &Path, target: &Path, reach: Reach) -> Vec<(OsString, OsString)> {
        let mut env: Vec<(OsString, OsString)> = vec![
            ("PATH".into(), self.path.clone()),
            ("HOME".into(), home.into()),
            ("TMPDIR".into(), home.into()),
            ("LANG".into(), "C.UTF-8".into()),
            ("CARGO_HOME".into(), self.cargo_home.clone().into()),
            ("RUSTUP_HOME".into(), self.rustup_home.clone().into()),
            ("CARGO_TARGET_DIR".into(), target.into()),
            // Each build is made once: the files of incremental builds would only take room.
            ("CARGO_INCREMENTAL".into(), "0".into()),
            ("CARGO_TERM_COLOR".into(), "never".into()),
            // The bar is how cargo says "n of m" to somebody who is no terminal.
            ("CARGO_TERM_PROGRESS_WHEN".into(), "always".into()),
            ("CARGO_TERM_PROGRESS_WIDTH".into(), "120".into()),
        ];
        env.extend(self.sources.iter().cloned());
        if reach == Reach::Network {
            env.extend(self.network.iter().cloned());
        }
        env
    }

    /// The whole environment of a git command; no configuration of the machine or of a user.
    pub fn git_env(&self, home: &Path) -> Vec<(OsString, OsString)> {
        [
            ("PATH", self.path.clone()),
            ("HOME", home.into()),
            ("LC_ALL", "C".into()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
            ("GIT_CONFIG_SYSTEM", "/dev/null".into()),
            ("GIT_CONFIG_GLOBAL", "/dev/null".into()),
            ("GIT_TERMINAL_PROMPT", "0".into()),
        ]
        .map(|(key, value)| (key.into(), value))
        .to_vec()
    }
}

enum Passes {
    Everywhere,
    ToTheNetwork,
    Nowhere,
}

fn passes(name: &str) -> Passes {
    let upper = name.to_ascii_uppercase();
    let secret = upper.ends_with("_TOKEN") || upper.ends_with("_CREDENTIAL_PROVIDER");
    let source =
        ["CARGO_SOURCE_", "CARGO_REGISTRIES_", "CARGO_REGISTRY_"].iter().any(|prefix| upper.starts_with(prefix));
    let network = ["CARGO_HTTP_", "CARGO_NET_", "SSL_CERT_"].iter().any(|prefix| upper.starts_with(prefix));
    match upper.as_str() {
        "RUSTUP_TOOLCHAIN" => Passes::Everywhere,
        "HTTP_PROXY" | "HTTPS_PROXY" | "ALL_PROXY" | "NO_PROXY" => Passes::ToTheNetwork,
        _ if network || (source && secret) => Passes::ToTheNetwork,
        _ if source => Passes::Everywhere,
        _ => Passes::Nowhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_sees_what_is_named_and_no_secret() {
        let vars = [
            ("PATH", "/bin"),
            ("HOME", "/home/u"),
            ("MESH_API_KEY", "secret"),
            ("CARGO_REGISTRIES_OURS_TOKEN", "secret"),
            ("CARGO_REGISTRIES_OURS_INDEX", "sparse+https://x"),
            ("https_proxy", "http://proxy"),
            ("RUSTFLAGS", "-C evil"),
        ];
        let vars = vars.map(|(key, value)| (key.into(), value.into())).to_vec();
        let toolchain = Toolchain::from_env(vars);
        let names = |reach| -> Vec<String> {
            let env = toolchain.cargo_env(Path::new("/h"), Path::new("/t"), reach);
            env.into_iter().map(|(key, _)| key.into_string().unwrap()).collect()
        };
        let quiet = names(Reach::Nothing);
        for absent in ["MESH_API_KEY", "CARGO_REGISTRIES_OURS_TOKEN", "https_proxy", "RUSTFLAGS"] {
            assert!(!quiet.iter().any(|name| name == absent), "{absent} passed through");
        }
        assert!(quiet.iter().any(|name| name == "CARGO_REGISTRIES_OURS_INDEX"));
        let wide = names(Reach::Network);
        assert!(wide.iter().any(|name| name == "https_proxy"));
        assert!(!wide.iter().any(|name| name == "MESH_API_KEY"));
    }
}
