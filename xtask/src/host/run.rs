//! One external command: echoed so that it can be pasted, ended at a deadline, and on failure
//! shown with the end of its output.

mod paste;
mod problems;
mod said;
mod usage;

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    path::PathBuf,
    process::{Command, ExitStatus, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use ko::text::Text;

use self::{
    said::{drain, end_of, keep_end, last_line, pass_on, pipes, read_from},
    usage::Watch,
};
use crate::{
    host::{
        builder::builder,
        cache::Lock,
        limits,
        process::{Group, Process, interrupted},
        progress::{Step, say},
        terminal::Terminal,
    },
    printer,
    printer::Shown as _,
    problem::{OrProblem, Problem, Result},
};

/// The interval between two looks at the log of a running command.
const TICK: Duration = Duration::from_millis(100);
/// The longest time that the output of a command that has ended may be held open by what it
/// started.
const LINGER: Duration = Duration::from_millis(200);

static ECHO_OFF: AtomicBool = AtomicBool::new(false);

/// Stops the echo of commands, for tests and for commands whose output is data.
pub fn echo_off() {
    ECHO_OFF.store(true, Ordering::Relaxed);
}

/// The program that runs now, to be run again. Its path would not do: `cargo test` links another
/// program there where a dependency of the tests asks for more features.
pub fn this_program() -> PathBuf {
    PathBuf::from(format!("/proc/{}/exe", std::process::id()))
}

/// The words of a captured command, and its end.
#[derive(Debug)]
pub struct Output {
    /// Its exit status.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// An external command, not yet started.
#[derive(Clone, Debug)]
pub struct Run {
    program: OsString,
    args: Vec<OsString>,
    envs: Vec<(OsString, OsString)>,
    cwd: Option<PathBuf>,
    deadline: Duration,
    echo: bool,
    hint: Option<String>,
    lock: Option<Lock>,
    /// The folders that it may write, if it is in a sandbox.
    sandbox: Option<Vec<PathBuf>>,
}

impl Run {
    /// A command with a deadline of one minute.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().into(),
            args: Vec::new(),
            envs: Vec::new(),
            cwd: None,
            deadline: limits::TIME,
            echo: true,
            hint: None,
            lock: None,
            sandbox: None,
        }
    }

    builder! {
        /// Adds one argument.
        fn arg(self, arg: impl AsRef<OsStr>) {
            self.args.push(arg.as_ref().into());
        }

        /// Adds arguments.
        fn args(self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) {
            self.args.extend(args.into_iter().map(|arg| arg.as_ref().into()));
        }

        /// Sets a variable of its environment.
        fn env(self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) {
            self.envs.push((name.as_ref().into(), value.as_ref().into()));
        }

        /// Runs it in this folder.
        fn cwd(self, cwd: impl Into<PathBuf>) {
            self.cwd = Some(cwd.into());
        }

        /// Ends it after this time.
        fn deadline(self, deadline: Duration) {
            self.deadline = deadline;
        }

        /// Does not echo it: it only looks, and changes nothing.
        fn quiet(self) {
            self.echo = false;
        }

        /// Sets the hint for when it fails.
        fn hint(self, hint: impl Into<String>) {
            self.hint = Some(hint.into());
        }

        /// Lets it hold a lock until it ends, also when we are killed before. What is in a sandbox
        /// ends with us: it gets nothing of the lock, which it could give back.
        fn holding(self, lock: &Lock) {
            self.lock = Some(lock.clone());
        }

        /// Holds it and all that it starts to the limits of a sandbox, which may write in some
        /// folders.
        fn watched(self, folders: &[PathBuf]) {
            self.sandbox = Some(folders.to_vec());
        }
    }

    /// Runs it with its output collected; a status other than 0 is left to the caller.
    ///
    /// # Errors
    /// It cannot be started, its deadline passed, or it printed more than 64 MiB.
    pub fn output(&self) -> Result<Output> {
        let (status, texts) = self.captured()?;
        let limit = self.limit_met(status, &texts);
        let [stdout, mut stderr] = texts.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        if let Some(limit) = limit {
            stderr.push_str(&format!("{limit}\n"));
        }
        Ok(Output { status, stdout, stderr })
    }

    fn captured(&self) -> Result<(ExitStatus, [Vec<u8>; 2])> {
        let mut texts = [Vec::new(), Vec::new()];
        let status = self.piped(Stdio::piped(), limits::CAPTURE, &mut |stream, bytes| {
            texts[stream].extend_from_slice(bytes);
        });
        match status {
            Ok(status) => Ok((status, texts)),
            Err(mut problem) => {
                problem.fact.push_str(&end_of(&String::from_utf8_lossy(&texts.concat())));
                Err(problem)
            }
        }
    }

    /// Runs it with its output collected, and returns what it wrote to its standard output.
    ///
    /// # Errors
    /// It cannot be started, its deadline passed, or it failed: then with the end of its output.
    pub fn stdout(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.stdout_bytes()?).into_owned())
    }

    /// The same, as the bytes that it wrote.
    ///
    /// # Errors
    /// As [`Run::stdout`].
    pub fn stdout_bytes(&self) -> Result<Vec<u8>> {
        let (status, texts) = self.captured()?;
        if status.success() {
            let [stdout, _] = texts;
            return Ok(stdout);
        }
        Err(self.failed(status, &end_of(&String::from_utf8_lossy(&texts.concat()))))
    }

    /// Runs it on the caller's terminal, without input.
    ///
    /// # Errors
    /// It cannot be started, or its deadline passed.
    pub fn status(&self) -> Result<ExitStatus> {
        self.show();
        let mut process = self.spawn(Stdio::inherit(), Stdio::inherit())?;
        self.wait(&mut process, Instant::now(), |_| true)
    }

    /// Runs it without input, with what it says passed on line by line.
    ///
    /// # Errors
    /// It cannot be started, its deadline passed, or it printed more than 4 MiB.
    pub fn passed_on(&self) -> Result<ExitStatus> {
        self.by_line(Stdio::piped(), &mut |stream, line| match stream {
            0 => pass_on(line),
            _ => printer::error(format_args!("{}", Text(line))),
        })
    }

    /// Runs it with its standard output passed on line by line, and shown to `see`.
    ///
    /// # Errors
    /// It cannot be started, or its deadline passed.
    pub fn tee(&self, mut see: impl FnMut(&str)) -> Result<ExitStatus> {
        self.by_line(Stdio::inherit(), &mut |_, line| {
            pass_on(line);
            see(&String::from_utf8_lossy(line));
        })
    }

    /// Runs it, and shows to `see` each line with the number of its stream.
    fn by_line(&self, stderr: Stdio, see: &mut dyn FnMut(usize, &[u8])) -> Result<ExitStatus> {
        let (mut lines, mut ends) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        let status = self.piped(stderr, limits::PASSED, &mut |stream, bytes| {
            keep_end(&mut ends[stream], bytes);
            let line = &mut lines[stream];
            line.extend_from_slice(bytes);
            let whole = line.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            let pieces = line[..whole].split_inclusive(|byte| *byte == b'\n');
            pieces.for_each(|piece| see(stream, &piece[..piece.len() - 1]));
            line.drain(..whole);
        });
        let rest = lines.iter().enumerate().filter(|(_, line)| !line.is_empty());
        rest.for_each(|(stream, line)| see(stream, line));
        let status = status?;
        if let Some(limit) = self.limit_met(status, &ends) {
            say(&limit);
        }
        Ok(status)
    }

    /// Runs it as one step of a long work: its output goes to the step's log, the last line of it
    /// to the terminal.
    ///
    /// # Errors
    /// It cannot be started, its deadline passed, or it failed: then with the end of the log.
    pub fn logged(&self, step: &Step) -> Result<()> {
        let log = &step.log;
        step.suspend(|| self.show());
        let file = File::options().create(true).append(true).open(log);
        let file = file.or_host(|| format!("{}: cannot be written", log.shown()))?;
        let size = || log.metadata().map_or(0, |metadata| metadata.len());
        let begin = size();
        let second = file.try_clone().or_host(|| format!("{}", log.shown()))?;
        let mut process = self.spawn(file.into(), second.into())?;
        let end = || format!("{}\n(all of it: {})", end_of(&read_from(log, begin)), log.shown());
        let status = self.wait(&mut process, Instant::now(), |_| {
            step.tick(last_line(log));
            size() <= limits::LOG
        });
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(self.failed(status, &end())),
            Err(mut problem) => {
                problem.fact.push_str(&end());
                Err(problem)
            }
        }
    }

    /// Starts it in a process group of its own without waiting, and without input.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn(&self, stdout: Stdio, stderr: Stdio) -> Result<Process> {
        // The lock's file is empty, so the command reads its end at once, as from /dev/null.
        let lock = self.lock.as_ref().filter(|_| self.sandbox.is_none());
        let stdin = lock.map_or_else(|| Ok(Stdio::null()), Lock::stdin)?;
        self.start(self.command().stdin(stdin).stdout(stdout).stderr(stderr), Group::Own)
    }

    /// Runs it with the caller's input, for as long as its user wants. On a terminal, what is in a
    /// sandbox gets one of its own; the rest stays in our process group: only that may read there.
    ///
    /// # Errors
    /// It cannot be started, or it went beyond a limit of the sandbox.
    pub fn interactive(&self) -> Result<ExitStatus> {
        let mut command = self.command();
        let unlimited = Self { deadline: Duration::MAX, ..self.clone() };
        if self.sandbox.is_none() || !Terminal::is_there() {
            let mut process = self.start(&mut command, Group::Ours)?;
            return unlimited.wait(&mut process, Instant::now(), |_| true);
        }
        let joined = Terminal::join(&mut command, |command| Process::start(command, Group::Own));
        let (terminal, mut process) = joined.or_host(|| self.not_started())?;
        let ended = unlimited.wait(&mut process, Instant::now(), |_| true);
        terminal.leave();
        ended
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if self.sandbox.is_some() {
            // Words of the script that enters a sandbox, which are the caller's for `make` as well.
            command.env_remove("AS").env_remove("THROUGH");
        }
        command.args(&self.args).envs(self.envs.iter().map(|(name, value)| (name, value)));
        if let Some(cwd) = &self.cwd {
            command.current_dir(cwd);
        }
        command
    }

    fn start(&self, command: &mut Command, group: Group) -> Result<Process> {
        let started = Process::start(command, group);
        started.or_host(|| self.not_started())
    }

    fn show(&self) {
        if self.echo && !ECHO_OFF.load(Ordering::Relaxed) {
            say(&format!("$ {self}"));
        }
    }

    /// Runs it to its end; `take` gets what it writes to its standard output (0) and to its
    /// standard error (1) as it comes, which are at most `max` bytes or little more.
    fn piped(
        &self,
        stderr: Stdio,
        max: u64,
        take: &mut dyn FnMut(usize, &[u8]),
    ) -> Result<ExitStatus> {
        self.show();
        let mut process = self.spawn(Stdio::piped(), stderr)?;
        let mut pipes = pipes(&mut process).or_host(|| format!("{} is lost", self.name()))?;
        let begin = Instant::now();
        let mut watch = Watch::begin(self.sandbox.as_deref());
        let (mut ended, mut said) = (None, 0);
        // A process that it started in the background may hold the pipes longer than it lives
        // itself.
        while !pipes.is_empty() && ended.is_none_or(|then: Instant| then.elapsed() < LINGER) {
            if begin.elapsed() > self.deadline {
                process.terminate();
                return Err(self.late());
            }
            if let Some(excess) = watch.excess(process.id()) {
                process.terminate();
                return Err(self.beyond(&excess));
            }
            let fds: Vec<_> = pipes.iter().map(|(_, pipe)| pipe as _).collect();
            process.sleep(TICK, &fds);
            let before = process.has_ended().unwrap_or(true);
            pipes.retain_mut(|(stream, pipe)| {
                drain(pipe, &mut |bytes| {
                    said += bytes.len() as u64;
                    take(*stream, bytes);
                })
            });
            if said > max {
                process.terminate();
                return Err(self.too_much(max));
            }
            ended = ended.or(before.then(Instant::now));
        }
        self.wait(&mut process, begin, |_| true)
    }

    /// Waits for its end. When its deadline has passed or `look` says no, it is terminated.
    fn wait(
        &self,
        process: &mut Process,
        begin: Instant,
        mut look: impl FnMut(u32) -> bool,
    ) -> Result<ExitStatus> {
        let left = self.deadline.saturating_sub(begin.elapsed());
        let (mut watch, mut beyond) = (Watch::begin(self.sandbox.as_deref()), None);
        let ended = process.wait(left, TICK, |pid| {
            beyond = watch.excess(pid);
            beyond.is_none() && look(pid)
        });
        match ended.or_host(|| format!("{} is lost", self.name()))? {
            _ if interrupted().is_some() => Err(Problem::host("interrupted")),
            Some(status) => Ok(status),
            None if beyond.is_some() => Err(self.beyond(&beyond.unwrap_or_default())),
            None if begin.elapsed() >= self.deadline => Err(self.late()),
            None => Err(self.too_much(limits::LOG)),
        }
    }
}

#[cfg(test)]
mod tests;
