//! Builds that reach for the host, or for all of it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use xtask::host::packages;

use crate::{
    harness::{Needs, Test, skip},
    kernel,
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(Needs::Nothing => [
        a_fork_bomb_is_ended,
        a_process_gets_no_more_memory_than_the_limit,
        memory_that_is_no_process_is_counted,
        buffers_of_sockets_are_counted,
        a_full_tmp_is_refused,
        a_product_of_two_gigabytes_is_refused,
        output_without_end_is_ended,
        a_build_that_never_ends_is_ended,
        a_build_has_no_input_and_nothing_of_the_lock,
        a_build_inherits_no_descriptor,
        no_file_can_run_as_its_owner,
        no_file_of_a_build_is_roots,
        nothing_can_be_typed_on_the_terminal,
        a_command_on_a_terminal_has_one_of_its_own,
        background_processes_of_a_build_are_ended,
        a_build_that_kills_all_it_can_kills_itself,
        a_build_has_no_network_and_no_way_to_the_hypervisor,
        the_settings_of_the_kernel_cannot_be_written,
        the_root_and_its_devices_cannot_be_written,
        no_namespace_of_users_can_be_made,
        the_keys_of_the_user_are_out_of_reach,
        the_kernel_is_asked_for_nothing_that_is_not_for_builds,
        no_call_passes_the_filter_by_another_number,
    ])
}

/// The time that a refusal may take: 10 s, and three times that where the machine is busy. All that
/// is not refused takes minutes.
const REFUSED: Duration = Duration::from_secs(30);

/// A stack whose build runs a script of sh where it should compile.
fn stack(script: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let kbuild = "obj-m := x.o\n$(obj)/x.o: ; @cd $(obj) && sh $(src)/attack.sh\n";
    fs::write(folder.path().join("Kbuild"), kbuild).unwrap();
    fs::write(folder.path().join("attack.sh"), script).unwrap();
    folder
}

/// The runner, started by a line of sh in which it is `"$@"`.
fn build_by(line: &str, stack: &Path) -> String {
    let mut run = Command::new("sh");
    run.args(["-c", line, "sh", env!("CARGO_BIN_EXE_xtask"), "build", "--kernel"]);
    run.arg(kernel().name.to_string()).arg("--stack").arg(stack);
    let begin = Instant::now();
    let output = run.output().unwrap();
    let took = begin.elapsed();
    // A flood is no use in a message.
    let stdout = &output.stdout[..output.stdout.len().min(16 << 10)];
    let said = [stdout, &output.stderr].map(String::from_utf8_lossy).concat();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(took < REFUSED, "it took {took:?}: {said}");
    said
}

/// Returns the output of a build with this script. None of them succeeds: there is nothing to link.
fn build(script: &str) -> String {
    build_by("exec \"$@\"", stack(script).path())
}

#[track_caller]
fn says(said: &str, words: &str) {
    assert!(said.contains(words), "{words:?} is not in: {said}");
}

/// The errno of a system call as the sandbox has it: 0 if it succeeds.
fn errno(call: &str) -> String {
    format!("perl -e '$! = 0; syscall({call}); print \"errno of {call}: \", $! + 0, \"\\n\"'\n")
}

/// Checks that each call ends with its errno.
fn refused(calls: &[(&str, i32)]) {
    let said = build(&calls.iter().map(|(call, _)| errno(call)).collect::<String>());
    for (call, errno) in calls {
        says(&said, &format!("errno of {call}: {errno}\n"));
    }
}

fn a_fork_bomb_is_ended() {
    let said =
        build("perl -e 'while (1) { $p = fork; if (defined $p && !$p) { sleep 600; exit } }'");
    says(&said, "2048 processes and threads");
}

fn a_process_gets_no_more_memory_than_the_limit() {
    let said = build("perl -e '$x = \"x\" x (1 << 36)'; exit 1");
    says(&said, "the sandbox does not allow a process with more than ");
}

fn memory_that_is_no_process_is_counted() {
    // Pages of a shared mapping whose owner has ended are in no table of the process that keeps it.
    let script = "perl -e '
        for (1..64) {
            if (!fork) {
                my $shared = syscall(9, 0, 900 << 20, 3, 0x21, -1, 0);
                open my $zero, q(<), q(/dev/zero);
                syscall(0, fileno($zero) + 0, $shared + ($_ << 20), 1 << 20) for 0..899;
                if (!fork) { sleep 600 }
                exit;
            }
            wait;
        }
        sleep 600'";
    says(&build(script), "GiB of the machine's free memory");
}

fn buffers_of_sockets_are_counted() {
    let script = "perl -MSocket -e '
        my $full = qq(x) x 200000;
        for (1..40) {
            next if fork;
            my @all;
            for (1..2000) {
                socketpair(my $one, my $two, AF_UNIX, SOCK_STREAM, 0) or last;
                $one->blocking(0);
                syswrite $one, $full;
                push @all, $one, $two;
            }
            sleep 600;
        }
        sleep 600' -MIO::Handle";
    says(&build(script), "GiB of the machine's free memory");
}

fn a_full_tmp_is_refused() {
    let fill = "head -c 300M /dev/zero";
    let said = build(&format!("{fill} > /tmp/a && {fill} > /tmp/b && echo written"));
    says(&said, "the sandbox does not allow more than 512 MiB in /tmp");
    assert!(!said.contains("written"), "{said}");
}

fn a_product_of_two_gigabytes_is_refused() {
    let said = build("truncate -s 2G x.o && echo written");
    says(&said, "the sandbox does not allow a file of more than 1 GiB");
    assert!(!said.contains("written"), "{said}");
}

fn output_without_end_is_ended() {
    says(&build("exec yes"), "make printed more than 4 MiB");
}

fn a_build_that_never_ends_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let run = kernel().toolchain.run("sh", folder.path()).args(["-c", "trap '' TERM; sleep 600"]);
    let begin = Instant::now();
    let problem = run.deadline(Duration::from_secs(2)).output().unwrap_err();
    assert!(begin.elapsed() < REFUSED);
    assert_eq!(problem.fact, "sh took more than 2 s");
}

fn a_build_has_no_input_and_nothing_of_the_lock() {
    let said = build("ls -l /proc/[0-9]*/fd; flock -u 0; echo into the lock >&0");
    says(&said, "0 -> /dev/null");
    assert!(!said.contains(".lock"), "{said}");
}

fn a_build_inherits_no_descriptor() {
    let stack = stack("for n in 3 4 5 6 7 8 9; do ls -l /proc/[0-9]*/fd/$n; done; echo seen");
    let secret = tempfile::NamedTempFile::with_prefix("secret-").unwrap();
    let line = format!("exec 7<> {}; exec \"$@\"", secret.path().display());
    let said = build_by(&line, stack.path());
    says(&said, "seen");
    assert!(!said.contains("secret-"), "{said}");
}

fn no_file_can_run_as_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let script = "cp /usr/bin/env a && chmod 4755 a; chmod 2755 a; install -m 4755 /usr/bin/env b; \
        mknod -m 4755 p p; perl -e 'use Fcntl; sysopen(F, \"c\", O_CREAT | O_WRONLY, 04755); \
        syscall(133, \"d\", 0104755, 0); syscall(268, -100, \"a\", 04755); \
        syscall(452, -100, \"a\", 04755, 0); syscall(85, \"e\", 04755); chmod 04755, \"a\"'; true";
    let run = kernel().toolchain.run("sh", folder.path()).args(["-c", script]);
    let said = run.output().unwrap();
    assert!(said.stderr.contains("changing permissions of 'a': Operation not permitted"));
    let files: Vec<_> = folder.path().read_dir().unwrap().flatten().collect();
    assert!(!files.is_empty());
    for file in files {
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o6000, 0, "{:?} has mode {mode:o}", file.file_name());
    }
}

fn no_file_of_a_build_is_roots() {
    let said = build("id -u; cat /proc/self/uid_map; exit 1");
    let mapped = said.lines().find_map(|line| line.strip_prefix("         0 ")).unwrap();
    let user = mapped.split_whitespace().next().unwrap();
    assert_ne!(user, "0", "{said}");
}

fn nothing_can_be_typed_on_the_terminal() {
    // TIOCSTI and TIOCLINUX, and the first with bits above those that the kernel looks at.
    refused(&[("16, 0, 0x5412, 0", 1), ("16, 0, 0x541c, 0", 1), ("16, 0, 0x100005412, 0", 1)]);
}

fn a_command_on_a_terminal_has_one_of_its_own() {
    if packages::find("script").is_none() {
        skip("needs the program script");
    }
    let folder = tempfile::tempdir().unwrap();
    let device = "stat -L -c 'terminal %t:%T' /proc/self/fd/";
    let inside = format!(
        "for n in 0 1 2; do {device}$n; done; stty size; {}trap 'echo interrupted; exit 7' INT; \
         echo ready; sleep 600 & wait",
        errno("16, 0, 0x5412, 0")
    );
    fs::write(folder.path().join("inside"), inside).unwrap();
    let enter = format!(
        "stty rows 33 cols 77; {device}0; {} enter --kernel {} --folder {} -- sh inside",
        env!("CARGO_BIN_EXE_xtask"),
        kernel().name,
        folder.path().display()
    );
    // A command that hears no key would go on for 600 s.
    let mut script = Command::new("timeout");
    script.args(["--foreground", "60", "script", "-qec", &enter, "/dev/null"]);
    script.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut script = script.spawn().unwrap();
    let (mut keys, output) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
    let mut said = Vec::new();
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        if line.trim_end() == "ready" {
            keys.write_all(b"\x03").unwrap();
        }
        said.push(line.trim_end().to_owned());
    }
    let terminals: Vec<&String> =
        said.iter().filter(|line| line.starts_with("terminal ")).collect();
    let [outer, inner @ ..] = terminals.as_slice() else { panic!("{said:?}") };
    assert!(inner.len() == 3 && inner.iter().all(|inner| *inner != *outer), "{said:?}");
    for line in ["33 77", "errno of 16, 0, 0x5412, 0: 1", "interrupted"] {
        assert!(said.iter().any(|said| said.ends_with(line)), "{line:?}: {said:?}");
    }
    assert_eq!(script.wait().unwrap().code(), Some(7));
}

fn background_processes_of_a_build_are_ended() {
    let word = format!("hostile-{}", std::process::id());
    let left = "trap '' TERM HUP; exec sleep 600";
    build(&format!("setsid sh -c \"{left}\" {word} & sh -c 'sleep 600; :' {word} & exit 1"));
    let lives = |pid: &Path| {
        let line = fs::read(pid.join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&word)
    };
    let begin = Instant::now();
    while Path::new("/proc").read_dir().unwrap().flatten().any(|entry| lives(&entry.path())) {
        assert!(begin.elapsed() < REFUSED);
    }
}

fn a_build_that_kills_all_it_can_kills_itself() {
    build("kill -9 -1; echo alive");
}

fn a_build_has_no_network_and_no_way_to_the_hypervisor() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let connect = format!(
        "use Socket; socket(S, PF_INET, SOCK_STREAM, 0); \
         print connect(S, sockaddr_in({port}, inet_aton(\"127.0.0.1\"))) ? \"reached\" : \"$!\""
    );
    let vsock = errno("41, 40, 1, 0");
    let said =
        build(&format!("tail -n +3 /proc/net/dev | cut -d: -f1; perl -e '{connect}'\n{vsock}"));
    says(&said, "    lo\nConnection refused");
    says(&said, "errno of 41, 40, 1, 0: 97");
}

fn the_settings_of_the_kernel_cannot_be_written() {
    let path = "/proc/sys/kernel/core_pattern";
    let before = fs::read_to_string(path).unwrap();
    says(&build(&format!("cat {path} > {path}; echo {path}")), "Read-only file system");
    assert_eq!(fs::read_to_string(path).unwrap(), before);
}

fn the_root_and_its_devices_cannot_be_written() {
    let said =
        build("for f in /x /dev/x /usr/x /etc/x; do echo > $f && echo wrote $f; done; exit 1");
    assert_eq!(said.matches("Read-only file system").count(), 4, "{said}");
    assert!(!said.contains("wrote"), "{said}");
}

fn no_namespace_of_users_can_be_made() {
    let said = build("unshare -U true && echo made; unshare -Ur true && echo made; exit 1");
    assert_eq!(said.matches("unshare failed: Operation not permitted").count(), 2, "{said}");
    // By clone, by clone3, and into another one.
    refused(&[("56, 0x10000011, 0, 0, 0, 0", 1), ("435, 0, 0", 38), ("308, 0, 0", 1)]);
}

fn the_keys_of_the_user_are_out_of_reach() {
    refused(&[("250, 0, -4, 1", 1), ("248, 0, 0, 0, 1, -4", 1)]);
}

fn the_kernel_is_asked_for_nothing_that_is_not_for_builds() {
    refused(&[
        // bpf, perf_event_open, userfaultfd, finit_module, syslog.
        ("321, 0, 0, 0", 1),
        ("298, 0, 0, -1, -1, 0", 1),
        ("323, 0", 1),
        ("313, 0, 0, 0", 1),
        ("103, 3, 0, 0", 1),
        // ptrace, mount, fsopen.
        ("101, 0, 0, 0, 0", 1),
        ("165, 0, 0, 0, 0, 0", 1),
        ("430, 0, 0", 1),
        // io_uring_setup, memfd_create, openat2.
        ("425, 1, 0", 38),
        ("319, 0, 0", 38),
        ("437, 0, 0, 0, 0", 38),
    ]);
}

fn no_call_passes_the_filter_by_another_number() {
    // getpid by the number of x32.
    refused(&[("0x40000027", 38)]);
}
