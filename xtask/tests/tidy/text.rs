//! Rules about the text of any file.

use crate::{File, holds};

/// The width that a line of host Rust may have. rustfmt breaks what it can; it leaves long strings.
const COLUMNS_MAX: usize = 100;

fn each_line(files: &[File], fault: impl Fn(&File, &str) -> Option<&'static str>) -> Vec<String> {
    let lines = files.iter().flat_map(|file| file.lines().map(move |line| (file, line)));
    let faults = lines.filter_map(|(file, (number, line))| {
        fault(file, line).map(|what| file.complaint(number, what))
    });
    faults.collect()
}

#[test]
fn no_line_ends_with_a_space_and_every_file_with_a_newline() {
    fn rule(files: &[File]) -> Vec<String> {
        let mut faults = each_line(files, |file, line| {
            // In a page's blocks stands what programs print.
            let space = !file.is(&["md"]) && line != line.trim_end();
            space.then_some("the line ends with a space")
        });
        let unended =
            files.iter().filter(|file| !file.text.is_empty() && !file.text.ends_with('\n'));
        faults.extend(unended.map(|file| file.complaint(1, "the file has no newline at its end")));
        faults
    }
    holds(rule, &[("a.c", "int a; \n"), ("b.h", "\t\n"), ("c.rs", "//! C")]);
}

#[test]
fn lines_are_at_most_100_columns_wide() {
    fn rule(files: &[File]) -> Vec<String> {
        each_line(files, |file, line| {
            let long = file.is_host_rust() && line.chars().count() > COLUMNS_MAX;
            // A string, an address, or a row of a table cannot be broken without changing it.
            let whole = ["\"", "://", "//! |"].iter().any(|part| line.contains(part));
            (long && !whole).then_some("the line is wider than 100 columns")
        })
    }
    let wide = format!("//! {}\n", "wide ".repeat(20));
    holds(rule, &[("xtask/src/a.rs", &wide)]);
}

/// Such a comment names a thing and states nothing. The book's sources are shown on its pages and
/// are not held to it yet.
#[test]
fn no_comment_and_no_test_begins_with_a_clause() {
    const CLAUSES: [&str; 6] = ["What", "How", "Whether", "Which", "Whose", "Who"];
    const MARKS: [&str; 6] = ["//! ", "/// ", "// ", "/* ", "* ", "# "];
    fn rule(files: &[File]) -> Vec<String> {
        let code = ["rs", "c", "h", "mk", "toml", "yml", "rc"];
        each_line(files, |file, line| {
            if !file.is(&code) || file.path.starts_with("docs/") {
                return None;
            }
            let line = line.trim_start();
            if let Some(name) = line.strip_prefix("fn ") {
                let first = name.split('_').next().unwrap_or_default();
                let is_clause = CLAUSES.iter().any(|clause| clause.eq_ignore_ascii_case(first));
                let is_test = name.contains("() {") && is_clause;
                return is_test.then_some("the name of a test says what holds");
            }
            let text = MARKS.iter().find_map(|mark| line.strip_prefix(mark))?;
            let first = text.split(' ').next().unwrap_or_default();
            // A question is a quotation.
            let is_clause = CLAUSES.contains(&first) && !text.ends_with('?');
            is_clause.then_some(
                "state it: a function \"returns …\", a thing is \"the …\", a bool \"`true` if …\"",
            )
        })
    }
    holds(
        rule,
        &[
            ("xtask/src/a.rs", "/// Whether it is there.\n"),
            ("provider/a.c", "/* What it is for. */\n"),
            ("xtask/src/b.rs", "fn what_is_gone_is_named() {\n"),
        ],
    );
}

#[test]
fn the_spelling_is_the_kernels() {
    const BRITISH: [&str; 5] = [
        concat!("licen", "ce"),
        concat!("behavi", "our"),
        concat!("neighb", "our"),
        concat!("initial", "ise"),
        concat!("recogn", "ise"),
    ];
    fn rule(files: &[File]) -> Vec<String> {
        each_line(files, |_, line| {
            let lower = line.to_lowercase();
            let british = BRITISH.iter().any(|word| lower.contains(word));
            // A page may name a key that an older form of an answer had.
            let old = line.starts_with("Changed since ");
            (british && !old).then_some("the kernel writes American English, as `license`")
        })
    }
    let british = BRITISH.map(|word| format!("It is {word}d.\n"));
    holds(rule, &british.each_ref().map(|text| ("a.md", text.as_str())));
}

#[test]
fn nothing_is_left_to_be_done_later() {
    fn rule(files: &[File]) -> Vec<String> {
        let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
        each_line(files, |_, line| {
            let word = |word: &str| marks.contains(&word);
            let left = line.split(|c: char| !c.is_alphanumeric()).any(word);
            left.then_some("something is left to be done")
        })
    }
    holds(rule, &[("a.rs", concat!("// TO", "DO: b\n"))]);
}

#[test]
fn every_page_has_one_title() {
    fn rule(files: &[File]) -> Vec<String> {
        let mut faults = Vec::new();
        for page in
            files.iter().filter(|file| file.is(&["md"]) && !file.path.ends_with("SUMMARY.md"))
        {
            let (mut code, mut titles) = (false, Vec::new());
            for (number, line) in page.lines() {
                code ^= line.starts_with("```");
                if !code && line.starts_with("# ") {
                    titles.push(number);
                }
            }
            if titles.len() != 1 {
                faults.push(page.complaint(1, &format!("its titles are in the lines {titles:?}")));
            }
        }
        faults
    }
    holds(rule, &[("a.md", "text\n"), ("b.md", "# A\n\n# B\n")]);
}
