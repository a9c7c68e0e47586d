//! `shell`: the guest, interactively.

use std::process::ExitCode;

use crate::{
    build::project,
    command::GuestArgs,
    host::{cache::Cache, progress::say, run},
    lesson,
    problem::Result,
};

/// A shell in the guest, with a stack installed and the given files beside it.
///
/// The kernel's messages appear in it as on a real console. `exit` or Ctrl-D ends the guest.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[command(flatten)]
    guest: GuestArgs,
    /// The guest of a page of the book instead, for example 7: the page's folders, built, its
    /// kernel and command line, and nothing installed. What the page shows after `vm#` is typed
    /// there.
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with_all = ["name", "no_stack", "folder", "cmdline", "with", "accel"]
    )]
    lesson: Option<String>,
}

impl Args {
    /// Runs it until its user leaves.
    ///
    /// # Errors
    /// There is no such lesson; those of [`crate::guest::Guest::shell`].
    pub fn run(self) -> Result<ExitCode> {
        let Some(name) = self.lesson else {
            self.guest.guest()?.shell(&["/usr/sbin/depmod -a"])?;
            return Ok(ExitCode::SUCCESS);
        };
        run::echo_off();
        for lesson in lesson::find(project(), &[name])? {
            say(&format!("==> the guest of {}", lesson.name));
            lesson.shell(&Cache::open()?)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
