//! Shows a long work: what is being done, about how long it takes, and that it still moves.

use std::{
    cell::Cell,
    io::{IsTerminal, stderr},
    path::PathBuf,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use ko::text::printable;

use super::program::as_typed;
use crate::printer;

/// The interval at which a line says that the work goes on, where there is no terminal.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// The length of a log's last line as it is shown.
const LINE_MAX: usize = 70;

/// One step of a long work.
#[derive(Debug)]
pub struct Step {
    begin: Instant,
    what: String,
    /// The file that takes the output of its commands.
    pub(super) log: PathBuf,
    bar: Option<ProgressBar>,
    beat: Cell<Instant>,
}

impl Step {
    /// Announces a step, with about how long it takes ("about 2 min"), whose output goes to `log`.
    pub fn begin(what: impl Into<String>, takes: &str, log: PathBuf) -> Self {
        let what = what.into();
        say(&format!("==> {what} ({takes})"));
        let bar = stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("    {spinner} {elapsed} {msg}");
            let bar = ProgressBar::new_spinner();
            style.map_or(bar.clone(), |style| bar.with_style(style))
        });
        Self { begin: Instant::now(), what, log, bar, beat: Cell::new(Instant::now()) }
    }

    /// Shows that the work goes on, and its last line of output.
    pub fn tick(&self, line: String) {
        let line: String = printable(&line).chars().take(LINE_MAX).collect();
        match &self.bar {
            Some(bar) => {
                bar.set_message(line);
                bar.tick();
            }
            None if self.beat.get().elapsed() > HEARTBEAT => {
                self.beat.set(Instant::now());
                say(&format!("    {} s: {line}", self.begin.elapsed().as_secs()));
            }
            None => (),
        }
    }

    /// Prints beside the step's own line.
    pub fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Closes the step.
    pub fn done(self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        say(&format!("    {}: {:.0} s", self.what, self.begin.elapsed().as_secs_f64()));
    }
}

/// Says something about the work, beside its result: on standard error.
pub fn say(line: &str) {
    printer::error(format_args!("{}", as_typed(line)));
}
