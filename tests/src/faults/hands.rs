//! What orchestrators, administrators and machines do to the system.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::fault::Who;
use super::system::{NAME, System};
use crate::postgres;
use crate::worker::{self, Worker};

impl System {
    /// Fills Kafka's disk for a while. Without a disk of its own nothing happens.
    ///
    /// # Errors
    /// Its size cannot be changed.
    pub async fn fill_disk(&self, time: Duration) -> anyhow::Result<()> {
        let Some(disk) = &self.disk else { return Ok(()) };
        disk.fill()?;
        tokio::time::sleep(time).await;
        disk.make_room()
    }

    /// Starts the tasks again that FAILED, which is a person's work or that of an operator's `autoRestart`; how many.
    pub async fn restart_failed(&self) -> usize {
        let Ok((200, all)) = self.rest.get("/connectors?expand=status").await else { return 0 };
        let mut count = 0;
        for (name, connector) in all.as_object().into_iter().flatten() {
            let is_failed = |task: &Value| task.get("state").is_some_and(|state| state == "FAILED");
            let status = connector.get("status");
            let tasks = status.and_then(|status| status.get("tasks")).and_then(Value::as_array);
            let connector_failed = status.and_then(|status| status.get("connector")).is_some_and(is_failed);
            if connector_failed || tasks.is_some_and(|tasks| tasks.iter().any(is_failed)) {
                let path = format!("/connectors/{name}/restart?includeTasks=true&onlyFailed=true");
                if self.rest.request(reqwest::Method::POST, &path, None).await.is_ok() {
                    count += 1;
                }
            }
        }
        count
    }

    /// Restarts the source connector with its task over REST. A worker that does not answer now is not asked again.
    ///
    /// # Errors
    /// None.
    pub async fn restart_connector(&self) -> anyhow::Result<()> {
        let path = format!("/connectors/{NAME}/restart?includeTasks=true");
        // Refused while it is being started, or while the group finds itself.
        let _answer = self.rest.request(reqwest::Method::POST, &path, None).await;
        Ok(())
    }

    /// Ends a server's sessions, all users' included; or, of the source, the replication session alone.
    ///
    /// # Errors
    /// None: a server that is away has no sessions.
    pub async fn terminate(&self, who: Who, all: bool) -> anyhow::Result<()> {
        let url = if who == Who::Target { &self.target_url } else { &self.source_url };
        let Ok(client) = postgres::connect(url).await else { return Ok(()) };
        let which = if all || who == Who::Target { "pid <> pg_backend_pid()" } else { "backend_type = 'walsender'" };
        let sql = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE backend_type IN ('client backend', 'walsender') AND {which}"
        );
        let _ended = client.batch_execute(&sql).await;
        Ok(())
    }

    /// What starts another worker of the group, with its REST API on `port`.
    ///
    /// # Errors
    /// It was not built.
    pub fn another_worker(&self, port: u16) -> anyhow::Result<Command> {
        Worker::streamer_command(&worker::Settings { port, ..self.worker_settings.clone() })
    }
}
