//! Exercises that are answered by a word, a number, an order: their questions, and where the
//! answers stand in what a kernel or a program said.
//!
//! ```text
//! Which of the refused modules loads now?
//!     vm# lsmod | grep greeter
//!     greeter                [SIZE]  1 {}
//!     or stranger.ko
//! ```
//!
//! The first line is the question, the second the beginning of one of the exercise's commands in
//! the page of answers, the third a line that it printed there, with `{}` for the answer. Where
//! several lines fit, the answer is the list of their pieces. A line `or …` is another form of it
//! that is right, and `in any order` says that the order of a list does not count. A question
//! without them is a matter of opinion, and is not graded.

use std::{fmt, iter::Peekable, str::Lines};

use super::page::ConsoleEntry;
use crate::problem::{Problem, Result};

/// The file that has the questions of an exercise, and in a reader's folder the answers, too.
pub const FILE: &str = "answer.txt";

/// The placeholder for the answer in a line.
const HOLE: &str = "{}";

/// The words that do not count.
const ARTICLES: [&str; 4] = ["a", "an", "the", "and"];

/// The words that an answer may have besides its own, as in "the module x", "first x, then y".
const FILLERS: [&str; 18] = [
    "as",
    "error",
    "file",
    "first",
    "function",
    "functions",
    "in",
    "instruction",
    "is",
    "it",
    "module",
    "object",
    "parameter",
    "register",
    "status",
    "that",
    "then",
    "track",
];

/// The numbers that may be written as words, from 0.
const NUMBERS: [&str; 11] =
    ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];

/// A question.
#[derive(Clone, Debug)]
pub struct Question {
    /// Without its question mark.
    text: String,
    /// None for a matter of opinion.
    answer: Option<Answer>,
}

/// An answer.
#[derive(Clone, Debug)]
struct Answer {
    /// As it was printed.
    said: String,
    /// The other forms that are right.
    others: Vec<String>,
    /// `true` if the order of its words does not count.
    in_any_order: bool,
    /// The command that printed it, if a reader can give it as it is.
    command: Option<String>,
}

/// The questions of a text, with the answers that commands printed.
///
/// # Errors
/// No command begins so, or several do, or it printed no such line.
pub(super) fn questions(text: &str, entries: &[ConsoleEntry]) -> Result<Vec<Question>> {
    let mut questions: Vec<Question> = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let asked = line.strip_suffix('?').filter(|asked| !asked.starts_with(' '));
        let asked = asked.ok_or_else(|| wrong(line, "is no question"))?;
        let answer = indented(&mut lines).map(|command| answer(command, &mut lines, entries));
        questions.push(Question { text: asked.into(), answer: answer.transpose()? });
    }
    Ok(questions)
}

/// The answer of which a command is read, and whose other lines follow.
fn answer(
    command: &str,
    lines: &mut Peekable<Lines<'_>>,
    entries: &[ConsoleEntry],
) -> Result<Answer> {
    let entry = begun(entries, command)
        .ok_or_else(|| wrong(command, "should begin one command of the page of answers"))?;
    let pattern = indented(lines).and_then(|pattern| pattern.split_once(HOLE));
    let (before, after) = pattern.ok_or_else(|| wrong(command, "needs a line with {} below it"))?;
    let piece = |line: &'_ str| {
        let piece = line.strip_prefix(before)?.trim_end().strip_suffix(after.trim_end())?;
        Some(piece.to_owned())
    };
    let pieces = entry.printed.lines().filter_map(piece);
    let mut pieces: Vec<String> = pieces.filter(|piece| !piece.is_empty()).collect();
    pieces.dedup();
    if pieces.is_empty() {
        return Err(wrong(command, "prints no line that fits"));
    }
    let command = entry.shown.starts_with("vm# ").then(|| entry.command.trim());
    let mut answer = Answer {
        said: pieces.join(", "),
        others: Vec::new(),
        in_any_order: false,
        command: command.filter(|command| !names_own_files(command)).map(str::to_owned),
    };
    while let Some(line) = indented(lines) {
        if line == "in any order" {
            answer.in_any_order = true;
        } else {
            let form = line.strip_prefix("or ");
            answer.others.push(form.ok_or_else(|| wrong(line, "is no form of an answer"))?.into());
        }
    }
    Ok(answer)
}

fn wrong(line: &str, fact: &str) -> Problem {
    Problem::usage(format!("{FILE}: {line:?} {fact}"))
}

/// Takes the next line if it belongs to a question.
fn indented<'a>(lines: &mut Peekable<Lines<'a>>) -> Option<&'a str> {
    lines.next_if(|line| line.starts_with("    ")).map(|line| &line[4..])
}

/// The one command that is this, or that begins with it.
fn begun<'a>(entries: &'a [ConsoleEntry], command: &str) -> Option<&'a ConsoleEntry> {
    let mut begun = entries.iter().filter(|entry| entry.shown.starts_with(command));
    let one = begun.next().filter(|_| begun.next().is_none());
    one.or_else(|| entries.iter().find(|entry| entry.shown.trim_end() == command))
}

/// Returns `true` if a command names a file of the folder of answers, which a reader lacks.
fn names_own_files(command: &str) -> bool {
    let mut words = command.split_whitespace();
    words.any(|word| word.ends_with(".ko") || word.find('/').is_some_and(|at| at > 0))
}

/// The questions with these answers after them: what a reader's file has.
pub fn sheet<'a>(questions: &[Question], mut answers: impl Iterator<Item = &'a str>) -> String {
    let line = |question: &Question| {
        format!("{}? {}\n", question.text, answers.next().unwrap_or_default().trim())
    };
    questions.iter().map(line).collect()
}

/// The first question whose answer does not hold in a reader's file, in a sentence.
pub(super) fn different(questions: &[Question], sheet: &str) -> Option<String> {
    questions.iter().find_map(|question| {
        let after = |line: &'_ str| {
            let answer = line.strip_prefix(question.text.as_str())?.strip_prefix('?')?;
            Some(answer.to_owned())
        };
        match sheet.lines().find_map(after) {
            Some(answer) => question.fault(&answer),
            None => Some(format!("the question {:?} is missing from {FILE}", question.text)),
        }
    })
}

impl Question {
    /// Returns the answer; an opinion refers to the page of answers.
    pub(super) fn said(&self) -> &str {
        self.answer.as_ref().map_or("see the page of answers", |answer| &answer.said)
    }

    /// Returns `true` if only the reader can judge the answer.
    pub(super) const fn is_opinion(&self) -> bool {
        self.answer.is_none()
    }

    /// Returns the fault of an answer in a sentence that leads on and does not say the right one,
    /// or `None` if the answer holds or nobody but its writer can judge it.
    fn fault(&self, given: &str) -> Option<String> {
        let Self { text, answer } = self;
        let answer = answer.as_ref()?;
        let words = words(given);
        if words.is_empty() {
            return Some(format!("{text}? has no answer yet; it is {}", self.shape()));
        }
        if answer.forms().any(|form| answer.is(&form, &words)) {
            return None;
        }
        let given = given.trim();
        if let Some(near) = answer.forms().find_map(|form| answer.near(&form, &words, text)) {
            return Some(format!("{text}? {given:?} is near: {near}"));
        }
        let command = answer.command.as_ref().filter(|command| !answer.stands_in(command));
        let lead = command.map_or_else(
            || "ask for the hint with --hint".to_owned(),
            |command| format!("look at what `{command}` says"),
        );
        Some(format!("{text}? It is not {given:?}, it is {}; {lead}", self.shape()))
    }

    /// Describes the expected form of the answer.
    pub fn shape(&self) -> String {
        let Some(answer) = &self.answer else { return "what you think".into() };
        match words(&answer.said).as_slice() {
            [word] if is_number(word) => "a number".into(),
            [_] => "one word".into(),
            words if answer.in_any_order => format!("{} words, in any order", words.len()),
            words => format!("{} words", words.len()),
        }
    }
}

impl Answer {
    /// Returns the words of each form that is right.
    fn forms(&self) -> impl Iterator<Item = Vec<String>> {
        std::iter::once(&self.said).chain(&self.others).map(|form| words(form))
    }

    /// Returns `true` if the words are those of a form. A number may have a unit.
    fn is(&self, form: &[String], given: &[String]) -> bool {
        let needless = |word: &&String| FILLERS.contains(&word.as_str()) && !form.contains(word);
        let given: Vec<&String> = given.iter().filter(|word| !needless(word)).collect();
        match form {
            [number] if is_number(number) && given.len() <= 2 => {
                given.into_iter().filter(|word| is_number(word)).eq([number])
            }
            _ if self.in_any_order => sorted(form.iter()) == sorted(given),
            _ => form.iter().eq(given),
        }
    }

    /// Returns the reason why words that are not those of a form are near to it.
    fn near(&self, form: &[String], given: &[String], question: &str) -> Option<&'static str> {
        if form.len() == 1 && is_number(&form[0]) {
            None
        } else if sorted(form) == sorted(given) {
            Some("the words are right, their order is not")
        } else if given.len() <= form.len() + 6 && has_part(given, form) {
            Some("it has the answer and more; say that alone")
        } else if given.len() < form.len()
            && given.len() * 2 >= form.len()
            && given.iter().all(|word| form.contains(word))
        {
            Some("it is right as far as it goes; something is missing")
        } else if given.len() == form.len()
            && given.iter().zip(form).all(|(given, word)| {
                given == word
                    || is_misspelled(given, word) && !self::words(question).contains(given)
            })
        {
            Some("look at the spelling")
        } else {
            None
        }
    }

    /// Returns `true` if a text has a form of the answer in it.
    fn stands_in(&self, text: &str) -> bool {
        let apart = |c: char| !(c.is_alphanumeric() || "_-.%".contains(c));
        let text = words(&text.replace(apart, " "));
        self.forms().any(|form| has_part(&text, &words(&form.join(" ").replace(apart, " "))))
    }
}

/// By its text.
impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}?", self.text)
    }
}

/// The words of an answer without what does not matter: case, quotes, commas, articles, the sign
/// of `-EINVAL`, the parentheses of `f()`, the slashes around a path. Numbers are in digits.
fn words(answer: &str) -> Vec<String> {
    let answer = answer.to_lowercase().replace("()", " ");
    let words = answer.split(|c: char| c.is_whitespace() || "`\",;<>".contains(c)).map(|word| {
        let word = word.trim_matches(['\'', '/']).trim_end_matches(['.', ':', '!', '/']);
        let name = word.strip_prefix('-').filter(|rest| rest.starts_with(char::is_alphabetic));
        let word = name.unwrap_or(word);
        let word = if ["zero", "none"].contains(&word) { "no" } else { word };
        let number = NUMBERS.iter().position(|number| *number == word);
        number.map_or_else(|| word.to_owned(), |number| number.to_string())
    });
    words.filter(|word| !word.is_empty() && !ARTICLES.contains(&word.as_str())).collect()
}

fn is_number(word: &str) -> bool {
    word.parse::<i64>().is_ok()
}

fn sorted<'a>(words: impl IntoIterator<Item = &'a String>) -> Vec<&'a String> {
    let mut words: Vec<&String> = words.into_iter().collect();
    words.sort();
    words
}

/// Returns `true` if words contain others, in sequence.
fn has_part(words: &[String], part: &[String]) -> bool {
    !part.is_empty() && words.windows(part.len()).any(|window| window == part)
}

/// Returns `true` if a word of letters is another one but for a letter in six. One in which a
/// letter makes another name, as in that of a file, is none.
fn is_misspelled(given: &str, word: &str) -> bool {
    let is_plain = |word: &str| word.chars().all(|c| c.is_alphabetic() || "_-".contains(c));
    let allowed = word.chars().count() / 6;
    is_plain(given) && is_plain(word) && strsim::osa_distance(given, word) <= allowed
}

#[cfg(test)]
mod tests {
    use std::{fs, slice};

    use super::*;
    use crate::{build::project, lesson::exercise};

    fn entry(command: &str, printed: &str) -> ConsoleEntry {
        let shown = format!("vm# {command}\n");
        ConsoleEntry { shown, command: format!("{command}\n"), printed: printed.into() }
    }

    fn asked(pattern: &str) -> Result<Vec<Question>> {
        let entries = [
            entry("lsmod", "a 1 b\nc 2 d\n"),
            entry("insmod x.ko", "insmod: ERROR: x.ko: No such device \n"),
            entry("insmod y.ko", "-22\n"),
        ];
        questions(&format!("Which one?\n    {pattern}\n"), &entries)
    }

    #[test]
    fn an_answer_is_what_stands_in_the_lines_that_fit() {
        let said = |pattern: &str| asked(pattern).unwrap()[0].said().to_owned();
        assert_eq!(said("vm# lsmod\n    a 1 {}"), "b");
        assert_eq!(said("vm# lsmod\n    {} 2 d"), "c");
        assert_eq!(said("vm# lsmod\n    {}"), "a 1 b, c 2 d");
        assert_eq!(said("vm# insmod x\n    insmod: ERROR: x.ko: {}"), "No such device");
        let wrong = |pattern: &str| asked(pattern).unwrap_err().fact;
        assert!(wrong("vm# insmod\n    {}").contains("should begin one command"));
        assert!(wrong("vm# rmmod\n    {}").contains("should begin one command"));
        assert!(wrong("vm# lsmod\n    z {}").contains("prints no line that fits"));
        assert!(wrong("vm# lsmod\n    a 1 b").contains("needs a line with {}"));
        assert!(questions("No question\n", &[]).unwrap_err().fact.contains("is no question"));
    }

    #[test]
    fn answers_are_compared_without_what_does_not_matter() {
        let one = asked("vm# insmod x\n    insmod: ERROR: x.ko: {}").unwrap();
        for right in ["No such device", "`no such device`.", "  \"No such\" the device "] {
            assert_eq!(different(&one, &format!("Which one? {right}\n")), None, "{right}");
        }
        assert!(different(&one, "Which one?\n").unwrap().contains("has no answer yet"));
        assert!(different(&one, "Which two? No such device\n").unwrap().contains("is missing"));
        let wrong = |questions: &[Question], given: &str| {
            different(questions, &format!("Which one? {given}\n")).unwrap_or_default()
        };
        let far = "Which one? It is not \"busy\", it is 3 words; ask for the hint with --hint";
        assert_eq!(wrong(&one, "busy"), far);
        let number = asked("vm# insmod y\n    {}").unwrap();
        assert!(wrong(&number, "22").contains("it is a number"));
        assert_eq!(wrong(&number, "status -22"), "");
        assert!(wrong(&number, "-21 -22").contains("it is a number"));
        assert_eq!(words("-EINVAL, Three"), ["einval", "3"]);
        let opinion = questions("Why?\n", &[]).unwrap();
        assert_eq!(different(&opinion, "Why? because"), None);
        assert_eq!(different(&opinion, "Why? \n"), None);
    }

    #[test]
    fn an_answer_that_is_near_is_told_so_and_one_in_another_form_passes() {
        let forms = "vm# insmod x\n    insmod: ERROR: x.ko: {}\n    or ENODEV";
        let list = "vm# lsmod\n    {}\n    in any order";
        let near = |pattern: &str, given: &str| {
            let said = different(&asked(pattern).unwrap(), &format!("Which one? {given}\n"));
            said.map(|said| said.split_once(" is near: ").unwrap_or_default().1.to_owned())
        };
        assert_eq!(near(forms, "-ENODEV"), None);
        assert_eq!(near(forms, "the error ENODEV"), None);
        assert_eq!(near(list, "1 2 a, b and c d"), None);
        let said = |pattern: &str, given: &str| near(pattern, given).unwrap();
        assert_eq!(said(forms, "such no device"), "the words are right, their order is not");
        assert!(said(forms, "no such device x").starts_with("it has the answer and more"));
        assert!(said(forms, "such device").starts_with("it is right as far as it goes"));
        assert_eq!(said(forms, "no such devise"), "look at the spelling");
        assert_eq!(said(forms, "device"), "");
        assert!(asked("vm# lsmod\n    {}\n    a").unwrap_err().fact.contains("is no form"));
    }

    /// The first form is never written by hand: it is what a transcript in the page of answers
    /// has. Nothing passes but a form, be it another word of that transcript.
    #[test]
    fn every_answer_is_what_was_said_and_nothing_else_is() {
        let (mut answers, mut others) = (0, 0);
        for one in exercise::all(project()).unwrap().iter().filter(|one| one.in_words()) {
            let right = || one.questions.iter().map(Question::said);
            assert_eq!(different(&one.questions, &sheet(&one.questions, right())), None, "{one}");
            for question in &one.questions {
                let Some(answer) = &question.answer else { continue };
                let empty = question.fault("").unwrap();
                assert!(empty.contains(&question.text), "{one}: {empty}");
                answers += 1;
                let is_form =
                    |word: &str| answer.forms().any(|form| answer.is(&form, &words(word)));
                let said = one.said.iter().flat_map(|entry| entry.printed.split_whitespace());
                for other in said.filter(|word| !is_form(word)) {
                    let sentence = question.fault(other).unwrap();
                    let lead = sentence.split("; look at what").nth(1).unwrap_or_default();
                    assert!(!answer.stands_in(lead), "{one}: {sentence}");
                    let lacked = ["docs/", ".ko", "cd kit", "KDIR"].iter();
                    assert!(!lacked.clone().any(|file| lead.contains(file)), "{one}: {sentence}");
                    others += 1;
                }
            }
        }
        assert!(answers >= 40 && others >= 1000, "{answers} answers, {others} others");
    }

    /// A placeholder would hold for whatever stands in its place.
    #[test]
    fn no_answer_is_a_placeholder_and_none_is_given_away() {
        for one in exercise::all(project()).unwrap() {
            for Question { text, answer } in &one.questions {
                let Some(answer) = answer else { continue };
                assert!(!answer.said.contains(['[', ']']), "{one}: {}", answer.said);
                // A number in a question is hardly ever the answer.
                let asked = [&one.question, text].into_iter().filter(|_| !is_number(&answer.said));
                for part in asked.chain([&one.hint]) {
                    assert!(!answer.stands_in(part), "{one} gives {answer:?} away: {part}");
                }
            }
        }
    }

    /// `tests/mutants/words.txt` has what learners write, for each question that is graded.
    #[test]
    fn every_right_form_passes_and_every_wrong_answer_is_refused() {
        let given = fs::read_to_string(project().join("tests/mutants/words.txt")).unwrap();
        let mut lines = given.lines();
        let (mut rights, mut wrongs, mut faults) = (0, 0, Vec::new());
        for one in exercise::all(project()).unwrap() {
            for asked in one.questions.iter().filter(|asked| !asked.is_opinion()) {
                let mut next = |before: &str| {
                    let line = lines.next().and_then(|line| line.strip_prefix(before));
                    line.unwrap_or_else(|| panic!("{one}: {asked} lacks {before:?}")).split(" | ")
                };
                assert_eq!(next("").next(), Some(format!("{one} {asked}").as_str()));
                let fault =
                    |given: &str| different(slice::from_ref(asked), &format!("{asked} {given}\n"));
                for right in next("    right: ") {
                    rights += 1;
                    faults.extend(fault(right).map(|fault| format!("{one}: {fault}")));
                }
                for wrong in next("    wrong: ") {
                    wrongs += 1;
                    if fault(wrong).is_none() {
                        faults.push(format!("{one}: {asked} {wrong:?} is wrong, and passes"));
                    }
                }
            }
        }
        assert_eq!(lines.next(), None);
        assert!(rights >= 150 && wrongs >= 150, "{rights} right, {wrongs} wrong");
        println!("{rights} right answers and {wrongs} wrong ones, misjudged: {}", faults.len());
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    #[test]
    fn few_exercises_are_a_matter_of_opinion() {
        let all = exercise::all(project()).unwrap();
        let opinions = all.iter().filter(|one| one.is_opinion());
        let opinions: Vec<&str> = opinions.map(|one| one.number.as_str()).collect();
        assert_eq!(opinions, ["0.1", "0.3"]);
    }
}
