//! The beginning of a session: by a boot, or by a restored machine; and how a machine is saved.

use std::{
    fs::{self, File},
    io::Read,
    time::{Duration, Instant, SystemTime},
};

use crate::{
    guest::{
        initramfs::Initramfs,
        protocol::{Event, KMOD, PAYLOAD_MAX, Request},
        qemu,
        qmp::{self, Qmp},
        run_dir::RunDir,
        saved_state::DEVICES,
        session::{Limits, Session},
        session_verdict::{self, End},
    },
    host::process::Process,
    problem::{OrProblem, Problem, Result},
};

/// The longest time that a guest that has booted may take to come to rest.
const SETTLE: Duration = Duration::from_secs(20);
/// Bytes of the seed that a restored guest is given.
const SEED: usize = 64;

/// The outcome for a guest that was to be saved.
pub(super) enum Saved {
    /// It has ended, and this is what its agent sent.
    State(Vec<u8>),
    /// Its kernel has complained, by this line, as all that were restored from a state would have.
    /// The guest runs on.
    Unfit(Box<Session>, String),
}

impl Session {
    /// Waits until the guest has booted.
    pub(super) fn boot(limits: Limits, run_dir: RunDir, child: Process) -> Result<Self> {
        let mut session = Self::new(limits, run_dir, child);
        session.come_up()?;
        Ok(session)
    }

    fn come_up(&mut self) -> Result<()> {
        let deadline = self.limits.boot_deadline;
        let came = self.await_event(|event| matches!(event, Event::Hello { .. }), deadline);
        came.map_err(|end| self.fail(end))?;
        self.recorder.report.boot_time = self.begin.elapsed();
        // QEMU has read it. What is left behind when we are killed is small then.
        let _ = fs::remove_file(self.run_dir.path().join(qemu::INITRD));
        self.check_hello()
    }

    /// Boots a guest, saves its devices when it has come to rest, and ends it. Its memory is a file
    /// already.
    ///
    /// # Errors
    /// It does not come up, or QEMU cannot save it.
    pub(super) fn save(limits: Limits, run_dir: RunDir, child: Process) -> Result<Saved> {
        let mut session = Self::new(limits, run_dir, child);
        session.transcript = Some(Vec::new());
        let mut control = session.control()?;
        session.come_up()?;
        session.settle().map_err(|end| session.fail(end))?;
        let console = session.read(qemu::CONSOLE).or_host(|| "the console".into())?;
        if let Some(line) = session_verdict::complaint_of(session.report(), &console) {
            session.transcript = None;
            return Ok(Saved::Unfit(Box::new(session), line));
        }
        let saved = control.save(&format!("{}/{DEVICES}", qemu::STATE));
        saved.map_err(|why| Problem::host(format!("QEMU cannot save the machine: {why}")))?;
        if !session.wait() {
            return Err(Problem::host("QEMU did not end after it had saved the machine"));
        }
        Ok(Saved::State(session.transcript.take().unwrap_or_default()))
    }

    /// Lets a saved guest go on.
    ///
    /// # Errors
    /// QEMU cannot restore it, or its agent does not answer.
    pub(super) fn resume(
        limits: Limits,
        run_dir: RunDir,
        child: Process,
        transcript: &[u8],
    ) -> Result<Self> {
        let mut session = Self::new(limits, run_dir, child);
        session.recorder.report.restored = true;
        session.decoder.push(transcript);
        let mut control = session.control()?;
        let settled = session.await_event(|event| *event == Event::Settled, Duration::ZERO);
        settled.map_err(|end| session.fail(end))?;
        let restored = control.restore(&format!("{}/{DEVICES}", qemu::STATE));
        restored.map_err(|why| Problem::host(format!("QEMU cannot restore the machine: {why}")))?;
        session.wake().map_err(|end| session.fail(end))?;
        session.recorder.report.boot_time = session.begin.elapsed();
        session.check_hello()?;
        Ok(session)
    }

    /// Waits until the guest is at rest. Its random numbers are made ready before, because that
    /// gives a message.
    fn settle(&mut self) -> Result<(), End> {
        self.reseed(SETTLE)?;
        self.request(&Request::Settle)?;
        self.await_event(|event| *event == Event::Settled, SETTLE)
    }

    /// Gives the guest random numbers that no other has.
    fn reseed(&mut self, deadline: Duration) -> Result<(), End> {
        let mut seed = vec![0; SEED];
        let random = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut seed));
        random.map_err(|error| End::Corrupt(format!("/dev/urandom: {error}")))?;
        self.request(&Request::Reseed { seed })?;
        self.await_event(|event| *event == Event::Reseeded, deadline)
    }

    /// Gives a restored guest what differs from run to run: random numbers and the time.
    fn wake(&mut self) -> Result<(), End> {
        let deadline = self.limits.boot_deadline;
        while self.stream.is_none() {
            self.accept()?;
            if self.begin.elapsed() > deadline {
                return Err(End::Deadline { after: deadline, silent: deadline });
            }
        }
        self.reseed(deadline)?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.request(&Request::Clock { seconds: now.as_secs(), nanos: now.subsec_nanos() })
    }

    /// Takes the agent and its tools out of reach of what modules start. Commands see files and
    /// mounts of their own from now on.
    ///
    /// # Errors
    /// The guest cannot do it, or is over.
    pub fn guard(&mut self) -> Result<()> {
        let deadline = self.limits.deadline;
        let guarded = self.request(&Request::Guard);
        let guarded =
            guarded.and_then(|()| self.await_event(|event| *event == Event::Guarded, deadline));
        guarded.map_err(|end| self.fail(end))
    }

    /// Puts files into a guest that runs, by the agent's own port: a disk would need a driver, and
    /// the driver of every disk is a module in Debian's kernels (`CONFIG_VIRTIO_BLK=m`).
    pub(super) fn put(&mut self, files: &Initramfs) -> Result<()> {
        let sent = files.files().try_for_each(|(path, bytes, executable)| {
            self.request(&Request::Create { path: path.into(), executable })?;
            bytes
                .chunks(PAYLOAD_MAX)
                .try_for_each(|piece| self.request(&Request::Data(piece.into())))
        });
        sent.map_err(|end| self.fail(end))
    }

    fn request(&mut self, request: &Request) -> Result<(), End> {
        let frame = request.encode().map_err(|why| End::Corrupt(why.to_string()))?;
        self.send(&frame)
    }

    /// QEMU's own channel, which it opens when it starts.
    fn control(&mut self) -> Result<Qmp> {
        let begin = Instant::now();
        let stream = loop {
            match self.connection(|run_dir| &run_dir.control) {
                Ok(Some(stream)) => break stream,
                Ok(None) if begin.elapsed() < qmp::DEADLINE => (),
                Ok(None) => return Err(Problem::host("QEMU does not open its control channel")),
                Err(end) => return Err(self.fail(end)),
            }
        };
        let open = stream.set_nonblocking(false).map_err(|error| error.to_string());
        let open = open.and_then(|()| Qmp::open(stream));
        open.map_err(|why| Problem::host(format!("QEMU's control channel: {why}")))
    }

    fn check_hello(&mut self) -> Result<()> {
        let hello = self.hello();
        let wrong = if hello.release != self.limits.release {
            let (has, wants) = (&hello.release, &self.limits.release);
            format!("the guest's kernel calls itself {has}, expected was {wants}")
        } else if let Some((tool, said)) = hello.stranger() {
            format!("`{tool}` in the guest is not kmod's: it says {said:?}")
        } else if hello.tools.len() != KMOD.len() {
            "the guest's agent did not find all of kmod's commands".into()
        } else {
            return Ok(());
        };
        Err(self.over.insert(Problem::host(wrong)).clone())
    }
}
