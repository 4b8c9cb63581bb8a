//! `connection.url`, as PostgreSQL's JDBC driver reads it.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::postgres::Database;

const SCHEME: &str = "jdbc:postgresql:";
const DEFAULT_PORT: &str = "5432";

/// Where the tables are.
#[derive(Debug, Clone)]
pub struct Address {
    /// The database.
    pub database: Database,
    /// `currentSchema`: where tables are whose names have no schema.
    pub schema: Option<String>,
}

impl Address {
    /// From the URL, and the user and password beside it, which count before those in it.
    ///
    /// # Errors
    /// What is wrong with it, without its values.
    pub fn parse(url: &str, user: Option<&str>, password: Option<&str>) -> Result<Self, String> {
        let rest = url.trim().strip_prefix(SCHEME).ok_or_else(|| {
            format!("must begin with {SCHEME}//: this sink writes to PostgreSQL, and to no other database")
        })?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (hosts, database) = match place.strip_prefix("//") {
            Some(place) => place.split_once('/').unwrap_or((place, "")),
            None => ("localhost", place),
        };
        if hosts.contains(',') {
            return Err("names several hosts: name the one that takes writes".to_owned());
        }
        let mut parameters = Parameters::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            parameters.take(key, &decoded(value)?);
        }
        let user =
            user.map(str::to_owned).or(parameters.user).ok_or("names no user, and connection.username is not set")?;
        let password = password.map(str::to_owned).or(parameters.password);
        let database = if database.is_empty() { user.clone() } else { decoded(database)? };
        let (host, port) = host_and_port(hosts);
        let login = match password {
            Some(password) => format!("{}:{}", encoded(&user), encoded(&password)),
            None => encoded(&user),
        };
        // The mode is one of a few words, which are looked up as they stand there.
        let tls: Vec<String> = parameters
            .tls
            .iter()
            .map(|(key, value)| format!("{key}={}", if *key == "sslmode" { value.clone() } else { encoded(value) }))
            .collect();
        let url = format!("postgres://{login}@{host}:{port}/{}?{}", encoded(&database), tls.join("&"));
        Ok(Self { database: url.trim_end_matches('?').parse()?, schema: parameters.schema })
    }
}

/// What of the driver's parameters means something here. The others are about the driver itself.
#[derive(Debug, Default)]
struct Parameters {
    user: Option<String>,
    password: Option<String>,
    schema: Option<String>,
    tls: Vec<(&'static str, String)>,
}

impl Parameters {
    fn take(&mut self, key: &str, value: &str) {
        let value = value.to_owned();
        match key {
            "user" => self.user = Some(value),
            "password" => self.password = Some(value),
            "currentSchema" => self.schema = value.split(',').next().map(|first| first.trim().to_owned()),
            // What the driver takes it for where sslmode says nothing else.
            "ssl" if value != "false" && !self.tls.iter().any(|(key, _)| *key == "sslmode") => {
                self.tls.push(("sslmode", "verify-full".to_owned()));
            }
            "sslmode" => {
                self.tls.retain(|(key, _)| *key != "sslmode");
                self.tls.push(("sslmode", value));
            }
            "sslrootcert" => self.tls.push(("sslrootcert", value)),
            "sslcert" => self.tls.push(("sslcert", value)),
            "sslkey" => self.tls.push(("sslkey", value)),
            _ => {}
        }
    }
}

fn host_and_port(text: &str) -> (String, String) {
    let (host, port) = match text.rsplit_once(':') {
        // A colon inside of an IPv6 address.
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (text, DEFAULT_PORT),
    };
    let host = if host.is_empty() { "localhost" } else { host };
    (host.to_owned(), port.to_owned())
}

fn decoded(text: &str) -> Result<String, String> {
    percent_decode_str(text).decode_utf8().map(|text| text.into_owned()).map_err(|_| "is not UTF-8".to_owned())
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Address, String> {
        Address::parse(url, Some("u"), Some("p?@:/ä"))
    }

    #[test]
    fn a_url_is_read_as_the_driver_reads_it() {
        for (url, address, schema) in [
            ("jdbc:postgresql://h:1/d", "h:1/d", None),
            ("jdbc:postgresql://h/d?currentSchema=s,public&stringtype=unspecified", "h:5432/d", Some("s")),
            ("jdbc:postgresql://[::1]:2/d", "::1:2/d", None),
            ("jdbc:postgresql:d", "localhost:5432/d", None),
            ("jdbc:postgresql://h/", "h:5432/u", None),
            ("jdbc:postgresql://h/a%20b?reWriteBatchedInserts=true", "h:5432/a b", None),
        ] {
            let found = parse(url).unwrap();
            assert_eq!(found.database.address().replace(['[', ']'], ""), address, "{url}");
            assert_eq!(found.schema.as_deref(), schema, "{url}");
            assert_eq!(found.database.given_password().as_deref(), Some("p?@:/ä"), "{url}");
        }
        let own = Address::parse("jdbc:postgresql://h/d?user=a&password=b%26c", None, None).unwrap().database;
        assert_eq!((own.user(), own.given_password().as_deref()), ("a", Some("b&c")));
    }

    #[test]
    fn tls_is_that_of_the_url() {
        let mode = |query: &str| parse(&format!("jdbc:postgresql://h/d{query}")).unwrap().database.tls().mode;
        assert_eq!(mode(""), None);
        assert_eq!(mode("?ssl=true"), Some(access::SslMode::VerifyFull));
        assert_eq!(mode("?ssl=true&sslmode=require"), Some(access::SslMode::Require));
    }

    #[test]
    fn what_cannot_be_kept_is_refused_without_its_values() {
        for url in
            ["jdbc:mysql://hidden/d", "jdbc:postgresql://hidden1,hidden2/d", "jdbc:postgresql://h/d?sslmode=hidden"]
        {
            let error = parse(url).unwrap_err();
            assert!(!error.contains("hidden"), "{error}");
        }
        assert!(Address::parse("jdbc:postgresql://h/d", None, None).is_err(), "nobody to log in as");
    }
}
