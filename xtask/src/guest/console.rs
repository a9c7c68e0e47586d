//! What a kernel's log says about the kernel's own state.
//!
//! A test whose commands all succeed proves nothing when the kernel complained meanwhile, so
//! every line is compared with the signs below. They are policy, written as data: each says why
//! it counts, and each exception says why it does not and when it can go.

/// How a sign is recognized in a line, after its time and caller are taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The line begins so.
    Begins(&'static str),
    /// The line has these two texts, in this order.
    Has(&'static str, &'static str),
}

/// A text by which the kernel says that something is wrong with it.
#[derive(Clone, Copy, Debug)]
pub struct Sign {
    /// How it is recognized.
    pub mark: Mark,
    /// What it means, in a few words.
    pub what: &'static str,
    /// How much it tells: of several signs in one log, the first of the highest rank is named.
    pub rank: u8,
}

/// A line that looks like a sign and is none.
#[derive(Clone, Debug)]
pub struct Allowed {
    /// How the line begins, after its time and caller.
    pub begins: String,
    /// Why it does not count.
    pub reason: String,
}

/// The kernel gave up.
pub const PANIC: &str = "panic";

const fn begins(text: &'static str, what: &'static str, rank: u8) -> Sign {
    Sign { mark: Mark::Begins(text), what, rank }
}

const fn has(first: &'static str, then: &'static str, what: &'static str, rank: u8) -> Sign {
    Sign { mark: Mark::Has(first, then), what, rank }
}

/// The signs. Rank 3 names the fault itself, 2 what it led to, 1 its traces.
pub const SIGNS: &[Sign] = &[
    begins("BUG: ", "BUG", 3),
    begins("kernel BUG at ", "BUG", 3),
    begins("rust_kernel: panicked at ", "a panic of Rust code", 3),
    begins("WARNING: ", "WARNING", 3),
    begins("UBSAN: ", "undefined behavior", 3),
    begins("Oops: ", "oops", 3),
    begins("Internal error: ", "oops", 3),
    begins("general protection fault", "oops", 3),
    begins("watchdog: BUG: soft lockup", "soft lockup", 3),
    begins("watchdog: CPU", "hard lockup", 3),
    has("Watchdog detected hard LOCKUP", "", "hard lockup", 3),
    has("INFO: task ", " blocked for more than ", "hung task", 3),
    has("rcu: INFO: ", " stall", "RCU stall", 3),
    has("rcu: ", "kthread starved for", "RCU stall", 3),
    has("INFO: ", "trying to register non-static key", "lockdep", 3),
    begins("DEBUG_LOCKS_WARN_ON", "lockdep", 3),
    has("kmemleak: ", " new suspected memory leaks", "memory leak", 3),
    has("list_add corruption", "", "corrupt list", 3),
    has("list_del corruption", "", "corrupt list", 3),
    has("Out of memory: ", "", "out of memory", 3),
    has(": page allocation failure", "", "out of memory", 3),
    begins("Kernel panic - not syncing", PANIC, 2),
    begins("------------[ cut here ]------------", "a complaint", 1),
    begins("Call Trace:", "a stack trace", 1),
];

/// Lines that are allowed in every log. None is known to be needed: the stock kernel of Debian
/// boots in this machine without a sign. An entry says when it can go.
pub const ALLOWED: &[(&str, &str)] = &[];

/// A line of a log that is a sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splat {
    /// What it means, in a few words.
    pub what: &'static str,
    /// The line without its time and caller.
    pub line: String,
    rank: u8,
}

/// The signs in a log, in its order.
pub fn splats(log: &str, allowed: &[Allowed]) -> Vec<Splat> {
    log.lines().filter_map(|line| splat(line, allowed)).collect()
}

/// The one that tells most, first of its rank.
pub fn gravest(splats: &[Splat]) -> Option<&Splat> {
    // `max_by_key` would take the last of equal ones.
    splats.iter().rev().max_by_key(|splat| splat.rank)
}

fn splat(line: &str, allowed: &[Allowed]) -> Option<Splat> {
    let line = bare(line);
    let fixed = || ALLOWED.iter().any(|(begins, _)| line.starts_with(begins));
    if fixed() || allowed.iter().any(|allowed| line.starts_with(&allowed.begins)) {
        return None;
    }
    let sign = SIGNS.iter().find(|sign| sign.mark.is_in(line))?;
    Some(Splat { what: sign.what, line: line.into(), rank: sign.rank })
}

impl Mark {
    fn is_in(self, line: &str) -> bool {
        match self {
            Self::Begins(text) => line.starts_with(text),
            Self::Has(first, then) => {
                line.find(first).is_some_and(|at| line[at + first.len()..].contains(then))
            }
        }
    }
}

/// A line without its level `<4>`, its time `[    1.234567]` and its caller `[   T12]`.
pub fn bare(line: &str) -> &str {
    let mut line = line.trim();
    if let Some((level, rest)) = line.strip_prefix('<').and_then(|line| line.split_once('>')) {
        if !level.is_empty() && level.bytes().all(|byte| byte.is_ascii_digit()) {
            line = rest;
        }
    }
    for _ in 0..2 {
        let Some((mark, rest)) = line.strip_prefix('[').and_then(|line| line.split_once(']'))
        else {
            break;
        };
        let known = |byte: u8| byte.is_ascii_digit() || b" .TC".contains(&byte);
        if !mark.bytes().all(known) {
            break;
        }
        line = rest.trim_start();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Option<&'static str> {
        splats(line, &[]).first().map(|splat| splat.what)
    }

    #[test]
    fn time_and_caller_are_taken_off() {
        assert_eq!(one("[    1.234567] BUG: x"), Some("BUG"));
        assert_eq!(one("<4>[   12.000000][  T123] WARNING: x"), Some("WARNING"));
        assert_eq!(one("[    1.2][    C0] Oops: 0002"), Some("oops"));
        assert_eq!(
            one("\r[    1.2] rcu: INFO: rcu_preempt self-detected stall on CPU"),
            Some("RCU stall")
        );
    }

    #[test]
    fn a_sign_in_the_middle_of_a_line_is_talk() {
        assert_eq!(one("[    1.2] provider: WARNING: no counter"), None);
        assert_eq!(one("[    1.2] printk: no BUG: here"), None);
        assert_eq!(one("[ok] BUG: x"), None, "no time stamp of the kernel");
    }

    #[test]
    fn an_exception_is_for_the_lines_it_names() {
        let allowed = [Allowed { begins: "WARNING: a".into(), reason: "shown on purpose".into() }];
        assert!(splats("[ 1.0] WARNING: a b", &allowed).is_empty());
        assert_eq!(splats("[ 1.0] WARNING: b", &allowed).len(), 1);
    }

    #[test]
    fn the_cause_is_named_before_its_traces() {
        let log = "[ 1.0] ------------[ cut here ]------------\n[ 1.0] WARNING: first\n\
            [ 1.0] Call Trace:\n[ 1.0] BUG: second\n[ 1.0] Kernel panic - not syncing: third";
        let splats = splats(log, &[]);
        assert_eq!(gravest(&splats).unwrap().line, "WARNING: first");
        assert_eq!(splats.len(), 5);
    }
}
