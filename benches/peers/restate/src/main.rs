//! Ten durable steps, each of which gives back what the one before gave.
//!
//! `restate-steps ADDRESS`

use restate_sdk::prelude::*;

struct Bench;

#[service]
impl Bench {
    #[handler]
    async fn run(&self, context: Context<'_>, text: String) -> Result<String, HandlerError> {
        let mut text = text;
        for _ in 0..10 {
            text = context.run(|| async move { Ok(text) }).name("step").await?;
        }
        Ok(text)
    }
}

#[tokio::main]
async fn main() {
    let address = std::env::args().nth(1).expect("the address to listen on is expected");
    let address = address.parse().expect("an address such as 127.0.0.1:9080 is expected");
    HttpServer::new(Endpoint::builder().bind(Bench).build()).listen_and_serve(address).await;
}
