//! From the command line to a socket, and a clean end.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::moment::Clock;
use crate::web::{App, router};
use crate::{Product, demo};

/// How long requests in flight may take after a signal to stop.
const DRAIN: Duration = Duration::from_secs(5);
/// Threads that handlers may block.
const HANDLER_THREADS_MAX: usize = 32;

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Options {
    listen: SocketAddr,
    data: PathBuf,
    seed_demo: bool,
    https: bool,
}

/// Why the product does not start.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("`{0}` is not an option; try --help")]
    Unknown(String),
    #[error("`{0}` needs a value; try --help")]
    NoValue(String),
    #[error("`{0}` is not an address to listen on; write it like 127.0.0.1:8080")]
    Address(String),
    #[error("cannot use the data folder `{0}`: {1}")]
    Data(PathBuf, #[source] crate::Error),
    #[error("cannot listen on {0}: {1}; choose another with --listen, port 0 takes a free one")]
    Listen(SocketAddr, #[source] std::io::Error),
    #[error("cannot serve: {0}")]
    Serve(#[from] std::io::Error),
}

/// Runs a product until it is told to stop: the whole of its `main`.
///
/// Prints `{"url": "http://…"}` on its standard output, once, when it is ready.
pub fn main(product: &'static Product) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        print!("{}", help(product));
        return ExitCode::SUCCESS;
    }
    let environment = |name: &str| std::env::var(name).ok();
    match options(&arguments, environment).and_then(|options| run(product, &options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => {
            eprintln!("{}: {stop}", product.name);
            ExitCode::FAILURE
        }
    }
}

fn help(product: &Product) -> String {
    format!(
        "{} - {}\n\n\
         Options:\n\
         \x20 --listen ADDR  address to listen on, port 0 takes a free one (APP_LISTEN, default 127.0.0.1:8080)\n\
         \x20 --data DIR     folder of the data (APP_DATA, default ./data)\n\
         \x20 --seed-demo    make the demo tenants of demo.json when they are missing\n\
         \x20 --https        it is reached over HTTPS only, so cookies say `Secure`\n\
         \x20 --help         this\n\n\
         When it is ready it prints one line of JSON: {{\"url\": \"http://127.0.0.1:8080\"}}\n",
        product.name, product.title
    )
}

fn options(arguments: &[String], environment: impl Fn(&str) -> Option<String>) -> Result<Options, Stop> {
    let mut listen = environment("APP_LISTEN").unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let mut data = environment("APP_DATA").unwrap_or_else(|| "data".to_owned());
    let (mut seed_demo, mut https) = (false, false);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let (name, inline) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        let mut value = || {
            let given = inline.clone().or_else(|| rest.next().cloned());
            given.ok_or_else(|| Stop::NoValue(name.to_owned()))
        };
        match name {
            "--listen" => listen = value()?,
            "--data" => data = value()?,
            "--seed-demo" => seed_demo = true,
            "--https" => https = true,
            _ => return Err(Stop::Unknown(argument.clone())),
        }
    }
    Ok(Options { listen: listen.parse().map_err(|_| Stop::Address(listen))?, data: data.into(), seed_demo, https })
}

fn run(product: &'static Product, options: &Options) -> Result<(), Stop> {
    let data = |error| Stop::Data(options.data.clone(), error);
    let app = App::open(product, &options.data, Clock::System, options.https).map_err(data)?;
    if options.seed_demo {
        demo::seed(&app).map_err(data)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(HANDLER_THREADS_MAX)
        .enable_all()
        .build()?;
    let served = runtime.block_on(serve(Arc::new(app), options.listen));
    runtime.shutdown_timeout(DRAIN);
    served
}

async fn serve(app: Arc<App>, listen: SocketAddr) -> Result<(), Stop> {
    let listener = TcpListener::bind(listen).await.map_err(|error| Stop::Listen(listen, error))?;
    let url = format!("http://{}", listener.local_addr()?);
    let (told, stop) = tokio::sync::watch::channel(false);
    let mut graceful = stop.clone();
    let server = axum::serve(listener, router(app)).with_graceful_shutdown(async move {
        // The sender lives as long as `serve`; should it be gone, stopping is right as well.
        let _ = graceful.wait_for(|stop| *stop).await;
    });
    let mut out = std::io::stdout();
    writeln!(out, "{}", serde_json::json!({"url": url}))?;
    out.flush()?;
    let mut server = std::pin::pin!(server.into_future());
    tokio::select! {
        ended = &mut server => return Ok(ended?),
        signal = stopped() => signal?,
    }
    told.send_replace(true);
    match tokio::time::timeout(DRAIN, server).await {
        Ok(ended) => Ok(ended?),
        Err(_) => Ok(()),
    }
}

/// Waits for SIGTERM or Ctrl-C.
async fn stopped() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupt = tokio::signal::ctrl_c() => interrupt,
    }
}

#[cfg(test)]
mod tests {
    use super::options;

    fn read(arguments: &[&str]) -> Result<super::Options, String> {
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let environment = |name: &str| (name == "APP_DATA").then(|| "from-env".to_owned());
        options(&arguments, environment).map_err(|stop| stop.to_string())
    }

    #[test]
    fn the_command_line_wins_over_the_environment() {
        let plain = read(&[]).unwrap();
        assert_eq!(plain.data.to_str(), Some("from-env"));
        assert_eq!(plain.listen.port(), 8080);
        let given = read(&["--listen=127.0.0.1:0", "--data", "here", "--seed-demo"]).unwrap();
        assert_eq!(given.data.to_str(), Some("here"));
        assert!(given.seed_demo && given.listen.port() == 0);
    }

    #[test]
    fn a_wrong_option_is_named() {
        for (arguments, part) in [
            (vec!["--prot", "1"], "`--prot` is not an option"),
            (vec!["--data"], "`--data` needs a value"),
            (vec!["--listen", "localhost"], "`localhost` is not an address"),
        ] {
            let message = read(&arguments).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
    }
}
