//! QEMU's own control channel, as far as saving and restoring a machine needs it.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// The longest time that QEMU may take to answer, and to save a machine.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);
/// The interval between two questions if it has saved the machine.
const LOOK: Duration = Duration::from_millis(5);

/// A connection whose greeting was read. Its errors are what QEMU said.
#[derive(Debug)]
pub(super) struct Qmp {
    stream: BufReader<UnixStream>,
}

impl Qmp {
    /// Takes a connection that QEMU opened.
    pub(super) fn open(stream: UnixStream) -> Result<Self, String> {
        stream.set_read_timeout(Some(DEADLINE)).map_err(|error| error.to_string())?;
        let mut qmp = Self { stream: BufReader::new(stream) };
        qmp.read()?;
        qmp.command("qmp_capabilities", &json!({}))?;
        // The memory itself lies in a file that both machines map: it is neither written to the
        // saved state nor read from it (docs/devel/migration in QEMU's source).
        let capability = json!({ "capability": "x-ignore-shared", "state": true });
        qmp.command("migrate-set-capabilities", &json!({ "capabilities": [capability] }))?;
        Ok(qmp)
    }

    /// Saves all but the memory into a file, stops the machine, and ends QEMU.
    pub(super) fn save(&mut self, file: &str) -> Result<(), String> {
        self.command("migrate", &json!({ "uri": format!("file:{file}") }))?;
        let begin = Instant::now();
        loop {
            let state = self.command("query-migrate", &json!({}))?;
            match state["status"].as_str() {
                Some("completed") => break,
                Some("failed" | "cancelled") => return Err(format!("it was not saved: {state}")),
                _ if begin.elapsed() > DEADLINE => return Err("saving takes too long".into()),
                _ => thread::sleep(LOOK),
            }
        }
        self.command("quit", &json!({})).map(drop)
    }

    /// Restores what [`Qmp::save`] saved, and lets the machine run.
    pub(super) fn restore(&mut self, file: &str) -> Result<(), String> {
        self.command("migrate-incoming", &json!({ "uri": format!("file:{file}") })).map(drop)
    }

    fn command(&mut self, name: &str, arguments: &Value) -> Result<Value, String> {
        let command = format!("{}\n", json!({ "execute": name, "arguments": arguments }));
        let sent = self.stream.get_mut().write_all(command.as_bytes());
        sent.map_err(|error| format!("{name}: {error}"))?;
        loop {
            let mut answer = self.read()?;
            if answer.get("return").is_some() {
                return Ok(answer["return"].take());
            }
            // Events come between, and mean nothing here.
            if let Some(error) = answer.get("error") {
                return Err(format!("{name}: {error}"));
            }
        }
    }

    fn read(&mut self) -> Result<Value, String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => Err("QEMU closed its control channel".into()),
            Ok(_) => serde_json::from_str(&line).map_err(|error| format!("{line:?}: {error}")),
            Err(error) => Err(format!("QEMU's control channel: {error}")),
        }
    }
}
