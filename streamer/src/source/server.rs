//! Which server this is, and where its history left that of others.

use proto::lsn::Lsn;

use super::walsender::{Row, Session};
use crate::config::ConnectorConfig;
use crate::error::TaskError;

/// A server, as it says itself in the replication protocol (`IDENTIFY_SYSTEM`, `TIMELINE_HISTORY`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Made with the cluster; its standbys, promoted or not, have the same.
    pub system_id: String,
    /// One more with every promotion and every recovery to a point in time.
    pub timeline: u32,
    /// The timelines before, and where each was left.
    pub left: Vec<(u32, Lsn)>,
}

impl Server {
    /// Asks the server.
    ///
    /// # Errors
    /// As opening a replication session.
    pub async fn identify(config: &ConnectorConfig) -> Result<Self, TaskError> {
        let what = "asking the server which one it is";
        let unclear = || TaskError::retry(format!("{what}: its answer has another form than IDENTIFY_SYSTEM's"));
        let mut session = Session::open(&config.connection).await?;
        let identity = session.query(what, "IDENTIFY_SYSTEM").await?;
        let system_id = text(&identity, 0).ok_or_else(unclear)?;
        let timeline = text(&identity, 1).and_then(|timeline| timeline.parse().ok()).ok_or_else(unclear)?;
        let left = match timeline {
            // The first has no history.
            ..2 => Vec::new(),
            timeline => {
                let history = session.query(what, &format!("TIMELINE_HISTORY {timeline}")).await?;
                history_of(&text(&history, 1).ok_or_else(unclear)?)
            }
        };
        session.end().await;
        Ok(Self { system_id, timeline, left })
    }

    /// Where this server's history left a timeline; `None` where it did not, or never was on it.
    pub fn left(&self, timeline: u32) -> Option<Lsn> {
        self.left.iter().find(|(before, _)| *before == timeline).map(|(_, at)| *at)
    }
}

/// A column of an answer's first row.
fn text(rows: &[Row], column: usize) -> Option<String> {
    let value = rows.first()?.get(column)?.as_ref()?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// The timelines of a history file and where they end: `<timeline>\t<LSN>\t<reason>` a line (`readTimeLineHistory`).
fn history_of(file: &str) -> Vec<(u32, Lsn)> {
    let timeline = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
    };
    file.lines().filter_map(timeline).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_file_says_where_each_timeline_was_left() {
        let file = "1\t0/3000148\tno recovery target specified\n\n# a remark\n2\t1/A\tbefore 2026-11-27\n";
        let server = Server { system_id: "7".to_owned(), timeline: 3, left: history_of(file) };
        assert_eq!(server.left(1), Some(Lsn::from(0x300_0148)));
        assert_eq!((server.left(2), server.left(3)), (Some(Lsn::from((1 << 32) + 10)), None));
    }
}
