//! `driver.*`: what Debezium hands on to the PostgreSQL JDBC driver. It hands on what begins with `database.` too, and where
//! both say something, `driver.*` counts (`RelationalDatabaseConnectorConfig`).
//!
//! There is no JDBC driver here. Its properties that mean something to a session do the same; of the others, those that would
//! change who is connected to, or how safely, are refused, and the rest changes nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use super::check::{Checked, Finding, parse_boolean};
use super::properties;

/// What the driver's properties say of every session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Driver {
    /// `ApplicationName`.
    pub application_name: Option<String>,
    /// `options`, and what other properties say in its words.
    pub options: String,
    /// `connectTimeout`: how long opening a session's connection may take.
    pub connect_timeout: Timeout,
    /// `loginTimeout`: how long opening a session may take in all.
    pub login_timeout: Timeout,
    /// `socketTimeout`: how long what was sent may stay without an answer of the network.
    pub socket_timeout: Option<Duration>,
    /// `targetServerType`.
    pub target: TargetServer,
    /// `channelBinding`.
    pub channel_binding: ChannelBinding,
}

/// How long something may take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Timeout {
    /// Nothing is said of it.
    #[default]
    Unset,
    /// So long.
    After(Duration),
    /// For ever.
    Never,
}

/// `targetServerType`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TargetServer {
    /// Any.
    #[default]
    Any,
    /// One that can be written to.
    Primary,
    /// One that cannot.
    Secondary,
}

/// `channelBinding`: whether a login is bound to the TLS channel, so that nobody between can pass it on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Never.
    Disable,
    /// Where server and channel can.
    #[default]
    Prefer,
    /// Nobody is logged in to without.
    Require,
}

/// Properties that do here what they do in the driver, and how.
pub(super) const TAKEN: &[(&str, &str)] = &[
    ("ApplicationName", "the sessions' `application_name`; Debezium sets its own over it"),
    ("channelBinding", "`disable`, `prefer` and `require`: whether logging in by SCRAM is bound to the TLS channel"),
    ("connectTimeout", "seconds that opening a connection may take, 0 for no end"),
    ("currentSchema", "the sessions' `search_path`"),
    ("loginTimeout", "seconds that opening a session may take, 0 for no end"),
    ("options", "the server's command line options; how values are printed stays as this worker reads them"),
    ("socketTimeout", "seconds that sent data may stay unanswered by the network, of sessions that do not stream"),
    ("ssl", "`true` is `sslmode=verify-full`, unless that is given"),
    (
        "targetServerType",
        "`any`, `primary` (`master`) and `secondary` (`slave`) are checked; `prefer…` is `any`, for one server is named",
    ),
];

/// Properties that are refused when they have another value than these, and why.
pub(super) const REFUSED: &[(&str, &[&str], &str)] = &[
    ("PGHOST", &[], "the server is named by database.hostname"),
    ("PGPORT", &[], "the server's port is database.port"),
    ("PGDBNAME", &[], "the database is named by database.dbname"),
    ("service", &[], "connection services are not read: give database.hostname, database.port and database.dbname"),
    ("authenticationPluginClassName", &[], "it names a Java class"),
    ("socketFactory", &[], "it names a Java class"),
    ("socketFactoryArg", &[], "it is of a socketFactory, which names a Java class"),
    ("sslhostnameverifier", &[], "it names a Java class: database.sslmode says what is verified"),
    ("sslpasswordcallback", &[], "it names a Java class: give database.sslpassword"),
    ("gssEncMode", &["allow", "disable", "prefer"], "connections are encrypted with TLS only: see database.sslmode"),
    ("localSocketAddress", &[], "the operating system chooses the address that is connected from"),
    ("readOnly", &["false"], "signals, heartbeat queries and publications write; see read.only"),
    ("requireAuth", &[], "how to authenticate is the server's choice here"),
    ("sslNegotiation", &["postgres"], "TLS begins as the server's protocol has it"),
];

const PREFIXES: [&str; 2] = ["driver.", "database."];

/// A configuration in which `driver.*` stands where the connector's own properties of that name do.
pub(super) fn folded(config: &BTreeMap<String, String>) -> Cow<'_, BTreeMap<String, String>> {
    let declared = |key: &str| {
        let name = format!("database.{}", key.strip_prefix("driver.")?);
        properties::find(&name).map(|_| name)
    };
    let mut folded = Cow::Borrowed(config);
    for (key, value) in config {
        if let Some(name) = declared(key) {
            let folded = folded.to_mut();
            folded.remove(key);
            folded.insert(name, value.clone());
        }
    }
    let is_ssl = setting(config, "ssl").and_then(parse_boolean).unwrap_or_default();
    if is_ssl && !folded.contains_key("database.sslmode") {
        folded.to_mut().insert("database.sslmode".to_owned(), "verify-full".to_owned());
    }
    folded
}

/// Whether a key is one of the driver's: of those that begin with `database.`, only what the tables name.
pub(super) fn is_key(key: &str) -> bool {
    key.starts_with("driver.") || name_of(key).is_some_and(|name| is_taken(name) || refused(name).is_some())
}

/// Looks at one key that [`is_key`] says yes to.
pub(super) fn check(key: &str, value: &str, checked: &mut Checked) {
    let Some(name) = name_of(key) else { return };
    let value = value.trim();
    if let Some((_, harmless, why)) = refused(name) {
        if !value.is_empty() && !harmless.iter().any(|harmless| harmless.eq_ignore_ascii_case(value)) {
            checked.findings.push(Finding::unsupported(key, why));
        }
    } else if !is_taken(name) {
        checked.warnings.push(format!("{key} has no effect here: it tunes the JDBC driver, and there is none"));
    } else if let Some(why) = invalid(name, value) {
        checked.findings.push(Finding::invalid(key, why));
    }
}

fn invalid(name: &str, value: &str) -> Option<&'static str> {
    match name {
        "connectTimeout" | "loginTimeout" | "socketTimeout" => {
            value.parse::<u32>().err().map(|_| "A non-negative integer is expected")
        }
        "channelBinding" => channel_binding(value).is_none().then_some("Value must be one of disable, prefer, require"),
        "ssl" => parse_boolean(value).is_none().then_some("Either 'true' or 'false' is expected"),
        "targetServerType" => target(value).is_none().then_some(
            "Value must be one of any, primary, master, secondary, slave, preferPrimary, preferSecondary, preferSlave",
        ),
        _ => value.contains('\0').then_some("a text without zero bytes is expected"),
    }
}

impl Driver {
    /// From a checked configuration.
    pub(super) fn parse(config: &BTreeMap<String, String>) -> Self {
        let text = |name: &str| setting(config, name).map(str::trim).filter(|value| !value.is_empty());
        let seconds = |name: &str| text(name).and_then(|value| value.parse::<u64>().ok()).map(Duration::from_secs);
        let timeout = |name: &str| match seconds(name) {
            None => Timeout::Unset,
            Some(Duration::ZERO) => Timeout::Never,
            Some(after) => Timeout::After(after),
        };
        let mut options = text("options").unwrap_or_default().to_owned();
        if let Some(schemas) = text("currentSchema") {
            options += &format!(" -c search_path={}", escaped(schemas));
        }
        Self {
            application_name: text("ApplicationName").map(str::to_owned),
            options,
            connect_timeout: timeout("connectTimeout"),
            login_timeout: timeout("loginTimeout"),
            socket_timeout: seconds("socketTimeout").filter(|after| !after.is_zero()),
            target: text("targetServerType").and_then(target).unwrap_or_default(),
            channel_binding: text("channelBinding").and_then(channel_binding).unwrap_or_default(),
        }
    }
}

impl Timeout {
    /// How long it is, with what counts where nothing is said; `None` for no end.
    pub fn or(self, unset: Duration) -> Option<Duration> {
        match self {
            Timeout::Unset => Some(unset),
            Timeout::After(after) => Some(after),
            Timeout::Never => None,
        }
    }
}

/// A value inside of `options`, in which spaces separate and backslashes escape.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace(' ', "\\ ")
}

fn target(value: &str) -> Option<TargetServer> {
    match value.to_ascii_lowercase().as_str() {
        "any" | "preferprimary" | "prefersecondary" | "preferslave" => Some(TargetServer::Any),
        "primary" | "master" => Some(TargetServer::Primary),
        "secondary" | "slave" => Some(TargetServer::Secondary),
        _ => None,
    }
}

fn channel_binding(value: &str) -> Option<ChannelBinding> {
    match value.to_ascii_lowercase().as_str() {
        "disable" => Some(ChannelBinding::Disable),
        "prefer" => Some(ChannelBinding::Prefer),
        "require" => Some(ChannelBinding::Require),
        _ => None,
    }
}

fn name_of(key: &str) -> Option<&str> {
    PREFIXES.iter().find_map(|prefix| key.strip_prefix(prefix))
}

fn is_taken(name: &str) -> bool {
    TAKEN.iter().any(|(taken, _)| *taken == name)
}

fn refused(name: &str) -> Option<&'static (&'static str, &'static [&'static str], &'static str)> {
    REFUSED.iter().find(|(refused, ..)| *refused == name)
}

/// A property of the driver, `driver.*` before `database.*`.
fn setting<'a>(config: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    PREFIXES.iter().find_map(|prefix| config.get(&format!("{prefix}{name}"))).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn checked(key: &str, value: &str) -> (usize, usize) {
        let mut checked = Checked::default();
        check(key, value, &mut checked);
        (checked.findings.len(), checked.warnings.len())
    }

    #[test]
    fn the_connector_s_own_properties_may_be_given_as_the_driver_s() {
        let config = config(&[("driver.sslmode", "require"), ("database.sslmode", "disable"), ("driver.user", "u")]);
        let folded = folded(&config);
        assert_eq!(folded.get("database.sslmode").map(String::as_str), Some("require"));
        assert_eq!(folded.get("database.user").map(String::as_str), Some("u"));
        assert!(!folded.keys().any(|key| key.starts_with("driver.")));
    }

    #[test]
    fn ssl_asks_for_a_verified_server_unless_a_mode_is_given() {
        let mode = |pairs| folded(&config(pairs)).get("database.sslmode").cloned();
        assert_eq!(mode(&[("driver.ssl", "true")]).as_deref(), Some("verify-full"));
        assert_eq!(mode(&[("driver.ssl", "true"), ("database.sslmode", "require")]).as_deref(), Some("require"));
        assert_eq!(mode(&[("driver.ssl", "false")]), None);
    }

    #[test]
    fn what_means_something_to_a_session_is_taken() {
        let driver = Driver::parse(&config(&[
            ("driver.ApplicationName", "mine"),
            ("database.ApplicationName", "other"),
            ("driver.options", "-c work_mem=1MB"),
            ("driver.currentSchema", "a, b"),
            ("driver.connectTimeout", "0"),
            ("driver.loginTimeout", "7"),
            ("driver.targetServerType", "master"),
            ("driver.channelBinding", "require"),
        ]));
        assert_eq!(driver.application_name.as_deref(), Some("mine"));
        assert_eq!(driver.options, "-c work_mem=1MB -c search_path=a,\\ b");
        assert_eq!(driver.connect_timeout.or(Duration::from_secs(15)), None);
        assert_eq!(driver.login_timeout.or(Duration::from_secs(15)), Some(Duration::from_secs(7)));
        assert_eq!((driver.target, driver.channel_binding), (TargetServer::Primary, ChannelBinding::Require));
        assert_eq!(
            Driver::parse(&config(&[])).login_timeout.or(Duration::from_secs(15)),
            Some(Duration::from_secs(15))
        );
    }

    #[test]
    fn the_others_are_a_warning_and_what_changes_whom_is_trusted_is_refused() {
        let expected = [
            ("driver.prepareThreshold", "3", (0, 1)),
            ("driver.socketFactory", "com.google.cloud.sql.postgres.SocketFactory", (1, 0)),
            ("database.socketFactory", "x", (1, 0)),
            ("driver.channelBinding", "always", (1, 0)),
            ("driver.channelBinding", "require", (0, 0)),
            ("driver.requireAuth", "scram-sha-256", (1, 0)),
            ("driver.connectTimeout", "soon", (1, 0)),
            ("driver.connectTimeout", "10", (0, 0)),
            ("driver.targetServerType", "best", (1, 0)),
        ];
        for (key, value, counts) in expected {
            assert!(is_key(key), "{key}");
            assert_eq!(checked(key, value), counts, "{key}={value}");
        }
        assert!(!is_key("database.prepareThreshold"), "an unknown key is a warning of its own");
    }
}
