//! The server over standard input and output, in a process of its own.

use std::{
    env, fs,
    io::{self, BufRead as _, Write as _},
    path::Path,
    sync::Arc,
};

use parking_lot::Mutex;
use serde_json::Value;

use super::Server;

/// Where the server speaks: what a test's harness writes to its standard output is nobody's business.
const SPOKEN: &str = "/proc/self/fd/3";

/// The command line that starts the server of a folder: this very program, at a test that calls [`serve`] and is
/// ignored otherwise.
///
/// # Errors
/// When the program does not know itself.
pub fn command(test: &str, folder: &Path) -> io::Result<(String, Vec<String>)> {
    let script = format!("cd \"$2\" && exec \"$1\" --exact {test} --ignored --nocapture 3>&1 1>/dev/null");
    let [program, folder] = [env::current_exe()?.display().to_string(), folder.display().to_string()];
    let args = ["-c".to_owned(), script, "sh".to_owned(), program, folder];
    Ok(("/bin/sh".to_owned(), args.into()))
}

/// Serves the working folder until the standard input ends. Returns at once when nobody listens.
///
/// # Errors
/// When the working folder is none.
pub fn serve() -> io::Result<()> {
    let server = Server::new(&env::current_dir()?);
    let Ok(spoken) = fs::OpenOptions::new().write(true).open(SPOKEN) else { return Ok(()) };
    let spoken = Arc::new(Mutex::new(spoken));
    for line in io::stdin().lock().lines() {
        let Ok(message) = serde_json::from_str::<Value>(&line?) else { continue };
        let (server, spoken) = (server.clone(), spoken.clone());
        // A call may hang: others do not wait for it.
        std::thread::spawn(move || {
            let tell = |message: Value| {
                let _gone = writeln!(spoken.lock(), "{message}");
            };
            if let Some(answer) = server.hear(&message, &tell) {
                tell(answer);
            }
        });
    }
    Ok(())
}
