//! The questions by which a guest shows what a module left behind, as lines for its shell.

/// Names by which a driver is found, each with the place where it stands.
pub(super) const NAMES: &str =
    "cd /proc && for list in misc devices; do sed \"s|^|/proc/$list: |\" $list; done
    for list in /proc /sys/class/net /sys/bus/platform/devices /sys/bus/platform/drivers; do
        ls $list | grep -v '^[0-9]*$' | sed \"s|^|$list: |\"
    done";

/// The time for which the guest lives on after the last module went, in seconds of its own clock.
/// Most that an exit forgets runs by the second: a timer of one or two seconds, which may be a tick
/// late, a work that is put off, a thread that sleeps in between. RCU's callbacks come within a
/// tenth of it.
///
/// Then it names each kernel thread that goes on in code that is gone: the unwinder of its stack
/// ends there, and does not come to where all threads begin (kernel/stacktrace.c, 6.1 to 7.3; a
/// kernel without CONFIG_STACKTRACE tells nothing). One that runs has no such stack: three looks.
pub(super) const AFTERWARDS: &str = r#"sleep 2.1 || exit
look() {
    for task; do
        read -r stat 2> /dev/null < "$task/stat"
        case ${stat##*)} in " R "*) ;; " "?" 2 "*)
            stack=$(cat "$task/stack" 2> /dev/null)
            case $stat,$stack in *,) ;; *ret_from_fork*) ;; *) echo "$task" ;; esac
        esac
    done
}
tasks=$(look /proc/[0-9]*)
for again in 1 2; do [ ! "$tasks" ] || { sleep 0.1; tasks=$(look $tasks); }; done
for task in $tasks; do cat "$task/comm"; done"#;
