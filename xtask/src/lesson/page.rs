//! A page of the book: Markdown, of which the fenced blocks are run.
//!
//! ```text
//! ```console              commands for the guest, each followed by what it printed
//! ```console host         the same on the host, where modules are built
//! ```console dies         in the guest, which does not live through the last command
//! ```console sid          what another kernel said, where it differs from the block above
//! ```rust hello.rs#init   the lines of a source file between its marks `ANCHOR: init`
//! ```
//!
//! Commands begin with `host$ ` on the host and with `vm# ` in the guest.
//! A comment at its top is its front matter, one `name: value` a line; see [`FrontMatter`].

use std::{ops::Range, path::PathBuf};

use crate::{
    kernel::KernelName,
    problem::{Problem, Result},
};

/// The line that opens the front matter.
const FRONT_MATTER: &str = "<!-- lesson\n";
/// The comment above the line that names the programs whose output the page shows.
const MADE: &str = "<!-- made by -->";

/// The front matter: kernels, sources and options that a page needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FrontMatter {
    /// `kernels: stock sid`: the kernels that it is run on. The first one's words stand in the
    /// page, those of the others where they differ.
    pub(super) kernels: Vec<KernelName>,
    /// `also: lab`: kernels whose build folders its commands on the host see as well, as
    /// `$KDIR_LAB`. Their releases are shown as `[KVER_LAB]`.
    pub(super) also: Vec<KernelName>,
    /// `with: provider Makefile`: what else of the project its modules are built from.
    pub(super) with: Vec<String>,
    /// `cmdline: WORD WORD`: for the kernel's command line.
    pub(super) cmdline: Vec<String>,
    /// `allow: BEGINNING = REASON`: complaints of the kernel that belong to the lesson.
    pub(super) allow: Vec<(String, String)>,
}

/// A fenced block that the book knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// The line of its fence, counted from 1.
    pub(super) line: usize,
    /// Its kind.
    pub(super) kind: BlockKind,
    /// Its contents, in bytes of the page.
    contents: Range<usize>,
    /// The block, its fences, and the per-kernel blocks below it.
    whole: Range<usize>,
}

/// The kind of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BlockKind {
    /// Commands with what they printed.
    Console {
        /// The place in which they run.
        place: Place,
        /// The output on other kernels, by their names in the page.
        others: Vec<(String, String)>,
    },
    /// Part of a source file.
    Code {
        /// The file, relative to the page.
        file: PathBuf,
        /// The name of its marks; without one it is the whole file.
        anchor: Option<String>,
    },
    /// A picture that a command draws, or that is drawn from a text.
    Picture {
        /// The command, or the file of the text, relative to the page.
        command: String,
        /// The file, relative to the page.
        file: PathBuf,
    },
}

/// A place in which commands run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the guest.
    Guest,
    /// In the guest, which the last of them ends.
    Dying,
    /// On the host, in the page's own folder.
    Host,
}

impl Place {
    /// Returns the prompt before a command, so that a reader sees where to type it.
    pub(super) const fn prompt(self) -> &'static str {
        match self {
            Self::Guest | Self::Dying => "vm# ",
            Self::Host => "host$ ",
        }
    }
}

/// A page, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// Its text.
    pub(super) text: String,
    /// Its front matter.
    pub(super) front_matter: FrontMatter,
    /// Its blocks, in order.
    pub(super) blocks: Vec<Block>,
}

/// One command of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConsoleEntry {
    /// As it stands in the page, with its prompt and its newlines.
    pub(super) shown: String,
    /// The text that a shell runs.
    pub(super) command: String,
    /// Its output, as the page shows it.
    pub(super) printed: String,
}

impl Page {
    /// Parses a page. Returns `None` for a page without front matter, which is no lesson.
    ///
    /// # Errors
    /// Its front matter or a block is malformed; the error names the line.
    pub(super) fn parse(text: &str) -> Result<Option<Self>> {
        let Some((_, rest)) = text.split_once(FRONT_MATTER) else { return Ok(None) };
        let front_matter = rest.split_once("-->").map(|(front_matter, _)| front_matter);
        let front_matter =
            front_matter.ok_or_else(|| Problem::usage("its front matter has no end `-->`"))?;
        let front_matter = FrontMatter::parse(front_matter)?;
        let blocks = blocks(text, &front_matter)?;
        Ok(Some(Self { text: text.into(), front_matter, blocks }))
    }

    /// Returns the contents of a block.
    pub(super) fn contents(&self, block: &Block) -> &str {
        &self.text[block.contents.clone()]
    }

    /// Returns the page with new contents in its blocks and in the per-kernel blocks below them.
    pub(super) fn with(&self, said: &[Rendered]) -> String {
        let mut text = String::new();
        let mut end = 0;
        for (block, said) in self.blocks.iter().zip(said) {
            if matches!(block.kind, BlockKind::Picture { .. }) {
                continue;
            }
            text.push_str(&self.text[end..block.contents.start]);
            text.push_str(&said.contents);
            text.push_str("```\n");
            for (kernel, contents) in &said.others {
                text.push_str(&format!("{}```console {kernel}\n{contents}```\n", title(kernel)));
            }
            end = block.whole.end;
        }
        text.push_str(&self.text[end..]);
        text
    }

    /// Returns the page with a new line that names the programs whose output it shows.
    pub(super) fn with_made_by(&self, programs: &str) -> String {
        let sentence = format!("{MADE}\n*{programs}*\n");
        let Some((before, after)) = self.text.split_once(MADE) else {
            return format!("{}\n\n{sentence}", self.text.trim_end());
        };
        // The sentence is one line; what an author wrote below it stays.
        let after = after.strip_prefix('\n').unwrap_or(after);
        let below = after.split_once('\n').map_or("", |(_, below)| below);
        format!("{before}{sentence}{below}")
    }

    /// Returns the sentence that names the programs whose output was blessed.
    pub(super) fn made_by(&self) -> Option<&str> {
        let (_, after) = self.text.split_once(MADE)?;
        Some(after.trim_start().lines().next().unwrap_or_default().trim_matches('*'))
    }

    /// Returns `true` if its code blocks equal the sources.
    pub(super) fn shows_code(&self, said: &[Rendered]) -> bool {
        let mut pairs = self.blocks.iter().zip(said);
        pairs.all(|(block, said)| match block.kind {
            BlockKind::Code { .. } => self.contents(block) == said.contents,
            _ => true,
        })
    }
}

/// The contents of a block after a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rendered {
    /// On the page's first kernel.
    pub(super) contents: String,
    /// On the others, if different.
    pub(super) others: Vec<(String, String)>,
}

impl FrontMatter {
    fn parse(text: &str) -> Result<Self> {
        let mut front_matter = Self { kernels: vec![KernelName::STOCK], ..Self::default() };
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let unknown =
                || Problem::usage(format!("its front matter has the unknown line {line:?}"));
            let (name, value) = line.split_once(": ").ok_or_else(unknown)?;
            let words = || value.split_whitespace().map(String::from).collect();
            match name {
                "kernels" => front_matter.kernels = kernels(value)?,
                "also" => front_matter.also = kernels(value)?,
                "with" => front_matter.with = words(),
                "cmdline" => front_matter.cmdline = words(),
                "allow" => {
                    let (begins, reason) = value.split_once(" = ").ok_or_else(unknown)?;
                    front_matter.allow.push((begins.into(), reason.into()));
                }
                _ => return Err(unknown()),
            }
        }
        Ok(front_matter)
    }

    /// Returns the kernels after the first, by their names in the page.
    pub(super) fn others(&self) -> impl Iterator<Item = String> {
        self.kernels.iter().skip(1).map(ToString::to_string)
    }
}

fn kernels(value: &str) -> Result<Vec<KernelName>> {
    let names = value.split_whitespace().map(str::parse);
    names.collect::<Result<_, _>>().map_err(Problem::usage)
}

/// Returns the line above another kernel's block.
fn title(kernel: &str) -> String {
    format!("\nOn `{kernel}`:\n\n")
}

/// Returns the blocks of a page. It is long because it is one pass over the lines, with a branch
/// for each kind of block.
fn blocks(text: &str, front_matter: &FrontMatter) -> Result<Vec<Block>> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = lines(text).enumerate();
    let mut drawn = None;
    while let Some((index, (begin, line))) = lines.next() {
        let at = |what: &str| Problem::usage(format!("line {}: {what}", index + 1));
        if let Some(command) = line.strip_prefix("<!-- picture: ") {
            let command = command.trim_end().strip_suffix(" -->");
            drawn = Some(command.ok_or_else(|| at("this comment has no end ` -->`"))?.to_owned());
            continue;
        }
        if let Some(command) = drawn.take() {
            let file = line.split_once("](").and_then(|(_, rest)| rest.split_once(')'));
            let (file, _) = file.ok_or_else(|| at("a picture should stand here, ![…](FILE)"))?;
            let kind = BlockKind::Picture { command, file: file.into() };
            let here = begin..begin;
            blocks.push(Block { line: index + 1, kind, contents: here.clone(), whole: here });
            continue;
        }
        let Some(info) = line.strip_prefix("```") else { continue };
        let start = begin + line.len();
        let end = lines.find(|(_, (_, line))| line.trim_end() == "```");
        let (_, (end, fence)) = end.ok_or_else(|| at("this block has no end"))?;
        let (contents, whole) = (start..end, begin..end + fence.len());
        let info: Vec<&str> = info.split_whitespace().collect();
        let console = |place| BlockKind::Console { place, others: Vec::new() };
        let kind = match info.as_slice() {
            ["console"] => console(Place::Guest),
            ["console", "host"] => console(Place::Host),
            ["console", "dies"] => console(Place::Dying),
            ["console", kernel] => {
                if !front_matter.others().any(|name| name == *kernel) {
                    return Err(at(&format!("the page is not run on another kernel {kernel}")));
                }
                let contents = text[contents].to_owned();
                let title = title(kernel);
                match blocks.last_mut() {
                    Some(Block {
                        kind: BlockKind::Console { others, .. }, whole: before, ..
                    }) if text[before.end..begin] == title => {
                        others.push(((*kernel).into(), contents));
                        before.end = whole.end;
                    }
                    _ => {
                        return Err(at(&format!(
                            "this block should follow another after {title:?}"
                        )));
                    }
                }
                continue;
            }
            [_, source] if source.contains(['.', '/']) => {
                let (file, anchor) = match source.split_once('#') {
                    Some((file, anchor)) => (file, Some(anchor.into())),
                    None => (*source, None),
                };
                BlockKind::Code { file: file.into(), anchor }
            }
            _ => continue,
        };
        blocks.push(Block { line: index + 1, kind, contents, whole });
    }
    Ok(blocks)
}

/// Returns the lines of a text with their offsets and newlines.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |end, line| {
        let begin = *end;
        *end += line.len();
        Some((begin, line))
    })
}

/// Parses the commands of a console block that runs at `place`.
///
/// # Errors
/// It does not begin with one, or has one for another place.
pub(super) fn console_entries(contents: &str, place: Place) -> Result<Vec<ConsoleEntry>> {
    let prompt = place.prompt();
    let mut entries: Vec<ConsoleEntry> = Vec::new();
    let mut open = false;
    for line in contents.split_inclusive('\n') {
        let command = line.strip_prefix(prompt);
        match entries.last_mut() {
            Some(entry) if open => {
                entry.shown.push_str(line);
                entry.command.push_str(line);
                open = line.trim_end().ends_with('\\');
            }
            _ if command.is_some() => {
                let command = command.unwrap_or_default();
                let (shown, command) = (line.to_owned(), command.to_owned());
                open = command.trim_end().ends_with('\\');
                entries.push(ConsoleEntry { shown, command, printed: String::new() });
            }
            Some(entry) => entry.printed.push_str(line),
            None => {
                let fact = format!("a console block begins with {line:?}, not with a command");
                return Err(
                    Problem::usage(fact).hint(format!("begin it with `{prompt}` and a command"))
                );
            }
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<!-- lesson\nkernels: stock sid\nallow: BUG: x = it is the lesson\n-->\n# T\n\n\
        ```console host\nhost$ make \\\n    all\ndone\nhost$ ls\n```\n\nText.\n\n\
        ```rust a.rs#part\nold\n```\n\n\
        ```console\nvm# uname\nLinux\n```\n\nOn `sid`:\n\n```console sid\nvm# uname\nOther\n```\n\n\
        ```sh\nnot run\n```\n\n<!-- picture: cargo xtask order -->\n![a](p/b.svg)\n";

    fn page() -> Page {
        Page::parse(PAGE).unwrap().unwrap()
    }

    fn said(contents: &[&str]) -> Vec<Rendered> {
        let said = |contents: &&str| Rendered { contents: (*contents).into(), others: Vec::new() };
        contents.iter().map(said).collect()
    }

    #[test]
    fn a_page_is_taken_apart() {
        let page = page();
        assert_eq!(page.front_matter.kernels, [KernelName::STOCK, KernelName::SID]);
        assert_eq!(page.front_matter.allow, [("BUG: x".into(), "it is the lesson".into())]);
        let lines: Vec<usize> = page.blocks.iter().map(|block| block.line).collect();
        assert_eq!(lines, [7, 16, 20, 37]);
        let others = vec![("sid".into(), "vm# uname\nOther\n".into())];
        assert_eq!(page.blocks[2].kind, BlockKind::Console { place: Place::Guest, others });
        let code = BlockKind::Code { file: "a.rs".into(), anchor: Some("part".into()) };
        assert_eq!(page.blocks[1].kind, code);
        let (command, file) = ("cargo xtask order".into(), "p/b.svg".into());
        assert_eq!(page.blocks[3].kind, BlockKind::Picture { command, file });
    }

    #[test]
    fn a_page_is_put_together_again() {
        let page = page();
        let mut same =
            said(&["host$ make \\\n    all\ndone\nhost$ ls\n", "old\n", "vm# uname\nLinux\n", ""]);
        same[2].others = vec![("sid".into(), "vm# uname\nOther\n".into())];
        assert_eq!(page.with(&same), PAGE);

        let other = said(&["host$ make\n", "new\n", "vm# uname\nLinux\n", ""]);
        let text = page.with(&other);
        assert!(text.contains("host\nhost$ make\n```\n") && text.contains("#part\nnew\n```\n"));
        assert!(!text.contains("sid`"), "what does not differ any more goes:\n{text}");
        assert!(text.contains("```sh\nnot run\n```\n\n<!-- picture"));
    }

    #[test]
    fn commands_go_on_after_a_backslash() {
        let page = page();
        let entries = console_entries(page.contents(&page.blocks[0]), Place::Host).unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].command, "make \\\n    all\n");
        assert_eq!(entries[0].printed, "done\n");
        assert_eq!((entries[1].shown.as_str(), entries[1].printed.as_str()), ("host$ ls\n", ""));
    }

    #[test]
    fn the_programs_are_named_once_and_last() {
        let once = page().with_made_by("A");
        let page = Page::parse(&once).unwrap().unwrap();
        assert!(page.made_by() == Some("A") && once.ends_with("*A*\n"));
        assert_eq!(page.with_made_by("B"), once.replace("*A*", "*B*"));
        let text = format!("{once}\nAn author's last word.\n");
        let page = Page::parse(&text).unwrap().unwrap();
        assert_eq!(page.made_by(), Some("A"));
        assert_eq!(page.with_made_by("B"), text.replace("*A*", "*B*"));
    }

    #[test]
    fn errors_name_their_line() {
        let wrong = |text: &str| Page::parse(text).unwrap_err().fact;
        assert!(wrong("<!-- lesson\ncolour: red\n-->\n").contains("colour: red"));
        assert!(wrong("<!-- lesson\nkernels: nobody\n-->\n").contains("no kernel has this name"));
        assert!(wrong("<!-- lesson\n").contains("no end"));
        let open = "<!-- lesson\n-->\n\n```console\n$ ls\n";
        assert!(wrong(open).contains("line 4: this block has no end"));
        let strange = "<!-- lesson\n-->\n```console sid\n$ ls\n```\n";
        assert!(wrong(strange).contains("line 3: the page is not run on another kernel sid"));
        let alone = "<!-- lesson\nkernels: stock sid\n-->\n```console sid\n$ ls\n```\n";
        assert!(wrong(alone).contains("line 4: this block should follow another"));
        let bare = "<!-- lesson\n-->\n<!-- picture: x -->\n\n";
        assert!(wrong(bare).contains("line 4: a picture should stand here"));
        let elsewhere = console_entries("vm# uname\nLinux\n", Place::Host).unwrap_err();
        assert!(
            elsewhere.fact.contains("begins with") && elsewhere.hint.unwrap().contains("host$")
        );
        assert_eq!(Page::parse("# Not a lesson\n").unwrap(), None);
    }
}
