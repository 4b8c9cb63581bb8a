//! A session with a walsender, up to the point where it streams (PostgreSQL's manual, "Frontend/Backend Protocol": "Message Flow",
//! "SASL Authentication", "Streaming Replication Protocol").
//!
//! The crate knows the messages' forms. The session is ours, so that a message can be looked at before it is read, however large
//! it is.

use std::io;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use pgwire_replication::PgWireError;
use pgwire_replication::protocol::framing::{
    write_password_message, write_query, write_ssl_request, write_startup_message,
};
use pgwire_replication::protocol::messages::{auth, parse_auth_request, parse_error_response};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{self, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use super::session::{self, CONNECT_TIMEOUT};
use super::tls;
use super::wal::{replication_error, sqlstate};
use crate::config::{ChannelBinding, Connection, Secret, SslMode};
use crate::error::TaskError;

/// Protocol 3.0, as a startup message has it.
const PROTOCOL: i32 = 3 << 16;

/// How much room a read of the socket has. A walsender that is ahead fills it, and what lies in it costs no further call.
const READ_AT_ONCE: usize = 256 << 10;

/// Who gets so much by one read of the socket is behind.
const MUCH: usize = 32 << 10;

/// No message is larger: the server's own limit (`MaxAllocSize`).
const LARGEST: usize = 1 << 30;

/// What a session runs over.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + Send + Sync {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Socket for T {}

/// A row of an answer: each column's text, `None` for NULL.
pub(super) type Row = Vec<Option<Bytes>>;

/// An authenticated replication session.
pub struct Session {
    socket: Box<dyn Socket>,
    inbox: Inbox,
    process: Option<i32>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("process", &self.process).finish_non_exhaustive()
    }
}

impl Session {
    /// Opens one to the connector's database.
    ///
    /// # Errors
    /// Retry when the server cannot be reached; stop when it does not let us in.
    pub(super) async fn open(connection: &Connection) -> Result<Self, TaskError> {
        let what = format!("opening a replication session to {}:{}", connection.hostname, connection.port);
        let tls = (connection.sslmode != SslMode::Disable).then(|| tls::client(connection)).transpose()?;
        let driver = &connection.driver;
        let limit = driver.login_timeout.or(driver.connect_timeout.or(CONNECT_TIMEOUT).unwrap_or(Duration::MAX));
        session::in_time(limit, Self::enter(connection, tls))
            .await
            .map_err(|limit| TaskError::retry(format!("{what}: no answer in {limit:?}")))?
            .map_err(|error| {
                let (failure, said) = (replication_error(&what, &error), error.to_string());
                let code = sqlstate(&said).unwrap_or_default();
                match session::refusal(connection, code, &said).filter(|_| !failure.is_retry()) {
                    Some((id, remedy)) => failure.called(id).mended_by(remedy),
                    None => failure,
                }
            })
    }

    async fn enter(connection: &Connection, tls: Option<tokio_rustls::TlsConnector>) -> Result<Self, PgWireError> {
        let (socket, end_point) = dial(connection, tls).await?;
        let mut session = Self { socket, inbox: Inbox::default(), process: None };
        let (options, name) = (session::options(connection), session::application_name(connection, "Streaming"));
        let parameters = [
            ("user", connection.user.as_str()),
            ("database", connection.dbname.as_str()),
            ("replication", "database"),
            ("client_encoding", "UTF8"),
            ("application_name", &name),
            ("options", &options),
        ];
        write_startup_message(&mut session.socket, PROTOCOL, &parameters).await?;
        let password = session::password(connection);
        let binding = connection.driver.channel_binding;
        let end_point = end_point.filter(|_| binding != ChannelBinding::Disable);
        let must_bind = binding == ChannelBinding::Require;
        let mut login = Login { user: &connection.user, password: password.as_ref(), end_point, must_bind };
        loop {
            match session.message().await? {
                (b'R', asked) => {
                    let (kind, data) = parse_auth_request(&asked)?;
                    login.answer(&mut session, kind, data).await?;
                }
                // BackendKeyData: the process, and a secret to cancel its queries with.
                (b'K', mut key) if key.len() >= 4 => session.process = Some(key.get_i32()),
                (b'Z', _) => return Ok(session),
                _ => {}
            }
        }
    }

    /// The server's process at the other end.
    pub(super) fn process(&self) -> Option<i32> {
        self.process
    }

    /// What the server answers to a replication command or a query.
    ///
    /// # Errors
    /// As [`replication_error`], `what` saying what was being done.
    pub(super) async fn query(&mut self, what: &str, sql: &str) -> Result<Vec<Row>, TaskError> {
        self.answer(sql).await.map_err(|error| replication_error(what, &error))
    }

    async fn answer(&mut self, sql: &str) -> Result<Vec<Row>, PgWireError> {
        write_query(&mut self.socket, sql).await?;
        let mut answer = Ok(Vec::new());
        loop {
            match (self.message().await, &mut answer) {
                (Ok((b'D', row)), Ok(rows)) => {
                    rows.push(columns(row).ok_or_else(|| PgWireError::Protocol("a row that ends early".to_owned()))?);
                }
                // ReadyForQuery comes behind an error too, unless the session ended with it.
                (Ok((b'Z', _)), _) => return answer,
                (Ok(_), _) => {}
                (Err(error @ PgWireError::Server(_)), Ok(_)) => answer = Err(error),
                (Err(error), Ok(_)) => return Err(error),
                (Err(_), Err(_)) => return answer,
            }
        }
    }

    /// Sends a `START_REPLICATION`. From then on the server streams, and takes status updates.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub(super) async fn stream(mut self, what: &str, sql: &str) -> Result<(Box<dyn Socket>, Inbox), TaskError> {
        let started = async {
            write_query(&mut self.socket, sql).await?;
            // CopyBothResponse.
            while self.message().await?.0 != b'W' {}
            Ok(())
        };
        session::in_time(Some(CONNECT_TIMEOUT), started)
            .await
            .map_err(|limit| TaskError::retry(format!("{what}: the server did not answer in {limit:?}")))?
            .map_err(|error: PgWireError| replication_error(what, &error))?;
        Ok((self.socket, self.inbox))
    }

    /// Ends it. One that is dropped ends too, and where a transaction is open the server's log says so.
    pub async fn end(mut self) {
        // Terminate. A server that is gone has ended it.
        if let Err(error) = self.socket.write_all(b"X\0\0\0\x04").await {
            tracing::debug!(%error, "a replication session ended by itself");
        }
    }

    /// The next message; an ErrorResponse is an error.
    async fn message(&mut self) -> Result<(u8, Bytes), PgWireError> {
        self.inbox.message(&mut self.socket).await
    }
}

/// The socket, and behind a TLS handshake what a login can be bound to (`tls-server-end-point`, RFC 5929).
async fn dial(
    connection: &Connection,
    tls: Option<tokio_rustls::TlsConnector>,
) -> Result<(Box<dyn Socket>, Option<Vec<u8>>), PgWireError> {
    let (host, port) = (connection.hostname.as_str(), connection.port);
    if host.starts_with('/') {
        return Ok((Box::new(UnixStream::connect(format!("{host}/.s.PGSQL.{port}")).await?), None));
    }
    let mut tcp = TcpStream::connect((host, port)).await?;
    tcp.set_nodelay(true)?;
    let Some(tls) = tls else { return Ok((Box::new(tcp), None)) };
    write_ssl_request(&mut tcp).await?;
    if tcp.read_u8().await? != b'S' {
        return match connection.sslmode {
            SslMode::Disable | SslMode::Allow | SslMode::Prefer => Ok((Box::new(tcp), None)),
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
                Err(PgWireError::Tls("the server does not support TLS".to_owned()))
            }
        };
    }
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| PgWireError::Tls(format!("{host} is no name that a certificate could have")))?;
    let stream = tls.connect(name, tcp).await.map_err(|error| match access::tls::refused_certificate(&error) {
        Some(refused) => PgWireError::Tls(refused),
        None => error.into(),
    })?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let end_point = certificate.and_then(|certificate| access::tls::end_point(certificate));
    Ok((Box::new(stream), end_point))
}

const UNBOUND: &str = "the login is not bound to the TLS channel, which channelBinding=require asks for: the server must offer \
     SCRAM-SHA-256-PLUS, over TLS, with a certificate whose signature has a hash";

/// How the server is told who we are.
struct Login<'a> {
    user: &'a str,
    password: Option<&'a Secret>,
    /// What the channel is known by, until the login is bound to it.
    end_point: Option<Vec<u8>>,
    /// Whether a login that is not bound to it counts for nothing (`channelBinding=require`).
    must_bind: bool,
}

impl Login<'_> {
    async fn answer(&mut self, session: &mut Session, kind: i32, data: &[u8]) -> Result<(), PgWireError> {
        if self.must_bind && kind != auth::SASL {
            return Err(PgWireError::Auth(UNBOUND.to_owned()));
        }
        if kind == auth::OK {
            return Ok(());
        }
        let Some(password) = self.password else {
            return Err(PgWireError::Auth(format!(
                "the server asks for a password, and none was given: set database.password, or give user {} a line in ~/.pgpass",
                self.user
            )));
        };
        let password = password.expose().as_bytes();
        match (kind, data) {
            (auth::CLEARTEXT_PASSWORD, _) => session.password(&[password, b"\0"].concat()).await,
            (auth::MD5_PASSWORD, &[a, b, c, d]) => {
                let hash = md5_hash(self.user.as_bytes(), password, [a, b, c, d]);
                session.password(&[hash.as_bytes(), b"\0"].concat()).await
            }
            (auth::SASL, mechanisms) => self.scram(session, password, mechanisms).await,
            _ => Err(PgWireError::Auth(format!(
                "the server asks for a login of kind {kind}; passwords (SCRAM, MD5, in the clear) and certificates are known"
            ))),
        }
    }

    /// Bound to the channel where the server can: who stands between cannot pass the login on.
    async fn scram(&mut self, session: &mut Session, password: &[u8], mechanisms: &[u8]) -> Result<(), PgWireError> {
        let offers = |mechanism: &str| mechanisms.split(|byte| *byte == 0).any(|one| one == mechanism.as_bytes());
        let (mechanism, binding) = match (offers(SCRAM_SHA_256_PLUS), self.end_point.take()) {
            (true, Some(end_point)) => (SCRAM_SHA_256_PLUS, sasl::ChannelBinding::tls_server_end_point(end_point)),
            _ if self.must_bind => return Err(PgWireError::Auth(UNBOUND.to_owned())),
            // The server sees by it whether somebody took its better offer away.
            (false, Some(_)) => (SCRAM_SHA_256, sasl::ChannelBinding::unrequested()),
            (_, None) => (SCRAM_SHA_256, sasl::ChannelBinding::unsupported()),
        };
        if !offers(mechanism) {
            return Err(PgWireError::Auth(format!(
                "the server offers a login, and {mechanism} is not among its kinds"
            )));
        }
        let refuse = |error: io::Error| PgWireError::Auth(format!("{mechanism}: {error}"));
        let mut scram = ScramSha256::new(password, binding);
        let first = scram.message();
        let length = i32::try_from(first.len()).unwrap_or(i32::MAX).to_be_bytes();
        session.password(&[mechanism.as_bytes(), b"\0", &length, first].concat()).await?;
        scram.update(&session.challenge(auth::SASL_CONTINUE).await?).map_err(refuse)?;
        session.password(scram.message()).await?;
        scram.finish(&session.challenge(auth::SASL_FINAL).await?).map_err(refuse)?;
        // It is bound where it must be.
        self.must_bind = false;
        Ok(())
    }
}

impl Session {
    async fn password(&mut self, answer: &[u8]) -> Result<(), PgWireError> {
        write_password_message(&mut self.socket, answer).await
    }

    /// What the server says inside a SASL login.
    async fn challenge(&mut self, expected: i32) -> Result<Bytes, PgWireError> {
        loop {
            if let (b'R', said) = self.message().await? {
                let (kind, data) = parse_auth_request(&said)?;
                return match kind == expected {
                    true => Ok(said.slice_ref(data)),
                    false => Err(PgWireError::Auth(format!("the server broke the login off, with kind {kind}"))),
                };
            }
        }
    }
}

/// What came from the server and was not taken yet.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: BytesMut,
    /// How many bytes the last read brought.
    brought: usize,
}

impl Inbox {
    /// How many bytes stand before a message's body: its kind, and its length with these four bytes.
    const HEAD: usize = 5;

    /// The next message: its kind, and its body. Cancel safe.
    ///
    /// # Errors
    /// The socket's; what is no message; [`PgWireError::Server`] for an ErrorResponse.
    pub(super) async fn message(&mut self, socket: &mut (impl AsyncRead + Unpin)) -> Result<(u8, Bytes), PgWireError> {
        let (kind, length) = self.head(socket).await?;
        self.fill(socket, Self::HEAD + length).await?;
        self.take(kind, length)
    }

    fn take(&mut self, kind: u8, length: usize) -> Result<(u8, Bytes), PgWireError> {
        self.bytes.advance(Self::HEAD);
        let body = self.bytes.split_to(length).freeze();
        match kind {
            b'E' => Err(PgWireError::Server(parse_error_response(&body))),
            _ => Ok((kind, body)),
        }
    }

    /// The next message, if all of it is here and its body has no more than `limit` bytes.
    ///
    /// # Errors
    /// What is no message; [`PgWireError::Server`] for an ErrorResponse.
    pub(super) fn whole(&mut self, limit: usize) -> Result<Option<(u8, Bytes)>, PgWireError> {
        let Some(head) = self.bytes.get(..Self::HEAD) else { return Ok(None) };
        let (kind, length) = parse_head(head)?;
        if length > limit || self.bytes.len() < Self::HEAD + length {
            return Ok(None);
        }
        self.take(kind, length).map(Some)
    }

    /// Whether the server is ahead, and it is better to let it go on for a moment than to read what little it has sent since.
    pub(super) fn lets_pile_up(&self) -> bool {
        self.brought >= MUCH && self.brought < READ_AT_ONCE
    }

    /// The moment is over.
    pub(super) fn has_piled_up(&mut self) {
        self.brought = 0;
    }

    /// The next message's kind and the length of its body. It is not taken. Cancel safe.
    ///
    /// # Errors
    /// The socket's, and what is no message.
    pub(super) async fn head(&mut self, socket: &mut (impl AsyncRead + Unpin)) -> Result<(u8, usize), PgWireError> {
        self.fill(socket, Self::HEAD).await?;
        parse_head(&self.bytes)
    }

    /// The first `count` bytes of the next message's body. It is not taken. Cancel safe.
    ///
    /// # Errors
    /// As [`head`](Self::head).
    pub(super) async fn beginning(
        &mut self,
        socket: &mut (impl AsyncRead + Unpin),
        count: usize,
    ) -> Result<&[u8], PgWireError> {
        self.fill(socket, Self::HEAD + count).await?;
        Ok(self.bytes.get(Self::HEAD..Self::HEAD + count).unwrap_or_default())
    }

    async fn fill(&mut self, socket: &mut (impl AsyncRead + Unpin), wanted: usize) -> Result<(), PgWireError> {
        while self.bytes.len() < wanted {
            self.bytes.reserve(READ_AT_ONCE.max(wanted - self.bytes.len()));
            self.brought = socket.read_buf(&mut self.bytes).await?;
            if self.brought == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
        Ok(())
    }
}

/// A message's kind, and the length of its body, of its first five bytes.
fn parse_head(mut head: &[u8]) -> Result<(u8, usize), PgWireError> {
    let ended = |_| PgWireError::Protocol("a message that ends early".to_owned());
    let (kind, length) = (head.try_get_u8().map_err(ended)?, head.try_get_i32().map_err(ended)?);
    match usize::try_from(length).ok().and_then(|length| length.checked_sub(4)) {
        Some(length) if length <= LARGEST => Ok((kind, length)),
        _ => Err(PgWireError::Protocol(format!("a message of {length} bytes"))),
    }
}

/// The columns of a DataRow; `None` when it ends before they do.
fn columns(mut row: Bytes) -> Option<Row> {
    let count = row.try_get_u16().ok()?;
    let mut columns = Vec::new();
    for _ in 0..count {
        columns.push(match row.try_get_i32().ok()? {
            ..0 => None,
            length => {
                let length = usize::try_from(length).ok()?;
                if row.len() < length {
                    return None;
                }
                Some(row.split_to(length))
            }
        });
    }
    Some(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_is_read_however_it_is_cut() -> anyhow::Result<()> {
        let (mut server, mut client) = tokio::io::duplex(64);
        let sent = b"d\0\0\0\x07abcN\0\0\0\x04d\0\0\0\x05z";
        let sending = tokio::spawn(async move {
            for byte in sent {
                server.write_all(&[*byte]).await?;
            }
            anyhow::Ok(server)
        });
        let mut inbox = Inbox::default();
        assert_eq!(inbox.head(&mut client).await?, (b'd', 3));
        assert_eq!(inbox.beginning(&mut client, 2).await?, b"ab");
        assert_eq!(inbox.message(&mut client).await?, (b'd', Bytes::from_static(b"abc")));
        assert_eq!(inbox.message(&mut client).await?, (b'N', Bytes::new()));
        assert_eq!(inbox.message(&mut client).await?, (b'd', Bytes::from_static(b"z")));
        drop(sending.await??);
        assert!(matches!(inbox.message(&mut client).await, Err(PgWireError::Io(_))), "the server went away");
        Ok(())
    }

    #[tokio::test]
    async fn a_message_is_taken_without_waiting_only_when_all_of_it_is_there_and_it_is_not_too_large()
    -> anyhow::Result<()> {
        let sent = b"d\0\0\0\x07abcd\0\0\0\x08wxyzd\0\0\0\x07ab";
        let mut inbox = Inbox::default();
        assert_eq!(inbox.whole(3)?, None, "nothing was read");
        assert_eq!(inbox.head(&mut &sent[..]).await?, (b'd', 3));
        assert_eq!(inbox.whole(3)?, Some((b'd', Bytes::from_static(b"abc"))));
        assert_eq!(inbox.whole(3)?, None, "it is larger");
        assert_eq!(inbox.whole(4)?, Some((b'd', Bytes::from_static(b"wxyz"))));
        assert_eq!(inbox.whole(4)?, None, "its end is missing");
        Ok(())
    }

    #[tokio::test]
    async fn a_length_that_no_message_has_is_refused_before_room_is_made_for_it() {
        for length in [[0, 0, 0, 3], [0x7f, 0xff, 0xff, 0xff], [0xff, 0xff, 0xff, 0xff]] {
            let sent = [&b"d"[..], &length].concat();
            let mut inbox = Inbox::default();
            let read = inbox.message(&mut &sent[..]).await;
            assert!(matches!(read, Err(PgWireError::Protocol(_))), "{read:?}");
        }
    }

    #[test]
    fn a_row_that_ends_early_is_none() {
        let whole = Bytes::from_static(b"\0\x02\0\0\0\x01a\xff\xff\xff\xff");
        assert_eq!(columns(whole.clone()), Some(vec![Some(Bytes::from_static(b"a")), None]));
        for end in 0..whole.len() {
            assert_eq!(columns(whole.slice(..end)), None);
        }
    }
}
