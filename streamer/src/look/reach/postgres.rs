//! A database by its URL.

use std::str::FromStr;

use percent_encoding::percent_decode_str;
use reqwest::Url;
use tokio_postgres::Client;

use crate::config::{Connection, Driver, Secret, SslMode};
use crate::look::Ended;
use crate::source::session;

/// A database's address. Printing it leaves the password out.
#[derive(Debug, Clone)]
pub struct Database(Connection);

impl FromStr for Database {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The crate's own message could quote the password.
        let not = || "not a PostgreSQL URL; postgres://USER:PASSWORD@HOST:PORT/DATABASE is expected".to_owned();
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "postgres" | "postgresql"));
        let url = url.ok_or_else(not)?;
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let mut connection = Connection {
            hostname: decoded(url.host_str().unwrap_or_default()).trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(5432),
            user: decoded(url.username()),
            password: url.password().map(|password| Secret::new(decoded(password))),
            dbname: decoded(url.path().trim_start_matches('/')),
            sslmode: SslMode::Prefer,
            sslrootcert: None,
            sslcert: None,
            sslkey: None,
            sslpassword: None,
            tcp_keep_alive: true,
            initial_statements: Vec::new(),
            driver: Driver::default(),
            query_timeout: None,
        };
        for (key, value) in url.query_pairs() {
            let value = value.into_owned();
            match &*key {
                "host" => connection.hostname = value,
                "port" => connection.port = value.parse().map_err(|_| "port is no number".to_owned())?,
                "user" => connection.user = value,
                "sslmode" => {
                    connection.sslmode = SslMode::parse(&value)
                        .ok_or("sslmode is disable, allow, prefer, require, verify-ca or verify-full")?;
                }
                "sslrootcert" => connection.sslrootcert = Some(value),
                "sslcert" => connection.sslcert = Some(value),
                "sslkey" => connection.sslkey = Some(value),
                "application_name" => connection.driver.application_name = Some(value),
                other => return Err(format!("{other} is not known in a URL here")),
            }
        }
        // As libpq does.
        if connection.sslmode == SslMode::Require && connection.sslrootcert.is_some() {
            connection.sslmode = SslMode::VerifyCa;
        }
        if connection.hostname.is_empty() || connection.user.is_empty() || connection.dbname.is_empty() {
            return Err("the URL must name a user, a host and a database".to_owned());
        }
        Ok(Self(connection))
    }
}

impl Database {
    /// As the streamer reaches a database.
    pub fn connection(&self) -> &Connection {
        &self.0
    }

    /// `host:port/database`.
    pub fn address(&self) -> String {
        format!("{}:{}/{}", self.0.hostname, self.0.port, self.0.dbname)
    }

    /// Opens a session; `purpose` is what the server shows it as.
    ///
    /// # Errors
    /// As [`session::connect`].
    pub async fn connect(&self, purpose: &str) -> Result<Client, Ended> {
        let session = session::connect(&self.0, purpose).await;
        Ok(session.map_err(|error| error.while_doing(&format!("connecting to {}", self.address())))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_who_and_how_safely() {
        let database: Database =
            "postgres://me:p%40w@db:5433/shop?sslmode=require&sslrootcert=/ca.pem".parse().unwrap();
        let connection = database.connection();
        assert_eq!((database.address().as_str(), connection.user.as_str()), ("db:5433/shop", "me"));
        assert_eq!(connection.password.as_ref().map(Secret::expose), Some("p@w"));
        assert_eq!(connection.sslmode, SslMode::VerifyCa);
        let socket: Database = "postgresql:///shop?user=me&host=/run/postgresql".parse().unwrap();
        assert_eq!(socket.connection().hostname, "/run/postgresql");
        for wrong in
            ["db:5432/shop", "mysql://me@db/shop", "postgres://db/shop", "postgres://me@db", "postgres://me@db/s?x=1"]
        {
            let error = wrong.parse::<Database>().unwrap_err();
            assert!(!error.is_empty(), "{wrong}");
        }
    }
}
