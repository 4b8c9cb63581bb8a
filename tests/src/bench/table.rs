//! The rows that are written.

use anyhow::Context as _;
use tokio_postgres::Client;

use super::Work;

/// How many rows a transaction has, unless it is said otherwise.
pub(super) const TRANSACTION: usize = 1000;

/// A kind of backlog.
pub(super) struct Backlog {
    /// What makes the tables.
    schema: String,
    /// What one transaction does, `$n` standing for its number.
    transaction: String,
    /// How many changes a transaction has.
    pub(super) changes: usize,
    /// The tables in schema `public`.
    pub(super) tables: Vec<String>,
}

/// The table that most is measured with: 12 columns, some 150 bytes a row.
pub(super) const DEVICES: &str = "CREATE TABLE devices (id bigserial PRIMARY KEY, service_tag text NOT NULL, device_name text, \
     device_type_id int, model text, ip_address text, health_status text, power_state text, slot_number int, \
     temperature numeric(6,2), last_seen timestamptz DEFAULT now(), is_managed boolean DEFAULT true)";

/// Rows of it.
pub(super) fn devices(table: &str, rows: usize) -> String {
    format!(
        "INSERT INTO {table} (service_tag, device_name, device_type_id, model, ip_address, health_status, power_state, \
         slot_number, temperature) SELECT 'TAG' || i, 'device-' || i, i % 7, 'PowerEdge R750', '10.0.0.' || i % 250, 'OK', 'On', \
         i % 42, i % 90 + 0.25 FROM generate_series(1, {rows}) i"
    )
}

impl Backlog {
    /// What is written for a work.
    pub(super) fn of(work: Work) -> Self {
        match work {
            Work::Wide => Self::wide(),
            Work::Documents => Self::documents(),
            Work::Toast => Self::toast(),
            Work::Pgbench => Self::pgbench(),
            Work::Tables => Self::tables(1000),
            _ => Self {
                schema: DEVICES.to_owned(),
                transaction: devices("devices", TRANSACTION),
                changes: TRANSACTION,
                tables: vec!["devices".to_owned()],
            },
        }
    }

    /// 60 columns of several types.
    fn wide() -> Self {
        let (mut columns, mut values) = (String::new(), String::new());
        for number in 0..59 {
            let (kind, value) = match number % 6 {
                0 => ("text", "'some text of column ' || i"),
                1 => ("int", "i"),
                2 => ("bigint", "i::bigint * 1000003"),
                3 => ("timestamp", "'2026-01-01'::timestamp + i * interval '1 minute'"),
                4 => ("boolean", "i % 2 = 0"),
                _ => ("double precision", "i / 7.0"),
            };
            columns.push_str(&format!(", c{number} {kind}"));
            values.push_str(&format!(", {value}"));
        }
        let names: Vec<String> = (0..59).map(|number| format!("c{number}")).collect();
        Self {
            schema: format!("CREATE TABLE wide (id bigserial PRIMARY KEY{columns})"),
            transaction: format!(
                "INSERT INTO wide ({}) SELECT {} FROM generate_series(1, {TRANSACTION}) i",
                names.join(", "),
                values.trim_start_matches(", ")
            ),
            changes: TRANSACTION,
            tables: vec!["wide".to_owned()],
        }
    }

    /// Documents of some 2 kB.
    fn documents() -> Self {
        Self {
            schema: "CREATE TABLE documents (id bigserial PRIMARY KEY, body jsonb NOT NULL, tags jsonb)".to_owned(),
            transaction: format!(
                "INSERT INTO documents (body, tags) SELECT jsonb_build_object('order', i, 'lines', (SELECT jsonb_agg(\
                 jsonb_build_object('sku', 'SKU-' || j, 'quantity', j, 'price', j * 1.25, 'note', 'a \"quoted\" note')) \
                 FROM generate_series(1, 24) j)), '[\"a\", \"b\", {{\"c\": null}}]' FROM generate_series(1, {TRANSACTION}) i"
            ),
            changes: TRANSACTION,
            tables: vec!["documents".to_owned()],
        }
    }

    /// Updates that do not touch the 10 kB beside them.
    fn toast() -> Self {
        Self {
            schema: format!(
                "CREATE TABLE files (id int PRIMARY KEY, version int NOT NULL, content text NOT NULL); \
                 ALTER TABLE files ALTER content SET STORAGE EXTERNAL; \
                 INSERT INTO files SELECT i, 0, repeat('content ' || i, 800) FROM generate_series(1, {TRANSACTION}) i"
            ),
            transaction: "UPDATE files SET version = version + 1".to_owned(),
            changes: TRANSACTION,
            tables: vec!["files".to_owned()],
        }
    }

    /// The transaction of pgbench (its `tpcb-like` script): three updates and an insert.
    fn pgbench() -> Self {
        Self {
            schema: "CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88)); \
                     CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84)); \
                     CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84)); \
                     CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22)); \
                     INSERT INTO pgbench_branches SELECT i, 0, '' FROM generate_series(1, 10) i; \
                     INSERT INTO pgbench_tellers SELECT i, i % 10, 0, '' FROM generate_series(1, 100) i; \
                     INSERT INTO pgbench_accounts SELECT i, i % 10, 0, '' FROM generate_series(1, 100000) i"
                .to_owned(),
            transaction: "UPDATE pgbench_accounts SET abalance = abalance + $n WHERE aid = 1 + $n * 7919 % 100000; \
                          UPDATE pgbench_tellers SET tbalance = tbalance + $n WHERE tid = 1 + $n % 100; \
                          UPDATE pgbench_branches SET bbalance = bbalance + $n WHERE bid = 1 + $n % 10; \
                          INSERT INTO pgbench_history VALUES (1 + $n % 100, 1 + $n % 10, 1 + $n * 7919 % 100000, $n, now())"
                .to_owned(),
            changes: 4,
            tables: ["branches", "tellers", "accounts", "history"].map(|name| format!("pgbench_{name}")).to_vec(),
        }
    }

    /// Many tables; a transaction has a change of each.
    fn tables(count: usize) -> Self {
        let each = |statement: &dyn Fn(usize) -> String| (1..=count).map(statement).collect::<String>();
        Self {
            schema: each(&|number| {
                format!(
                    "CREATE TABLE t{number} (id bigserial PRIMARY KEY, name text, changed_at timestamptz DEFAULT now());"
                )
            }),
            transaction: each(&|number| format!("INSERT INTO t{number} (name) VALUES ('row of table {number}');")),
            changes: count,
            tables: (1..=count).map(|number| format!("t{number}")).collect(),
        }
    }

    /// Makes the tables.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn make(&self, database: &Client) -> anyhow::Result<()> {
        database.batch_execute(&self.schema).await.context("making the tables")
    }

    /// Writes transactions until there are at least so many changes; gives how many there are.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn write(&self, database: &Client, changes: usize) -> anyhow::Result<usize> {
        let transactions = changes.div_ceil(self.changes);
        for number in 0..transactions {
            let statements = self.transaction.replace("$n", &number.to_string());
            database.batch_execute(&format!("BEGIN; {statements}; COMMIT")).await.context("writing the backlog")?;
        }
        Ok(transactions * self.changes)
    }
}
