//! The password file, `.pgpass`: PostgreSQL's manual, "The Password File".
//!
//! libpq and the JDBC driver (`org.postgresql.util.PGPropertyPasswordParser`) read it when no password is given. A file that
//! others can read is used with a warning, as the JDBC driver uses it; libpq passes over it.

use std::path::{Path, PathBuf};

/// Who enters what.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// The host as it is configured.
    pub host: &'a str,
    /// The port.
    pub port: u16,
    /// The database's name.
    pub database: &'a str,
    /// The user.
    pub user: &'a str,
}

/// The password of the first line that fits, in `PGPASSFILE` or `~/.pgpass`; it is read anew each time. `None` when there is
/// no such file or line.
pub fn password(login: Login<'_>) -> Option<String> {
    let path = path()?;
    match std::fs::metadata(&path) {
        Ok(file) if !file.is_file() => {
            tracing::warn!(path = %path.display(), "the password file is not a plain file and is passed over");
            return None;
        }
        Ok(file) => warn_if_open(&path, &file),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(_) => {}
    }
    match std::fs::read_to_string(&path) {
        Ok(text) => text.lines().find_map(|line| of_line(line, login)),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the password file cannot be read and is passed over");
            None
        }
    }
}

fn path() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    match variable("PGPASSFILE") {
        Some(path) => Some(path.into()),
        None => variable("HOME").map(|home| Path::new(&home).join(".pgpass")),
    }
}

#[cfg(unix)]
fn warn_if_open(path: &Path, file: &std::fs::Metadata) {
    use std::os::unix::fs::MetadataExt as _;
    // Of root's files a group may read what systemd and Kubernetes hand out as a secret.
    let others = if file.uid() == 0 { 0o037 } else { 0o077 };
    if file.mode() & others != 0 {
        tracing::warn!(path = %path.display(), "others can read the password file: chmod 600");
    }
}

#[cfg(not(unix))]
fn warn_if_open(_path: &Path, _file: &std::fs::Metadata) {}

/// `host:port:database:user:password`; a field may be `*`, and a backslash takes its meaning from a colon or a backslash.
fn of_line(line: &str, login: Login<'_>) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let port = login.port.to_string();
    let mut rest = line;
    for wanted in [login.host, &port, login.database, login.user] {
        let end = end_of_field(rest)?;
        let (field, behind) = (rest.get(..end)?, rest.get(end + 1..)?);
        if field != "*" && unescaped(field) != wanted {
            return None;
        }
        rest = behind;
    }
    let end = end_of_field(rest).unwrap_or(rest.len());
    rest.get(..end).map(unescaped)
}

/// Where the first colon is that has its meaning.
fn end_of_field(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, character)| {
        let ends = character == ':' && !escaped;
        escaped = character == '\\' && !escaped;
        ends.then_some(at)
    })
}

fn unescaped(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    let mut characters = field.chars();
    while let Some(character) = characters.next() {
        let literal = if character == '\\' { characters.next() } else { Some(character) };
        text.extend(literal);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> Option<String> {
        of_line(line, Login { host: "db.example", port: 5432, database: "shop:1", user: r"back\slash" })
    }

    #[test]
    fn the_fields_must_fit_and_stars_fit_everything() {
        assert_eq!(found(r"db.example:5432:shop\:1:back\\slash:secret").as_deref(), Some("secret"));
        assert_eq!(found("*:*:*:*:secret").as_deref(), Some("secret"));
        for other in [
            "other:*:*:*:secret",
            "*:5433:*:*:secret",
            "*:*:shop:1:secret",
            "*:*:*:somebody:secret",
            "# *:*:*:*:secret",
            "*:*:*",
            "",
        ] {
            assert_eq!(found(other), None, "{other}");
        }
    }

    #[test]
    fn a_password_may_have_colons_and_backslashes() {
        assert_eq!(found(r"*:*:*:*:a\:b\\c*").as_deref(), Some(r"a:b\c*"));
        assert_eq!(found("*:*:*:*:").as_deref(), Some(""), "an empty password is one");
    }
}
