//! Whether the one that runs here is well: its own `/health`, asked from the outside, with an exit status.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use reqwest::StatusCode;
use serde_json::Value;

/// How it is asked.
#[derive(Debug, Clone, Args)]
pub struct Health {
    /// Ask only whether it answers: it is well then also while it starts, waits for something, or a task has failed. For what would
    /// kill it otherwise
    #[arg(long)]
    pub alive: bool,
    /// How long it may take to answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = clap::value_parser!(u16).range(1..))]
    pub timeout: u16,
}

impl Health {
    /// Asks `/health` at `base`, which is `http://HOST:PORT` or `https://HOST:PORT`, as `user` where there is one, and prints the answer.
    /// Gives whether all is well.
    pub async fn ask(&self, client: reqwest::ClientBuilder, base: &str, user: Option<(&str, &str)>) -> bool {
        match self.answer(client, base, user).await {
            Ok(report) => println!("{report}"),
            Err(why) => {
                eprintln!("{why}");
                return false;
            }
        }
        true
    }

    async fn answer(
        &self,
        client: reqwest::ClientBuilder,
        base: &str,
        user: Option<(&str, &str)>,
    ) -> Result<String, String> {
        let client = client.build().map_err(|error| format!("nothing can be asked from here: {error}"))?;
        let timeout = Duration::from_secs(self.timeout.into());
        let mut request = client.get(format!("{base}/health")).timeout(timeout);
        if let Some((name, password)) = user {
            request = request.basic_auth(name, Some(password));
        }
        let answer = request.send().await.map_err(|error| match error.is_timeout() {
            true => format!(
                "nothing is answered at {base} within {} s: it starts and waits for Kafka, or it hangs",
                self.timeout
            ),
            false => format!("nothing answers at {base}: {}", innermost(&error.without_url())),
        })?;
        let status = answer.status();
        let body = answer.text().await.map_err(|error| format!("{base} broke off: {}", error.without_url()))?;
        self.judge(status, &body)
    }

    /// What an answer says.
    fn judge(&self, status: StatusCode, body: &str) -> Result<String, String> {
        match status {
            StatusCode::OK => Ok(body.to_owned()),
            // Some other program's answer is no life of this one.
            _ if self.alive && (status == StatusCode::UNAUTHORIZED || is_a_report(body)) => Ok(body.to_owned()),
            StatusCode::SERVICE_UNAVAILABLE => Err(body.to_owned()),
            _ => Err(format!("GET /health is answered with {status}: {body}")),
        }
    }
}

fn is_a_report(body: &str) -> bool {
    serde_json::from_str::<Value>(body).is_ok_and(|report| report.get("status").is_some())
}

/// A client for [`Health::ask`]: none that goes through a proxy, what is asked is on this machine.
pub fn client() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy()
}

/// Where something that listens at an address is reached on its own machine.
pub fn here(mut listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(address) if address.is_unspecified() => listen.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(address) if address.is_unspecified() => listen.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    listen
}

/// What is at the bottom of it, `Connection refused` for example: what is above it says no more than that a request failed.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    /// A server that answers one request, and gives what it was asked.
    fn server(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let serving = std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                connection.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            connection.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(request).unwrap()
        });
        (base, serving)
    }

    async fn asked(alive: bool, answer: &'static str) -> Result<String, String> {
        let (base, serving) = server(answer);
        let health = Health { alive, timeout: 5 };
        let said = health.answer(client(), &base, Some(("me", "secret"))).await;
        let request = serving.join().unwrap().to_ascii_lowercase();
        assert!(
            request.starts_with("get /health ") && request.contains("authorization: basic bwu6c2vjcmv0"),
            "{request}"
        );
        said
    }

    #[tokio::test]
    async fn what_stands_still_is_not_well_and_alive() {
        const WELL: &str = "HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{\"status\":\"healthy\"}";
        const STANDS: &str = "HTTP/1.1 503 x\r\ncontent-length: 22\r\n\r\n{\"status\":\"unhealthy\"}";
        const CLOSED: &str = "HTTP/1.1 401 x\r\ncontent-length: 0\r\n\r\n";
        const ANOTHER: &str = "HTTP/1.1 404 x\r\ncontent-length: 5\r\n\r\nno...";
        for (answer, well, alive) in
            [(WELL, true, true), (STANDS, false, true), (CLOSED, false, true), (ANOTHER, false, false)]
        {
            assert_eq!(asked(false, answer).await.is_ok(), well, "{answer}");
            assert_eq!(asked(true, answer).await.is_ok(), alive, "{answer}");
        }
    }

    #[test]
    fn what_listens_everywhere_is_reached_on_its_own_machine() {
        for (listen, reached) in [
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:1", "[::1]:1"),
            ("10.1.2.3:1", "10.1.2.3:1"),
            ("127.0.0.2:1", "127.0.0.2:1"),
        ] {
            assert_eq!(here(listen.parse().unwrap()), reached.parse().unwrap());
        }
    }

    #[tokio::test]
    async fn where_nothing_listens_or_nothing_is_said_it_is_not_alive() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let health = Health { alive: true, timeout: 1 };
        let hangs = health.answer(client(), &base, None).await.unwrap_err();
        assert!(hangs.contains("within 1 s"), "{hangs}");
        drop(listener);
        let gone = health.answer(client(), &base, None).await.unwrap_err();
        assert!(gone.contains("refused"), "{gone}");
    }
}
