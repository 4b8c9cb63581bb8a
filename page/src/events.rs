//! Server-sent events: the state once a second, and at once when something changed, for as long as somebody looks.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often what changed is looked for.
const LOOK: Duration = Duration::from_millis(200);
/// How often the state is sent where nothing did.
const SEND: Duration = Duration::from_secs(1);
/// How long a browser waits before it connects again, in milliseconds.
const RETRY: Duration = Duration::from_millis(1000);

/// The events of a page. As long as nobody looks, nothing is asked for and nothing is sent.
#[derive(Debug, Clone)]
pub struct Events {
    frames: watch::Sender<Frame>,
    stop: CancellationToken,
}

/// A state as it is sent.
#[derive(Debug, Clone, Default)]
struct Frame {
    number: u64,
    state: Arc<str>,
}

/// A state that says which of it is more than numbers going on.
pub trait Changes: Serialize {
    /// What is to be seen at once when it is another than before, hashed.
    fn changes(&self) -> u64;
}

/// A hash of what changes.
pub(crate) fn hashed(changes: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    changes.hash(&mut hasher);
    hasher.finish()
}

impl Events {
    /// Events that end when `stop` says so: a server that ends cleanly waits for its answers.
    pub fn new(stop: CancellationToken) -> Self {
        Self { frames: watch::channel(Frame::default()).0, stop }
    }

    /// Sends what `look` gives, as long as somebody looks, until it is stopped.
    pub async fn send<S: Changes>(self, mut look: impl AsyncFnMut() -> S) {
        let mut sent = None;
        let mut number = 0;
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.stop.cancelled() => return,
            }
            if self.frames.receiver_count() == 0 {
                sent = None;
                continue;
            }
            let state = look().await;
            let changes = state.changes();
            let is_new = sent.is_none_or(|(at, before): (Instant, u64)| before != changes || at.elapsed() >= SEND);
            if is_new && let Ok(text) = serde_json::to_string(&state) {
                number += 1;
                self.frames.send_replace(Frame { number, state: text.into() });
                sent = Some((Instant::now(), changes));
            }
        }
    }
}

/// The events from here on. Who comes again after a lost connection needs none of those in between: each is the whole state.
pub(crate) fn answer(events: &Events) -> Response {
    let mut frames = events.frames.subscribe();
    // An old one, from when somebody looked before.
    frames.mark_unchanged();
    let stop = events.stop.clone();
    let events = stream::unfold((frames, stop), async |(mut frames, stop)| {
        tokio::select! {
            changed = frames.changed() => changed.ok()?,
            () = stop.cancelled() => return None,
        }
        let Frame { number, state } = frames.borrow_and_update().clone();
        let event = Event::default().id(number.to_string()).retry(RETRY).event("state").data(&*state);
        Some((Ok::<_, Infallible>(event), (frames, stop)))
    });
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[derive(Serialize)]
    struct Looked(u64);

    impl Changes for Looked {
        fn changes(&self) -> u64 {
            self.0
        }
    }

    #[tokio::test]
    async fn nothing_is_asked_for_while_nobody_looks() {
        let stop = CancellationToken::new();
        let events = Events::new(stop.clone());
        let looks = Arc::new(AtomicU64::new(0));
        let counted = looks.clone();
        let sending = tokio::spawn(events.clone().send(async move || Looked(counted.fetch_add(1, Ordering::SeqCst))));
        tokio::time::sleep(LOOK * 3).await;
        assert_eq!(looks.load(Ordering::SeqCst), 0);
        let mut frames = events.frames.subscribe();
        frames.changed().await.expect("a first state");
        assert!(looks.load(Ordering::SeqCst) > 0);
        stop.cancel();
        sending.await.expect("it ends when it is stopped");
    }
}
