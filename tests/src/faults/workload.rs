//! What the source's users do all the time, whatever breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use fastrand::Rng;
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::postgres;

/// The tables; the key of each is its first column, `id`.
pub const TABLES: [&str; 6] = ["accounts", "transfers", "readings", "documents", "badges", "scratch"];

/// How they are made, empty.
pub const SCHEMA: &str = "
    CREATE TABLE accounts (id bigint PRIMARY KEY, owner text NOT NULL, balance numeric(14,2) NOT NULL, changed timestamptz);
    CREATE TABLE transfers (id bigserial PRIMARY KEY, source bigint NOT NULL, target bigint NOT NULL, amount numeric(14,2) NOT NULL);
    CREATE TABLE readings (id bigserial PRIMARY KEY, value text, sensor int DEFAULT 7, at timestamptz DEFAULT now());
    CREATE TABLE documents (id bigserial PRIMARY KEY, title text, body text, revision int NOT NULL DEFAULT 0);
    ALTER TABLE documents ALTER COLUMN body SET STORAGE EXTERNAL;
    CREATE TABLE badges (id bigint PRIMARY KEY, holder text NOT NULL);
    CREATE TABLE scratch (id bigserial PRIMARY KEY, v text)";

/// Rows that are there before anything is captured.
pub const FIRST_ROWS: &str = "
    INSERT INTO accounts SELECT n, 'owner ' || n, 1000, now() FROM generate_series(1, 500) n;
    INSERT INTO badges SELECT n, 'holder ' || n FROM generate_series(1, 500) n;
    INSERT INTO documents (title, body) SELECT 'title ' || n, repeat(md5(n::text), 400) FROM generate_series(1, 40) n";

/// What a user thinks between two transactions, on average.
const THINKING: Duration = Duration::from_millis(90);

/// Users at work, until they are stopped.
pub struct Workload {
    stop: CancellationToken,
    users: Vec<JoinHandle<anyhow::Result<()>>>,
    /// Transactions that were committed or rolled back as they were meant to be.
    pub transactions: Arc<AtomicU64>,
}

impl Workload {
    /// So many users begin to work at the source. `target` is where a new column is added first, as the sink asks for it.
    pub fn begin(source: &str, target: &str, users: u64, seed: u64) -> Self {
        let (stop, transactions) = (CancellationToken::new(), Arc::new(AtomicU64::new(0)));
        let users = (0..users)
            .map(|number| {
                let user = User {
                    source: source.to_owned(),
                    target: target.to_owned(),
                    random: Rng::with_seed(seed.wrapping_mul(31).wrapping_add(number)),
                    columns: 0,
                    is_first: number == 0,
                };
                tokio::spawn(user.work(stop.clone(), transactions.clone()))
            })
            .collect();
        Self { stop, users, transactions }
    }

    /// Stops and waits for the last transactions.
    ///
    /// # Errors
    /// A user met with something that no fault explains.
    pub async fn stop(self) -> anyhow::Result<u64> {
        self.stop.cancel();
        for user in self.users {
            user.await??;
        }
        Ok(self.transactions.load(Ordering::SeqCst))
    }
}

struct User {
    source: String,
    target: String,
    random: Rng,
    /// Columns added so far.
    columns: u32,
    /// One of them alone changes tables.
    is_first: bool,
}

impl User {
    async fn work(mut self, stop: CancellationToken, transactions: Arc<AtomicU64>) -> anyhow::Result<()> {
        let mut session = None;
        while !stop.is_cancelled() {
            let client = match session.take() {
                Some(client) => client,
                None => match postgres::connect(&self.source).await {
                    Ok(client) => client,
                    Err(_) => {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
            };
            let done = if self.is_first && self.random.u32(0..400) == 0 {
                self.change_a_table(&client).await
            } else {
                let sql = self.transaction();
                client.batch_execute(&sql).await.with_context(|| sql)
            };
            match done {
                Ok(()) => {
                    transactions.fetch_add(1, Ordering::Relaxed);
                    session = Some(client);
                }
                // The server went away, ended the session, or two users locked each other out. What the transaction came to is
                // not known here, nor needed: the slot that watches knows.
                Err(error) if is_a_fault_s(&error) => {}
                Err(error) => return Err(error),
            }
            tokio::time::sleep(THINKING.mul_f64(self.random.f64() * 2.0)).await;
        }
        Ok(())
    }

    /// A column comes, or the last one goes.
    async fn change_a_table(&mut self, client: &Client) -> anyhow::Result<()> {
        if self.columns > 0 && self.random.bool() {
            let sql = format!("ALTER TABLE readings DROP COLUMN IF EXISTS more_{}", self.columns);
            return client.batch_execute(&sql).await.with_context(|| sql);
        }
        let column = format!("more_{}", self.columns + 1);
        let add = format!("ALTER TABLE readings ADD COLUMN IF NOT EXISTS {column} text DEFAULT 'as {column}'");
        // A target that is away now has no new column today.
        let Ok(target) = postgres::connect(&self.target).await else { return Ok(()) };
        if target.batch_execute(&add).await.is_err() {
            return Ok(());
        }
        self.columns += 1;
        let sql = format!(
            "BEGIN; {add}; INSERT INTO readings (value, {column}) VALUES ('new', 'here'), ('old', NULL); COMMIT"
        );
        client.batch_execute(&sql).await.with_context(|| sql)
    }

    /// Any transaction.
    fn transaction(&mut self) -> String {
        let random = &mut self.random;
        let (a, b) = (random.i64(1..=500), random.i64(1..=500));
        let rows = random.u32(2..60);
        match random.u32(0..100) {
            0..35 => format!(
                "BEGIN; INSERT INTO transfers (source, target, amount) VALUES ({a}, {b}, {rows});
                 UPDATE accounts SET balance = balance - {rows}, changed = now() WHERE id = {a};
                 UPDATE accounts SET balance = balance + {rows}, owner = 'transfer ' || currval('transfers_id_seq') WHERE id = {b};
                 COMMIT"
            ),
            35..50 => format!("COPY readings (value) FROM PROGRAM 'seq 1 {rows}'"),
            50..60 => format!(
                "BEGIN; INSERT INTO readings (value) SELECT 'row ' || n FROM generate_series(1, {rows}) n;
                 COPY readings (value) FROM PROGRAM 'seq 1 {0}';
                 UPDATE readings SET value = value || '!' WHERE id IN (SELECT id FROM readings ORDER BY id DESC LIMIT {rows});
                 DELETE FROM readings WHERE id IN (SELECT id FROM readings WHERE id > 0 ORDER BY id LIMIT {1}); COMMIT",
                rows * 2,
                rows * 3 + 60
            ),
            60..66 => format!("UPDATE badges SET id = id + 1000 WHERE id % 500 = {}", a % 500),
            66..70 => format!(
                "BEGIN; UPDATE badges SET id = -1000000 - id WHERE id % 500 = {0} AND id > 0;
                 UPDATE badges SET id = -1000000 - id, holder = holder || '.' WHERE id < -1000000 AND (-1000000 - id) % 500 = {0};
                 COMMIT",
                b % 500
            ),
            70..74 => format!(
                "BEGIN; DELETE FROM badges WHERE id % 500 = {0} AND id > 0; INSERT INTO badges VALUES ({0} + 500, 'again'); COMMIT",
                a % 500
            ),
            74..78 => format!("INSERT INTO documents (title, body) VALUES ('new', repeat(md5('{a} {b}'), {rows} * 20))"),
            78..83 => format!("UPDATE documents SET title = 'title {b}', revision = revision + 1 WHERE id % 40 = {}", a % 40),
            83..86 => format!("UPDATE documents SET body = repeat(md5('{b}'), {rows} * 10) WHERE id % 90 = {}", a % 90),
            86..88 => format!("DELETE FROM documents WHERE id > 40 AND id % 7 = {}", a % 7),
            88..92 => "DELETE FROM transfers WHERE id IN (SELECT id FROM transfers WHERE id > 0 ORDER BY id LIMIT 30)
                       AND id < (SELECT max(id) FROM transfers) - 100"
                .to_owned(),
            92..94 => format!("BEGIN; INSERT INTO readings (value) SELECT 'never' FROM generate_series(1, {rows}); ROLLBACK"),
            94..97 => format!(
                "BEGIN; INSERT INTO scratch (v) VALUES ('kept'); SAVEPOINT s; INSERT INTO scratch (v) VALUES ('never');
                 ROLLBACK TO SAVEPOINT s; INSERT INTO scratch (v) SELECT 'kept too' FROM generate_series(1, {rows}); COMMIT"
            ),
            97 => format!("BEGIN; TRUNCATE scratch; INSERT INTO scratch (v) SELECT 'first' FROM generate_series(1, {rows}); COMMIT"),
            98 => "DELETE FROM readings WHERE id IN (SELECT id FROM readings WHERE id > 0 ORDER BY id LIMIT 900)".to_owned(),
            _ => format!("INSERT INTO readings (value) SELECT 'of many ' || n FROM generate_series(1, {rows} * 25) n"),
        }
    }
}

/// Whether the session broke, or the server is not there (classes 08 and 57, or no answer at all), or two users were in each
/// other's way: a deadlock (40), a key that is taken (23). Who ends a session ends the program of its COPY as well, for
/// `pg_terminate_backend` signals the whole process group, and the server may notice that one first (38).
fn is_a_fault_s(error: &anyhow::Error) -> bool {
    let Some(error) = error.downcast_ref::<tokio_postgres::Error>() else { return false };
    error.code().is_none_or(|code| ["08", "23", "38", "40", "57"].iter().any(|class| code.code().starts_with(class)))
}
