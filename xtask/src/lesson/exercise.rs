//! The exercises of the book: what is asked, what a reader starts from, what is to be reached.
//!
//! The question and its hint stand in the lesson's page, the transcript to reach in
//! `docs/answers.md`, whose modules are the solutions. `docs/exercises/N.M` has what a reader
//! starts from; an exercise that is answered in words has its questions there, see `answer.rs`.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::{
    FOLDER, Lesson,
    answer::{self, Question},
    find,
    page::{BlockKind, ConsoleEntry, Page, Place, console_entries},
};
use crate::{
    host::{
        cache,
        file_system::{files_below, has_extension, make_folder, read_text},
    },
    printer::Shown as _,
    problem::{OrProblem, Problem, Result},
};

/// The language of a reader's module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// C.
    C,
    /// Rust.
    Rust,
}

/// A state of an exercise's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The files that a reader starts from.
    Skeleton,
    /// The files of the answers.
    Solution,
}

/// An exercise.
#[derive(Clone, Debug)]
pub struct Exercise {
    /// The lesson's number and the exercise's in it, for example `7.2`.
    pub number: String,
    /// The title of its lesson.
    pub lesson: String,
    /// The text, as Markdown.
    pub question: String,
    /// The page's hint.
    pub hint: String,
    /// The questions to answer in words; empty for an exercise that is solved by modules.
    pub questions: Vec<Question>,
    /// The guest's transcript in the page of answers, which is the goal.
    pub(super) transcript: Vec<ConsoleEntry>,
    /// The same with the host's commands.
    pub(super) said: Vec<ConsoleEntry>,
    book: PathBuf,
}

/// By its number.
impl fmt::Display for Exercise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number)
    }
}

/// The exercises of all lessons, in order.
///
/// # Errors
/// A page cannot be read or understood, or an exercise has neither a transcript nor questions.
pub fn all(book: &Path) -> Result<Vec<Exercise>> {
    let answers = find(book, &["answers".into()])?;
    let answers = &answers.first().ok_or_else(|| Problem::usage("the book has no answers"))?.page;
    let mut exercises = Vec::new();
    for Lesson { name, page, .. } in find(book, &[])? {
        let Some((digits, _)) = name.split_once('-') else { continue };
        let Ok(number) = digits.parse::<u32>() else { continue };
        let lesson = page.text.lines().find_map(|line| line.strip_prefix("# "));
        for (index, text) in items(&page.text, "## Try it") {
            let (question, hint) = question(&text);
            let number = format!("{number}.{index}");
            let lesson = lesson.unwrap_or_default().into();
            let said = said(answers, &number)?;
            let transcript = said.iter().filter(|(place, _)| *place == Place::Guest);
            let mut exercise = Exercise {
                number,
                lesson,
                question,
                hint,
                questions: Vec::new(),
                transcript: transcript.map(|(_, entry)| entry.clone()).collect(),
                said: said.into_iter().map(|(_, entry)| entry).collect(),
                book: book.into(),
            };
            exercise.read_questions()?;
            exercises.push(exercise);
        }
    }
    Ok(exercises)
}

/// The numbered items below a heading, up to the next one, with what is indented below each.
fn items(text: &str, heading: &str) -> Vec<(u32, String)> {
    let mut found: Vec<(u32, String)> = Vec::new();
    let lines = text.lines().skip_while(|line| !line.starts_with(heading)).skip(1);
    let mut open = false;
    for line in lines.take_while(|line| !line.starts_with("## ")) {
        if let Some((index, rest)) = numbered(line) {
            found.push((index, rest.into()));
            open = true;
        } else if let Some((_, item)) = found.last_mut().filter(|_| open) {
            open = line.starts_with("   ");
            if open {
                item.push_str(&format!("\n{}", &line[3..]));
            }
        }
    }
    found
}

/// `3. Text` begins the third item.
fn numbered(line: &str) -> Option<(u32, &str)> {
    let (number, rest) = line.split_once(". ")?;
    Some((number.parse().ok()?, rest))
}

/// An item's question and its hint.
fn question(item: &str) -> (String, String) {
    let (question, rest) = item.split_once("<details>").unwrap_or((item, ""));
    let hint = rest.replace("<summary>Hint</summary>", "").replace("</details>", "");
    let hint = hint.replace("<code>", "`").replace("</code>", "`");
    let hint = hint.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    (question.trim().into(), hint.trim().into())
}

/// Returns the commands of an exercise's answer, each with its place.
fn said(answers: &Page, number: &str) -> Result<Vec<(Place, ConsoleEntry)>> {
    let lines = answer_lines(&answers.text, number);
    let mut said = Vec::new();
    for block in answers.blocks.iter().filter(|block| lines.contains(&block.line)) {
        let BlockKind::Console { place, .. } = block.kind else { continue };
        let entries = console_entries(answers.contents(block), place)?;
        said.extend(entries.into_iter().map(|entry| (place, entry)));
    }
    Ok(said)
}

/// The lines of the page of answers, counted from 1, that answer an exercise.
fn answer_lines(text: &str, number: &str) -> std::ops::Range<usize> {
    let (lesson, index) = number.split_once('.').unwrap_or((number, ""));
    let (heading, item) = (format!("## {lesson}. "), format!("{index}. "));
    let (mut fenced, mut inside, mut begin) = (false, false, None);
    let mut last = 0;
    for (line, text) in (1..).zip(text.lines()) {
        last = line;
        fenced ^= text.trim_start().starts_with("```");
        if fenced {
            continue;
        }
        let ends = text.starts_with("## ") || numbered(text).is_some();
        if let Some(begin) = begin.filter(|_| ends) {
            return begin..line;
        }
        if text.starts_with("## ") {
            inside = text.starts_with(&heading);
        } else if inside && text.starts_with(&item) {
            begin = Some(line);
        }
    }
    begin.map_or(0..0, |begin| begin..last + 1)
}

impl Exercise {
    /// Returns `true` if it is answered in words.
    pub fn in_words(&self) -> bool {
        !self.questions.is_empty()
    }

    /// Returns `true` if only the reader can judge the answers.
    pub fn is_opinion(&self) -> bool {
        self.in_words() && self.questions.iter().all(Question::is_opinion)
    }

    fn read_questions(&mut self) -> Result<()> {
        let path = self.source().join(answer::FILE);
        if path.exists() {
            let questions = answer::questions(&read_text(&path)?, &self.said);
            self.questions = questions.map_err(|problem| problem.of(format!("exercise {self}")))?;
        }
        Ok(())
    }

    /// Returns `true` if a reader may choose between C and Rust.
    ///
    /// # Errors
    /// Its folder cannot be read.
    pub fn has_choice(&self) -> Result<bool> {
        let files = self.sources()?;
        Ok(files.iter().any(|file| files.contains(&file.with_extension("rs")) && is_c(file)))
    }

    /// The transcript to reach, as the page of answers has it.
    pub fn shown_transcript(&self) -> String {
        self.transcript.iter().map(|entry| format!("{}{}", entry.shown, entry.printed)).collect()
    }

    /// Returns the answer, as Markdown.
    ///
    /// # Errors
    /// The page cannot be read.
    pub fn answer(&self) -> Result<String> {
        let text = read_text(&self.book.join(FOLDER).join("answers.md"))?;
        let lines = answer_lines(&text, &self.number);
        let lines: Vec<&str> =
            text.lines().skip(lines.start.saturating_sub(1)).take(lines.len()).collect();
        Ok(lines.join("\n").trim_end().into())
    }

    /// Its files in a language: the path of each, and what it has.
    ///
    /// # Errors
    /// A file cannot be read, or the book has none for it.
    pub fn files(&self, language: Language, state: State) -> Result<Vec<(PathBuf, String)>> {
        let folder = self.source();
        let all = self.sources()?;
        let mut files = Vec::new();
        for path in &all {
            let twin = path.with_extension(if is_c(path) { "rs" } else { "c" });
            let other = is_c(path) != (language == Language::C);
            if is_source(path) && other && all.contains(&twin) {
                continue;
            }
            let source = match state {
                State::Skeleton => folder.join(path),
                State::Solution => self.solution_of(path),
            };
            let text = if path == Path::new(answer::FILE) {
                let said = self.questions.iter().map(Question::said);
                answer::sheet(&self.questions, said.filter(|_| state == State::Solution))
            } else {
                read_text(&source)?
            };
            files.push((path.clone(), text));
        }
        Ok(files)
    }

    /// Writes its files into a folder that is not there yet.
    ///
    /// # Errors
    /// The folder is there, so that nobody's work is overwritten; or it cannot be written.
    pub fn write(&self, folder: &Path, language: Language, state: State) -> Result<()> {
        if folder.exists() {
            let problem = Problem::usage(format!("{} is there already", folder.shown()));
            return Err(problem.hint("what is in it is yours: move it away, or give another --dir"));
        }
        for (path, text) in self.files(language, state)? {
            let path = folder.join(path);
            make_folder(path.parent().unwrap_or(folder))?;
            cache::write_atomic(&path, text)?;
        }
        Ok(())
    }

    /// The paths of its files below [`Exercise::source`].
    fn sources(&self) -> Result<Vec<PathBuf>> {
        let folder = self.source();
        let files =
            files_below(&folder).or_host(|| format!("{} cannot be read", folder.shown()))?;
        let below = |file: &PathBuf| Some(file.strip_prefix(&folder).ok()?.to_owned());
        Ok(files.iter().filter_map(below).collect())
    }

    fn source(&self) -> PathBuf {
        self.book.join(FOLDER).join("exercises").join(&self.number)
    }

    /// The answers' file for one of the skeleton's, or that one where they leave it as it is.
    fn solution_of(&self, path: &Path) -> PathBuf {
        let answers = self.book.join(FOLDER).join("answers");
        let solved = [answers.join(path), answers.join("other").join(path)];
        let own = self.source().join(path);
        // The Kbuild at the top of the answers is for all of them.
        let solved = solved.into_iter().find(|solved| solved.exists());
        solved.filter(|_| path != Path::new("Kbuild")).unwrap_or(own)
    }
}

fn is_c(path: &Path) -> bool {
    has_extension(path, "c")
}

fn is_source(path: &Path) -> bool {
    is_c(path) || has_extension(path, "rs")
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        fs,
    };

    use super::*;
    use crate::build::project;

    const PAGE: &str = "# 1. A\n\n## Try it\n\n1. First,\n   and more.\n   <details><summary>Hint</summary>\
        Use <code>a&lt;b</code>.</details>\n2. Second.\n\nAnswers: [x](y).\n\n## 3. Next\n\n1. No.\n";

    #[test]
    fn a_pages_items_are_its_exercises() {
        let found = items(PAGE, "## Try it");
        let questions: Vec<_> = found.iter().map(|(n, text)| (*n, question(text))).collect();
        let first = ("First,\nand more.".to_owned(), "Use `a<b`.".to_owned());
        assert_eq!(questions, [(1, first), (2, ("Second.".into(), String::new()))]);
    }

    #[test]
    fn an_answer_goes_to_the_next_one() {
        let text = "## 1. A\n1. a\n```\n2. no\n```\n2. b\n## 11. B\n1. c\nd\n";
        assert_eq!(answer_lines(text, "1.1"), 2..6);
        assert_eq!(answer_lines(text, "1.2"), 6..7);
        assert_eq!(answer_lines(text, "11.1"), 8..10);
        assert_eq!(answer_lines(text, "1.3"), 0..0);
    }

    #[test]
    fn a_readers_files_are_written_once() {
        let folder = tempfile::tempdir().unwrap();
        let all = all(project()).unwrap();
        let one = all.iter().find(|one| one.number == "7.3").unwrap();
        assert!(one.has_choice().unwrap() && !one.in_words());
        let own = folder.path().join("7.3");
        one.write(&own, Language::Rust, State::Skeleton).unwrap();
        assert!(own.join("visitor_own.rs").exists() && !own.join("visitor_own.c").exists());
        fs::write(own.join("visitor_own.rs"), "mine").unwrap();
        let problem = one.write(&own, Language::C, State::Skeleton).unwrap_err();
        assert!(problem.fact.ends_with("is there already"));
        assert_eq!(fs::read_to_string(own.join("visitor_own.rs")).unwrap(), "mine");
    }

    /// `docs/exercises` has what the pages ask: at least three a lesson, one of them in code of
    /// either language. A reader is given no answer to what is answered in words.
    #[test]
    fn every_exercise_has_what_a_reader_starts_from_and_what_is_to_be_reached() {
        let all = all(project()).unwrap();
        let mut lessons: BTreeMap<&str, Vec<&Exercise>> = BTreeMap::new();
        for one in &all {
            lessons.entry(&one.lesson).or_default().push(one);
            assert!(!one.hint.is_empty() && !one.answer().unwrap().is_empty(), "{one}");
            assert!(one.in_words() || !one.transcript.is_empty(), "{one} has no transcript");
            for (path, text) in one.files(Language::Rust, State::Skeleton).unwrap() {
                let given = path == Path::new(answer::FILE)
                    && text.lines().any(|line| !line.ends_with("? "));
                assert!(!given, "{one} gives its answers away");
            }
        }
        for (lesson, exercises) in &lessons {
            assert!(exercises.len() >= 3, "{lesson}");
            let choice = exercises.iter().any(|one| one.has_choice().unwrap());
            assert!(choice, "{lesson} asks for no code in C or in Rust");
        }
        assert!(lessons.len() >= 14, "{}", lessons.len());
        let folders = fs::read_dir(project().join("docs/exercises")).unwrap();
        let folders: BTreeSet<String> =
            folders.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        let asked: BTreeSet<String> = all.iter().map(|one| one.number.clone()).collect();
        assert_eq!(folders, asked);
    }
}
