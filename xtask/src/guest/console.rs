//! The kernel's own state, as its log tells it.
//!
//! A test whose commands all succeed proves nothing when the kernel complained meanwhile, so
//! every line is compared with the signs below. They are policy, written as data: each says why
//! it counts, and each exception says why it does not and when it can go.

/// The way in which a sign is recognized in a line, after its time and caller are taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The line begins so.
    Begins(&'static str),
    /// The line begins with the first text, and has the second one later.
    BeginsAndHas(&'static str, &'static str),
    /// The line has these two texts, in this order.
    Has(&'static str, &'static str),
}

/// A text by which the kernel says that something is wrong with it.
#[derive(Clone, Copy, Debug)]
pub struct Sign {
    /// The way in which it is recognized.
    pub mark: Mark,
    /// Its meaning, in a few words.
    pub what: &'static str,
    /// Its rank: of several signs in one log, the first of the highest rank is named.
    pub rank: u8,
}

/// A line that looks like a sign and is none. The traces of what it complains about are none then,
/// either.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    /// The beginning of the line, after its time and caller.
    pub begins: String,
    /// A text in the line.
    pub has: String,
    /// Why it does not count.
    pub reason: String,
}

/// The line above a complaint.
const CUT_HERE: Mark = Mark::Begins("------------[ cut here ]------------");
/// The line below it from which on its stack stands.
const STACK_TRACE: Mark = Mark::Begins("Call Trace:");
/// The kernel gave up.
pub const PANIC: &str = "panic";

const fn begins(text: &'static str, what: &'static str, rank: u8) -> Sign {
    Sign { mark: Mark::Begins(text), what, rank }
}

const fn has(first: &'static str, then: &'static str, what: &'static str, rank: u8) -> Sign {
    Sign { mark: Mark::Has(first, then), what, rank }
}

const fn head(first: &'static str, then: &'static str, what: &'static str) -> Sign {
    Sign { mark: Mark::BeginsAndHas(first, then), what, rank: 3 }
}

/// The signs. Rank 3 names the fault itself, 2 what it led to, 1 its traces.
///
/// They are the heads of all reports that kernel/, mm/, lib/, net/core/ and arch/x86/ of 7.3 print
/// about a fault of the kernel, and those of 6.1 that read otherwise.
pub const SIGNS: &[Sign] = &[
    begins("BUG: ", "BUG", 3),
    begins("BUG at ", "BUG", 3),
    // `BUG CACHE (TAINT): TEXT`: mm/slub.c:__slab_bug.
    head("BUG ", "ainted", "corrupt slab"),
    begins("kernel BUG at ", "BUG", 3),
    begins("rust_kernel: panicked at ", "a panic of Rust code", 3),
    begins("WARNING: ", "WARNING", 3),
    begins("UBSAN: ", "undefined behavior", 3),
    begins("Oops: ", "oops", 3),
    // Until 6.9 `TRAP: ERROR [#NUMBER]`: arch/x86/kernel/dumpstack.c:__die_header.
    has(": 0000 [#", "]", "oops", 3),
    begins("Internal error: ", "oops", 3),
    begins("general protection fault", "oops", 3),
    begins("watchdog: BUG: soft lockup", "soft lockup", 3),
    begins("watchdog: CPU", "hard lockup", 3),
    has("Watchdog detected hard LOCKUP", "", "hard lockup", 3),
    // `blocked in I/O wait for more than`, too: kernel/hung_task.c.
    head("INFO: task ", " for more than ", "hung task"),
    has("rcu: INFO: ", " stall", "RCU stall", 3),
    has("rcu: ", "kthread starved for", "RCU stall", 3),
    has("INFO: ", "trying to register non-static key", "lockdep", 3),
    begins("DEBUG_LOCKS_WARN_ON", "lockdep", 3),
    has("kmemleak: ", " new suspected memory leaks", "memory leak", 3),
    has("list_add corruption", "", "corrupt list", 3),
    has("list_add double add", "", "corrupt list", 3),
    has("list_del corruption", "", "corrupt list", 3),
    begins("pagealloc: ", "corrupt page", 3),
    begins("Thread overran stack, or stack corrupted", "corrupt stack", 3),
    head("irq ", ": nobody cared", "an interrupt without a handler"),
    begins("unregister_netdevice: waiting for ", "a device still in use", 3),
    begins("sysfs: cannot create duplicate filename", "a name twice", 3),
    has("Out of memory: ", "", "out of memory", 3),
    has(": page allocation failure", "", "out of memory", 3),
    begins("Kernel panic - not syncing", PANIC, 2),
    Sign { mark: CUT_HERE, what: "a complaint", rank: 1 },
    Sign { mark: STACK_TRACE, what: "a stack trace", rank: 1 },
];

/// Lines that are allowed in every log. None is known to be needed: the stock kernel of Debian
/// boots in this machine without a sign. An entry says when it can go.
pub const ALLOWED: &[(&str, &str)] = &[];

/// A line of a log that is a sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splat {
    /// Its meaning, in a few words.
    pub what: &'static str,
    /// The line without its time and caller.
    pub line: String,
    rank: u8,
}

/// The signs in a log, in its order.
pub fn splats(log: &str, allowed: &[Allowed]) -> Vec<Splat> {
    let mut reader = Reader::new(allowed);
    log.lines().for_each(|line| reader.line(line));
    reader.end()
}

/// The signs in the lines that it is given.
#[derive(Debug)]
pub struct Reader<'a> {
    allowed: &'a [Allowed],
    found: Vec<Splat>,
    excused: Vec<(String, String)>,
    /// The mark above a complaint that has not come yet.
    mark: Option<Splat>,
    /// The last complaint is allowed, and its stack trace has not come yet.
    forgiven: bool,
}

impl<'a> Reader<'a> {
    /// The reader of a log of which no line was read yet.
    pub fn new(allowed: &'a [Allowed]) -> Self {
        Self { allowed, found: Vec::new(), excused: Vec::new(), mark: None, forgiven: false }
    }

    /// Reads the next line.
    pub fn line(&mut self, line: &str) {
        let line = bare(line);
        let Some(sign) = SIGNS.iter().find(|sign| sign.mark.is_in(line)) else { return };
        let splat = Splat { what: sign.what, line: line.into(), rank: sign.rank };
        if let Some(reason) = self.reason_for(line) {
            if sign.rank > 1 {
                self.excused.push((line.into(), reason));
            }
            (self.mark, self.forgiven) = (None, sign.rank > 1);
        } else if sign.mark == STACK_TRACE && self.forgiven {
            self.forgiven = false;
        } else {
            self.found.extend(self.mark.take());
            self.forgiven = false;
            match sign.mark == CUT_HERE {
                true => self.mark = Some(splat),
                false => self.found.push(splat),
            }
        }
    }

    /// Returns the signs, in the order of the log.
    pub fn end(mut self) -> Vec<Splat> {
        self.found.extend(self.mark.take());
        self.found
    }

    /// The complaints that are allowed, each with the reason.
    pub fn excused(&self) -> &[(String, String)] {
        &self.excused
    }

    /// Returns why a line is allowed, if it is.
    fn reason_for(&self, line: &str) -> Option<String> {
        let always = ALLOWED.iter().find(|(begins, _)| line.starts_with(begins));
        let is_of =
            |allowed: &&Allowed| line.starts_with(&allowed.begins) && line.contains(&allowed.has);
        let here = || self.allowed.iter().find(is_of).map(|allowed| allowed.reason.clone());
        always.map(|(_, reason)| (*reason).to_owned()).or_else(here)
    }
}

/// The one that tells most, first of its rank.
pub fn gravest(splats: &[Splat]) -> Option<&Splat> {
    // `max_by_key` would take the last of equal ones.
    splats.iter().rev().max_by_key(|splat| splat.rank)
}

impl Mark {
    fn is_in(self, line: &str) -> bool {
        match self {
            Self::Begins(text) => line.starts_with(text),
            Self::BeginsAndHas(first, then) => {
                line.strip_prefix(first).is_some_and(|rest| rest.contains(then))
            }
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
    fn every_head_of_a_report_is_a_sign() {
        let heads = [
            "BUG kmalloc-64 (Not tainted): Poison overwritten",
            "BUG my cache (Tainted: G           OE      ): Objects remaining on shutdown",
            "BUG at mm/slab.h:12",
            "BUG: KASAN: slab-use-after-free in f+0x1/0x2",
            "invalid opcode: 0000 [#1] PREEMPT SMP",
            "Oops: int3: 0000 [#1] SMP",
            "INFO: task insmod:100 blocked in I/O wait for more than 120 seconds.",
            "list_add double add: new=1, prev=1, next=2.",
            "pagealloc: memory corruption",
            "irq 9: nobody cared (try booting with the \"irqpoll\" option)",
            "unregister_netdevice: waiting for lo to become free. Usage count = 2",
            "sysfs: cannot create duplicate filename '/devices/x'",
        ];
        heads.iter().for_each(|head| assert!(one(head).is_some(), "{head}"));
    }

    #[test]
    fn a_line_that_only_looks_like_a_head_is_none() {
        let twins = [
            "BUG reports go to the list",
            "BUGFIX: x",
            "INFO: lockdep is turned off.",
            "INFO: NMI handler (perf_event_nmi_handler) took too long to run: 1.2 msecs",
            "INFO: task insmod:100 is blocked on a mutex likely owned by task rmmod:1.",
            "ODEBUG: selftest passed",
            "irq 9: Affinity broken due to vector space exhaustion.",
            "workqueue: x hogged CPU for >10000us 4 times, consider switching to WQ_UNBOUND",
            "perf: interrupt took too long (2500 > 2000), lowering it",
        ];
        twins.iter().for_each(|twin| assert_eq!(one(twin), None, "{twin}"));
    }

    #[test]
    fn an_exception_is_for_the_lines_it_names() {
        let reason = "shown on purpose".to_owned();
        let begins = Allowed { begins: "WARNING: a".into(), reason, ..Allowed::default() };
        let has = Allowed { begins: String::new(), has: "b()".into(), ..begins.clone() };
        for (allowed, line) in [(begins, "WARNING: a b"), (has, "WARNING: at b()")] {
            let allowed = [allowed];
            assert!(splats(&format!("[ 1.0] {line}"), &allowed).is_empty());
            assert_eq!(splats("[ 1.0] WARNING: b", &allowed).len(), 1);
        }
    }

    #[test]
    fn the_traces_of_an_exception_are_its_own_and_no_others() {
        let one = |line: &str| {
            format!(
                "[ 1.0] ------------[ cut here ]------------\n[ 1.0] a device\n[ 1.0] {line}\n\
                 [ 1.0] Call Trace:\n[ 1.0] ---[ end trace 0000000000000000 ]---\n"
            )
        };
        let allowed = [Allowed { begins: "WARNING: a".into(), ..Allowed::default() }];
        let lines = |log: &str| -> Vec<String> {
            splats(log, &allowed).into_iter().map(|splat| splat.line).collect()
        };
        let (known, other) = (one("WARNING: a"), one("WARNING: b"));
        assert!(lines(&known.repeat(2)).is_empty());
        let all = ["------------[ cut here ]------------", "WARNING: b", "Call Trace:"];
        assert_eq!(lines(&other), all);
        assert_eq!(lines(&format!("{known}{other}{known}")), all);
        // A stack that belongs to nothing, and a mark that nothing follows.
        assert_eq!(lines(&format!("{known}Call Trace:\n")), ["Call Trace:"]);
        assert_eq!(lines("------------[ cut here ]------------\n"), all[..1]);
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
