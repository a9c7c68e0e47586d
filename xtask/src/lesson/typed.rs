//! A page by hand: a shell in the page's own guest, and what a reader types into it.

use std::path::Path;

use super::{
    Lesson,
    page::{BlockKind, Place, console_entries},
    redact::Redactor,
    runner::Runner,
};
use crate::{host::cache::Cache, kernel::KernelName, problem::Result};

/// A command of a page's guest, and what the page shows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed {
    /// As a reader types it, with its newlines.
    pub command: String,
    /// What it printed and what the kernel logged meanwhile, with placeholders.
    pub shown: String,
}

impl Lesson {
    /// A shell in the guest that the page runs in: its folders with what its commands on the host
    /// build, its first kernel and its words on the command line. Nothing is installed.
    ///
    /// # Errors
    /// Those of its commands on the host and of [`crate::guest::Guest::shell`].
    pub fn shell(&self, cache: &Cache) -> Result<()> {
        Runner::new(cache, self, self.kernel())?.built_guest()?.shell(&[])
    }

    /// The page's first kernel.
    pub fn kernel(&self) -> &KernelName {
        self.page.front_matter.kernels.first().unwrap_or(&KernelName::STOCK)
    }

    /// What a reader types into the guests of the page on its first kernel, each a list. A guest
    /// ends with the page, or where a command ends it; that command is left out.
    ///
    /// # Errors
    /// A block cannot be understood.
    pub fn typed(&self) -> Result<Vec<Vec<Typed>>> {
        let mut guests = vec![Vec::new()];
        for block in &self.page.blocks {
            let BlockKind::Console { place, .. } = block.kind else { continue };
            if place == Place::Host {
                continue;
            }
            let entries = console_entries(self.page.contents(block), place)?;
            let typed =
                entries.into_iter().map(|it| Typed { command: it.command, shown: it.printed });
            guests.last_mut().into_iter().for_each(|guest| guest.extend(typed.clone()));
            if place == Place::Dying {
                guests.last_mut().map(Vec::pop);
                guests.push(Vec::new());
            }
        }
        guests.retain(|guest| !guest.is_empty());
        Ok(guests)
    }
}

impl Typed {
    /// A line of the page that a terminal did not show after this command, on a kernel of this
    /// release; what the kernel logged is left to [`missing_in_log`].
    ///
    /// A terminal also has what the page leaves out, `ls` in columns, the words of another shell
    /// where the shell complains, and lines in the order in which a terminal gets them: so a line
    /// is there when its words are, in this order.
    ///
    /// # Errors
    /// None while the rules of redaction are well formed.
    pub fn missing(&self, terminal: &str, release: &str) -> Result<Option<String>> {
        let printed = redacted(terminal, release)?;
        let printed = printed.lines().filter(|line| !line.starts_with("[T] "));
        let words: Vec<&str> = printed.flat_map(str::split_whitespace).collect();
        let mut shown = self.shown.lines().filter(|line| {
            let other = ["[status ", "/bin/sh: ", "[kernel] "];
            *line != "..." && !other.iter().any(|begin| line.starts_with(begin))
        });
        let missing = |line: &&str| {
            let mut words = words.iter();
            !line.split_whitespace().all(|word| words.any(|other| *other == word))
        };
        Ok(shown.find(missing).map(str::to_owned))
    }
}

/// A line of the kernel that a terminal did not show in its place after all these commands: a slow
/// guest shows it after the next prompt, or later.
///
/// # Errors
/// None while the rules of redaction are well formed.
pub fn missing_in_log(commands: &[Typed], terminal: &str, release: &str) -> Result<Option<String>> {
    let said = redacted(terminal, release)?;
    let mut logged = said.lines().filter_map(|line| line.strip_prefix("[T] ")).map(str::trim_end);
    let shown = commands.iter().flat_map(|typed| typed.shown.lines());
    let mut shown = shown.filter_map(|line| line.strip_prefix("[kernel] ")).map(str::trim_end);
    Ok(shown.find(|line| !logged.any(|other| other == *line)).map(str::to_owned))
}

/// What a terminal shows, with placeholders.
fn redacted(terminal: &str, release: &str) -> Result<String> {
    let redactor = Redactor::for_release(release, Path::new("/no/such/folder"))?;
    let lines = terminal.split(['\r', '\n']).filter(|line| !line.is_empty());
    let lines: String = lines.map(|line| format!("{line}\n")).collect();
    Ok(redactor.redact(&lines, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{build::project, lesson::find};

    #[test]
    fn a_terminal_shows_what_the_page_shows_in_its_own_way() {
        let shown = "a  b\n...\nc [KVER]\n[status 1]\n[kernel] hello: 2\n";
        let typed = Typed { command: "ls\n".into(), shown: shown.into() };
        let missing = |terminal: &str| typed.missing(terminal, "7.3.4").unwrap();
        assert_eq!(missing("\r[    1.234567] hello: 2\r\na b  c\r\n7.3.4\r\n"), None);
        assert_eq!(missing("a b\r\nmore\r\nc 7.3.4\r\n"), None);
        assert_eq!(missing("b a\r\nc 7.3.4\r\n"), Some("a  b".into()));
        let logged = |terminal: &str| {
            missing_in_log(std::slice::from_ref(&typed), terminal, "7.3.4").unwrap()
        };
        assert_eq!(logged("a b\r\nvm:~# \r[    1.234567] hello: 2\r\n"), None);
        assert_eq!(logged("hello: 2\r\n"), Some("hello: 2".into()));
        let twice = [typed.clone(), typed.clone()];
        let once = missing_in_log(&twice, "[    1.234567] hello: 2\r\n", "7.3.4").unwrap();
        assert_eq!(once, Some("hello: 2".into()));
    }

    #[test]
    fn a_page_whose_kernel_panics_has_a_guest_more() {
        let typed = |name: &str| find(project(), &[name.into()]).unwrap()[0].typed().unwrap();
        assert_eq!(typed("1").len(), 1);
        let panics = typed("11");
        assert!(!panics.iter().flatten().any(|it| it.shown.contains("Kernel panic")));
        assert!(panics.iter().flatten().count() > 20);
    }
}
