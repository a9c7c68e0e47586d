//! Exercises that are answered by a word, a number, an order: their questions, and where the
//! answers stand in what a kernel or a program said.
//!
//! ```text
//! Which of the refused modules loads now?
//!     vm# lsmod | grep greeter
//!     greeter                [SIZE]  1 {}
//! ```
//!
//! The first line is the question, the second the beginning of one of the exercise's commands in
//! the page of answers, the third a line that it printed there, with `{}` for the answer. Where
//! several lines fit, the answer is the order of their pieces. A question without the two is a
//! matter of opinion: whatever is written holds.

use super::page::ConsoleEntry;
use crate::problem::{Problem, Result};

/// The file that has the questions of an exercise, and in a reader's folder the answers, too.
pub const FILE: &str = "answer.txt";

/// The placeholder for the answer in a line.
const HOLE: &str = "{}";

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
    said: String,
    /// As a shell is given it.
    command: String,
}

/// The questions of a text, with the answers that commands printed.
///
/// # Errors
/// No command begins so, or several do, or it printed no such line.
pub(super) fn questions(text: &str, entries: &[ConsoleEntry]) -> Result<Vec<Question>> {
    let mut questions: Vec<Question> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let wrong = |what: &str| Problem::usage(format!("{FILE}: {line:?} {what}"));
        let Some(command) = line.strip_prefix("    ") else {
            let asked = line.strip_suffix('?').ok_or_else(|| wrong("is no question"))?;
            questions.push(Question { text: asked.into(), answer: None });
            continue;
        };
        let entry = begun(entries, command)
            .ok_or_else(|| wrong("should begin one command of the page of answers"))?;
        let pattern = lines.next().and_then(|line| line.strip_prefix("    "));
        let pattern = pattern.and_then(|pattern| pattern.split_once(HOLE));
        let (before, after) = pattern.ok_or_else(|| wrong("needs a line with {} below it"))?;
        let piece = |line: &'_ str| {
            let piece = line.strip_prefix(before)?.trim_end().strip_suffix(after.trim_end())?;
            Some(piece.to_owned())
        };
        let pieces = entry.printed.lines().filter_map(piece);
        let mut pieces: Vec<String> = pieces.filter(|piece| !piece.is_empty()).collect();
        pieces.dedup();
        let said = pieces.join(" ");
        let question = questions.last_mut().filter(|_| !said.is_empty());
        let question = question.ok_or_else(|| wrong("prints no line that fits"))?;
        question.answer = Some(Answer { said, command: entry.command.trim().into() });
    }
    Ok(questions)
}

/// The one command that is this, or that begins with it.
fn begun<'a>(entries: &'a [ConsoleEntry], command: &str) -> Option<&'a ConsoleEntry> {
    let mut begun = entries.iter().filter(|entry| entry.shown.starts_with(command));
    let one = begun.next().filter(|_| begun.next().is_none());
    one.or_else(|| entries.iter().find(|entry| entry.shown.trim_end() == command))
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

    /// Why an answer does not hold, in a sentence that leads on and does not say the right one.
    fn fault(&self, given: &str) -> Option<String> {
        let Self { text, answer } = self;
        if plain(given).is_empty() {
            return Some(format!("{text}? has no answer yet; it is {}", self.shape()));
        }
        let Answer { said, command } = answer.as_ref()?;
        if plain(given) == plain(said) {
            return None;
        }
        let lead = if holds_words(command, said) {
            "ask for the hint with --hint".to_owned()
        } else {
            format!("look at what `{command}` says")
        };
        let given = given.trim();
        Some(format!("{text}? It is not {given:?}, it is {}; {lead}", self.shape()))
    }

    /// Describes the expected form of the answer.
    pub fn shape(&self) -> String {
        let said = plain(self.said());
        match said.split(' ').count() {
            _ if self.is_opinion() => "what you think".into(),
            1 if said.parse::<i64>().is_ok() => "a number".into(),
            1 => "one word".into(),
            words => format!("{words} words"),
        }
    }
}

/// By its text.
impl std::fmt::Display for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}?", self.text)
    }
}

/// An answer without what does not matter: case, quotes, commas, and the sign of `-EINVAL`.
fn plain(answer: &str) -> String {
    let answer = answer.replace(['`', '"', ','], " ").to_lowercase();
    let words = answer.split_whitespace().map(|word| {
        let word = word.trim_end_matches('.');
        let name = word.strip_prefix('-').filter(|rest| rest.starts_with(char::is_alphabetic));
        name.unwrap_or(word)
    });
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Returns `true` if a text contains the words of an answer, in sequence.
fn holds_words(text: &str, answer: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| !(c.is_alphanumeric() || "_-.%".contains(c)));
        words.map(|word| plain(word.trim_matches('.'))).filter(|word| !word.is_empty()).collect()
    };
    let (text, answer) = (words(text), words(answer));
    !answer.is_empty() && text.windows(answer.len()).any(|part| part == answer)
}

#[cfg(test)]
mod tests {
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
        assert_eq!(said("vm# lsmod\n    {}"), "a 1 b c 2 d");
        assert_eq!(said("vm# insmod x\n    insmod: ERROR: x.ko: {}"), "No such device");
        let wrong = |pattern: &str| asked(pattern).unwrap_err().fact;
        assert!(wrong("vm# insmod\n    {}").contains("should begin one command"));
        assert!(wrong("vm# rmmod\n    {}").contains("should begin one command"));
        assert!(wrong("vm# lsmod\n    z {}").contains("prints no line that fits"));
        assert!(wrong("vm# lsmod\n    a 1 b").contains("needs a line with {}"));
        assert!(questions("No question\n", &[]).unwrap_err().fact.contains("is no question"));
    }

    #[test]
    fn answers_are_compared_without_case_quotes_and_commas() {
        let one = asked("vm# insmod x\n    insmod: ERROR: x.ko: {}").unwrap();
        for right in ["No such device", "`no such device`.", "  \"No such\" device "] {
            assert_eq!(different(&one, &format!("Which one? {right}\n")), None, "{right}");
        }
        assert!(different(&one, "Which one?\n").unwrap().contains("has no answer yet"));
        assert!(different(&one, "Which two? No such device\n").unwrap().contains("is missing"));
        let wrong = different(&one, "Which one? busy\n").unwrap();
        assert_eq!(
            wrong,
            "Which one? It is not \"busy\", it is 3 words; look at what `insmod x.ko` says"
        );
        let number = asked("vm# insmod y\n    {}").unwrap();
        assert!(different(&number, "Which one? 22").unwrap().contains("it is a number"));
        assert_eq!(plain("-EINVAL"), plain("einval"));
        let opinion = questions("Why?\n", &[]).unwrap();
        assert_eq!(different(&opinion, "Why? because"), None);
        assert!(different(&opinion, "Why? \n").is_some());
    }

    /// No answer is written by hand: what a transcript in the page of answers has passes, and
    /// nothing else does, be it another word of that transcript.
    #[test]
    fn every_answer_is_what_was_said_and_nothing_else_is() {
        let (mut answers, mut others) = (0, 0);
        for one in exercise::all(project()).unwrap().iter().filter(|one| one.in_words()) {
            let right = || one.questions.iter().map(Question::said);
            assert_eq!(different(&one.questions, &sheet(&one.questions, right())), None, "{one}");
            for (index, question) in one.questions.iter().enumerate() {
                let with = |answer: &str| {
                    let answers: Vec<&str> = (0..)
                        .zip(right())
                        .map(|(at, right)| if at == index { answer } else { right })
                        .collect();
                    different(&one.questions, &sheet(&one.questions, answers.into_iter()))
                };
                let empty = with("").unwrap();
                assert!(empty.contains(&question.text), "{one}: {empty}");
                let Some(Answer { said, .. }) = &question.answer else { continue };
                answers += 1;
                let words = one.said.iter().flat_map(|entry| entry.printed.split_whitespace());
                for other in words.filter(|word| plain(word) != plain(said)) {
                    let plain = plain(other);
                    let sentence = with(other).unwrap();
                    let lead = sentence.split("; look at what").nth(1).unwrap_or_default();
                    assert!(plain.is_empty() || !holds_words(lead, said), "{one}: {sentence}");
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
                let Some(Answer { said, .. }) = answer else { continue };
                assert!(!said.contains(['[', ']']), "{one}: {said}");
                // A number in a question is hardly ever the answer.
                let asked = [&one.question, text];
                let asked = asked.into_iter().filter(|_| said.parse::<i64>().is_err());
                for part in asked.chain([&one.hint]) {
                    assert!(!holds_words(part, said), "{one} gives {said:?} away: {part}");
                }
            }
        }
    }

    #[test]
    fn few_exercises_are_a_matter_of_opinion() {
        let all = exercise::all(project()).unwrap();
        let opinions = all.iter().filter(|one| one.is_opinion());
        let opinions: Vec<&str> = opinions.map(|one| one.number.as_str()).collect();
        assert_eq!(opinions, ["0.1", "0.3"]);
    }
}
