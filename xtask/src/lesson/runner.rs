//! A page is played: its commands run on the host and in a guest, one kernel at a time.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    build::{BuildDir, Stack},
    guest::{Guest, Session, console, report::CommandReport},
    host::{
        cache::{self, Cache, Lock},
        file_system::{files_below, has_extension},
        progress::say,
        run::{Run, this_program},
    },
    kernel::{Kernel, KernelName, archive::Refresh},
    lesson::{
        FOLDER, Lesson, code, drawn,
        page::{Block, BlockKind, ConsoleEntry, Page, Place, console_entries},
        redact::Redactor,
        steps::{self, Recording},
    },
    printer::Shown as _,
    problem::{OrProblem, Problem, Result},
};

/// The deadline of a command on the host: a build of some modules.
const DEADLINE: Duration = Duration::from_secs(5 * 60);

/// Messages that the kernel logs once at a time of its own, whichever command runs.
const NOISE: &[(&str, &str)] = &[
    ("clocksource: ", "it has found a better clock"),
    ("tsc: ", "it has measured the processor's clock"),
    ("random: crng init done", "it has gathered enough randomness"),
];

/// Runs what a page needs on one kernel.
pub(super) struct Runner<'a> {
    /// Nobody else builds in this folder meanwhile.
    _lock: Lock,
    cache: &'a Cache,
    kernel: Kernel,
    others: Vec<Kernel>,
    book: &'a Path,
    page: &'a Page,
    build_dir: BuildDir,
    /// The page's own folder, within the sources.
    own: String,
    folder: PathBuf,
    redactor: Redactor,
    session: Option<Session>,
    programs: Option<String>,
    recording: Option<Recording>,
}

impl<'a> Runner<'a> {
    /// A runner for a lesson, with its sources in a folder of its own.
    pub(super) fn new(cache: &'a Cache, lesson: &'a Lesson, kernel: &KernelName) -> Result<Self> {
        let Lesson { name, page, book } = lesson;
        let obtain = |name: &KernelName| Kernel::obtain(cache, name, Refresh::Daily);
        let kernel = obtain(kernel)?;
        let others = page.front_matter.also.iter().map(obtain).collect::<Result<Vec<_>>>()?;
        let lock = cache.lock(&format!("lessons/{name}-{}", kernel.slug()))?;
        let own = format!("{FOLDER}/{name}");
        let sources: Vec<&str> =
            page.front_matter.with.iter().map(String::as_str).chain([own.as_str()]).collect();
        let sources = Stack::part_of(book, &format!("lesson-{name}"), &sources);
        let build_dir = BuildDir::open(&kernel, &sources)?;
        let folder = build_dir.tree().join(&own);
        let redactor = Redactor::new(&kernel, &others, &folder)?;
        let (session, programs) = (None, None);
        let recording = steps::file(&page.text).map(|_| Recording::default());
        Ok(Self {
            _lock: lock,
            cache,
            kernel,
            others,
            book,
            page,
            build_dir,
            own,
            folder,
            redactor,
            session,
            programs,
            recording,
        })
    }

    /// Runs each block on this kernel and returns its contents. The host's commands run first, as
    /// the guest gets what they built.
    pub(super) fn run(&mut self) -> Result<Vec<String>> {
        let mut said = self.build()?;
        self.run_where(false, &mut said)?;
        if let Some(session) = self.session.take() {
            session.finish()?;
        }
        Ok(said)
    }

    /// The page's guest, with what the page builds on the host: by an earlier run of the same page
    /// with the same sources, or now.
    pub(super) fn built_guest(&mut self) -> Result<Guest> {
        let made_of = self.made_of()?;
        if made_of.is_none() || self.build_dir.note() != made_of {
            say("running the page's commands for the host");
            self.build()?;
        }
        self.guest()
    }

    /// Runs the blocks of the host, in a folder without modules: what Kbuild says depends on what
    /// is there.
    fn build(&mut self) -> Result<Vec<String>> {
        self.build_dir.empty()?;
        let made_of = self.made_of()?;
        let mut said = vec![String::new(); self.page.blocks.len()];
        self.run_where(true, &mut said)?;
        self.build_dir.export()?;
        if let Some(made_of) = made_of {
            self.build_dir.set_note(made_of)?;
        }
        Ok(said)
    }

    /// Returns a key of everything that the page's modules are made of, or `None` for a kernel in
    /// a folder of the user's, which may change.
    fn made_of(&self) -> Result<Option<String>> {
        let kernels = || [&self.kernel].into_iter().chain(&self.others);
        if !kernels().all(|kernel| matches!(kernel.name, KernelName::Listed(..))) {
            return Ok(None);
        }
        let mut parts = vec![self.page.text.clone(), self.build_dir.sources_key()?];
        parts.extend(kernels().map(Kernel::slug));
        Ok(Some(cache::key(parts)))
    }

    /// Runs the blocks of the host, or all others.
    fn run_where(&mut self, on_host: bool, said: &mut [String]) -> Result<()> {
        let host = |block: &Block| {
            matches!(
                block.kind,
                BlockKind::Console { place: Place::Host, .. } | BlockKind::Picture { .. }
            )
        };
        let pairs = self.page.blocks.iter().zip(said);
        for (block, said) in pairs.filter(|(block, _)| host(block) == on_host) {
            let at = |problem: Problem| problem.of(format!("line {}", block.line));
            *said = self.block(block).map_err(at)?;
        }
        Ok(())
    }

    /// The page's recording, where it has one: its file, relative to the page, and what belongs
    /// into it.
    pub(super) fn recorded(&mut self) -> Result<Option<(PathBuf, String)>> {
        let recording = steps::file(&self.page.text).zip(self.recording.as_mut());
        let Some((file, recording)) = recording else { return Ok(None) };
        recording.link(&built(&self.build_dir.products())?)?;
        Ok(Some((file, recording.json()?)))
    }

    /// The programs that spoke, for the page's last line.
    pub(super) fn programs(&self) -> String {
        let kernel = format!("Linux {} (`{}`)", self.kernel.release, self.kernel.name);
        match &self.programs {
            Some(programs) => format!("{kernel}, {programs}"),
            None => kernel,
        }
    }

    fn block(&mut self, block: &Block) -> Result<String> {
        let place = match &block.kind {
            BlockKind::Console { place, .. } => *place,
            BlockKind::Code { file, anchor } => {
                let file = self.book.join(FOLDER).join(file);
                return code::part(&file, anchor.as_deref());
            }
            BlockKind::Picture { command, .. } if drawn::is_text(command) => {
                return drawn::picture(self.book, command);
            }
            BlockKind::Picture { command, .. } => return self.drawn(command),
        };
        let shown = shown(self.page, block, &self.kernel);
        let mut text = String::new();
        let entries = console_entries(shown, place)?;
        if place != Place::Host {
            self.recording.iter_mut().for_each(Recording::begin);
        }
        for (index, entry) in entries.iter().enumerate() {
            let dies = place == Place::Dying && index + 1 == entries.len();
            let printed = match place {
                Place::Host => {
                    let (text, status) = self.on_host(&entry.command)?;
                    whole(text, status)
                }
                _ if dies => self.last_words(entry)?,
                _ => self.printed_in_guest(entry)?,
            };
            let printed = self.redactor.redact(&printed, &entry.printed);
            let prompt = place.prompt();
            if printed.lines().any(|line| line.starts_with(prompt) || line.starts_with("```")) {
                let fact = format!("`{}` prints what a page cannot show", entry.command.trim());
                return Err(Problem::usage(fact)
                    .hint(format!("its output has `{prompt}` or a fence; filter it")));
            }
            text.push_str(&entry.shown);
            text.push_str(&printed);
        }
        Ok(text)
    }

    /// The picture that a command draws.
    fn drawn(&self, command: &str) -> Result<String> {
        let (text, status) = self.on_host(command)?;
        if status != 0 {
            let fact = format!("`{command}` draws nothing: {}", text.trim());
            return Err(Problem::does_not_hold(fact)
                .hint("a picture of modules stands below the block that builds them"));
        }
        Ok(self.redactor.redact(&text, ""))
    }

    /// Runs a command line on the host, in the page's folder. `cargo xtask` is this program; all
    /// else runs in the kernel's toolchain.
    fn on_host(&self, command: &str) -> Result<(String, i32)> {
        let ours = command.trim_start().starts_with("cargo xtask ");
        let run = if ours { self.ourselves(command) } else { self.tool(command) };
        let outcome = run.quiet().deadline(DEADLINE).output()?;
        let status = outcome.status.code().unwrap_or(-1);
        let mut text = outcome.stdout;
        match outcome.stderr.find("error: ") {
            // The text before it is the echo of commands and the progress.
            Some(begin) if ours && status != 0 => text.push_str(&outcome.stderr[begin..]),
            _ if ours => (),
            _ => text.push_str(&outcome.stderr),
        }
        Ok((text, status))
    }

    fn ourselves(&self, command: &str) -> Run {
        let script = format!("cargo() {{ shift; \"$XTASK\" \"$@\"; }}\n{command}");
        let run = Run::new("/bin/sh").args(["-c", &script]).cwd(&self.folder);
        run.env("XTASK", this_program())
    }

    fn tool(&self, command: &str) -> Run {
        let kdir = self.kernel.kdir.to_string_lossy();
        // Debian's headers choose their compiler themselves; other trees take what is called gcc,
        // and then notice that its name is another.
        let compiler = self.kernel.config().map(|config| config.compiler()).unwrap_or_default();
        let mut script = format!("exec 2>&1\nexport KDIR={kdir} MAKEFLAGS={compiler}\n");
        let mut toolchain = self.kernel.toolchain.clone();
        for other in &self.others {
            let name = other.name.to_string().to_uppercase();
            script.push_str(&format!("export KDIR_{name}={}\n", other.kdir.to_string_lossy()));
            toolchain = toolchain.beside(&other.toolchain);
        }
        script.push_str(command);
        toolchain.run_in("sh", &self.build_dir.tree(), &self.folder).args(["-c", &script])
    }

    fn printed_in_guest(&mut self, entry: &ConsoleEntry) -> Result<String> {
        let step = self.session()?.exec(entry.command.as_str())?;
        if let Some(mut recording) = self.recording.take() {
            recording.add(&entry.command, &self.session()?.exec("cat /proc/modules")?.text())?;
            self.recording = Some(recording);
        }
        Ok(said_in_guest(&step))
    }

    /// Returns the guest's console output after a command that ended it.
    fn last_words(&mut self, entry: &ConsoleEntry) -> Result<String> {
        let mut session = self.take_session()?;
        match session.exec(entry.command.as_str()) {
            Err(_) if session.died() => {}
            // A deadline, an agent that sends nonsense: it was we who ended the guest.
            Err(problem) => return Err(problem),
            Ok(_) => {
                let fact = format!("the guest lives on after `{}`", entry.command.trim());
                let problem = Problem::does_not_hold(fact);
                return Err(problem.hint("is the block rightly called `dies`?"));
            }
        }
        let console = session.report().console.lines().map(console::bare);
        Ok(console.map(|line| format!("[kernel] {line}\n")).collect())
    }

    fn session(&mut self) -> Result<&mut Session> {
        let session = self.take_session()?;
        Ok(self.session.insert(session))
    }

    fn take_session(&mut self) -> Result<Session> {
        self.session.take().map_or_else(|| self.boot(), Ok)
    }

    /// A guest that has what was built, at the same places as here.
    fn guest(&self) -> Result<Guest> {
        let front_matter = &self.page.front_matter;
        let mut guest = Guest::on(self.cache, &self.kernel)?;
        let products = self.build_dir.products();
        for module in built(&products)? {
            // The page's own lie in the guest's folder, others by their path in the project.
            let near = module.strip_prefix(products.join(&self.own));
            let near = near.or_else(|_| module.strip_prefix(&products)).unwrap_or(&module);
            guest = guest.file_at(near.to_owned(), &module);
        }
        guest = front_matter.cmdline.iter().fold(guest, Guest::cmdline);
        Ok(front_matter.allow.iter().fold(guest, |guest, (begins, why)| guest.allow(begins, why)))
    }

    fn boot(&mut self) -> Result<Session> {
        let guest = self.guest()?;
        let session = guest.start()?;
        let tools = session.hello().tools;
        let kmod = tools.first().and_then(|(_, said)| said.split_whitespace().nth(2));
        let qemu = guest.qemu_version()?;
        self.programs = Some(format!("kmod {}, QEMU {qemu}", kmod.unwrap_or("?")));
        Ok(session)
    }
}

/// Formats a command of the guest as a page shows it: its output, and the kernel's log.
pub(super) fn said_in_guest(step: &CommandReport) -> String {
    let mut text = whole(step.text(), step.status.into());
    let messages = step.kernel.iter().chain(&step.late);
    let told = messages.filter(|message| message.from_user || !is_noise(&message.text));
    told.for_each(|message| {
        message.text.lines().for_each(|line| text.push_str(&format!("[kernel] {line}\n")));
    });
    text
}

/// Formats a command's output, and its status unless that is 0.
fn whole(mut text: String, status: i32) -> String {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    if status != 0 {
        text.push_str(&format!("[status {status}]\n"));
    }
    text
}

/// Returns a block's contents for this kernel, as the page shows them now.
fn shown<'a>(page: &'a Page, block: &'a Block, kernel: &Kernel) -> &'a str {
    let BlockKind::Console { others, .. } = &block.kind else { return page.contents(block) };
    let name = kernel.name.to_string();
    match others.iter().find(|(other, _)| *other == name) {
        Some((_, contents)) => contents,
        None => page.contents(block),
    }
}

/// Returns `true` for a message of [`NOISE`].
pub(super) fn is_noise(text: &str) -> bool {
    NOISE.iter().any(|(begins, _)| text.starts_with(begins))
}

/// The modules at or below a folder, in order.
fn built(folder: &Path) -> Result<Vec<PathBuf>> {
    let found = files_below(folder).or_host(|| format!("{} cannot be read", folder.shown()));
    Ok(found?.into_iter().filter(|path| has_extension(path, "ko")).collect())
}
