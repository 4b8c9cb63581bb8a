//! Readers of a slot that do nothing with what it sends: what nothing behind that slot can be faster than.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::stage::DATABASE;
use crate::process::cpu_seconds;

/// What a bare reader did.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drained {
    /// Rows a second.
    pub(super) rows: f64,
    /// Seconds of a processor for a million rows: its own.
    pub(super) cpu: f64,
    /// The same of the walsender.
    pub(super) server_cpu: f64,
}

/// How long it rests before it reads on: a walsender whose reader is awake sends a row at a time, and wakes it for each.
const REST: Duration = Duration::from_micros(300);

const BUFFER: usize = 256 << 10;

/// Reads `rows` changes from a slot through a socket, resting before every read.
///
/// # Errors
/// The server's, or that they do not come.
pub(super) fn rested(port: u16, slot: &str, rows: usize) -> anyhow::Result<Drained> {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut frames = Frames::default();
    send(&mut socket, None, &startup())?;
    // Ready for a query: nothing comes behind it by itself.
    while frames.last != b'Z' {
        frames.read(&mut socket)?;
    }
    let process = frames.process.context("the server does not say its process id")?;
    let start = format!(
        "START_REPLICATION SLOT \"{slot}\" LOGICAL 0/0 (proto_version '1', publication_names '{DATABASE}', messages 'true')\0"
    );
    send(&mut socket, Some(b'Q'), start.as_bytes())?;
    while frames.rows == 0 {
        frames.read(&mut socket)?;
    }
    let (begun, first, own, server) = (Instant::now(), frames.rows, own_cpu()?, cpu_seconds(process)?);
    while frames.rows < rows {
        #[expect(clippy::disallowed_methods, reason = "a thread of its own, which does nothing else")]
        std::thread::sleep(REST);
        frames.read(&mut socket)?;
    }
    let (seconds, count) = (begun.elapsed().as_secs_f64(), (frames.rows - first) as f64);
    Ok(Drained {
        rows: count / seconds,
        cpu: (own_cpu()? - own) / count * 1e6,
        server_cpu: (cpu_seconds(process)? - server) / count * 1e6,
    })
}

fn startup() -> Vec<u8> {
    let mut message = 196_608_i32.to_be_bytes().to_vec();
    for word in ["user", "postgres", "database", DATABASE, "replication", "database"] {
        message.extend_from_slice(word.as_bytes());
        message.push(0);
    }
    message.push(0);
    message
}

fn send(socket: &mut TcpStream, kind: Option<u8>, body: &[u8]) -> anyhow::Result<()> {
    let mut message: Vec<u8> = kind.into_iter().collect();
    message.extend_from_slice(&u32::try_from(body.len() + 4)?.to_be_bytes());
    message.extend_from_slice(body);
    socket.write_all(&message).map_err(Into::into)
}

/// The seconds of a processor that this thread has had.
fn own_cpu() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: f64 = stat.split_whitespace().next().context("no time in schedstat")?.parse()?;
    Ok(nanoseconds / 1e9)
}

/// The server's messages, of which rows are counted.
struct Frames {
    buffer: Vec<u8>,
    filled: usize,
    rows: usize,
    process: Option<u32>,
    last: u8,
}

impl Default for Frames {
    fn default() -> Self {
        Self { buffer: vec![0; BUFFER], filled: 0, rows: 0, process: None, last: 0 }
    }
}

impl Frames {
    fn read(&mut self, socket: &mut TcpStream) -> anyhow::Result<()> {
        let room = self.buffer.get_mut(self.filled..).unwrap_or_default();
        let count = socket.read(room).context("the slot sends nothing more")?;
        ensure!(count > 0, "the server has ended the session");
        self.filled += count;
        let mut at = 0;
        while let Some((kind, body, length)) = frame(self.buffer.get(at..self.filled).unwrap_or_default()) {
            match (kind, body) {
                (b'd', [b'w', rest @ ..]) => self.rows += usize::from(matches!(rest.get(24), Some(b'I' | b'U' | b'D'))),
                (b'K', [a, b, c, d, ..]) => self.process = Some(u32::from_be_bytes([*a, *b, *c, *d])),
                (b'E', _) => anyhow::bail!("the server refuses: {}", String::from_utf8_lossy(body)),
                _ => {}
            }
            self.last = kind;
            at += length;
        }
        self.buffer.copy_within(at..self.filled, 0);
        self.filled -= at;
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.filled * 2, 0);
        }
        Ok(())
    }
}

/// The first message, if it is whole: its kind, its body, its length with both.
fn frame(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let [kind, a, b, c, d, ..] = bytes else { return None };
    let length = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).ok()? + 1;
    Some((*kind, bytes.get(5..length)?, length))
}

/// Reads everything up to `end` with PostgreSQL's own client, `pg_recvlogical`, which reads as soon as there is something.
///
/// # Errors
/// It fails.
pub(super) fn eager(programs: &Path, url: &str, slot: &str, end: &str, rows: usize) -> anyhow::Result<Drained> {
    let begun = Instant::now();
    let mut child = Command::new(programs.join("pg_recvlogical"))
        .args(["--dbname", url, "--slot", slot, "--start", "--no-loop", "--file", "/dev/null", "--endpos", end])
        .args(["-o", "proto_version=1", "-o", &format!("publication_names={DATABASE}"), "-o", "messages=true"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("pg_recvlogical")?;
    let mut cpu = 0.0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        cpu = cpu_seconds(child.id()).unwrap_or(cpu);
        #[expect(clippy::disallowed_methods, reason = "a thread of its own, which does nothing else")]
        std::thread::sleep(Duration::from_millis(10));
    };
    ensure!(status.success(), "pg_recvlogical: {status}");
    let rows = rows as f64;
    Ok(Drained { rows: rows / begun.elapsed().as_secs_f64(), cpu: cpu / rows * 1e6, server_cpu: f64::NAN })
}
