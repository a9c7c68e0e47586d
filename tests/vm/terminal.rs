//! The shell in the guest, on a terminal: what somebody who types there sees.

use std::{
    fs,
    io::{Read, Write},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread,
    time::{Duration, Instant},
};

use regex_lite::Regex;
use rustix::process::{Pid, Signal, kill_process};
use xtask::{host::packages, kernel::KernelName};

use crate::{
    harness::{Needs, Test, skip},
    kernel,
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Nothing => [
            a_shell_edits_lines_tells_statuses_and_has_the_kernels_lines_before_the_prompt,
        ],
        Needs::Only(KernelName::STOCK) => [
            no_end_of_the_runner_leaves_a_guest_behind,
            the_callers_terminal_is_put_back,
        ],
    )
}

/// The longest time that a terminal may be silent: a page's modules are built before its first
/// prompt, which takes minutes on a busy machine.
const SILENCE: Duration = Duration::from_secs(10 * 60);
/// Where the colors end, and so the echo of what was typed: the shell runs it from there on.
const TYPED: &str = "\x1b[m";

/// A terminal on which a command runs.
pub(crate) struct Terminal {
    script: Child,
    keys: ChildStdin,
    pieces: Receiver<Vec<u8>>,
    unread: Vec<u8>,
    /// So much of it are whole lines without a prompt.
    searched: usize,
    prompt: Regex,
    /// The codes in which bash wraps what is pasted.
    codes: Regex,
    kernel: Regex,
}

/// The output of a terminal from one prompt to the next.
pub(crate) struct Shown {
    /// The kernel's lines that came while the command was typed: they belong to the one before.
    pub(crate) before: String,
    /// The rest in a page's form: what the command printed, then the kernel's lines.
    pub(crate) text: String,
}

impl Terminal {
    /// Ends the test that calls it as skipped where no terminal can be made.
    pub(crate) fn needed() {
        if packages::find("script").is_none() {
            skip("needs the program script");
        }
    }

    /// Runs a line by `sh`, on a new terminal that is wide enough for every command.
    pub(crate) fn run(line: &str) -> Self {
        let line = format!("stty rows 50 cols 1000; {line}");
        let mut script = Command::new("script");
        script.args(["-qec", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = script.spawn().unwrap();
        let (keys, mut output) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
        let (sender, pieces) = sync_channel(64);
        thread::spawn(move || {
            let mut buffer = [0; 16 << 10];
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        let prompt = Regex::new(r"\x1b\[mvm:[^\s#]*# ").unwrap();
        let codes = Regex::new(r"\x1b\[\?2004[hl]\r?").unwrap();
        let kernel = Regex::new(r"^\[ *\d+\.\d{6}\] (.*)$").unwrap();
        let (unread, searched) = (Vec::new(), 0);
        Self { script, keys, pieces, unread, searched, prompt, codes, kernel }
    }

    /// The runner's `shell` with these arguments.
    pub(crate) fn shell(args: &[&str]) -> Self {
        Self::run(&format!("exec {}", shell_line(args)))
    }

    /// Types it; Enter is a newline.
    pub(crate) fn keys(&mut self, keys: &str) {
        // A shell that has ended takes none: what it said last is read next.
        let _ = self.keys.write_all(keys.as_bytes());
    }

    /// Types a command, and waits until the shell does again.
    pub(crate) fn enter(&mut self, command: &str) -> Option<Shown> {
        self.keys(&format!("{}\n", command.trim_end()));
        self.until_prompt()
    }

    /// Returns the output until the shell waits; nothing when it has ended instead.
    pub(crate) fn until_prompt(&mut self) -> Option<Shown> {
        loop {
            let (lines, line) = self.unread.split_at(self.searched);
            let text = String::from_utf8_lossy(line);
            if let Some(prompt) = self.prompt.find(&text) {
                let lines = String::from_utf8_lossy(lines);
                let shown = self.shown(&(lines + &text[..prompt.start()]));
                (self.unread, self.searched) = (text[prompt.end()..].into(), 0);
                return Some(shown);
            }
            // A prompt is on one line.
            self.searched += line.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            if !self.read() {
                return None;
            }
        }
    }

    /// Returns the output until the end, and the exit status.
    pub(crate) fn end(mut self) -> (Shown, ExitStatus) {
        while self.read() {}
        let shown = self.shown(&String::from_utf8_lossy(&self.unread));
        (shown, self.script.wait().unwrap())
    }

    /// Waits for more; false when the terminal is closed.
    fn read(&mut self) -> bool {
        match self.pieces.recv_timeout(SILENCE) {
            Ok(piece) => self.unread.extend(piece),
            Err(RecvTimeoutError::Disconnected) => return false,
            Err(RecvTimeoutError::Timeout) => {
                let (text, below) = (String::from_utf8_lossy(&self.unread), self.processes());
                panic!("the terminal is silent after {text:?}; below it run {below:?}")
            }
        }
        true
    }

    fn shown(&self, text: &str) -> Shown {
        let text = self.codes.replace_all(text, "");
        let (before, after) = text.split_once(TYPED).unwrap_or(("", &text));
        let (_, before) = self.apart(before);
        let (printed, logged) = self.apart(after);
        Shown { before, text: printed + &logged }
    }

    /// Returns the lines of programs, and those of the kernel: its lines begin at the left,
    /// whatever is there.
    fn apart(&self, text: &str) -> (String, String) {
        let text = format!("\n{text}").replace("\r\n", "\n").replace("\n\r", "\n");
        let (mut printed, mut logged) = (String::new(), String::new());
        for line in text.split(['\n', '\r']).skip(1) {
            match self.kernel.captures(line) {
                Some(message) => logged.push_str(&format!("[kernel] {}\n", &message[1])),
                None => printed.push_str(&format!("{line}\n")),
            }
        }
        // The text after the last newline is empty unless a program left its line open.
        if text.ends_with('\n') {
            printed.pop();
        }
        (printed, logged)
    }

    /// The processes below it, the nearest first, each with its name.
    fn processes(&self) -> Vec<(Pid, String)> {
        let mut all = vec![(Pid::from_child(&self.script), String::new())];
        let mut next = 0;
        while let Some((pid, _)) = all.get(next) {
            let pid = pid.as_raw_nonzero();
            let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
            let children = threads.map(|thread| fs::read_to_string(thread.path().join("children")));
            let children: String = children.flatten().collect();
            for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
                let name = fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
                all.extend(Pid::from_raw(child).map(|pid| (pid, name.trim().to_owned())));
            }
            next += 1;
        }
        all.split_off(1)
    }
}

impl Drop for Terminal {
    /// Closes the terminal, which ends what runs there.
    fn drop(&mut self) {
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

fn shell_line(args: &[&str]) -> String {
    shell_words::join([env!("CARGO_BIN_EXE_xtask"), "shell"].iter().chain(args))
}

/// A guest of the kernel at hand, with nothing installed.
fn plain() -> [String; 3] {
    ["--no-stack".into(), "--kernel".into(), kernel().name.to_string()]
}

fn lives(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// The runner and QEMU below a terminal, once both are there.
fn runner_and_qemu(terminal: &Terminal) -> (Pid, Pid) {
    let all = terminal.processes();
    let named = |begin: &str| all.iter().find(|(_, name)| name.starts_with(begin));
    let both = named("xtask").zip(named("qemu-system"));
    let ((runner, _), (qemu, _)) = both.unwrap_or_else(|| panic!("{all:?}"));
    (*runner, *qemu)
}

fn a_shell_edits_lines_tells_statuses_and_has_the_kernels_lines_before_the_prompt() {
    Terminal::needed();
    let args = plain();
    let mut terminal = Terminal::shell(&args.each_ref().map(String::as_str));
    terminal.until_prompt().unwrap();
    let mut said = |command: &str| {
        let shown = terminal.enter(command).unwrap();
        assert!(!shown.before.contains("logged"), "after the prompt came {}", shown.before);
        shown.text
    };
    assert_eq!(said("stty size"), "50 1000\n");
    assert_eq!(said("echo ab\x7fc"), "ac\n");
    assert_eq!(said("ho bd\x1b[Da\x01ec"), "bad\n", "the keys move over what was typed");
    assert_eq!(said("sh -c 'exit 3'"), "[status 3]\n");
    assert!(!said("").contains("[status"), "it is told once");
    // Nothing waits between the two: the order is no matter of luck.
    for number in 0..30 {
        let line = format!("echo '<5>logged {number}' > /dev/kmsg");
        assert_eq!(said(&line), format!("[kernel] logged {number}\n"));
    }
    let numbers = said("seq 30000");
    assert_eq!(numbers.lines().count(), 30_000, "{numbers}");
    assert!(numbers.lines().zip(1..).all(|(line, number)| line == number.to_string()));

    terminal.keys("echo begun; sleep 1000\n");
    while !String::from_utf8_lossy(&terminal.unread).contains("begun\r") {
        assert!(terminal.read());
    }
    thread::sleep(Duration::from_millis(300));
    terminal.keys("\x03");
    assert_eq!(terminal.until_prompt().unwrap().text, "begun\n^C\n[status 130]\n");
    terminal.keys("\x04");
    let (shown, status) = terminal.end();
    assert!(status.success(), "{}", shown.text);
}

fn no_end_of_the_runner_leaves_a_guest_behind() {
    Terminal::needed();
    for by_signal in [true, false] {
        let args = plain();
        let mut terminal = Terminal::shell(&args.each_ref().map(String::as_str));
        terminal.until_prompt().unwrap();
        let (runner, qemu) = runner_and_qemu(&terminal);
        assert!(lives(runner) && lives(qemu));
        if by_signal {
            kill_process(runner, Signal::KILL).unwrap();
        } else {
            // With the program that made the terminal it is closed.
            kill_process(Pid::from_child(&terminal.script), Signal::KILL).unwrap();
        }
        let begin = Instant::now();
        while lives(runner) || lives(qemu) {
            assert!(begin.elapsed() < Duration::from_secs(60), "by signal: {by_signal}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn the_callers_terminal_is_put_back() {
    Terminal::needed();
    let args = plain();
    let shell = shell_line(&args.each_ref().map(String::as_str));
    for signal in [None, Some(Signal::TERM), Some(Signal::HUP)] {
        let mut terminal = Terminal::run(&format!("stty -g; {shell}; stty -g"));
        let begin = terminal.until_prompt().unwrap().text;
        match signal {
            None => terminal.keys("\x04"),
            Some(signal) => kill_process(runner_and_qemu(&terminal).0, signal).unwrap(),
        }
        let (shown, _) = terminal.end();
        let settings =
            |text: &str| text.lines().filter(|line| line.matches(':').count() > 20).count();
        let before = begin.lines().next().unwrap();
        assert_eq!((settings(&begin), settings(&shown.text)), (1, 1), "{begin}{}", shown.text);
        assert_eq!(shown.text.lines().last(), Some(before), "{signal:?}: {}", shown.text);
    }
}
