//! Sessions.

use std::error::Error as _;

use access::password_file::{self, Login};
use access::sslmode::SslMode;
use access::tls::{self, Certificates};
use percent_encoding::percent_decode_str;
use pgwire_replication::TlsConfig;
use tokio_postgres::config::{ChannelBinding, SslMode as Wire};
use tokio_postgres::{Client, Config};

use crate::error::SinkError;

/// The settings that fix how values are printed and read. `lc_monetary` has no symbol that depends on the place. And the server soon
/// ends the session of a machine that is gone, with what it has locked.
const PINNED_SETTINGS: &str = "-c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=postgres \
     -c extra_float_digits=3 -c bytea_output=hex -c lc_monetary=C \
     -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3";

/// A database's address. Printing it leaves the password out.
#[derive(Clone)]
pub struct Database {
    config: Config,
    tls: Tls,
}

/// What a URL says of TLS, by libpq's names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// `sslmode`.
    pub mode: Option<SslMode>,
    /// `sslrootcert`.
    pub root: Option<String>,
    /// `sslcert`.
    pub cert: Option<String>,
    /// `sslkey`.
    pub key: Option<String>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.address())
    }
}

impl std::str::FromStr for Database {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let (url, tls) = Tls::of_url(url)?;
        // The crate's own message could quote the URL, and with it the password.
        let config = url
            .parse::<Config>()
            .map_err(|_| "not a PostgreSQL URL; postgres://USER:PASSWORD@HOST:PORT/DATABASE is expected".to_owned())?;
        if config.get_hosts().is_empty() || config.get_dbname().is_none() || config.get_user().is_none() {
            return Err("the URL must name a user, a host and a database".to_owned());
        }
        if config.get_channel_binding() == ChannelBinding::Require {
            return Err("channel_binding=require cannot be kept: replication sessions do without it".to_owned());
        }
        Ok(Self { config, tls })
    }
}

impl Tls {
    /// Takes what is of TLS out of a URL.
    fn of_url(url: &str) -> Result<(String, Self), String> {
        let mut tls = Self::default();
        // A password may hold question marks.
        let user = url.find('@').unwrap_or_default();
        let Some((address, query)) = url.get(user..).and_then(|behind| behind.split_once('?')) else {
            return Ok((url.to_owned(), tls));
        };
        let mut others = Vec::new();
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let text = || match percent_decode_str(value).decode_utf8() {
                Ok(text) => Ok(Some(text.into_owned())),
                Err(_) => Err(format!("{key} is not UTF-8")),
            };
            match key {
                "sslmode" => {
                    let mode = SslMode::parse(value);
                    tls.mode =
                        Some(mode.ok_or("sslmode is disable, allow, prefer, require, verify-ca or verify-full")?);
                }
                "sslrootcert" => tls.root = text()?,
                "sslcert" => tls.cert = text()?,
                "sslkey" => tls.key = text()?,
                _ => others.push(pair),
            }
        }
        if tls.cert.is_some() != tls.key.is_some() {
            return Err("sslcert and sslkey belong together".to_owned());
        }
        let mut rest = format!("{}{address}", url.get(..user).unwrap_or_default());
        if !others.is_empty() {
            rest = format!("{rest}?{}", others.join("&"));
        }
        Ok((rest, tls))
    }

    /// How safe sessions are. As in libpq, `require` with a CA's certificate is `verify-ca`.
    fn effective(&self) -> SslMode {
        match self.mode.unwrap_or(SslMode::Prefer) {
            SslMode::Require if self.root.is_some() => SslMode::VerifyCa,
            mode => mode,
        }
    }
}

impl Database {
    /// `host:port/database`.
    pub fn address(&self) -> String {
        format!("{}:{}/{}", self.host(), self.port(), self.name())
    }

    /// The host's name or address.
    pub fn host(&self) -> String {
        match self.config.get_hosts().first() {
            Some(tokio_postgres::config::Host::Tcp(host)) => host.clone(),
            _ => String::new(),
        }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.config.get_ports().first().copied().unwrap_or(5432)
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        self.config.get_dbname().unwrap_or_default()
    }

    /// The user.
    pub fn user(&self) -> &str {
        self.config.get_user().unwrap_or_default()
    }

    /// The URL's password.
    pub fn given_password(&self) -> Option<String> {
        self.config.get_password().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// The URL's password, or the password file's.
    pub fn password(&self) -> Option<String> {
        let host = self.host();
        let login = Login { host: &host, port: self.port(), database: self.name(), user: self.user() };
        self.given_password().or_else(|| password_file::password(login))
    }

    /// What the URL says of TLS.
    pub fn tls(&self) -> &Tls {
        &self.tls
    }

    /// The same for a replication session.
    pub fn replication_tls(&self) -> TlsConfig {
        let root = self.tls.root.as_ref().map(Into::into);
        let tls = match self.tls.effective() {
            SslMode::Disable => return TlsConfig::disabled(),
            SslMode::Allow | SslMode::Prefer => {
                TlsConfig { mode: pgwire_replication::SslMode::Prefer, ..TlsConfig::disabled() }
            }
            SslMode::Require => TlsConfig::require(),
            SslMode::VerifyCa => TlsConfig::verify_ca(root),
            SslMode::VerifyFull => TlsConfig::verify_full(root),
        };
        // Without a name given, the crate refuses a host that is an IP address even when the certificate lists it.
        let tls = tls.with_sni_hostname(self.host());
        match (&self.tls.cert, &self.tls.key) {
            (Some(cert), Some(key)) => tls.with_client_cert(cert, key),
            _ => tls,
        }
    }

    /// The same for PostgreSQL's own programs. In their environment, never on a command line: that, everybody can read.
    pub fn environment(&self) -> Vec<(&'static str, Option<String>)> {
        vec![
            ("PGHOST", Some(self.host())),
            ("PGPORT", Some(self.port().to_string())),
            ("PGUSER", Some(self.user().to_owned())),
            ("PGPASSWORD", self.password()),
            ("PGDATABASE", Some(self.name().to_owned())),
            ("PGSSLMODE", Some(self.tls.effective().as_str().to_owned())),
            ("PGSSLROOTCERT", self.tls.root.clone()),
            ("PGSSLCERT", self.tls.cert.clone()),
            ("PGSSLKEY", self.tls.key.clone()),
        ]
    }

    /// Opens a session.
    ///
    /// # Errors
    /// Retry when the server is not there or not ready; stop when it refuses, or its certificate is not accepted.
    pub async fn connect(&self, purpose: &str) -> Result<Client, SinkError> {
        let what = format!("connecting to {}", self.address());
        let mode = self.tls.effective();
        let mut config = self.config.clone();
        config
            .application_name(format!("Headwater sink {purpose}"))
            .options(PINNED_SETTINGS)
            .connect_timeout(std::time::Duration::from_secs(10))
            .ssl_mode(match mode {
                SslMode::Disable => Wire::Disable,
                SslMode::Allow | SslMode::Prefer => Wire::Prefer,
                SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Wire::Require,
            });
        if let Some(password) = self.password() {
            config.password(password);
        }
        let connector = self.connector(mode).map_err(|why| SinkError::stop("tls-settings", why).while_doing(&what))?;
        let (client, session) =
            config.connect(connector).await.map_err(|error| self.refusal(error, mode).while_doing(&what))?;
        tokio::spawn(async move {
            // A broken session fails the query that waits on it, which is where it is reported.
            if let Err(error) = session.await {
                tracing::debug!(%error, "session ended");
            }
        });
        Ok(client)
    }

    fn connector(&self, mode: SslMode) -> Result<tokio_postgres_rustls::MakeRustlsConnect, String> {
        let client = match (&self.tls.cert, &self.tls.key) {
            (Some(cert), Some(key)) if mode != SslMode::Disable => Some((cert.as_str(), tls::plain_key(key)?)),
            _ => None,
        };
        tls::connector(Certificates { prefix: "", mode, root: self.tls.root.as_deref(), client })
    }

    /// What a failure to connect means.
    fn refusal(&self, error: tokio_postgres::Error, mode: SslMode) -> SinkError {
        let mode = mode.as_str();
        if let Some(why) = tls::refused_certificate(&error) {
            return SinkError::stop("certificate-refused", format!("{why} (sslmode={mode})"));
        }
        match error.source().map(ToString::to_string).as_deref() {
            Some("password missing") => SinkError::stop(
                "login-refused",
                format!(
                    "the server asks for a password: put it into the URL, or give user {} a line in ~/.pgpass",
                    self.user()
                ),
            ),
            Some("server does not support TLS") => {
                SinkError::stop("tls-missing", format!("the server offers no TLS, which sslmode={mode} asks for"))
            }
            _ => SinkError::from(error),
        }
    }
}

/// Quotes an identifier.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a literal.
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_url_says_of_tls_is_taken_out_of_it() {
        let url = "postgres://u:p%40?@h:1/d?sslmode=verify-full&connect_timeout=3&sslrootcert=/a%20b/ca.crt";
        let (rest, tls) = Tls::of_url(url).unwrap();
        assert_eq!(rest, "postgres://u:p%40?@h:1/d?connect_timeout=3");
        assert_eq!((tls.effective(), tls.root.as_deref()), (SslMode::VerifyFull, Some("/a b/ca.crt")));
        let database: Database = url.parse().unwrap();
        assert_eq!((database.given_password().as_deref(), database.address().as_str()), (Some("p@?"), "h:1/d"));
    }

    #[test]
    fn a_url_that_cannot_be_kept_is_refused_without_its_password() {
        for url in [
            "postgres://u:hidden@h/d?sslmode=safe",
            "postgres://u:hidden@h/d?sslcert=c",
            "postgres://u:hidden@h/d?channel_binding=require",
            "postgres://u:hidden@h/d?nothing=1",
        ] {
            let error = url.parse::<Database>().unwrap_err();
            assert!(!error.contains("hidden"), "{error}");
        }
    }

    #[test]
    fn require_with_an_authority_verifies_it_as_in_libpq() {
        let mode = |query: &str| Tls::of_url(&format!("postgres://u@h/d{query}")).unwrap().1.effective();
        assert_eq!(mode(""), SslMode::Prefer);
        assert_eq!(mode("?sslmode=require"), SslMode::Require);
        assert_eq!(mode("?sslmode=require&sslrootcert=ca"), SslMode::VerifyCa);
    }
}
