//! Sessions.

use tokio_postgres::{Client, Config, NoTls};

use crate::error::SinkError;

/// The settings that fix how values are printed and read. `lc_monetary` has no symbol that depends on the place.
const PINNED_SETTINGS: &str = "-c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=postgres \
     -c extra_float_digits=3 -c bytea_output=hex -c lc_monetary=C";

/// A database's address. Printing it leaves the password out.
#[derive(Clone)]
pub struct Database {
    config: Config,
    url: String,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.address())
    }
}

impl std::str::FromStr for Database {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        // The crate's own message could quote the URL, and with it the password.
        let config = url
            .parse::<Config>()
            .map_err(|_| "not a PostgreSQL URL; postgres://USER:PASSWORD@HOST:PORT/DATABASE is expected".to_owned())?;
        if config.get_hosts().is_empty() || config.get_dbname().is_none() || config.get_user().is_none() {
            return Err("the URL must name a user, a host and a database".to_owned());
        }
        Ok(Self { config, url: url.to_owned() })
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

    /// The password, empty for none.
    pub fn password(&self) -> String {
        self.config.get_password().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
    }

    /// The URL as it was given, for PostgreSQL's own programs: through the environment, never the command line.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Opens a session.
    ///
    /// # Errors
    /// Retry when the server is not there or not ready; stop when it refuses.
    pub async fn connect(&self, purpose: &str) -> Result<Client, SinkError> {
        let mut config = self.config.clone();
        config
            .application_name(format!("Headwater sink {purpose}"))
            .options(PINNED_SETTINGS)
            .connect_timeout(std::time::Duration::from_secs(10));
        let (client, session) = config
            .connect(NoTls)
            .await
            .map_err(|error| SinkError::from(error).while_doing(&format!("connecting to {}", self.address())))?;
        tokio::spawn(async move {
            // A broken session fails the query that waits on it, which is where it is reported.
            if let Err(error) = session.await {
                tracing::debug!(%error, "session ended");
            }
        });
        Ok(client)
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
