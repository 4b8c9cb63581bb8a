//! What of a source's server keeps a slot from being made or read. Each program asks it with its own session.

use tokio_postgres::Row;

use super::Finding;

/// What the server is asked, with the names of the slots that are to be read. `rds_…` are the roles by which Amazon's servers give the
/// right.
pub const QUERY: &str = "
    SELECT current_setting('wal_level'), current_setting('server_version'), current_user::text,
           coalesce((SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user), false)
           OR EXISTS (SELECT FROM pg_roles
                      WHERE rolname IN ('rds_superuser', 'rdsadmin', 'rdsrepladmin', 'rds_replication')
                        AND pg_has_role(current_user, oid, 'member')),
           (SELECT count(*) FROM pg_replication_slots), current_setting('max_replication_slots')::int8,
           (SELECT count(*) FROM pg_replication_slots WHERE slot_name::text = ANY($1)),
           (SELECT count(*) FROM pg_replication_slots WHERE slot_name::text = ANY($1) AND active),
           (SELECT count(*) FROM pg_stat_replication), current_setting('max_wal_senders')::int8";

/// The server's answer, a column a field.
#[derive(Debug, Clone)]
pub struct Source {
    /// `wal_level`.
    pub wal_level: String,
    /// `server_version`.
    pub version: String,
    /// Who asks.
    pub user: String,
    /// Whether they may replicate.
    pub may_replicate: bool,
    /// How many slots there are.
    pub slots: i64,
    /// How many there can be.
    pub max_slots: i64,
    /// How many of those that are to be read are there.
    pub present: i64,
    /// How many of them are being read.
    pub active: i64,
    /// How many replication sessions there are.
    pub senders: i64,
    /// How many there can be.
    pub max_senders: i64,
}

impl Source {
    /// The answer to [`QUERY`].
    pub fn of(row: &Row) -> Self {
        Self {
            wal_level: row.get(0),
            version: row.get(1),
            user: row.get(2),
            may_replicate: row.get(3),
            slots: row.get(4),
            max_slots: row.get(5),
            present: row.get(6),
            active: row.get(7),
            senders: row.get(8),
            max_senders: row.get(9),
        }
    }

    /// What is wrong, where so many slots are to be read.
    pub fn findings(&self, wanted: usize) -> Vec<Finding> {
        let wanted = i64::try_from(wanted).unwrap_or(i64::MAX);
        let mut findings = Vec::new();
        if self.wal_level != "logical" && wanted > 0 {
            findings.push(Finding::error(
                "wal-level",
                format!(
                    "wal_level is {}: the server's log does not say what was changed, and no slot can decode it",
                    self.wal_level
                ),
                "ALTER SYSTEM SET wal_level = 'logical';\nand restart the server",
            ));
        }
        if !self.may_replicate {
            let user = quoted(&self.user);
            findings.push(Finding::error(
                "role-replication",
                format!("user {user} may not replicate: the server lets it neither make a slot nor read one"),
                format!("ALTER ROLE {user} REPLICATION;\n(on Amazon RDS: GRANT rds_replication TO {user};)"),
            ));
        }
        let missing = wanted - self.present;
        if missing > 0 && self.slots + missing > self.max_slots {
            findings.push(
                Finding::error(
                    "replication-slots",
                    format!(
                        "all replication slots are taken: the server has {} of {} (max_replication_slots), and {missing} more \
                         {} needed",
                        self.slots,
                        self.max_slots,
                        if missing == 1 { "is" } else { "are" }
                    ),
                    format!(
                        "Drop a slot that nobody reads:\nSELECT slot_name, active, restart_lsn FROM pg_replication_slots WHERE NOT \
                         active;\nSELECT pg_drop_replication_slot('NAME');\nor raise the limit and restart the server:\nALTER SYSTEM \
                         SET max_replication_slots = {};",
                        self.max_slots + missing.max(10)
                    ),
                )
                .passing(),
            );
        }
        let unread = wanted - self.active;
        if unread > 0 && self.senders + unread > self.max_senders {
            findings.push(
                Finding::error(
                    "wal-senders",
                    format!(
                        "no replication session is free: the server has {} of {} (max_wal_senders), and a slot needs one to be read",
                        self.senders, self.max_senders
                    ),
                    format!(
                        "End one that nobody needs:\nSELECT pid, usename, application_name, client_addr FROM pg_stat_replication;\n\
                         SELECT pg_terminate_backend(PID);\nor raise the limit and restart the server:\nALTER SYSTEM SET \
                         max_wal_senders = {};",
                        self.max_senders + unread.max(10)
                    ),
                )
                .passing(),
            );
        }
        findings
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Source {
        let text = str::to_owned;
        Source {
            wal_level: text("logical"),
            version: text("17.6"),
            user: text("u"),
            may_replicate: true,
            slots: 3,
            max_slots: 4,
            present: 0,
            active: 0,
            senders: 3,
            max_senders: 4,
        }
    }

    fn ids(source: &Source) -> Vec<&'static str> {
        source.findings(1).iter().map(|finding| finding.id).collect()
    }

    #[test]
    fn a_slot_that_is_there_needs_no_place_and_one_that_is_read_no_session() {
        assert!(ids(&source()).is_empty());
        let full = Source { slots: 4, senders: 4, ..source() };
        assert_eq!(ids(&full), ["replication-slots", "wal-senders"]);
        assert_eq!(ids(&Source { present: 1, ..full.clone() }), ["wal-senders"]);
        assert!(ids(&Source { present: 1, active: 1, ..full }).is_empty());
    }

    #[test]
    fn everything_is_found_at_once() {
        let wrong = Source { wal_level: "replica".to_owned(), may_replicate: false, ..source() };
        assert_eq!(ids(&wrong), ["wal-level", "role-replication"]);
    }
}
