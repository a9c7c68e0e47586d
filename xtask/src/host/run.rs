//! One external command: echoed so that it can be pasted, ended at a deadline, and on failure
//! shown with the end of its output.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write, stderr},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    host::progress::Step,
    problem::{OrProblem, Problem, Result},
};

/// How often a running command is looked at.
const POLL: Duration = Duration::from_millis(20);
/// How long a command that was asked to end may take before it is killed.
const GRACE: Duration = Duration::from_secs(5);
/// How much of a failed command's output is shown.
const TAIL_LINES: usize = 30;
/// How much of a command's captured output is kept.
const CAPTURE_MAX: u64 = 64 << 20;

static ECHO_OFF: AtomicBool = AtomicBool::new(false);

/// Stops the echo of commands, for tests and for commands whose output is data.
pub fn echo_off() {
    ECHO_OFF.store(true, Ordering::Relaxed);
}

/// The program that runs now, to be run again: also when cargo has meanwhile linked another in its
/// place, as `cargo test` does where a dependency of the tests asks for more features.
pub fn this_program() -> PathBuf {
    PathBuf::from(format!("/proc/{}/exe", std::process::id()))
}

/// What a captured command said and how it ended.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
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
}

impl Run {
    /// A command with a deadline of one minute.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().into(),
            args: Vec::new(),
            envs: Vec::new(),
            cwd: None,
            deadline: Duration::from_secs(60),
            echo: true,
            hint: None,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().into()));
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.envs.push((name.as_ref().into(), value.as_ref().into()));
        self
    }

    /// Runs it in this folder.
    #[must_use]
    pub fn cwd(mut self, cwd: impl Into<PathBuf>) -> Self {
        self.cwd = Some(cwd.into());
        self
    }

    /// Ends it after this time.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Does not echo it: it only looks, and is no part of the story.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.echo = false;
        self
    }

    /// What to do when it fails.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Runs it with its output collected; a status other than 0 is left to the caller.
    ///
    /// # Errors
    /// It cannot be started, or its deadline passed.
    pub fn output(&self) -> Result<Output> {
        self.show();
        let mut child = self.spawn(Stdio::piped(), Stdio::piped())?;
        let stdout = child.stdout.take().map(collect);
        let stderr = child.stderr.take().map(collect);
        let status = self.wait(&mut child, |_| ());
        let text = |reader: Option<thread::JoinHandle<Vec<u8>>>| {
            let bytes = reader.and_then(|thread| thread.join().ok()).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (stdout, stderr) = (text(stdout), text(stderr));
        Ok(Output { status: status?, stdout, stderr })
    }

    /// Runs it with its output collected, and returns what it wrote to its standard output.
    ///
    /// # Errors
    /// It cannot be started, its deadline passed, or it failed: then with the end of its output.
    pub fn stdout(&self) -> Result<String> {
        let Output { status, stdout, stderr } = self.output()?;
        if status.success() {
            return Ok(stdout);
        }
        Err(self.failed(status, &tail(&format!("{stdout}{stderr}"))))
    }

    /// Runs it on the caller's terminal.
    ///
    /// # Errors
    /// It cannot be started, or its deadline passed.
    pub fn status(&self) -> Result<ExitStatus> {
        self.show();
        let mut child = self.spawn(Stdio::inherit(), Stdio::inherit())?;
        self.wait(&mut child, |_| ())
    }

    /// Runs it with its standard output passed on line by line, and shown to `see`.
    ///
    /// # Errors
    /// It cannot be started, or its deadline passed.
    pub fn tee(&self, mut see: impl FnMut(&str)) -> Result<ExitStatus> {
        self.show();
        let mut child = self.spawn(Stdio::piped(), Stdio::inherit())?;
        let (lines, seen) = mpsc::channel();
        let reader = child.stdout.take().map(|stdout| {
            thread::spawn(move || {
                for line in BufReader::new(stdout).split(b'\n').map_while(io::Result::ok) {
                    let _ = lines.send(String::from_utf8_lossy(&line).into_owned());
                }
            })
        });
        let mut pass = |line: String| {
            // Nothing is lost when standard output is closed.
            let _ = writeln!(io::stdout(), "{line}");
            see(&line);
        };
        let status = self.wait(&mut child, |_| seen.try_iter().for_each(&mut pass));
        if status.is_ok() {
            let _ = reader.map(thread::JoinHandle::join);
        }
        seen.try_iter().for_each(pass);
        status
    }

    /// Runs it as one step of a long work: its output goes to `log`, its last line to `step`.
    ///
    /// # Errors
    /// It cannot be started, its deadline passed, or it failed: then with the end of the log.
    pub fn logged(&self, log: &Path, step: &Step) -> Result<()> {
        step.suspend(|| self.show());
        let file = File::options().create(true).append(true).open(log);
        let file = file.or_host(|| format!("{}: cannot be written", log.display()))?;
        let begin = file.metadata().map_or(0, |metadata| metadata.len());
        let second = file.try_clone().or_host(|| format!("{}", log.display()))?;
        let mut child = self.spawn(file.into(), second.into())?;
        let status = self.wait(&mut child, |_| step.tick(last_line(log)))?;
        if status.success() {
            return Ok(());
        }
        let said = tail(&read_from(log, begin));
        Err(self.failed(status, &format!("{said}\n(all of it: {})", log.display())))
    }

    /// Starts it without waiting, with the given standard output and error.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn(&self, stdout: Stdio, stderr: Stdio) -> Result<Child> {
        let mut command = Command::new(&self.program);
        command.args(&self.args).stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        command.envs(self.envs.iter().map(|(name, value)| (name, value)));
        if let Some(cwd) = &self.cwd {
            command.current_dir(cwd);
        }
        command.spawn().or_host(|| format!("{} cannot be started", self.program.to_string_lossy()))
    }

    /// Starts it on the caller's terminal, input included, and waits for its end without a
    /// deadline: its user decides when it is over.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn interactive(&self) -> Result<ExitStatus> {
        self.show();
        let mut command = Command::new(&self.program);
        command.args(&self.args);
        command.status().or_host(|| format!("{} cannot be started", self.program.to_string_lossy()))
    }

    /// Starts it on the caller's terminal, input included, without waiting; only its standard
    /// error goes elsewhere.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn foreground(&self, stderr: Stdio) -> Result<Child> {
        let mut command = Command::new(&self.program);
        command.args(&self.args).stderr(stderr);
        command.spawn().or_host(|| format!("{} cannot be started", self.program.to_string_lossy()))
    }

    fn show(&self) {
        if self.echo && !ECHO_OFF.load(Ordering::Relaxed) {
            // Nothing is lost when standard error is closed.
            let _ = writeln!(stderr(), "$ {self}");
        }
    }

    fn wait(&self, child: &mut Child, mut look: impl FnMut(&Child)) -> Result<ExitStatus> {
        let begin = Instant::now();
        loop {
            let ended = child.try_wait().or_host(|| format!("{} is lost", self.name()))?;
            if let Some(status) = ended {
                return Ok(status);
            }
            if begin.elapsed() > self.deadline {
                terminate(child);
                let seconds = self.deadline.as_secs();
                let problem = Problem::host(format!("{} took more than {seconds} s", self.name()));
                return Err(problem.hint(format!("run it by hand to see where it stops: {self}")));
            }
            look(child);
            thread::sleep(POLL);
        }
    }

    fn failed(&self, status: ExitStatus, said: &str) -> Problem {
        let problem = Problem::host(format!("{} failed ({status}):\n{said}", self.name()));
        match &self.hint {
            Some(hint) => problem.hint(hint),
            None => problem.hint(format!("run it by hand: {self}")),
        }
    }

    /// The command's own name: what runs inside when it enters a private root.
    fn name(&self) -> String {
        let inside = self.args.iter().skip_while(|arg| *arg != "--").nth(1);
        Path::new(inside.unwrap_or(&self.program))
            .file_name()
            .map_or_else(|| "the command".into(), |name| name.to_string_lossy().into_owned())
    }
}

/// As a shell takes it.
impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(cwd) = &self.cwd {
            write!(f, "cd {} && ", quoted(cwd.as_os_str()))?;
        }
        for (name, value) in &self.envs {
            write!(f, "{}={} ", name.to_string_lossy(), quoted(value))?;
        }
        write!(f, "{}", quoted(&self.program))?;
        self.args.iter().try_for_each(|arg| write!(f, " {}", quoted(arg)))
    }
}

/// A word for a shell, the caller's home as `~`, which a shell takes at the beginning of a word.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let home = std::env::var("HOME").unwrap_or_default();
    let rest = word.strip_prefix(&home).and_then(|rest| rest.strip_prefix('/'));
    match rest {
        Some(rest) if !home.is_empty() => format!("~/{}", quoted_plainly(rest)),
        _ => quoted_plainly(&word),
    }
}

/// `shell_words` also quotes `=`, of which make's command lines are full.
fn quoted_plainly(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-+=:,./@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.into(),
        false => shell_words::quote(word).into_owned(),
    }
}

/// Asks a child to end, and kills it when it does not.
pub fn terminate(child: &mut Child) {
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended meanwhile; the wait below tells.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    let begin = Instant::now();
    while begin.elapsed() < GRACE {
        if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
            return;
        }
        thread::sleep(POLL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

fn collect(mut from: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.by_ref().take(CAPTURE_MAX).read_to_end(&mut bytes);
        // Past the limit it is read on and dropped, so that the writer does not block for ever.
        let _ = io::copy(&mut from, &mut io::sink());
        bytes
    })
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

fn read_from(log: &Path, begin: u64) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = File::open(log) {
        let _ = file.seek(SeekFrom::Start(begin));
        let _ = file.take(CAPTURE_MAX).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The last whole line of a growing log, from its last 4 KiB.
fn last_line(log: &Path) -> String {
    let length = log.metadata().map_or(0, |metadata| metadata.len());
    let end = read_from(log, length.saturating_sub(4096));
    end.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_what_the_command_said_and_the_next_command() {
        let run = Run::new("sh").args(["-c", "echo out; echo why >&2; exit 3"]).quiet();
        let problem = run.hint("read it").stdout().unwrap_err();
        assert!(problem.fact.contains("out\nwhy"), "{problem}");
        assert_eq!(problem.hint.as_deref(), Some("read it"));
    }

    #[test]
    fn a_deadline_ends_it() {
        let run = Run::new("sleep").arg("60").quiet().deadline(Duration::from_millis(50));
        let begin = Instant::now();
        let problem = run.output().unwrap_err();
        assert!(begin.elapsed() < Duration::from_secs(10));
        assert_eq!(problem.kind, crate::problem::Kind::Host);
        assert!(problem.hint.unwrap().contains("sleep 60"));
    }

    #[test]
    fn it_can_be_pasted() {
        let run = Run::new("make").arg("KDIR=/a b").cwd("/x").env("A", "1 2");
        assert_eq!(run.to_string(), "cd /x && A='1 2' make 'KDIR=/a b'");
    }
}
