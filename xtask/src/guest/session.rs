//! One running guest: QEMU, the conversation with the agent, and the end of both.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    marker::PhantomData,
    os::unix::{
        net::{UnixListener, UnixStream},
        process::ExitStatusExt,
    },
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use crate::{
    guest::{
        command_line::Command,
        console::Allowed,
        protocol::{Decoder, Event, Request},
        qemu,
        report::{CommandReport, Hello, Recorder, Report},
        run_dir::RunDir,
        session_verdict::{self, End, Evidence},
    },
    host::{cache::Cache, process::Process},
    problem::{Problem, Result},
};

/// The interval between two looks at a silent guest's deadline, process and console.
const LOOK: Duration = Duration::from_millis(20);
/// The longest time that QEMU may take to end after the goodbye, or after it closed the channel.
const END: Duration = Duration::from_secs(10);
/// The longest time that the agent may take from the request to end to its goodbye.
const GOODBYE: Duration = Duration::from_secs(20);
/// Bytes that a console may have.
const CONSOLE_MAX: u64 = 4 << 20;
/// The number of consoles of failed guests that are kept.
const KEPT: usize = 20;

/// The facts that a session needs about its guest.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) cache: Cache,
    pub(super) accel: String,
    /// QEMU's command line, kept with the console of a guest that failed.
    pub(super) started_by: String,
    /// The release that the kernel must give itself.
    pub(super) release: String,
    pub(super) boot_deadline: Duration,
    pub(super) deadline: Duration,
    pub(super) allowed: Vec<Allowed>,
}

/// A guest that runs.
///
/// It belongs to the thread that started it: the sandbox ends QEMU when that thread ends.
#[derive(Debug)]
pub struct Session {
    pub(super) limits: Limits,
    // It stands before the folder of the run, so that it is ended first.
    child: Process,
    pub(super) run_dir: RunDir,
    pub(super) stream: Option<UnixStream>,
    /// All that the agent sent, if it is to be saved.
    pub(super) transcript: Option<Vec<u8>>,
    pub(super) decoder: Decoder,
    pub(super) recorder: Recorder,
    pub(super) begin: Instant,
    heard: Instant,
    status: Option<ExitStatus>,
    pub(super) over: Option<Problem>,
    died: bool,
    thread: PhantomData<*const ()>,
}

impl Session {
    pub(super) fn new(limits: Limits, run_dir: RunDir, child: Process) -> Self {
        let now = Instant::now();
        let mut recorder = Recorder::default();
        recorder.report.accel.clone_from(&limits.accel);
        Self {
            limits,
            run_dir,
            child,
            stream: None,
            transcript: None,
            decoder: Decoder::default(),
            recorder,
            begin: now,
            heard: now,
            status: None,
            over: None,
            died: false,
            thread: PhantomData,
        }
    }

    /// Returns the agent's words about itself and its machine.
    pub fn hello(&self) -> Hello {
        self.recorder.report.hello.clone().unwrap_or_default()
    }

    /// The report as far as it is there.
    pub fn report(&self) -> &Report {
        &self.recorder.report
    }

    /// `true` if the guest ended by its own doing without a goodbye: a panic, a reset.
    pub fn died(&self) -> bool {
        self.died
    }

    /// The process that holds QEMU.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Runs a command and waits for its end. Whatever its status, it is a step of the report.
    ///
    /// # Errors
    /// The guest did not live through it: a panic, a hang, a deadline. The session is then over.
    pub fn exec(&mut self, command: impl Into<Command>) -> Result<CommandReport> {
        self.exec_with(command, &mut |_| ())
    }

    /// The same for a command that must end with status 0.
    ///
    /// # Errors
    /// Those of [`Session::exec`], or it fails: with what it said.
    pub fn exec_well(&mut self, command: &str) -> Result<CommandReport> {
        let step = self.exec(command)?;
        if step.status == 0 {
            return Ok(step);
        }
        Err(Problem::does_not_hold(format!("`{command}` failed in the guest: {}", step.text())))
    }

    /// The same, with each event as it comes.
    ///
    /// # Errors
    /// Those of [`Session::exec`].
    pub fn exec_with(
        &mut self,
        command: impl Into<Command>,
        see: &mut dyn FnMut(&Event),
    ) -> Result<CommandReport> {
        let Command { request, line, deadline } = command.into();
        self.ask(&line, &request, deadline.unwrap_or(self.limits.deadline), see)
    }

    pub(super) fn ask(
        &mut self,
        line: &str,
        request: &Request,
        deadline: Duration,
        see: &mut dyn FnMut(&Event),
    ) -> Result<CommandReport> {
        if let Some(over) = &self.over {
            return Err(over.clone());
        }
        // A request that is too long is the caller's mistake and no harm to the guest.
        let frame = request.encode().map_err(|why| Problem::usage(why.to_string()))?;
        self.recorder.begin(line);
        self.send(&frame).map_err(|end| self.fail(end))?;
        let ended = self.until(|event| matches!(event, Event::Ended { .. }), deadline, see);
        ended.map_err(|end| self.fail(end))?;
        Ok(self.recorder.report.commands.last().cloned().unwrap_or_default())
    }

    /// Ends the guest, and returns its whole report if all three verdicts hold: the report is
    /// complete, the kernel did not complain, the machine ended by itself.
    ///
    /// # Errors
    /// One of them does not hold, or the session was over before.
    pub fn finish(self) -> Result<Report> {
        let (report, verdict) = self.end();
        verdict.map(|()| report)
    }

    /// Ends the guest, and returns its report as far as it came, with the three verdicts on it.
    pub fn end(mut self) -> (Report, Result<()>) {
        let verdict = match &self.over {
            Some(over) => Err(over.clone()),
            None => self.say_goodbye(),
        };
        (std::mem::take(&mut self.recorder.report), verdict)
    }

    fn say_goodbye(&mut self) -> Result<()> {
        let asked = Request::End.encode().map_err(|why| End::Corrupt(why.to_string()));
        let end = asked
            .and_then(|frame| self.send(&frame))
            .and_then(|()| self.await_event(|it| matches!(it, Event::Goodbye { .. }), GOODBYE));
        self.verdict(end.err().unwrap_or(End::Goodbye))
    }

    pub(super) fn send(&mut self, frame: &[u8]) -> Result<(), End> {
        let stream = self.stream.as_mut().ok_or(End::Closed)?;
        stream.write_all(frame).map_err(|_| End::Closed)
    }

    /// Takes events until the wanted one comes.
    pub(super) fn await_event(
        &mut self,
        wanted: fn(&Event) -> bool,
        deadline: Duration,
    ) -> Result<(), End> {
        self.until(wanted, deadline, &mut |_| ())
    }

    fn until(
        &mut self,
        wanted: fn(&Event) -> bool,
        deadline: Duration,
        see: &mut dyn FnMut(&Event),
    ) -> Result<(), End> {
        let begin = Instant::now();
        self.heard = begin;
        loop {
            while let Some(frame) = self.decoder.frame().map_err(|why| corrupt(&why))? {
                let event = Event::decode(frame).map_err(|why| corrupt(&why))?;
                self.recorder.take(&event).map_err(End::Corrupt)?;
                see(&event);
                if wanted(&event) {
                    return Ok(());
                }
            }
            // This is asked before each read: a guest that never stops talking has a deadline, too.
            if begin.elapsed() > deadline {
                return Err(End::Deadline { after: deadline, silent: self.heard.elapsed() });
            }
            self.receive()?;
        }
    }

    /// Takes what has arrived, or waits a moment.
    fn receive(&mut self) -> Result<(), End> {
        let Some(stream) = &mut self.stream else { return self.accept() };
        let mut buffer = [0; 16 << 10];
        match stream.read(&mut buffer) {
            Ok(0) => return Err(self.closed()),
            Ok(length) => {
                self.decoder.push(&buffer[..length]);
                if let Some(transcript) = &mut self.transcript {
                    transcript.extend(&buffer[..length]);
                }
                self.heard = Instant::now();
            }
            Err(error) if is_nothing_yet(&error) => (),
            Err(_) => return Err(self.closed()),
        }
        let console = self.run_dir.path().join(qemu::CONSOLE);
        if console.metadata().is_ok_and(|metadata| metadata.len() > CONSOLE_MAX) {
            return Err(End::Flood(CONSOLE_MAX));
        }
        Ok(())
    }

    fn closed(&self) -> End {
        match self.decoder.waiting() {
            0 => End::Closed,
            waiting => End::Corrupt(format!("it ends with {waiting} bytes of an unfinished frame")),
        }
    }

    /// Waits a moment for QEMU to open the channel.
    pub(super) fn accept(&mut self) -> Result<(), End> {
        let Some(stream) = self.connection(|run_dir| &run_dir.agent)? else { return Ok(()) };
        let set = stream.set_nonblocking(false);
        let set = set.and_then(|()| stream.set_read_timeout(Some(LOOK)));
        let set = set.and_then(|()| stream.set_write_timeout(Some(END)));
        set.map_err(|_| End::Closed)?;
        self.stream = Some(stream);
        Ok(())
    }

    /// Waits a moment for QEMU to open one of the sockets.
    pub(super) fn connection(
        &mut self,
        of: impl Fn(&RunDir) -> &UnixListener,
    ) -> Result<Option<UnixStream>, End> {
        let listener = of(&self.run_dir);
        self.child.sleep(LOOK, &[listener]);
        match listener.accept() {
            Ok((stream, _)) => return Ok(Some(stream)),
            Err(error) if is_nothing_yet(&error) => (),
            Err(_) => return Err(End::Closed),
        }
        if let Ok(Some(status)) = self.child.try_wait() {
            self.status = Some(status);
            return Err(End::Closed);
        }
        Ok(None)
    }

    /// The problem that ends the session here.
    pub(super) fn fail(&mut self, end: End) -> Problem {
        // An end without a goodbye is never green, so the second is never reached.
        let unknown = || Problem::host("the guest ended in an unknown way");
        let problem = self.verdict(end).err().unwrap_or_else(unknown);
        self.over.insert(problem).clone()
    }

    /// Waits for QEMU's end if it may end, ends it otherwise, and judges all that is there.
    fn verdict(&mut self, end: End) -> Result<()> {
        let by_itself = matches!(end, End::Goodbye | End::Closed | End::Corrupt(_));
        let ended = by_itself && self.wait();
        if !ended {
            self.child.terminate();
        }
        self.recorder.report.whole_time = self.begin.elapsed();
        self.died = ended && end == End::Closed && self.status.is_some_and(|end| end.success());
        let status = self.status.filter(|_| ended);
        let (console, said) = (self.read(qemu::CONSOLE), self.read(QEMU_LOG));
        let (console, unread) = match console {
            Ok(console) => (console, None),
            Err(error) => (String::new(), Some(error.to_string())),
        };
        let log = self.log_path();
        let verdict = session_verdict::judge(&Evidence {
            end,
            report: &self.recorder.report,
            running: self.recorder.running(),
            console: &console,
            unread: unread.as_deref(),
            qemu: said.as_deref().unwrap_or_default(),
            status: status.and_then(|status| status.code().or(status.signal().map(|s| s + 128))),
            agreed: self.recorder.agreed_status(),
            allowed: &self.limits.allowed,
            log: &log,
        });
        if verdict.is_err() {
            self.keep(&log, &console);
        }
        self.recorder.report.console = console;
        verdict
    }

    /// Waits for QEMU to end by itself; true when it did.
    pub(super) fn wait(&mut self) -> bool {
        self.status = self.status.or(self.child.wait(END, END, |_| true).ok().flatten());
        self.status.is_some()
    }

    pub(super) fn read(&self, name: &str) -> io::Result<String> {
        let mut bytes = Vec::new();
        let file = File::open(self.run_dir.path().join(name))?;
        file.take(CONSOLE_MAX).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn log_path(&self) -> PathBuf {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("logs/console-{}-{number}.log", std::process::id());
        self.limits.cache.path(name)
    }

    /// Keeps the console of a guest that failed, and forgets the oldest.
    fn keep(&self, log: &Path, console: &str) {
        let Some(folder) = log.parent() else { return };
        // The problem shows the console's end in any case.
        let text = format!("# {}\n{console}", self.limits.started_by);
        let _ = fs::create_dir_all(folder).and_then(|()| fs::write(log, text));
        let Ok(logs) = fs::read_dir(folder) else { return };
        let consoles = logs.flatten().filter(|log| {
            log.file_name().to_str().is_some_and(|name| name.starts_with("console-"))
        });
        let mut dated: Vec<_> = consoles
            .filter_map(|log| Some((log.metadata().ok()?.modified().ok()?, log.path())))
            .collect();
        dated.sort();
        let old = dated.len().saturating_sub(KEPT);
        dated.iter().take(old).for_each(|(_, path)| {
            let _ = fs::remove_file(path);
        });
    }
}

/// The file of QEMU's standard error, in the folder of the run.
pub(super) const QEMU_LOG: &str = "qemu.log";

fn corrupt(why: &dyn std::fmt::Display) -> End {
    End::Corrupt(why.to_string())
}

fn is_nothing_yet(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}
