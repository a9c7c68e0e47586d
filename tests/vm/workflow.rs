//! The workflow of this repository and the action for others: a linter reads them, and their shell
//! parts run here, as far as a machine of GitHub's is not needed for them.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use serde_json::Value;
use xtask::{build::project, host::packages, kernel::KernelName};

use crate::harness::{Needs, Test, skip};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(Needs::Only(KernelName::STOCK) => [
        a_linter_has_nothing_to_say_of_the_workflow_and_the_action,
        the_workflow_proves_each_kernel_that_it_lists,
        the_action_proves_a_stack_of_somebody_else,
        the_action_proves_all_kernels_of_several_lines,
        a_report_of_two_lines_adds_no_output,
        a_report_behind_a_link_is_refused,
        settings_of_cargo_in_a_checkout_are_not_obeyed,
        only_a_machine_of_githubs_is_changed,
    ])
}

const WORKFLOW: &str = ".github/workflows/prove.yml";
const ACTION: &str = "action.yml";
/// The linter, as pip installs it. It is a program of its own, and asks nobody.
const LINTER: &str = "zizmor==1.32.0";

fn a_linter_has_nothing_to_say_of_the_workflow_and_the_action() {
    let folder = project().join("target/linter");
    let linter = folder.join("bin/zizmor");
    if !linter.exists() {
        let mut make = Command::new("python3");
        let made = make.args(["-m", "venv", "--clear"]).arg(&folder).output();
        let mut pip = Command::new(folder.join("bin/pip"));
        let got = pip.args(["install", "--quiet", "--only-binary=:all:", LINTER]).output();
        if !made.is_ok_and(|made| made.status.success())
            || !got.is_ok_and(|got| got.status.success())
        {
            skip("needs a linter of workflows, which pip cannot install here");
        }
    }
    let lint = |files: &[PathBuf]| {
        let mut lint = Command::new(&linter);
        let said = lint.args(["--offline", "--no-progress"]).args(files).output().unwrap();
        let text =
            [said.stdout, said.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        (said.status.success(), text.concat())
    };
    let (holds, text) = lint(&[project().join(WORKFLOW), project().join(ACTION)]);
    assert!(holds, "{text}");
    // It reads what it is given: an input in the place of a command is noticed.
    let place = tempfile::tempdir().unwrap();
    let broken = place.path().join(ACTION);
    let text = fs::read_to_string(project().join(ACTION)).unwrap();
    fs::write(&broken, text.replace("mkdir -p -- \"$REPORT\"", "mkdir -p ${{ inputs.report }}"))
        .unwrap();
    let (holds, text) = lint(&[broken]);
    assert!(!holds && text.contains("template-injection"), "{text}");
}

/// The shell parts of a file, each with the name of its step.
fn shell_parts(file: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(project().join(file)).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let (mut parts, mut step) = (Vec::new(), "");
    for (at, line) in lines.iter().enumerate() {
        if let Some((_, name)) = line.split_once("- name: ") {
            step = name;
        }
        let Some(run) = line.trim_start().strip_prefix("run: ") else { continue };
        let block = lines[at + 1..].iter();
        let block = block.take_while(|below| indent(below) > indent(line) || below.is_empty());
        let block: Vec<&str> = block.map(|line| line.trim_start()).collect();
        parts.push((step.to_owned(), if run == "|" { block.join("\n") } else { run.to_owned() }));
    }
    parts
}

/// A machine of GitHub's, as far as the shell parts see one.
struct Runner {
    place: tempfile::TempDir,
    folder: PathBuf,
}

impl Runner {
    /// With the checkout in `folder`, and a `sudo` that only says what it was asked for.
    fn new(folder: &Path) -> Self {
        let place = tempfile::tempdir().unwrap();
        let sudo = place.path().join("bin/sudo");
        fs::create_dir(place.path().join("bin")).unwrap();
        fs::write(&sudo, "#!/bin/sh\necho \"sudo: $*\"\n").unwrap();
        fs::set_permissions(&sudo, fs::Permissions::from_mode(0o755)).unwrap();
        Self { place, folder: folder.into() }
    }

    /// Runs one part as GitHub does, and returns what it wrote.
    #[track_caller]
    fn run(&self, part: &(String, String), env: &[(&str, &str)]) -> String {
        let (status, text) = self.try_run(part, env);
        assert!(status.success(), "{}: {status}\n{text}", part.0);
        text
    }

    fn try_run(
        &self,
        (_, script): &(String, String),
        env: &[(&str, &str)],
    ) -> (ExitStatus, String) {
        let path = std::env::var("PATH").unwrap();
        let bin = self.place.path().join("bin");
        let mut shell = Command::new("bash");
        shell.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]);
        shell.current_dir(&self.folder).stdin(Stdio::null());
        shell.env("PATH", format!("{}:{path}", bin.display()));
        shell.env("RUNNER_ENVIRONMENT", "github-hosted").envs(env.iter().copied());
        shell.env("GITHUB_OUTPUT", self.output()).env("RUNNER_TEMP", self.place.path());
        let said = shell.env("GITHUB_ACTION_PATH", project()).output().unwrap();
        let text =
            [said.stdout, said.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        (said.status, text.concat())
    }

    /// Puts a program in the place of symstack that only writes its arguments, a line for each.
    fn with_arguments_written(&self) -> PathBuf {
        let bin = self.place.path().join("symstack/bin");
        fs::create_dir_all(&bin).unwrap();
        let (program, written) = (bin.join("symstack"), self.place.path().join("arguments"));
        let text = format!("#!/bin/sh\nprintf '%s\\n' \"$@\" > {}\n", written.display());
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        written
    }

    fn output(&self) -> PathBuf {
        self.place.path().join("output")
    }
}

fn the_workflow_proves_each_kernel_that_it_lists() {
    let parts = shell_parts(WORKFLOW);
    let [machine, test, again, list, third, prove] = parts.as_slice() else { panic!("{parts:?}") };
    assert!(machine == again && machine == third);
    let tests = fs::read_to_string(project().join(&test.1)).unwrap();
    assert!(tests.ends_with("exec cargo xtask test\n"), "{tests}");
    let runner = Runner::new(project());
    runner.run(machine, &[]);
    runner.run(list, &[]);
    let output = fs::read_to_string(runner.output()).unwrap();
    let matrix = output.strip_prefix("matrix=").unwrap();
    let matrix: Value = serde_json::from_str(matrix).unwrap();
    let jobs = matrix["include"].as_array().unwrap();
    let kernels: Vec<&str> = jobs.iter().map(|job| job["kernel"].as_str().unwrap()).collect();
    assert!(kernels.iter().any(|kernel| kernel.starts_with("stock:")), "{kernels:?}");
    for kernel in kernels {
        assert!(kernel.parse::<KernelName>().is_ok(), "{kernel}");
    }
    // The newest of them is the one that is prepared here.
    let reports = tempfile::tempdir().unwrap();
    let script = prove.1.replace(" prove.", &format!(" {}/prove.", reports.path().display()));
    let said = runner.run(&(prove.0.clone(), script), &[("KERNEL", "stock")]);
    assert!(said.contains("holds on 1 of 1 kernels"), "{said}");
    assert!(fs::exists(reports.path().join("prove.xml")).unwrap());
}

fn the_action_proves_a_stack_of_somebody_else() {
    let theirs = tempfile::tempdir().unwrap();
    let mut new = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let made = new.args(["new", "drivers", "--c"]).current_dir(&theirs).output().unwrap();
    assert!(made.status.success());
    let runner = Runner::new(theirs.path());
    let env = [
        ("STACK", "drivers"),
        ("KERNELS", "stock stable"),
        ("COMMAND", "grep -q drivers_user /proc/modules"),
        ("REPORT", "report"),
    ];
    for part in &shell_parts(ACTION) {
        runner.run(part, &env);
    }
    assert_eq!(fs::read_to_string(runner.output()).unwrap(), "report=report\n");
    let report = theirs.path().join("report");
    let json = fs::read_to_string(report.join("prove.json")).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["holds"], true, "{json}");
    assert_eq!(json["kernels"].as_array().unwrap().len(), 2, "{json}");
    for file in ["prove.html", "prove.xml"] {
        assert!(report.join(file).metadata().unwrap().len() > 1000, "{file}");
    }
    // A command that fails in the guest fails the job.
    let prove = shell_parts(ACTION).pop().unwrap();
    let script = format!("! ({}) && test -s \"$REPORT/prove.json\"", prove.1);
    let mut env = env;
    env[2].1 = "false";
    runner.run(&(prove.0, script), &env);
}

/// The part of the action that proves, with the inputs that are not what a test is about.
fn prove(runner: &Runner, env: &[(&str, &str)]) -> (ExitStatus, String) {
    let inputs = [("STACK", "a b"), ("KERNELS", "stock"), ("COMMAND", ""), ("REPORT", "report")];
    let part = shell_parts(ACTION).pop().unwrap();
    runner.try_run(&part, &[&inputs, env].concat())
}

fn the_action_proves_all_kernels_of_several_lines() {
    let place = tempfile::tempdir().unwrap();
    let runner = Runner::new(place.path());
    let written = runner.with_arguments_written();
    let (status, said) = prove(&runner, &[("KERNELS", "stock  stable\n\nbookworm\n")]);
    assert!(status.success(), "{said}");
    let arguments = fs::read_to_string(&written).unwrap();
    for kernel in ["stock", "stable", "bookworm"] {
        assert!(arguments.contains(&format!("--kernel\n{kernel}\n")), "{arguments}");
    }
    assert!(arguments.contains("--stack\na b\n"), "{arguments}");
    // The lines of a build in between are no commands.
    let token = said.lines().next().unwrap().strip_prefix("::stop-commands::").unwrap();
    assert!(said.ends_with(&format!("::{token}::\n")), "{said}");

    fs::remove_file(&written).unwrap();
    let (status, said) = prove(&runner, &[("KERNELS", " \n ")]);
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(!fs::exists(&written).unwrap());
}

fn a_report_of_two_lines_adds_no_output() {
    let place = tempfile::tempdir().unwrap();
    let runner = Runner::new(place.path());
    let written = runner.with_arguments_written();
    for report in ["report\nother=mine", ""] {
        let (status, said) = prove(&runner, &[("REPORT", report)]);
        assert_eq!(status.code(), Some(2), "{said}");
    }
    assert!(!fs::exists(runner.output()).unwrap() && !fs::exists(written).unwrap());
    let lines = "a\nother=mine";
    let (status, said) = prove(&runner, &[("STACK", lines), ("COMMAND", lines)]);
    assert!(status.success(), "{said}");
    assert_eq!(fs::read_to_string(runner.output()).unwrap(), "report=report\n");
}

fn a_report_behind_a_link_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let precious = place.path().join("home/prove.json");
    let checkout = place.path().join("checkout");
    for folder in ["home", "checkout/report"] {
        fs::create_dir_all(place.path().join(folder)).unwrap();
    }
    fs::write(&precious, "kept").unwrap();
    symlink("../home", checkout.join("link")).unwrap();
    symlink(&precious, checkout.join("report/prove.json")).unwrap();
    let runner = Runner::new(&checkout);
    let written = runner.with_arguments_written();
    for report in ["link", "link/report"] {
        let (status, said) = prove(&runner, &[("REPORT", report)]);
        assert!(status.code() == Some(2) && said.contains("leads through a link"), "{said}");
        assert!(!fs::exists(&written).unwrap());
    }
    let (status, said) = prove(&runner, &[("REPORT", "report")]);
    assert!(status.success(), "{said}");
    assert!(fs::symlink_metadata(checkout.join("report/prove.json")).unwrap().is_file());
    assert_eq!(fs::read_to_string(precious).unwrap(), "kept");
}

fn settings_of_cargo_in_a_checkout_are_not_obeyed() {
    let checkout = tempfile::tempdir().unwrap();
    let ran = checkout.path().join("ran");
    let evil = checkout.path().join("evil/bin/cargo");
    fs::create_dir_all(evil.parent().unwrap()).unwrap();
    fs::write(&evil, format!("#!/bin/sh\ntouch {}\n", ran.display())).unwrap();
    fs::set_permissions(&evil, fs::Permissions::from_mode(0o755)).unwrap();
    let toolchain = checkout.path().join("evil");
    let toolchain = format!("[toolchain]\npath = \"{}\"\n", toolchain.display());
    fs::write(checkout.path().join("rust-toolchain.toml"), toolchain).unwrap();
    fs::create_dir(checkout.path().join(".cargo")).unwrap();
    let wrapper = format!("[build]\nrustc-wrapper = \"{}\"\n", evil.display());
    fs::write(checkout.path().join(".cargo/config.toml"), wrapper).unwrap();
    let runner = Runner::new(checkout.path());
    let parts = shell_parts(ACTION);
    let (_, build) = parts.iter().find(|(step, _)| step == "Build symstack").unwrap();
    // A question to the same programs takes no build.
    let ask = build.replace("cargo install", "cargo metadata --format-version=1 #");
    let said = runner.run(&("ask".into(), ask), &[]);
    assert!(said.contains("\"name\":\"symstack\""), "{said}");
    assert!(!ran.exists());
}

fn only_a_machine_of_githubs_is_changed() {
    let place = tempfile::tempdir().unwrap();
    let runner = Runner::new(place.path());
    // A machine without anything that symstack needs.
    for program in ["bash", "cat", "env"] {
        let path = packages::find(program).unwrap();
        symlink(path, runner.place.path().join("bin").join(program)).unwrap();
    }
    let path = runner.place.path().join("bin").display().to_string();
    let script = format!("PATH={path} \"$GITHUB_ACTION_PATH/.ci/machine\"");
    let part = ("the machine".to_owned(), script);
    let hosted = runner.run(&part, &[]);
    assert!(hosted.contains("sudo: apt-get install"), "{hosted}");
    for other in ["self-hosted", ""] {
        let said = runner.run(&part, &[("RUNNER_ENVIRONMENT", other)]);
        assert!(!said.contains("sudo") && said.contains("symstack doctor"), "{said}");
    }
}
