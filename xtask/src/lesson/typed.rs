//! A page by hand: what its guests say to whoever types the page's commands.

use std::mem::take;

use super::{
    FOLDER, Lesson, PageUpdate, drift,
    page::{BlockKind, ConsoleEntry, Place, Rendered, console_entries},
    redact::Redactor,
    runner::is_noise,
};
use crate::{
    host::cache::Cache,
    kernel::{Kernel, archive::Refresh},
    problem::Result,
};

/// The beginnings of a shell's own messages, in the page's runs and on a terminal.
const SHELLS: [&str; 2] = ["/bin/sh: ", "bash: "];

/// Commands that show the shell itself, which is not the one of the page's runs.
const IN_ANOTHER_SHELL: [&str; 2] =
    ["t=/sys/kernel/tracing; grep -v '^#' $t/trace", "echo 5 > /dev/consumer"];
/// The beginning of the line that shows an exit status.
const STATUS: &str = "[status ";

/// Commands that one guest is given, each with the block that it stands in.
type Typing = Vec<(usize, ConsoleEntry)>;

impl Lesson {
    /// The page as it should be if its commands in the guest were typed. `type_in` is given all
    /// commands for one guest, and whether the last one ends it. It returns what each of them
    /// printed, in a page's form: the output, a line `[status N]`, lines that begin with
    /// `[kernel] `.
    ///
    /// # Errors
    /// The kernel cannot be prepared, or a block cannot be understood; those of `type_in`.
    pub fn typed(
        &self,
        cache: &Cache,
        mut type_in: impl FnMut(&[&str], bool) -> Result<Vec<String>>,
    ) -> Result<PageUpdate> {
        let kernel = Kernel::obtain(cache, self.kernel(), Refresh::Daily)?;
        let redactor = Redactor::for_release(&kernel.release, &self.book.join(FOLDER))?;
        let mut said: Vec<Rendered> = self.page.blocks.iter().map(|it| self.shown(it)).collect();
        let mut type_all = |typing: Typing, dies: bool, said: &mut [Rendered]| -> Result<()> {
            let commands: Vec<&str> = typing.iter().map(|(_, it)| it.command.as_str()).collect();
            let printed = type_in(&commands, dies)?;
            for ((block, entry), printed) in typing.iter().zip(printed) {
                let printed = redactor.redact(&heard(&printed, entry), &entry.printed);
                let other = IN_ANOTHER_SHELL.iter().any(|begin| entry.command.starts_with(begin));
                let same = other || is_same(&printed, &entry.printed);
                let printed = if same { &entry.printed } else { &printed };
                said[*block].contents.push_str(&entry.shown);
                said[*block].contents.push_str(printed);
            }
            Ok(())
        };
        let mut typing = Typing::new();
        for (index, block) in self.page.blocks.iter().enumerate() {
            let BlockKind::Console { place: place @ (Place::Guest | Place::Dying), .. } =
                block.kind
            else {
                continue;
            };
            said[index].contents.clear();
            let entries = console_entries(self.page.contents(block), place)?;
            typing.extend(entries.into_iter().map(|entry| (index, entry)));
            if place == Place::Dying {
                type_all(take(&mut typing), true, &mut said)?;
            }
        }
        if !typing.is_empty() {
            type_all(typing, false, &mut said)?;
        }
        let (old, new) = (self.page.text.clone(), self.page.with(&said));
        let now = format!("Linux {} (`{}`)", kernel.release, kernel.name);
        let blessed = self.page.made_by().and_then(|programs| programs.split(',').next());
        let drift = blessed.filter(|_| new != old).and_then(|then| drift::newer(then, &now));
        let path = self.book.join(FOLDER).join(format!("{}.md", self.name));
        Ok(PageUpdate { path, old, new, drift })
    }
}

/// Returns `true` if a terminal shows the same as a page. It may differ as terminals do: `ls` in
/// columns, escaped control characters, and a program's lines before those of its children, since
/// a pipe is flushed only at the end. The kernel's lines keep their order.
fn is_same(terminal: &str, page: &str) -> bool {
    let plain = |c: char| match c {
        _ if c.is_control() && !matches!(c, '\n' | '\t') => c.escape_default().to_string(),
        _ => c.to_string(),
    };
    let page: String = page.chars().map(plain).collect();
    let apart = |text: &str| -> (Vec<String>, Vec<String>) {
        let lines = text.lines().map(str::to_owned);
        let (kernel, mut printed): (Vec<_>, Vec<_>) =
            lines.partition(|line| line.starts_with("[kernel] "));
        printed.sort();
        (kernel, printed)
    };
    terminal.split_whitespace().eq(page.split_whitespace()) || apart(terminal) == apart(&page)
}

/// Returns the output as the shell of a page's runs would print it, without the kernel's
/// spontaneous messages.
fn heard(printed: &str, entry: &ConsoleEntry) -> String {
    let [by_page, by_hand] = SHELLS;
    let begin = |begins: &'static str| move |line: &&str| line.starts_with(begins);
    let mut complaints = entry.printed.lines().filter(begin(by_page));
    // A shell that complains has a status of its own.
    let complains = printed.lines().any(|line| line.starts_with(by_hand));
    let mut statuses = entry.printed.lines().filter(begin(STATUS)).filter(|_| complains);
    // A shell's report of an ended job extends to the next of these.
    let mut job_ended = false;
    let lines = printed.lines().filter(|line| {
        let kernel = line.strip_prefix("[kernel] ");
        job_ended = kernel.is_none()
            && !line.starts_with(STATUS)
            && (job_ended || line.starts_with("[1]+  Done "));
        !kernel.is_some_and(is_noise) && !is_job(line) && !job_ended
    });
    let as_by_page = |line: &str| {
        let other = match line {
            _ if line.starts_with(by_hand) => complaints.next(),
            _ if line.starts_with(STATUS) => statuses.next(),
            _ => None,
        };
        format!("{}\n", other.unwrap_or(line))
    };
    lines.map(as_by_page).collect()
}

/// Returns `true` for a shell's line about a background job: `[1] 130`.
fn is_job(line: &str) -> bool {
    let job = line.strip_prefix('[').and_then(|line| line.split_once("] "));
    let number = |text: &str| text.parse::<u32>().is_ok();
    job.is_some_and(|(job, process)| number(job) && number(process))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard_of(shown: &str, printed: &str) -> String {
        let entry = ConsoleEntry {
            shown: String::new(),
            command: String::new(),
            printed: shown.to_owned(),
        };
        heard(printed, &entry)
    }

    #[test]
    fn only_what_a_shell_says_of_itself_is_taken_from_the_page() {
        let shown = "/bin/sh: 1: cannot create x: Permission denied\n[status 2]\n";
        let said = "bash: x: Permission denied\n[status 1]\n";
        assert_eq!(heard_of(shown, said), shown);
        assert_eq!(heard_of("a\n[status 2]\n", "a\n[status 1]\n"), "a\n[status 1]\n");
        assert_eq!(heard_of("", said), said, "the page shows no complaint");
        assert_eq!(heard_of(shown, "x\n"), "x\n");
        assert_eq!(heard_of("", "[1] 130\n[1] a\n"), "[1] a\n");
        assert_eq!(heard_of("", "a\n[1]+  Done   b\n  c\n[kernel] d\n"), "a\n[kernel] d\n");
        assert_eq!(heard_of("", "[kernel] tsc: x\n[kernel] a\n"), "[kernel] a\n");
    }

    #[test]
    fn a_terminal_shows_the_same_in_its_way() {
        assert!(is_same("a  b\n", "a\nb\n"));
        assert!(is_same("a\nb c\n[kernel] d\n", "b c\na\n[kernel] d\n"));
        assert!(is_same("\\u{7f}ELF\n", "\x7fELF\n"));
        assert!(!is_same("[kernel] b\n[kernel] a\n", "[kernel] a\n[kernel] b\n"));
        assert!(!is_same("a\n", "a\nb\n"));
    }
}
