//! `demo`: the story of symbol stacking, told by a running kernel.

use std::{path::PathBuf, process::ExitCode, time::Instant};

use ko::text::Text;

use crate::{
    build::{BuildDir, BuiltStack, Stack, project},
    command::KernelArg,
    guest::{Guest, Session, report::CommandReport},
    host::{cache::Cache, file_system::read_text, progress::say, run},
    printer::Shown as _,
    problem::{Problem, Result},
    proof::{ProofStep, story::Story, web_page},
};

/// Show the stack on a real kernel: depmod, modprobe, kallsyms, rmmod, narrated
///
/// Sets up what is missing first. Exit status 0 only if every step did what the story says.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    kernel: KernelArg,
    /// Write the story as one self-contained page: the picture of the stack, every transcript
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
}

/// One step of the story, run in the guest.
struct Scene {
    /// The sentence before the command.
    tale: &'static str,
    /// The command.
    command: &'static str,
    /// The exit status that it must have.
    status: u8,
    /// The lines that the command or the kernel must print, in this order.
    said: &'static [&'static str],
    /// Words that no line of the command's output may begin with.
    gone: &'static [&'static str],
}

/// A scene that only says what must be said.
const SCENE: Scene = Scene { tale: "", command: "", status: 0, said: &[], gone: &[] };

/// In order: from what the files say to what the kernel does.
const SCENES: &[Scene] = &[
    Scene {
        tale: "Each .ko says what it is: its license, the modules it needs, its kernel.",
        command: "cd /lib/modules/$(uname -r)/updates && modinfo provider.ko consumer.ko | \
                  grep -E '^(name|license|import_ns|depends|vermagic):'",
        said: &[
            "license: GPL",
            "name: provider",
            "import_ns: PROVIDER",
            "depends: provider",
            "name: consumer",
        ],
        ..SCENE
    },
    Scene {
        tale: "depmod reads which module exports and which needs what, and writes it down.",
        command: "depmod -a && cat /lib/modules/$(uname -r)/modules.dep",
        said: &["updates/provider.ko:", "updates/consumer.ko: updates/provider.ko"],
        ..SCENE
    },
    Scene {
        tale: "From that line modprobe knows the order.",
        command: "modprobe --show-depends consumer",
        said: &["/updates/provider.ko", "/updates/consumer.ko"],
        ..SCENE
    },
    Scene {
        tale: "Asked for the consumer alone, it loads the provider first.",
        command: "modprobe consumer start=40",
        said: &["provider: room for", "consumer: /dev/consumer starts at 40"],
        ..SCENE
    },
    Scene {
        tale: "The kernel counts the users of each module.",
        command: "lsmod",
        said: &["consumer ", " 1 consumer"],
        ..SCENE
    },
    Scene {
        tale: "What the provider exports is in the kernel's symbol table now (T: to be used by all).",
        command: "grep ' T provider_' /proc/kallsyms",
        said: &["provider_register [provider]"],
        ..SCENE
    },
    Scene {
        tale: "A write to the consumer's device arrives in the provider.",
        command: "echo 2 > /dev/consumer; cat /sys/kernel/debug/provider/counters",
        said: &["consumer 42"],
        ..SCENE
    },
    Scene {
        tale: "While its symbols are in use, the provider cannot go.",
        command: "rmmod provider",
        status: 1,
        said: &["Module provider is in use by: consumer"],
        ..SCENE
    },
    Scene {
        tale: "Unloaded from the top, both go, and the kernel is as it was.",
        command: "modprobe -r consumer && lsmod",
        said: &["Module"],
        gone: &["provider", "consumer"],
        ..SCENE
    },
];

impl Args {
    /// Tells the story.
    ///
    /// # Errors
    /// Something is missing that cannot be set up, or a step did not do what the story says.
    pub fn run(self) -> Result<ExitCode> {
        let cache = Cache::open()?;
        let name = &self.kernel.name;
        let begin = Instant::now();
        // The story has commands of its own.
        run::echo_off();
        outln!("symstack: two Rust modules, one stacked on the other, on {name}\n");
        outln!("The kernel's own Kbuild builds them, and modpost lists what the stack exports.");
        let BuiltStack { kernel, build_dir, modules } =
            BuiltStack::obtain(&cache, name, &Stack::ours())?;
        exports(&build_dir)?;
        let guest = modules.iter().fold(Guest::on(&cache, &kernel)?, |guest, ko| guest.module(ko));
        let mut session = guest.start()?;
        let report = session.report();
        outln!(
            "The kernel is up after {:.1} s; {}\n",
            report.boot_time.as_secs_f64(),
            report.accel
        );
        let mut scenes = Vec::new();
        let told = SCENES.iter().try_for_each(|scene| scene.play(&mut session, &mut scenes));
        let told = told.and_then(|()| session.finish());
        if let Some(file) = &self.report {
            let (stack, ended_by) = (Stack::ours().to_string(), told.as_ref().err());
            let (kernel, modules, time) = (&kernel, modules.as_slice(), begin.elapsed());
            let story = Story { kernel, stack, modules, scenes, ended_by, time };
            web_page::write(&story.proof(&cache)?, "A stack, told by a running kernel", file)?;
        }
        told?;
        let seconds = begin.elapsed().as_secs_f64();
        outln!(
            "Every step did what the story says, and the kernel did not complain: {seconds:.1} s."
        );
        say("next: cargo xtask shell, and break it yourself");
        Ok(ExitCode::SUCCESS)
    }
}

/// Shows the C ABI in the stack's Module.symvers, and counts the rest.
fn exports(build_dir: &BuildDir) -> Result<()> {
    let path = build_dir.symvers();
    let text = read_text(&path)?;
    let near = path.strip_prefix(project()).unwrap_or(&path);
    let is_of_the_abi = |line: &&str| {
        let symbol = line.split('\t').nth(1).and_then(|symbol| symbol.strip_prefix("provider_"));
        symbol.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_lowercase()))
    };
    let (abi, other): (Vec<&str>, Vec<&str>) = text.lines().partition(is_of_the_abi);
    outln!("$ grep -P '\\tprovider_[a-z]+\\t' {}", near.shown());
    abi.iter().for_each(|line| outln!("{line}"));
    outln!("The other {} are of the provider's Rust crate, for modules in Rust.\n", other.len());
    for class in ["EXPORT_SYMBOL\t", "EXPORT_SYMBOL_GPL\t\n", "\tPROVIDER\n", "\tmodule:consumer\n"]
    {
        if !text.contains(class) {
            let fact = format!("{} has no line with {class:?}", path.shown());
            return Err(Problem::does_not_hold(fact).hint("cargo xtask symvers check"));
        }
    }
    Ok(())
}

impl Scene {
    /// Runs it in the guest, shows it, keeps it, and holds it to the story.
    fn play(&self, session: &mut Session, scenes: &mut Vec<ProofStep>) -> Result<()> {
        outln!("{}", self.tale);
        outln!("# {}", self.command);
        let step = session.exec(self.command)?;
        let output = String::from_utf8_lossy(&step.output).into_owned();
        output.lines().for_each(|line| outln!("{}", Text(line.as_bytes())));
        step.kernel
            .iter()
            .for_each(|message| outln!("    kernel: {}", Text(message.text.as_bytes())));
        if step.status != 0 {
            outln!("    exit status {}", step.status);
        }
        outln!("");
        let holds = self.holds(&step, &output);
        scenes.push(ProofStep { what: self.tale.into(), report: step });
        holds
    }

    fn holds(&self, step: &CommandReport, output: &str) -> Result<()> {
        let differs = |what: String| {
            let fact = format!("the story is not true: `{}` {what}", self.command);
            Problem::does_not_hold(fact).hint("see for yourself: cargo xtask shell")
        };
        if step.status != self.status {
            return Err(differs(format!("ended with {}, not {}", step.status, self.status)));
        }
        let messages = step.kernel.iter().map(|message| message.text.as_str());
        let mut lines = output.lines().chain(messages).map(words);
        let missing = self.said.iter().find(|said| !lines.any(|line| line.contains(**said)));
        if let Some(said) = missing {
            return Err(differs(format!("did not say \"{said}\" where it should")));
        }
        let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
        let stays = |gone: &&&str| output.lines().filter_map(first).any(|word| word == **gone);
        match self.gone.iter().find(stays) {
            Some(gone) => Err(differs(format!("still shows {gone}"))),
            None => Ok(()),
        }
    }
}

/// A line with its words one space apart: tables are aligned.
fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene() -> Scene {
        Scene { command: "c", status: 1, said: &["a 1", "b"], ..SCENE }
    }

    #[test]
    fn a_story_holds_in_its_order_and_with_its_status() {
        let step = CommandReport { status: 1, ..CommandReport::default() };
        assert!(scene().holds(&step, "a   1\nx\nb 2").is_ok());
        assert!(scene().holds(&step, "b\na 1").is_err());
        assert!(scene().holds(&step, "a 1").is_err());
        assert!(scene().holds(&CommandReport::default(), "a 1\nb").is_err());
    }

    #[test]
    fn a_provider_that_stays_is_no_end() {
        let (end, step) = (SCENES.last().unwrap(), CommandReport::default());
        let header = "Module                  Size  Used by\n";
        assert!(end.holds(&step, header).is_ok());
        let problem = end.holds(&step, &format!("{header}provider 28672  0\n")).unwrap_err();
        assert!(problem.fact.contains("still shows provider"), "{problem}");
        assert!(end.holds(&step, "").is_err(), "lsmod did not run");
    }
}
