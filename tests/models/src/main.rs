//! The scripted model server as a process: `--port 0` takes any port and prints the address.

use std::io::Write as _;

use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let port = arguments.iter().skip_while(|argument| *argument != "--port").nth(1);
    let port = port.map_or(Ok(0), |text| text.parse::<u16>()).map_err(std::io::Error::other)?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    // The first line is how a test learns the port.
    let mut out = std::io::stdout();
    writeln!(out, "http://{}", listener.local_addr()?)?;
    out.flush()?;
    mesh_model_server::serve(listener).await
}
