//! `exercise`: the book's exercises, and what is still different in the reader's work.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    build::{Stack, changes::Changes, project},
    host::{
        cache::{self, Cache},
        open,
        progress::say,
        run,
    },
    lesson::{
        answer, attempt,
        exercise::{self, Exercise, Language, State},
    },
    printer::Shown as _,
    problem::{Kind, OrProblem, Problem, Result},
};

/// The book's exercises with your progress, or one of them to work on
///
/// The first time it writes what you start from into a folder of yours, and shows the transcript
/// to reach. From then on it builds what is there, loads it in a guest, and says in a sentence
/// what is still different. The book itself is never touched.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// The exercise, for example 7.2; without it all are listed
    number: Option<String>,
    /// The folder that has yours, each in a folder of its number, and your progress in `solved`
    /// [default: `exercises` in the project, which git ignores]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The language of what you start from, where the exercise has both
    #[arg(long = "in", value_name = "LANGUAGE", default_value = "c")]
    language: Language,
    /// Your answer to an exercise in words; once for each of its questions, in their order
    #[arg(long, requires = "number", conflicts_with_all = ["hint", "solution", "watch"])]
    #[arg(allow_hyphen_values = true)]
    answer: Vec<String>,
    /// Show the page's hint
    #[arg(long, requires = "number")]
    hint: bool,
    /// Show the answer, and write its files beside yours
    #[arg(long, requires = "number", conflicts_with = "hint")]
    solution: bool,
    /// Check again on every save, until it is solved
    #[arg(long, requires = "number", conflicts_with_all = ["hint", "solution"])]
    watch: bool,
}

impl Args {
    /// Lists, shows or checks; status 1 while an exercise is not solved.
    ///
    /// # Errors
    /// There is no such exercise, or its modules cannot be built or tried.
    pub fn run(self) -> Result<ExitCode> {
        let all = exercise::all(project())?;
        let base = self.dir.clone().unwrap_or_else(|| project().join("exercises"));
        let Some(number) = &self.number else { return list(&all, &base) };
        let one = all.iter().find(|one| one.number == *number).ok_or_else(|| {
            let problem = Problem::usage(format!("the book has no exercise {number}"));
            problem.hint("cargo xtask exercise lists them")
        })?;
        let folder = base.join(number);
        if self.hint {
            outln!("{}", one.hint);
        } else if self.solution {
            self.show_solution(one, &base)?;
        } else {
            let sheet = self.sheet(one)?;
            let new = !folder.exists();
            if new {
                one.write(&folder, self.language, State::Skeleton)?;
            }
            if let Some(sheet) = sheet {
                cache::write_atomic(&folder.join(answer::FILE), sheet)?;
                return check(one, &base);
            }
            if new {
                begin(one, &folder)?;
            }
            if self.watch {
                return watch(one, &base);
            } else if !new {
                return check(one, &base);
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The reader's answers, each after its question.
    fn sheet(&self, one: &Exercise) -> Result<Option<String>> {
        let (questions, answers) = (one.questions.len(), self.answer.len());
        if answers == 0 {
            return Ok(None);
        }
        if answers != questions {
            let fact = format!("{one}: questions: {questions}, answers given: {answers}");
            return Err(Problem::usage(fact).hint(if questions == 0 {
                format!("it is solved by a module: cargo xtask exercise {one}")
            } else {
                "give --answer once for each question, in their order".into()
            }));
        }
        Ok(Some(answer::sheet(&one.questions, self.answer.iter().map(String::as_str))))
    }

    fn show_solution(&self, one: &Exercise, base: &Path) -> Result<()> {
        outln!("{}", one.answer()?);
        let folder = base.join(format!("{one}-solution"));
        // It is ours, and may be in another language now.
        cache::remove_dir(&folder)?;
        one.write(&folder, self.language, State::Solution)?;
        say(&format!("the files are in {}", folder.shown()));
        Ok(())
    }
}

/// The file that keeps which exercises are solved, a number a line.
fn progress(base: &Path) -> PathBuf {
    base.join("solved")
}

fn solved(base: &Path) -> Vec<String> {
    let text = open::read_text(progress(base)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn list(all: &[Exercise], base: &Path) -> Result<ExitCode> {
    let solved = solved(base);
    let mut lesson = "";
    for one in all {
        if one.lesson != lesson {
            lesson = &one.lesson;
            outln!("{lesson}");
        }
        let state = if solved.contains(&one.number) && !one.is_opinion() {
            "solved"
        } else if base.join(&one.number).exists() {
            "begun"
        } else {
            ""
        };
        let kind = if one.is_opinion() {
            "opinion"
        } else if one.in_words() {
            "answer"
        } else {
            "code"
        };
        let mut question: String = one.question.split('\n').next().unwrap_or_default().into();
        if let Some((end, _)) = question.char_indices().nth(70) {
            question.truncate(end);
            question.push('…');
        }
        outln!("  {:5} {state:6}  {kind:7}  {question}", one.number);
    }
    outln!(
        "code: your modules are built and loaded; answer: it is what a kernel or a program says;"
    );
    outln!("opinion: nobody but you can judge it, so it is not graded");
    let graded: Vec<&Exercise> = all.iter().filter(|one| !one.is_opinion()).collect();
    let count = graded.iter().filter(|one| solved.contains(&one.number)).count();
    outln!("{count} of {} are solved; cargo xtask exercise N works on one", graded.len());
    Ok(ExitCode::SUCCESS)
}

fn begin(one: &Exercise, folder: &Path) -> Result<()> {
    outln!("{one}. {}\n", one.question);
    if one.in_words() {
        one.questions.iter().for_each(|asked| outln!("{asked} ({})", asked.shape()));
        let each = "--answer \"…\" ".repeat(one.questions.len());
        outln!("\nAnswer with cargo xtask exercise {one} {}", each.trim_end());
        outln!("or in {}.", folder.join(answer::FILE).shown());
        if one.is_opinion() {
            outln!("{}", not_graded(one));
            return Ok(());
        }
    } else {
        outln!("What you start from is in {}.", folder.shown());
        outln!("It is solved when a guest says this:\n\n{}", one.shown_transcript());
    }
    if one.has_choice()? {
        outln!("There is one for C and one for Rust: --in c, --in rust.");
    }
    outln!("cargo xtask exercise {one} says what is still different, with --hint a hint.");
    Ok(())
}

fn not_graded(one: &Exercise) -> String {
    format!("{one} is not graded: nobody but you can judge it; --solution shows an answer")
}

fn check(one: &Exercise, base: &Path) -> Result<ExitCode> {
    if one.is_opinion() {
        outln!("{}", not_graded(one));
        return Ok(ExitCode::SUCCESS);
    }
    run::echo_off();
    let different = attempt::still_different(&Cache::open()?, one, &base.join(&one.number))?;
    if let Some(different) = different {
        outln!("{one} is not solved yet: {different}");
        return Ok(ExitCode::from(1));
    }
    let mut all = solved(base);
    if !all.contains(&one.number) {
        all.push(one.number.clone());
        cache::write_atomic(&progress(base), format!("{}\n", all.join("\n")))?;
    }
    outln!("{one} is solved");
    Ok(ExitCode::SUCCESS)
}

fn watch(one: &Exercise, base: &Path) -> Result<ExitCode> {
    if one.in_words() {
        let problem = Problem::usage(format!("{one} is answered in words, which nothing builds"));
        return Err(problem.hint(format!("cargo xtask exercise {one}")));
    }
    let folder = base.join(&one.number);
    let folder = fs::canonicalize(&folder).or_usage(|| folder.shown().to_string())?;
    let stack = Stack::in_folder(&folder)?;
    let solved = Changes::play(&stack, || match check(one, base) {
        Err(problem) if problem.kind == Kind::DoesNotHold => {
            outln!("{one} is not solved yet: {problem}");
            Ok(None)
        }
        checked => Ok(Some(checked?).filter(|status| *status == ExitCode::SUCCESS)),
    })?;
    Ok(solved.unwrap_or(ExitCode::from(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(number: &str, answers: &[&str], dir: &Path) -> Result<ExitCode> {
        let args = Args {
            number: Some(number.into()),
            dir: Some(dir.into()),
            language: Language::C,
            answer: answers.iter().map(|answer| (*answer).into()).collect(),
            hint: false,
            solution: false,
            watch: false,
        };
        args.run()
    }

    /// An answer on the command line is the reader's file from then on; a right one is progress.
    #[test]
    fn an_answer_is_kept_and_only_a_right_one_is_progress() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let all = exercise::all(project()).unwrap();
        let one = all.iter().find(|one| one.number == "6.2").unwrap();
        let files = one.files(Language::C, State::Solution).unwrap();
        let (_, right) = files[0].1.trim_end().rsplit_once("? ").unwrap();

        let problem = answered("6.2", &[right, right], dir).unwrap_err();
        assert!(problem.fact.contains("questions: 1, answers given: 2"), "{problem}");
        assert!(!dir.join("6.2").exists());
        assert!(answered("1.2", &[right], dir).unwrap_err().hint.unwrap().contains("a module"));

        assert_eq!(answered("6.2", &["wrong"], dir).unwrap(), ExitCode::from(1));
        let kept = fs::read_to_string(dir.join("6.2").join(answer::FILE)).unwrap();
        assert!(kept.ends_with("? wrong\n"), "{kept}");
        assert!(solved(dir).is_empty());
        assert_eq!(answered("6.2", &[right], dir).unwrap(), ExitCode::SUCCESS);
        assert_eq!(solved(dir), ["6.2"]);
        assert_eq!(answered("6.2", &[], dir).unwrap(), ExitCode::SUCCESS);
    }

    /// An error's name may have its sign, which is no option.
    #[test]
    fn an_answer_may_begin_with_a_minus() {
        #[derive(clap::Parser)]
        struct Verb {
            #[command(flatten)]
            args: Args,
        }
        let given = ["", "0.2", "--answer", "linux/kstrtox.h", "--answer", "-ERANGE"];
        let parsed = <Verb as clap::Parser>::try_parse_from(given).unwrap().args;
        let folder = tempfile::tempdir().unwrap();
        let status = Args { dir: Some(folder.path().into()), ..parsed }.run().unwrap();
        assert_eq!(status, ExitCode::SUCCESS);
        assert_eq!(solved(folder.path()), ["0.2"]);
    }

    #[test]
    fn an_opinion_is_kept_and_never_graded() {
        let folder = tempfile::tempdir().unwrap();
        let answers = ["a", "b", "c"];
        assert_eq!(answered("0.3", &answers, folder.path()).unwrap(), ExitCode::SUCCESS);
        let kept = fs::read_to_string(folder.path().join("0.3").join(answer::FILE)).unwrap();
        assert!(kept.ends_with("? c\n"), "{kept}");
        assert!(solved(folder.path()).is_empty());
    }
}
