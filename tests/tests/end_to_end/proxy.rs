//! A network between the connector and its server that can swallow what goes through it.

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// Connections through it go to a port of this machine.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    swallow: watch::Sender<()>,
    _task: AbortOnDropHandle<()>,
}

impl Proxy {
    pub(crate) async fn to(port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let own = listener.local_addr()?.port();
        let (swallow, swallowed) = watch::channel(());
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(connect(client, port, swallowed.clone()));
            }
        });
        Ok(Self { port: own, swallow, _task: AbortOnDropHandle::new(task) })
    }

    /// From now on nothing comes through the connections that are open, and none of them ends; new ones work.
    pub(crate) fn swallow(&self) {
        self.swallow.send_replace(());
    }
}

async fn connect(mut client: TcpStream, port: u16, mut swallowed: watch::Receiver<()>) {
    swallowed.mark_unchanged();
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    tokio::select! {
        _ended = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        _swallowed = swallowed.changed() => std::future::pending().await,
    }
}
