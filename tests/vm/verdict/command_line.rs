//! Command lines as the dice fall, each proven by booting with it: how the kernel cuts them shows
//! in what it hands to init, and what the words decide shows in its parameters and its answers.

use std::collections::BTreeSet;

use loader::{
    kernel_facts::KernelFacts,
    kernel_params::{Word, words},
};

use super::{
    built,
    compare::{Table, judged},
    machine, target,
};
use crate::{
    corpus::{
        cases::{Case, Load, Shows},
        random::Dice,
    },
    harness::differs,
    kernel,
};

/// The seed of the command lines, and how many of them are booted: each boot takes seconds.
const LINES: (u64, usize) = (20_261_130, 4);
/// The most words of a line: the kernel hands 32 to init and panics at one more
/// (`CONFIG_INIT_ENV_ARG_LIMIT`).
const WORDS_MAX: u64 = 24;
/// The beginnings of words that mean nothing to the kernel, which hands them to init.
const OURS: &str = "zz";

/// Words that decide, without the quotes and blanks that may stand about them.
const DECISIVE: [&str; 24] = [
    "module_blacklist=plain",
    "module-blacklist=gives,plain",
    "module_blacklist=gives plain",
    "module_blacklist=,other,",
    "module_blacklist=",
    "module_blacklist",
    "modprobe.blacklist=plain",
    "module.sig_enforce",
    "module.sig-enforce=enabled",
    "module.sig_enforce=of",
    "module_sig_enforce=1",
    "nomodule",
    "nomodule=0",
    "nomodule=disabled",
    "sysctl.kernel.modules_disabled=1",
    "sysctl/kernel/modules_disabled=0x1 0",
    "sysctl.kernel.modules-disabled=1",
    "sysctl.kernel.modules_disabled=0",
    "sysctl.kernel.tainted=4096",
    "lockdown=integrity",
    "lockdown=none",
    "lsm=landlock,yama",
    "lsm=lockdown",
    "initcall_blacklist=other_init,plain_init",
];

/// A word that init is handed, of characters that mean something to `next_arg()`.
fn own_word(dice: &mut Dice) -> String {
    let mut word = OURS.to_owned();
    for _ in 0..dice.below(10) {
        word.push(*dice.pick(&['a', 'b', '=', '-', '_', '"', '\\', ',', ' ', '\'']));
    }
    // A quote that nothing closes takes the rest of the line with it.
    if word.matches('"').count() % 2 == 1 && dice.below(8) > 0 {
        word.push('"');
    }
    word
}

/// A word that decides, in one of the forms in which it may be written.
fn decisive_word(dice: &mut Dice) -> String {
    let word = *dice.pick(&DECISIVE);
    match (dice.below(4), word.split_once('=')) {
        (0, _) => format!("\"{word}\""),
        (1, Some((name, value))) => format!("{name}=\"{value}\""),
        _ => word.to_owned(),
    }
}

fn line(dice: &mut Dice) -> String {
    let mut line = String::new();
    for _ in 0..WORDS_MAX {
        let word = match dice.below(80) {
            0 => "--".into(),
            1..30 => decisive_word(dice),
            _ => own_word(dice),
        };
        line.push_str(&word);
        line.push_str([" ", "  ", "\t"][dice.below(3) as usize]);
    }
    line
}

/// Returns init's part of a line: its arguments and its environment (`unknown_bootoption()`,
/// `init/main.c`), as far as the names are ours.
fn for_init(line: &str) -> BTreeSet<String> {
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut handed: Vec<(String, String)> = Vec::new();
    for Word { name, value } in words(line.as_bytes()) {
        if !name.starts_with(OURS.as_bytes()) || name.contains(&b'.') {
            continue;
        }
        let name = lossy(&name);
        let Some(value) = value else {
            handed.push((String::new(), name));
            continue;
        };
        let whole = format!("{name}={}", lossy(&value));
        // The last of one name counts.
        match handed.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = whole,
            None => handed.push((name, whole)),
        }
    }
    handed.into_iter().map(|(_, word)| word).collect()
}

/// Returns the words that the running kernel shows, as [`super::machine::READINGS`] reads it.
fn predicted(kernel: &KernelFacts, line: &str) -> Vec<(&'static str, String)> {
    let blacklist = words(line.as_bytes()).filter(|word| {
        let name = String::from_utf8_lossy(&word.name).replace('-', "_");
        name == "module_blacklist" && word.value.is_some()
    });
    let last = blacklist.last().and_then(|word| word.value);
    let shown = last.map_or("(null)".into(), |value| String::from_utf8_lossy(&value).into_owned());
    let flag = |is: bool| if is { "Y" } else { "N" }.to_owned();
    let number = |is: bool| u8::from(is).to_string();
    let mut all = vec![
        ("module_blacklist", shown),
        ("modules_disabled", number(kernel.disabled)),
        ("tainted", kernel.boot_taints.0.to_string()),
    ];
    if kernel.options.signatures {
        all.push(("sig_enforce", flag(kernel.signatures_enforced)));
    }
    all
}

/// Differences between what a guest that was booted with a line shows and what was predicted.
fn differences(kernel: &KernelFacts, line: &str, readings: &str) -> Vec<String> {
    let fields: Vec<(&str, &str)> =
        readings.lines().filter_map(|line| line.split_once('\t')).collect();
    let mut wrong = Vec::new();
    for (name, wanted) in predicted(kernel, line) {
        let found = fields.iter().find(|(field, _)| *field == name).map(|(_, value)| *value);
        if found != Some(wanted.as_str()) {
            wrong.push(format!("{name}: predicted {wanted:?}, kernel {found:?}"));
        }
    }
    // Words behind `--` are init's as well.
    let (before, _) = line.split_once("--").unwrap_or((line, ""));
    let (wanted, all) = (for_init(line), before.len() == line.len());
    let found: BTreeSet<String> = fields
        .iter()
        .filter(|(field, _)| *field == "init")
        .filter(|(_, word)| word.starts_with(OURS))
        .map(|(_, word)| (*word).to_owned())
        .collect();
    let missing: Vec<&String> = wanted.difference(&found).collect();
    let more: Vec<&String> = found.difference(&wanted).filter(|_| all).collect();
    if !missing.is_empty() || !more.is_empty() {
        wrong.push(format!("init lacks {missing:?} and has {more:?}"));
    }
    wrong
}

/// Lines that the guest comes up with: where its own channel is a module, modules load.
fn lines(dice: &mut Dice, count: usize) -> Vec<String> {
    let needs_modules = kernel().config().unwrap().get("VIRTIO_CONSOLE") != Some("y");
    let comes_up =
        |line: &String| !(needs_modules && target().clone().with_command_line(line).disabled);
    std::iter::repeat_with(|| line(dice)).filter(comes_up).take(count).collect()
}

pub(super) fn command_lines_are_read_as_by_the_kernel() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = number("SYMSTACK_SEED").unwrap_or(LINES.0);
    let count = number("SYMSTACK_LINES").map_or(LINES.1, |count| count as usize);
    let lines = lines(&mut Dice::new(seed), count);
    let load = |file: &[u8]| Load { file: file.to_vec(), args: "", flags: 0 };
    let mut files = vec![load(built().plain()), load(&built().gives().bytes)];
    files.extend(built().shipped.as_deref().map(load));
    let (mut table, mut wrong, mut handed) = (Table::default(), Vec::new(), 0);
    for line in lines {
        let boot: &'static str = line.clone().leak();
        let case = |file: &Load| {
            let loads = vec![file.clone()];
            Case { loads, boot, ..Case::new(boot, Shows(None, "")) }
        };
        let cases: Vec<Case> = files.iter().map(case).collect();
        let cases: Vec<&Case> = cases.iter().collect();
        let loads: Vec<&[Load]> = cases.iter().map(|case| case.loads.as_slice()).collect();
        let ran = machine().run(&loads, boot);
        let kernel = target().clone().with_command_line(&line);
        let readings = ran[0].fresh.as_ref().map_or("", |fresh| &fresh.readings);
        handed += for_init(&line).len();
        for difference in differences(&kernel, &line, readings) {
            wrong.push(format!("{line:?}\n  {difference}"));
        }
        table.take(&judged(&kernel, &cases, ran));
    }
    tell!("{handed} words were handed to init (seed {seed})");
    if !wrong.is_empty() {
        differs("what command lines set", &wrong.join("\n"));
    }
    table.holds(&format!("loads under {count} command lines (seed {seed})"), 2 * count);
    assert!(handed >= 5 * count, "{handed} words");
}
