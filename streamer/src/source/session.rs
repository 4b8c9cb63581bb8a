//! An ordinary SQL session beside the replication stream: catalog, publication, slot administration, snapshot.

use std::time::Duration;

use access::password_file::{self, Login};
use access::tls::refused_certificate;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config};

use super::{quote_identifier, tls};
use crate::config::{ChannelBinding, Connection, Secret, SslMode, TargetServer};
use crate::error::TaskError;

/// The settings that fix how values are printed, in every session of ours: the type codecs of `proto` read this form
/// only. `extra_float_digits` 3 prints the shortest text that reads back as the same number.
pub const PINNED_SETTINGS: &str = "-c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=postgres \
     -c extra_float_digits=3 -c bytea_output=hex -c lc_monetary=C";

/// How long opening a connection may take, unless the configuration says it.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Opens a session and runs `database.initial.statements` on it.
///
/// # Errors
/// Retry when the server cannot be reached or is not ready; stop when it refuses the user, the password or the database.
pub async fn connect(connection: &Connection, purpose: &str) -> Result<Client, TaskError> {
    let mut config = Config::new();
    config
        .host(&connection.hostname)
        .port(connection.port)
        .user(&connection.user)
        .dbname(&connection.dbname)
        .application_name(application_name(connection, purpose))
        .options(options(connection))
        .keepalives(connection.tcp_keep_alive);
    let driver = &connection.driver;
    if let Some(timeout) = driver.connect_timeout.or(CONNECT_TIMEOUT) {
        config.connect_timeout(timeout);
    }
    if let Some(timeout) = driver.socket_timeout {
        config.tcp_user_timeout(timeout);
    }
    config.target_session_attrs(match driver.target {
        TargetServer::Any => TargetSessionAttrs::Any,
        TargetServer::Primary => TargetSessionAttrs::ReadWrite,
        TargetServer::Secondary => TargetSessionAttrs::ReadOnly,
    });
    config.channel_binding(match driver.channel_binding {
        ChannelBinding::Disable => tokio_postgres::config::ChannelBinding::Disable,
        ChannelBinding::Prefer => tokio_postgres::config::ChannelBinding::Prefer,
        ChannelBinding::Require => tokio_postgres::config::ChannelBinding::Require,
    });
    if let Some(password) = password(connection) {
        config.password(password.expose());
    }
    config.ssl_mode(match connection.sslmode {
        SslMode::Disable => tokio_postgres::config::SslMode::Disable,
        SslMode::Allow | SslMode::Prefer => tokio_postgres::config::SslMode::Prefer,
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => tokio_postgres::config::SslMode::Require,
    });
    let opened = in_time(driver.login_timeout.or(Duration::MAX), config.connect(tls::connector(connection)?)).await;
    let (client, session) = opened
        .map_err(|limit| TaskError::retry(format!("no session to PostgreSQL in {limit:?} (driver.loginTimeout)")))?
        .map_err(|error| connect_error(connection, error))?;
    tokio::spawn(async move {
        // A broken session also fails the query that waits on it, which is where it is reported.
        if let Err(error) = session.await {
            tracing::debug!(%error, "sql session ended");
        }
    });
    // A snapshot's queries take as long as its tables are big.
    if let Some(timeout) = connection.query_timeout.filter(|_| !purpose.contains("snapshot")) {
        client
            .batch_execute(&format!("SET statement_timeout = {}", timeout.as_millis()))
            .await
            .map_err(|error| query_error("setting database.query.timeout.ms", error))?;
    }
    for statement in &connection.initial_statements {
        client
            .batch_execute(statement)
            .await
            .map_err(|error| query_error("running a statement of database.initial.statements", error))?;
    }
    Ok(client)
}

/// The configuration's password, or the password file's, which the JDBC driver reads when there is none.
pub(super) fn password(connection: &Connection) -> Option<Secret> {
    let login = Login {
        host: &connection.hostname,
        port: connection.port,
        database: &connection.dbname,
        user: &connection.user,
    };
    connection.password.clone().or_else(|| password_file::password(login).map(Secret::new))
}

/// What the server shows a session as.
pub(super) fn application_name(connection: &Connection, purpose: &str) -> String {
    connection.driver.application_name.clone().unwrap_or_else(|| format!("Headwater {purpose}"))
}

/// The options of every session: the configuration's, and behind them, so that they count, ours.
pub(super) fn options(connection: &Connection) -> String {
    format!("{} {PINNED_SETTINGS}", connection.driver.options).trim_start().to_owned()
}

/// Waits so long, `None` for ever; the error is the limit.
pub(super) async fn in_time<T>(limit: Option<Duration>, future: impl Future<Output = T>) -> Result<T, Duration> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, future).await.map_err(|_| limit),
        None => Ok(future.await),
    }
}

/// Turns the failure of a connection attempt into what a person needs to know.
fn connect_error(connection: &Connection, error: tokio_postgres::Error) -> TaskError {
    let at = format!("{}:{}", connection.hostname, connection.port);
    if let Some(server) = error.as_db_error() {
        let text = format!("{}: {}", server.severity(), server.message());
        // A database that takes no connections for now (ALLOW_CONNECTIONS) has a code that means more elsewhere.
        let is_closed = *server.code() == SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE;
        let stops = needs_a_person(server.code()) && !is_closed;
        let failure = if stops { TaskError::stop("server-refused", &text) } else { TaskError::retry(&text) };
        return match refusal(connection, server.code().code(), &text) {
            Some((id, remedy)) => failure.called(id).mended_by(remedy),
            None => failure,
        };
    }
    // Tried again, for certificates are renewed; but for no want of a server.
    if let Some(why) = refused_certificate(&error) {
        return TaskError::retry(format!("The connection to PostgreSQL at {at} failed: {why}"))
            .called("certificate-refused")
            .mended_by(format!(
                "Nothing is lost: the slot keeps what is changed. Let database.sslrootcert hold the authority that signed the server's \
                 certificate; with database.sslmode=verify-full the certificate has to be {}'s. A server that asks for a client's \
                 certificate gets it from database.sslcert and database.sslkey",
                connection.hostname
            ))
            .because(error);
    }
    let refused = std::error::Error::source(&error)
        .and_then(|cause| cause.downcast_ref::<std::io::Error>())
        .is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused);
    let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
    if cause == "password missing" {
        return TaskError::stop("login-refused", format!("The server at {at} asks for a password, and none was given"))
            .mended_by(format!("Set database.password, or give user {} a line in ~/.pgpass", connection.user));
    }
    if cause.contains("channel binding") {
        return TaskError::stop(
            "login-unbound",
            format!(
                "The login at {at} is not bound to the TLS channel, which channelBinding=require asks for: {cause}"
            ),
        )
        .mended_by("It needs database.sslmode=require or stricter, and a password that the server keeps for SCRAM");
    }
    if cause == "server does not support TLS" {
        return TaskError::stop("tls-missing", format!(
            "The server at {at} offers no TLS, which database.sslmode={} asks for",
            connection.sslmode.as_str()
        ))
        .mended_by("Give the server a certificate and set ssl = on (ALTER SYSTEM SET ssl = on; SELECT pg_reload_conf();), or, where the \
             network may be trusted, set database.sslmode=prefer",
        );
    }
    let failure = if refused {
        // The words of the JDBC driver, which is what Debezium's users search for.
        TaskError::retry(format!(
            "Connection to {at} refused. Check that the hostname and port are correct and that the postmaster is \
             accepting TCP/IP connections."
        ))
    } else {
        TaskError::retry(format!("The connection to PostgreSQL at {at} failed: {cause}"))
    };
    failure
        .called("server-unreachable").mended_by("Nothing is lost: the slot keeps what is changed. Put database.hostname and database.port right, start the server, \
             or let it listen there (listen_addresses) and through the firewall",
        )
        .because(error)
}

/// What mends a login that the server does not take.
pub(super) const LOGIN: &str = "Nothing is lost: the slot keeps what is changed. Give the connector the user and the password that the \
     server takes (database.user, database.password, or the file they are read from) and restart it";

/// What mends the refusal of a session, and what that is called: by the SQLSTATE, and the server's words where that says too little.
pub(super) fn refusal(connection: &Connection, code: &str, text: &str) -> Option<(&'static str, String)> {
    let Connection { user, dbname, .. } = connection;
    // In every language: it is a file's name.
    if text.contains("pg_hba.conf") {
        let kind = if connection.sslmode == SslMode::Disable { "host" } else { "hostssl" };
        return Some((
            "hba-refused",
            format!(
                "Nothing is lost: the slot keeps what is changed. Put this line into the server's pg_hba.conf, with the address of \
                 this machine, and have it read:\n{kind} {dbname} {user} ADDRESS/32 scram-sha-256\nSELECT pg_reload_conf();"
            ),
        ));
    }
    match code {
        "28P01" | "28000" => Some(("login-refused", LOGIN.to_owned())),
        "3D000" => Some((
            "database-missing",
            format!("Put database.dbname right, or create it: CREATE DATABASE {};", quote_identifier(dbname)),
        )),
        _ => None,
    }
}

/// Turns the failure of a query into a [`TaskError`]; `what` says what was being done, with the table, slot or publication.
///
/// Only the server's message is kept: its DETAIL may quote a row.
pub fn query_error(what: &str, error: tokio_postgres::Error) -> TaskError {
    match error.as_db_error() {
        Some(server) => {
            let mut text = format!("{what}: {} (SQLSTATE {})", server.message(), server.code().code());
            if *server.code() == SqlState::READ_ONLY_SQL_TRANSACTION {
                text.push_str(
                    ". The server takes no changes: a standby that is not promoted yet, or default_transaction_read_only",
                );
            }
            if needs_a_person(server.code()) { TaskError::stop("server-refused", text) } else { TaskError::retry(text) }
        }
        None => {
            let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            TaskError::retry(format!("{what}: the session to PostgreSQL broke: {cause}"))
        }
    }
}

/// Whether a server error is one that trying again will not mend.
///
/// By class, after the table in PostgreSQL's manual, appendix A: 08 connection, 40 rollback, 53 resources, 57 operator
/// intervention and 58 system errors pass by themselves; 55006 is a slot still held by a session that is ending, and 25006 a
/// standby that is still to be promoted.
pub fn needs_a_person(code: &SqlState) -> bool {
    sqlstate_needs_a_person(code.code())
}

/// The same for a SQLSTATE as text, as the replication session gives it.
pub fn sqlstate_needs_a_person(code: &str) -> bool {
    // 58P01: the WAL that the slot needs was removed; it does not come back.
    if code == "58P01" {
        return true;
    }
    let transient = ["08", "40", "53", "57", "58"].iter().any(|class| code.starts_with(class));
    !(transient || matches!(code, "55006" | "55P03" | "25P02" | "25006" | "XX000"))
}
