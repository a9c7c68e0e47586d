//! The report of a guest as data, and how it is put together out of what the agent sends.

use std::time::Duration;

pub use crate::guest::message::Message;
use crate::guest::protocol::{EXIT_STATUS, Event};

/// Bytes of memory that the report of one guest may take: output, and kernel messages with what
/// each of them costs.
pub const REPORT_MAX: usize = 64 << 20;
/// Bytes that a kernel message takes beside its text: itself three times, because a list that grows
/// holds its old half beside the new whole, and the smallest piece that the allocator has.
const MESSAGE_COST: usize = 3 * size_of::<Message>() + 32;

/// The agent's words about itself and its machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// The release that the running kernel gives itself.
    pub release: String,
    /// The version of each of kmod's commands, as the guest's shell runs it.
    pub tools: Vec<(String, String)>,
}

impl Hello {
    /// The first command that is not kmod's own, and what it says instead.
    pub fn stranger(&self) -> Option<&(String, String)> {
        self.tools.iter().find(|(_, said)| !said.starts_with("kmod version "))
    }
}

/// One command that was run in the guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandReport {
    /// The command line.
    pub command: String,
    /// Its output: to both outputs, in order, or to the standard one when they were kept apart.
    pub output: Vec<u8>,
    /// Its standard error, when they were kept apart.
    pub error: Vec<u8>,
    /// Its exit status, 128 and the signal's number when a signal ended it.
    pub status: u8,
    /// Something it started in the background outlived it with its output still open.
    pub open: bool,
    /// The kernel's messages from its start to its end. The log does not say which process
    /// caused a message: those of a background process or of the kernel's own work are here too.
    pub kernel: Vec<Message>,
    /// The kernel's messages after its end and before the next command began, or the goodbye:
    /// work that was put off.
    pub late: Vec<Message>,
}

impl CommandReport {
    /// All that it wrote, with what is not UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    /// Returns the kernel's messages from its start until the next command, one text a line.
    pub fn kernel_text(&self) -> String {
        let all = self.kernel.iter().chain(&self.late);
        all.map(|message| format!("{}\n", message.text)).collect()
    }
}

/// All that a guest reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The accelerator that was chosen, and the reason, in one line.
    pub accel: String,
    /// The agent's first word, absent until it came.
    pub hello: Option<Hello>,
    /// The kernel's messages before the first command.
    pub boot: Vec<Message>,
    /// The commands, in order.
    pub commands: Vec<CommandReport>,
    /// Why the report is not whole although the goodbye came, if so.
    pub flaw: Option<String>,
    /// The kernel's console in this run: warnings and worse.
    pub console: String,
    /// The machine was restored from a saved state, so `boot` is what was logged when that booted.
    pub restored: bool,
    /// From the start of QEMU until the agent was ready.
    pub boot_time: Duration,
    /// From the start of QEMU to its end.
    pub whole_time: Duration,
}

impl Report {
    /// All kernel messages, in the order of the log.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        let commands = self.commands.iter().flat_map(|step| step.kernel.iter().chain(&step.late));
        self.boot.iter().chain(commands)
    }
}

/// Puts the report together, and notices what cannot be.
#[derive(Debug, Default)]
pub struct Recorder {
    /// The report until now.
    pub report: Report,
    /// The command that was sent and has not started yet.
    sent: Option<String>,
    running: bool,
    closed: bool,
    messages: u32,
    sequence: Option<u64>,
    size: usize,
    powers_off: bool,
}

impl Recorder {
    /// A command is about to be sent. It begins when the agent says so.
    pub fn begin(&mut self, command: &str) {
        self.sent = Some(command.into());
    }

    /// The command that was sent and has not ended, if there is one.
    pub fn running(&self) -> Option<&str> {
        let started = self.report.commands.last().filter(|_| self.running);
        self.sent.as_deref().or(started.map(|command| command.command.as_str()))
    }

    /// The exit status of QEMU that the goodbye announced.
    pub fn agreed_status(&self) -> i32 {
        // Without its debug-exit device QEMU ends with 0 when the machine powers off.
        if self.powers_off { 0 } else { EXIT_STATUS }
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// It cannot come now, or says what cannot be: the report is worth nothing from here on.
    pub fn take(&mut self, event: &Event) -> Result<(), String> {
        if self.closed {
            return Err("the agent went on after its goodbye".into());
        }
        match event {
            Event::Hello { release, tools } => return self.hello(release, tools),
            Event::Kernel(record) => return self.kernel(record),
            Event::Goodbye { commands, kernel, powers_off } => {
                self.powers_off = *powers_off;
                return self.goodbye(*commands, *kernel);
            }
            Event::Lost => self.flaw("the kernel overwrote messages before they could be read"),
            Event::Guarded | Event::Settled | Event::Reseeded | Event::Alive => (),
            Event::Started => {
                let command = self.sent.take().ok_or("a command started that was not sent")?;
                self.running = true;
                self.report.commands.push(CommandReport { command, ..CommandReport::default() });
            }
            Event::Output { error, bytes } => {
                self.grow(bytes.len())?;
                let step = self.step("output")?;
                if *error { &mut step.error } else { &mut step.output }.extend(bytes);
            }
            Event::Ended { status, open } => {
                let step = self.step("an exit status")?;
                (step.status, step.open) = (*status, *open);
                self.running = false;
            }
            Event::Failed(why) => return Err(format!("the agent gave up: {why}")),
        }
        Ok(())
    }

    fn hello(&mut self, release: &str, tools: &str) -> Result<(), String> {
        if self.report.hello.is_some() {
            return Err("the agent said hello twice".into());
        }
        let tools = tools.lines().filter_map(|line| line.split_once('\t'));
        let tools = tools.map(|(name, said)| (name.to_owned(), said.to_owned())).collect();
        self.report.hello = Some(Hello { release: release.into(), tools });
        Ok(())
    }

    fn kernel(&mut self, record: &[u8]) -> Result<(), String> {
        self.grow(record.len() + MESSAGE_COST)?;
        let message = Message::parse(record)?;
        let expected = self.sequence.map(|last| last.saturating_add(1));
        if expected.is_some_and(|expected| expected != message.sequence) {
            let number = message.sequence;
            self.flaw(&format!("kernel messages are missing before number {number}"));
        }
        self.sequence = Some(message.sequence);
        self.messages = self.messages.saturating_add(1);
        let place = match self.report.commands.last_mut() {
            None => &mut self.report.boot,
            Some(step) if self.running => &mut step.kernel,
            Some(step) => &mut step.late,
        };
        place.push(message);
        Ok(())
    }

    fn goodbye(&mut self, commands: u32, kernel: u32) -> Result<(), String> {
        if self.running().is_some() || self.report.hello.is_none() {
            return Err("the agent said goodbye too early".into());
        }
        self.closed = true;
        let has = self.report.commands.len();
        if u32::try_from(has) != Ok(commands) {
            self.flaw(&format!("the agent ran {commands} commands, the report has {has}"));
        }
        if self.messages != kernel {
            let has = self.messages;
            self.flaw(&format!("the agent sent {kernel} kernel messages, {has} arrived"));
        }
        Ok(())
    }

    fn step(&mut self, what: &str) -> Result<&mut CommandReport, String> {
        let step = self.report.commands.last_mut().filter(|_| self.running);
        step.ok_or_else(|| format!("the agent sent {what}, but no command runs"))
    }

    fn grow(&mut self, length: usize) -> Result<(), String> {
        self.size = self.size.saturating_add(length);
        if self.size > REPORT_MAX {
            return Err(format!("the guest wrote more than {} MiB", REPORT_MAX >> 20));
        }
        Ok(())
    }

    fn flaw(&mut self, what: &str) {
        self.report.flaw.get_or_insert_with(|| what.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Event {
        Event::Hello {
            release: "7.3".into(),
            tools: "modprobe\tkmod version 34\nlsmod\tBusyBox v1".into(),
        }
    }

    fn kernel(sequence: u64) -> Event {
        Event::Kernel(format!("6,{sequence},1500000,-;message {sequence}\n").into_bytes())
    }

    fn goodbye(commands: u32, kernel: u32) -> Event {
        Event::Goodbye { commands, kernel, powers_off: false }
    }

    fn output(bytes: &[u8]) -> Event {
        Event::Output { error: false, bytes: bytes.into() }
    }

    fn recorder(events: impl IntoIterator<Item = Event>) -> Recorder {
        let mut recorder = Recorder::default();
        events.into_iter().for_each(|event| {
            recorder.take(&event).unwrap();
        });
        recorder
    }

    #[test]
    fn messages_belong_to_the_boot_the_command_or_what_came_after_it() {
        let mut recorder = recorder([kernel(7), hello(), kernel(8)]);
        recorder.begin("a");
        for event in [Event::Started, output(b"x"), kernel(9), output(b"y")] {
            recorder.take(&event).unwrap();
        }
        recorder.take(&Event::Ended { status: 3, open: false }).unwrap();
        recorder.take(&kernel(10)).unwrap();
        recorder.take(&goodbye(1, 4)).unwrap();
        let report = recorder.report;
        assert_eq!(report.flaw, None);
        assert_eq!(report.boot.len(), 2);
        let [step] = report.commands.as_slice() else { panic!("one step") };
        assert_eq!((step.text().as_str(), step.status), ("xy", 3));
        assert_eq!(step.kernel_text(), "message 9\nmessage 10\n");
        assert_eq!((step.kernel.len(), step.late.len()), (1, 1));
        assert_eq!(report.hello.unwrap().stranger().unwrap().0, "lsmod");
    }

    #[test]
    fn a_message_before_the_start_of_a_command_belongs_to_the_one_before() {
        let mut recorder = recorder([hello()]);
        recorder.begin("a");
        for event in [kernel(1), Event::Started, Event::Ended { status: 0, open: false }] {
            recorder.take(&event).unwrap();
        }
        recorder.begin("b");
        assert_eq!(recorder.running(), Some("b"));
        for event in [kernel(2), Event::Started, kernel(3)] {
            recorder.take(&event).unwrap();
        }
        let report = recorder.report;
        let numbers = |messages: &[Message]| messages.iter().map(|one| one.sequence).collect();
        let [a, b] = report.commands.as_slice() else { panic!("two commands") };
        let places: [Vec<u64>; 4] =
            [numbers(&report.boot), numbers(&a.kernel), numbers(&a.late), numbers(&b.kernel)];
        assert_eq!(places, [vec![1], vec![], vec![2], vec![3]]);
    }

    #[test]
    fn a_missing_part_is_a_flaw() {
        let gap = recorder([kernel(1), kernel(3)]);
        assert_eq!(gap.report.flaw.unwrap(), "kernel messages are missing before number 3");
        let lost = recorder([Event::Lost]);
        assert!(lost.report.flaw.unwrap().contains("overwrote"));
        let commands = recorder([hello(), goodbye(1, 0)]);
        assert_eq!(commands.report.flaw.unwrap(), "the agent ran 1 commands, the report has 0");
        let messages = recorder([hello(), goodbye(0, 2)]);
        assert_eq!(messages.report.flaw.unwrap(), "the agent sent 2 kernel messages, 0 arrived");
    }

    #[test]
    fn events_out_of_place_are_refused() {
        let refused = |event: Event| recorder([hello()]).take(&event).unwrap_err();
        assert!(refused(output(b"x")).contains("no command runs"));
        assert!(refused(Event::Ended { status: 0, open: false }).contains("no command runs"));
        assert!(refused(hello()).contains("twice"));
        assert!(refused(Event::Started).contains("not sent"));
        assert!(refused(Event::Failed("no disk".into())).contains("no disk"));
        let mut closed = recorder([hello(), goodbye(0, 0)]);
        assert!(closed.take(&Event::Alive).unwrap_err().contains("after its goodbye"));
        let mut early = Recorder::default();
        assert!(early.take(&goodbye(0, 0)).is_err());
    }

    #[test]
    fn the_report_has_a_limit() {
        let mut recorder = recorder([hello()]);
        recorder.begin("yes");
        recorder.take(&Event::Started).unwrap();
        let piece = || output(&vec![b'y'; REPORT_MAX / 4 + 1]);
        for _ in 0..3 {
            recorder.take(&piece()).unwrap();
        }
        assert!(recorder.take(&piece()).unwrap_err().contains("more than 64 MiB"));
    }

    #[test]
    fn a_flood_of_small_records_takes_no_more_memory_than_the_limit() {
        let mut recorder = recorder([hello()]);
        let refused = (0..u64::MAX).find_map(|sequence| recorder.take(&kernel(sequence)).err());
        assert!(refused.unwrap().contains("more than 64 MiB"));
        let texts = recorder.report.boot.iter().map(|message| message.text.capacity() + 16);
        let list = recorder.report.boot.capacity() * size_of::<Message>();
        assert!(texts.sum::<usize>() + list <= REPORT_MAX);
    }

    #[test]
    fn a_record_of_the_log_is_read() {
        let record = b"12,339,5140900,c;a\\x5cb \\xc3\\xa9\\x0anext\n SUBSYSTEM=acpi\n DEVICE=+x\n";
        let message = Message::parse(record).unwrap();
        assert_eq!((message.level, message.from_user, message.piece), (4, true, true));
        assert_eq!(message.text, "a\\b é\nnext");
        assert_eq!(message.to_string(), "[    5.140900] a\\b é\n[    5.140900] next");
        assert_eq!(message.properties[1], ("DEVICE".into(), "+x".into()));
    }

    #[test]
    fn commands_to_a_terminal_are_escaped() {
        let message = Message::parse(b"4,1,2,-;a\\x1b[2Jb\n").unwrap();
        assert_eq!(message.text, "a\x1b[2Jb");
        assert_eq!(message.to_string(), "[    0.000002] a\\u{1b}[2Jb");
    }

    #[test]
    fn hostile_records_are_refused_or_read_but_never_more() {
        let wrong: [&[u8]; 6] = [b"", b";", b"6,1,2;x", b"a,1,2,-;x", b"6,,2,-;x", b"\xff\xfe"];
        wrong.iter().for_each(|record| assert!(Message::parse(record).is_err()));
        let odd: [&[u8]; 4] = [b"6,1,2,-;", b"6,1,2,-;\\x", b"6,1,2,-;\\xzz", b"6,1,2,-;\\x4\xff"];
        odd.iter().for_each(|record| assert!(Message::parse(record).is_ok()));
        let large = b"18446744073709551615,18446744073709551615,18446744073709551615,-;x";
        assert!(Message::parse(large).is_ok_and(|message| !message.to_string().is_empty()));
    }
}
