//! Loads modules from a list in the guest, by `finit_module()` itself.
//!
//! kmod's insmod tells only the words of an error, two of them for several numbers, and chooses
//! the flags itself; the proof compares numbers. Each line of the list is `ID`, flags, file,
//! parameters, with tabs between, or `unload`, which removes every module. What came of a line is
//! printed as `ID`, the error's number or `killed`, the kernel's taints and the loaded modules with
//! theirs. The kernel's log has a mark before and after each. Modules that were there before the
//! first line are the guest's own: they stay, and are not told.
//!
//! Each load has a process of its own, a copy of this one: where the kernel's own code faults, only
//! that one dies.

mod syscall;

use std::{
    env,
    fs::{self, File},
    io::Write,
    os::unix::process::ExitStatusExt,
    process::ExitCode,
};

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let outcome = match args.as_slice() {
        [list] => all(list),
        _ => Err("finit LIST".into()),
    };
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(99)
        }
    }
}

type Any = Box<dyn std::error::Error>;

fn all(list: &str) -> Result<u8, Any> {
    let mut log = File::options().write(true).open("/dev/kmsg")?;
    let mut mark = |what: &str, id: &str| log.write_all(format!("finit: {what} {id}\n").as_bytes());
    let own: Vec<String> = names(&fs::read_to_string("/proc/modules")?).map(Into::into).collect();
    for line in fs::read_to_string(list)?.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields.as_slice() {
            ["unload"] => unload(&own),
            [id, flags, file, params] => {
                let flags = flags.parse()?;
                mark("begin", id)?;
                // The status is the error's number, as far as it has room for it.
                let status = syscall::in_a_copy(|| {
                    u8::try_from(syscall::finit_module(file, params, flags)).unwrap_or(u8::MAX)
                })?;
                mark("end", id)?;
                let came = match (status.code(), status.signal()) {
                    (Some(code), _) => code.to_string(),
                    _ => "killed".into(),
                };
                let taints = fs::read_to_string("/proc/sys/kernel/tainted")?;
                // A process that died may hold the lock that the list of modules is read under.
                let is_killed = came == "killed";
                let modules = if is_killed { String::new() } else { modules(&own)? };
                println!("{id}\t{came}\t{}\t{modules}", taints.trim());
                if is_killed {
                    return Ok(3);
                }
            }
            _ => return Err(format!("not a line of a list: {line}").into()),
        }
    }
    Ok(0)
}

/// The loaded modules as `name:taints`, the latest first.
fn modules(own: &[String]) -> Result<String, Any> {
    let text = fs::read_to_string("/proc/modules")?;
    let is_told = |line: &&str| names(line).all(|name| own.iter().all(|own| own != name));
    let module = |line: &str| {
        let mut fields = line.split(' ');
        let name = fields.next().unwrap_or_default().to_owned();
        let taints = fields.last().unwrap_or_default();
        let taints = taints.strip_prefix('(').and_then(|t| t.strip_suffix(')')).unwrap_or("");
        format!("{name}:{taints}")
    };
    Ok(text.lines().filter(is_told).map(module).collect::<Vec<_>>().join(" "))
}

/// The names in the text of `/proc/modules`.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.split(' ').next())
}

/// Removes all modules but the guest's own: users before what they use.
fn unload(own: &[String]) {
    while let Ok(text) = fs::read_to_string("/proc/modules") {
        let ours = names(&text).filter(|name| own.iter().all(|own| own != name));
        let gone = ours.filter(|name| syscall::delete_module(name) == 0).count();
        if gone == 0 {
            return;
        }
    }
}
