//! The modules that are loaded after each command of a page, for readers who step through it in a
//! browser.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use ko::module::Module;
use serde::{Deserialize, Serialize};

use crate::{
    host::file_system::read_file,
    printer::Shown as _,
    problem::{Problem, Result},
};

/// The beginning of the comment that names a page's recording. mdbook replaces the braces by the
/// file, so that a script finds it in the page; other renderers hide the comment.
const COMMENT: &str = "<!-- steps: {{#include ";

/// The file of a page's recording, relative to the page.
pub(super) fn file(page: &str) -> Option<PathBuf> {
    let line = page.lines().find_map(|line| line.strip_prefix(COMMENT))?;
    line.split_once("}} -->").map(|(file, _)| file.into())
}

/// The recording of a page.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Recording {
    /// The names that each module uses of the others that were seen, but those of Rust crates.
    uses: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    /// The page's blocks of guest commands, in order, each with what was loaded after each of its
    /// commands. A command that ends the guest is left out.
    blocks: Vec<Vec<Step>>,
}

/// A command, and what was loaded after it.
#[derive(Debug, Serialize, Deserialize)]
struct Step {
    command: String,
    loaded: Vec<Loaded>,
}

/// A line of `/proc/modules`, without what differs from run to run.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Loaded {
    name: String,
    /// The reference count; -1 during removal.
    count: i32,
    /// The modules that use it.
    users: Vec<String>,
    /// `Live`, `Loading` or `Unloading`.
    state: String,
}

impl Loaded {
    /// Reads `visitor 12288 0 - Live 0x0 (OE)`, where the users are `a,b,` or `-`.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (name, _size) = (words.next()?.to_owned(), words.next()?);
        let count = words.next()?.parse().ok()?;
        let users = words.next()?.split(',').filter(|user| !matches!(*user, "" | "-"));
        let users = users.map(String::from).collect();
        Some(Self { name, count, users, state: words.next()?.into() })
    }
}

impl Recording {
    /// A block of guest commands begins.
    pub(super) fn begin(&mut self) {
        self.blocks.push(Vec::new());
    }

    /// A command has run, and this is `/proc/modules`.
    ///
    /// # Errors
    /// A line is not as the kernel writes it.
    pub(super) fn add(&mut self, command: &str, modules: &str) -> Result<()> {
        let line = |line: &str| {
            Loaded::parse(line)
                .ok_or_else(|| Problem::host(format!("/proc/modules has the line {line:?}")))
        };
        let loaded = modules.lines().map(line).collect::<Result<_>>()?;
        if let Some(block) = self.blocks.last_mut() {
            block.push(Step { command: command.trim_end().into(), loaded });
        }
        Ok(())
    }

    /// Adds what the modules that were seen use of one another, by their files.
    ///
    /// # Errors
    /// A file cannot be read, or is no module.
    pub(super) fn link(&mut self, files: &[PathBuf]) -> Result<()> {
        let steps = self.blocks.iter().flatten();
        let seen: BTreeSet<_> = steps.flat_map(|step| &step.loaded).map(|it| &it.name).collect();
        let (mut owners, mut wanted) = (BTreeMap::new(), Vec::new());
        for file in files {
            let bytes = read_file(file)?;
            let bad = |why| Problem::host(format!("{}: {why}", file.shown()));
            let module = Module::read(&bytes).map_err(bad)?;
            let name = module.name().map(|name| name.to_string()).unwrap_or_default();
            if !seen.contains(&name) {
                continue;
            }
            for export in module.exports.iter() {
                owners.insert(export.map_err(bad)?.symbol.0.to_string(), name.clone());
            }
            let imports = module.imports().map_err(bad)?;
            wanted.extend(imports.iter().map(|it| (name.clone(), it.symbol.0.to_string())));
        }
        let mut uses: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
        for (user, symbol) in wanted.into_iter().filter(|(_, symbol)| !symbol.starts_with('_')) {
            if let Some(owner) = owners.get(&symbol) {
                let of = uses.entry(user).or_default();
                of.entry(owner.clone()).or_default().insert(symbol);
            }
        }
        self.uses = uses;
        Ok(())
    }

    /// As JSON, with a line for each command. `>` is written so that no text can end the comment
    /// that has it.
    ///
    /// # Errors
    /// None: everything in it can be written as JSON.
    pub(super) fn json(&self) -> Result<String> {
        let blocks = self.blocks.iter().map(|block| {
            let steps = block.iter().map(serde_json::to_string);
            let steps = steps.collect::<serde_json::Result<Vec<_>>>()?;
            Ok(format!("[\n{}\n]", steps.join(",\n")))
        });
        let unwritable = |why: serde_json::Error| Problem::host(why.to_string());
        let blocks = blocks.collect::<serde_json::Result<Vec<_>>>().map_err(unwritable)?;
        let uses = serde_json::to_string(&self.uses).map_err(unwritable)?;
        let text = format!("{{\"uses\": {uses},\n\"blocks\": [{}]}}\n", blocks.join(", "));
        Ok(text.replace('>', "\\u003e"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::lesson::{
        FOLDER, find,
        page::{BlockKind, Place, console_entries},
    };

    const MODULES: &str = "visitor_c 12288 0 - Live 0xffffffffc0401000 (OE)\n\
        greeter_c 12288 2 visitor_c,otto, Live 0xffffffffc0400000 (OE)\n\
        waits 12288 -1 - Unloading 0xffffffffc0300000 (OE)\n";

    #[test]
    fn loaded_modules_are_read_as_the_kernel_writes_them() {
        let mut recording = Recording::default();
        recording.begin();
        recording.add("insmod x.ko > said\n", MODULES).unwrap();
        let loaded = &recording.blocks[0][0].loaded;
        assert_eq!(loaded[1].users, ["visitor_c", "otto"]);
        assert_eq!((loaded[1].count, loaded[2].count), (2, -1));
        assert_eq!(loaded[2].state, "Unloading");
        assert!(loaded[0].users.is_empty());
        let json = recording.json().unwrap();
        assert!(json.contains("x.ko \\u003e said") && !json.contains('>'), "{json}");
        let again: Recording = serde_json::from_str(&json).unwrap();
        assert_eq!(again.json().unwrap(), json);
        assert!(recording.add("ls", "no line of the kernel\n").is_err());
    }

    /// A script in the page matches the two by their order.
    #[test]
    fn a_recording_has_the_commands_of_its_page() {
        let mut recorded = 0;
        for lesson in find(crate::build::project(), &[]).unwrap() {
            let Some(file) = file(&lesson.page.text) else { continue };
            let json = fs::read_to_string(lesson.book.join(FOLDER).join(file)).unwrap();
            let recording: Recording = serde_json::from_str(&json).unwrap();
            let mut shown = Vec::new();
            for block in &lesson.page.blocks {
                let BlockKind::Console { place, .. } = block.kind else { continue };
                if place == Place::Host {
                    continue;
                }
                let entries = console_entries(lesson.page.contents(block), place).unwrap();
                let commands = entries.iter().map(|entry| entry.command.trim_end().to_owned());
                let mut commands: Vec<_> = commands.collect();
                if place == Place::Dying {
                    commands.pop();
                }
                shown.push(commands);
            }
            let of = |block: &Vec<Step>| block.iter().map(|step| step.command.clone()).collect();
            let has: Vec<Vec<String>> = recording.blocks.iter().map(of).collect();
            assert_eq!(has, shown, "{}", lesson.name);
            assert!(!recording.uses.is_empty(), "{} shows no stack", lesson.name);
            recorded += 1;
        }
        assert!(recorded >= 2);
    }
}
