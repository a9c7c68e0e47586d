//! The output of a command: through its pipes, or into a log.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use ko::text::Text;
use rustix::{
    fd::OwnedFd,
    fs::{OFlags, fcntl_setfl},
};

use crate::{
    host::{limits, process::Process},
    printer,
};

/// The number of lines of a failed command's output that are shown.
const TAIL_LINES: usize = 30;

/// Our ends of a command's pipes, with the number of the stream.
pub(super) fn pipes(process: &mut Process) -> io::Result<Vec<(usize, File)>> {
    let (stdout, stderr) = process.take_pipes();
    let pipes = [stdout.map(OwnedFd::from), stderr.map(OwnedFd::from)].into_iter().enumerate();
    let pipes = pipes.filter_map(|(stream, pipe)| Some((stream, File::from(pipe?))));
    let pipes: Vec<_> = pipes.collect();
    for (_, pipe) in &pipes {
        fcntl_setfl(pipe, OFlags::NONBLOCK)?;
    }
    Ok(pipes)
}

/// Takes what a pipe holds now, at most 1 MiB of it: the deadline holds also for a command that
/// never stops writing. Returns false at its end.
pub(super) fn drain(pipe: &mut File, take: &mut dyn FnMut(&[u8])) -> bool {
    let mut buffer = [0; 64 << 10];
    for _ in 0..16 {
        match pipe.read(&mut buffer) {
            Ok(0) => return false,
            Ok(length) => take(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        }
    }
    true
}

/// Bytes of the end of what is passed on that are kept.
const END: usize = 16 << 10;

/// Keeps the end of what was said before and now.
pub(super) fn keep_end(kept: &mut Vec<u8>, bytes: &[u8]) {
    kept.extend_from_slice(bytes);
    kept.drain(..kept.len().saturating_sub(END));
}

/// The last lines of what a command printed, to follow the sentence that says how it ended.
pub(super) fn end_of(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let end = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    if end.is_empty() { String::new() } else { format!(":\n{}", end.join("\n")) }
}

/// Returns the text of a log from a place on.
pub(super) fn read_from(log: &Path, begin: u64) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = File::open(log) {
        let _ = file.seek(SeekFrom::Start(begin));
        let _ = file.take(limits::CAPTURE).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The last whole line of a growing log, from its last 4 KiB.
pub(super) fn last_line(log: &Path) -> String {
    let length = log.metadata().map_or(0, |metadata| metadata.len());
    let end = read_from(log, length.saturating_sub(4096));
    // A progress bar writes one line again and again.
    end.split(['\n', '\r']).map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default().into()
}
/// Passes a line on. Where standard output is lost, the command runs on to its end.
pub(super) fn pass_on(line: &[u8]) {
    let _ = printer::try_line(format_args!("{}", Text(line)));
}
