//! `symstack VERB`: the runner as a program of its own, which needs no checkout. All that it needs
//! is in it.
//!
//! It is a package apart from the runner, so that `cargo xtask` does not build what only an
//! installed program has: completions for shells, and manual pages.

use std::{
    io::{Write, stdout},
    process::ExitCode,
};

use clap::{Command, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use xtask::{
    command::verb::{self, AFTER_HELP, Verb},
    host::program,
    printer,
};

const NAME: &str = "symstack";

/// Stacks of kernel modules, and their proof on a real kernel.
#[derive(Parser)]
#[command(name = NAME, version, arg_required_else_help = true, after_help = AFTER_HELP)]
struct Symstack {
    #[command(subcommand)]
    verb: AnyVerb,
}

#[derive(Subcommand)]
enum AnyVerb {
    #[command(flatten)]
    Runner(Box<Verb>),
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, or that of a verb
    Man {
        /// The verb
        verb: Option<String>,
    },
}

fn main() -> ExitCode {
    program::is_called(NAME);
    let given: Symstack = match verb::parse() {
        Ok(given) => given,
        Err(status) => return status,
    };
    let written = match given.verb {
        AnyVerb::Runner(verb) => return verb::run(*verb),
        AnyVerb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Symstack::command(), NAME, &mut script);
            stdout().write_all(&script)
        }
        AnyVerb::Man { verb } => {
            let mut all = Symstack::command();
            // Gives each verb its whole name.
            all.build();
            let Some(command) = page(&all, verb.as_deref()) else {
                printer::error(format_args!("error: there is no such verb; symstack lists them"));
                return ExitCode::from(2);
            };
            clap_mangen::Man::new(command).render(&mut stdout())
        }
    };
    printer::or_lost(written.and_then(|()| stdout().flush()));
    ExitCode::SUCCESS
}

/// The command that a page is about.
fn page(all: &Command, verb: Option<&str>) -> Option<Command> {
    let Some(verb) = verb else { return Some(all.clone()) };
    all.find_subcommand(verb).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_sound_and_each_verb_has_a_page_and_is_completed() {
        Symstack::command().debug_assert();
        let mut all = Symstack::command();
        all.build();
        let mut scripts = [Shell::Bash, Shell::Zsh, Shell::Fish].map(|shell| (shell, Vec::new()));
        for (shell, script) in &mut scripts {
            clap_complete::generate(*shell, &mut Symstack::command(), NAME, script);
        }
        let verbs: Vec<String> =
            all.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
        assert!(verbs.len() > 20, "{verbs:?}");
        for verb in verbs {
            let mut text = Vec::new();
            let page = page(&all, Some(&verb)).expect("each verb has a page");
            clap_mangen::Man::new(page).render(&mut text).expect("memory takes it");
            let text = String::from_utf8_lossy(&text);
            assert!(text.contains(&format!("symstack\\-{verb}")), "{text}");
            for (shell, script) in &scripts {
                let script = String::from_utf8_lossy(script);
                assert!(script.contains(&verb), "{verb} is not completed by {shell}");
            }
        }
        assert!(page(&all, Some("no-such-verb")).is_none());
    }
}
