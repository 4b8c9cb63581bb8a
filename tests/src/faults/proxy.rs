//! A TCP proxy between two of the services, which can be made a bad network.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What the network between the two is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// As it should be.
    Good,
    /// What is sent arrives so much later.
    Slow(Duration),
    /// What is sent does not arrive, and nobody says so.
    Silent,
    /// Connections are refused.
    Away,
}

/// One proxy. It listens until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    network: watch::Sender<Network>,
    end: CancellationToken,
}

#[derive(Debug)]
struct Shared {
    upstream: u16,
    network: watch::Receiver<Network>,
    /// Every connection of now; replaced when all of them are cut.
    connections: std::sync::Mutex<CancellationToken>,
    halves: AtomicBool,
}

impl Proxy {
    /// Listens on `port` and passes everything on to the local port `upstream`.
    ///
    /// # Errors
    /// Somebody listens there already.
    pub async fn start(port: u16, upstream: u16) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.with_context(|| format!("a proxy on port {port}"))?;
        let (network, receiver) = watch::channel(Network::Good);
        let end = CancellationToken::new();
        let shared = Arc::new(Shared {
            upstream,
            network: receiver,
            connections: std::sync::Mutex::new(end.child_token()),
            halves: AtomicBool::new(false),
        });
        tokio::spawn(accept(listener, shared.clone(), end.clone()));
        Ok(Self { port, shared, network, end })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes the network.
    pub fn set(&self, network: Network) {
        self.network.send_replace(network);
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        self.shared.cut(&self.end);
    }

    /// Of the next chunk that comes, whoever sends it, the first half arrives, and its connection is cut.
    pub fn halve(&self) {
        self.shared.halves.store(true, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

impl Shared {
    fn cut(&self, end: &CancellationToken) {
        let mut connections = self.connections.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        std::mem::replace(&mut *connections, end.child_token()).cancel();
    }

    fn connection(&self) -> CancellationToken {
        self.connections.lock().unwrap_or_else(std::sync::PoisonError::into_inner).child_token()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, end: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = end.cancelled() => return,
        };
        let Ok((client, _)) = accepted else { continue };
        if *shared.network.borrow() != Network::Away {
            tokio::spawn(connect(client, shared.clone(), shared.connection()));
        }
    }
}

/// One connection, until either side ends it or it is cut. A server that is not there ends it at once.
async fn connect(client: TcpStream, shared: Arc<Shared>, cut: CancellationToken) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, shared.upstream)).await else { return };
    let _either = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let there = pass_on(from_client, to_server, &shared);
    let back = pass_on(from_server, to_client, &shared);
    tokio::select! {
        () = there => {}
        () = back => {}
        () = cut.cancelled() => {}
    }
}

async fn pass_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared) {
    let mut network = shared.network.clone();
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or_default();
        // Its end does not arrive either.
        if network.wait_for(|network| *network != Network::Silent).await.is_err() {
            return;
        }
        let Some(chunk) = buffer.get(..read).filter(|chunk| !chunk.is_empty()) else { return };
        let now = *network.borrow();
        if let Network::Slow(delay) = now {
            tokio::time::sleep(delay).await;
        }
        let halves = read > 1 && shared.halves.swap(false, Ordering::SeqCst);
        let chunk = if halves { chunk.get(..read / 2).unwrap_or_default() } else { chunk };
        if to.write_all(chunk).await.is_err() || halves {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports;

    /// A server that gives everything back.
    async fn echo() -> anyhow::Result<u16> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ended = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        Ok(port)
    }

    async fn exchange(stream: &mut TcpStream, text: &[u8]) -> anyhow::Result<Vec<u8>> {
        stream.write_all(text).await?;
        let mut back = vec![0; text.len()];
        let mut read = 0;
        while read < text.len() {
            match stream.read(&mut back[read..]).await? {
                0 => break,
                more => read += more,
            }
        }
        back.truncate(read);
        Ok(back)
    }

    #[tokio::test]
    async fn a_network_is_good_silent_halved_cut_and_away() -> anyhow::Result<()> {
        let proxy = Proxy::start(ports::free()?, echo().await?).await?;
        let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port()));
        let mut stream = connect().await?;
        assert_eq!(exchange(&mut stream, b"hello").await?, b"hello");

        proxy.set(Network::Silent);
        let silent = tokio::time::timeout(Duration::from_millis(200), exchange(&mut stream, b"lost?")).await;
        assert!(silent.is_err(), "nothing comes back");
        proxy.set(Network::Slow(Duration::from_millis(1)));
        let mut late = [0; 5];
        stream.read_exact(&mut late).await?;
        assert_eq!(&late, b"lost?", "it was only kept");

        proxy.halve();
        assert!(exchange(&mut stream, b"halved").await?.len() < 6);
        assert_eq!(stream.read(&mut late).await.unwrap_or_default(), 0, "its connection is cut");

        let mut stream = connect().await?;
        assert_eq!(exchange(&mut stream, b"again").await?, b"again");
        proxy.cut();
        assert_eq!(stream.read(&mut late).await.unwrap_or_default(), 0);

        proxy.set(Network::Away);
        let mut stream = connect().await?;
        assert_eq!(stream.read(&mut late).await.unwrap_or_default(), 0);
        Ok(())
    }
}
