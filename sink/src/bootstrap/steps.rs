//! What is printed: every step with its number and its time.

use std::time::Instant;

use page::state::sink::Copy;

use crate::metrics::health::Health;

/// The steps so far.
#[derive(Debug)]
pub struct Steps {
    health: Health,
    number: u32,
    begun: Instant,
    step_begun: Instant,
}

impl Steps {
    /// Begins counting.
    pub fn new(health: Health) -> Self {
        let now = Instant::now();
        Self { health, number: 0, begun: now, step_begun: now }
    }

    /// A step begins.
    pub fn begin(&mut self, what: &str) {
        self.number += 1;
        self.step_begun = Instant::now();
        self.health.begins(what);
        println!("[{}] {what} …", self.number);
    }

    /// How far a copy is.
    pub fn copy(&self, copy: Copy) {
        self.health.copy(copy);
    }

    /// Something about the step.
    pub fn note(&self, what: &str) {
        println!("    {what}");
    }

    /// The step is done.
    pub fn done(&self, what: &str) {
        self.health.did(what, self.step_begun.elapsed());
        println!("[{}] {what} ({:.1} s)", self.number, self.step_begun.elapsed().as_secs_f64());
    }

    /// All steps are done.
    pub fn complete(&self, what: &str) {
        self.health.at_step("applying changes");
        println!(
            "{what} ({:.1} s). Changes are applied as they come; stop with SIGTERM",
            self.begun.elapsed().as_secs_f64()
        );
    }
}

/// A number of bytes for people.
pub fn megabytes(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}
