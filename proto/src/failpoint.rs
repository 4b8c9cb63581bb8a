//! Places between two steps of which a crash must find the one done and the other not. In builds with debug assertions, which
//! are those of the tests, `HEADWATER_CRASH_AT` names one, and the process ends there as if it were killed; in others there
//! is nothing.

/// The variable that names the place. `NAME` is the first time it is reached, `NAME:5` the fifth.
pub const VARIABLE: &str = "HEADWATER_CRASH_AT";

/// The process is at this place.
#[inline]
pub fn reached(place: &'static str) {
    #[cfg(debug_assertions)]
    chosen::reached(place);
    #[cfg(not(debug_assertions))]
    let _unused = place;
}

#[cfg(debug_assertions)]
mod chosen {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Chosen {
        place: String,
        left: AtomicU64,
    }

    static CHOSEN: OnceLock<Option<Chosen>> = OnceLock::new();

    pub(super) fn reached(place: &str) {
        let chosen = CHOSEN.get_or_init(|| {
            let text = std::env::var(super::VARIABLE).ok()?;
            let (place, times) = text.split_once(':').unwrap_or((&text, "1"));
            Some(Chosen { place: place.to_owned(), left: AtomicU64::new(times.parse().unwrap_or(1)) })
        });
        let Some(chosen) = chosen.as_ref().filter(|chosen| chosen.place == place) else { return };
        if chosen.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            std::process::abort();
        }
    }
}
