//! The table: kernels across, what was asked down, and below it a reason for all that is not green.

use std::fmt::Write as _;

use super::{
    KernelProof, StackProof, one_line,
    point::{Answered, Point, Subject},
};

/// The table as text. What a module brought does not command the terminal.
pub fn text(proof: &StackProof) -> String {
    let mut text = String::new();
    let rows = rows(proof);
    let heads = ["", ""].map(str::to_owned);
    let head =
        |kernel: &KernelProof| [kernel.kernel.clone(), kernel.release.clone().unwrap_or_default()];
    let mut columns: Vec<Vec<String>> =
        vec![heads.into_iter().chain(rows.iter().map(|row| row.name().to_owned())).collect()];
    for kernel in &proof.kernels {
        let cells = rows.iter().map(|row| cell(kernel, row));
        let column = head(kernel).into_iter().chain(cells);
        columns.push(column.map(|cell| one_line(&cell)).collect());
    }
    let widths = columns.iter().map(|column| column.iter().map(|c| c.chars().count()).max());
    let widths: Vec<usize> = widths.map(Option::unwrap_or_default).collect();
    for row in 0..rows.len() + 2 {
        let cells = columns.iter().zip(&widths);
        let line: String =
            cells.map(|(column, width)| format!("{:width$}  ", column[row])).collect();
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let reasons = reasons(proof);
    if !reasons.is_empty() {
        text.push('\n');
        reasons.iter().for_each(|line| {
            let _ = writeln!(text, "{}", one_line(line));
        });
    }
    text
}

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A question about the whole stack.
    Whole(Subject),
    /// All questions about a module.
    Module(String),
}

impl Row {
    /// The text before it.
    pub fn name(&self) -> &str {
        match self {
            Self::Whole(subject) => subject.word(),
            Self::Module(name) => name,
        }
    }

    fn has(&self, point: &Point) -> bool {
        match (self, point.subject.module()) {
            (Self::Whole(subject), None) => *subject == point.subject,
            (Self::Module(name), Some(module)) => name == module,
            _ => false,
        }
    }
}

/// The lines of the table, in the order of what is asked: of the questions about a kernel, its
/// guest, depmod and the time afterwards only where one is not green.
pub fn rows(proof: &StackProof) -> Vec<Row> {
    let points = || proof.kernels.iter().flat_map(|kernel| &kernel.points);
    let asked = |subject: &Subject| points().any(|point| point.subject == *subject);
    let fails = |subject: &Subject| {
        points().any(|point| point.subject == *subject && point.answer != Answered::Holds)
    };
    let whole = |subject: Subject| Some(Row::Whole(subject));
    let mut rows = Vec::new();
    rows.extend(whole(Subject::Kernel).filter(|_| fails(&Subject::Kernel)));
    rows.extend(whole(Subject::Build).filter(|_| asked(&Subject::Build)));
    rows.extend(whole(Subject::Guest).filter(|_| fails(&Subject::Guest)));
    rows.extend(whole(Subject::Depmod).filter(|_| fails(&Subject::Depmod)));
    for name in points().filter_map(|point| point.subject.module()) {
        let row = Row::Module(name.to_owned());
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    rows.extend(whole(Subject::Run).filter(|_| asked(&Subject::Run)));
    rows.extend(whole(Subject::Afterwards).filter(|_| fails(&Subject::Afterwards)));
    rows.extend(whole(Subject::Log).filter(|_| asked(&Subject::Log)));
    rows
}

/// The worst answer to what a row asks of a kernel, if it was asked.
pub fn worst<'p>(kernel: &'p KernelProof, row: &Row) -> Option<&'p Point> {
    let points = kernel.points.iter().filter(|point| row.has(point));
    // `max_by_key` would take the last of equal ones.
    points.rev().max_by_key(|point| point.answer.rank())
}

/// The word that stands in the table.
pub fn cell(kernel: &KernelProof, row: &Row) -> String {
    match worst(kernel, row).map(|point| &point.answer) {
        None => "-".into(),
        Some(Answered::Holds) => "ok".into(),
        Some(Answered::Differs(fault)) => format!("WRONG: {}", fault.word),
        Some(answer) => answer.fault().map(|fault| fault.word.clone()).unwrap_or_default(),
    }
}

/// A line for each answer that is not yes: the kernel, the question, the reason. Several points of
/// a kernel with the same reason are told once.
pub fn reasons(proof: &StackProof) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for kernel in &proof.kernels {
        let mut told: Vec<&str> = Vec::new();
        for point in &kernel.points {
            let Some(fault) = point.answer.fault() else { continue };
            // A module that was not loaded is not unloaded either: that says nothing new.
            let follows = matches!(
                (&point.subject, &point.answer),
                (Subject::Unload(_), Answered::Skipped(_))
            );
            let has = |told: &&str| told.contains(&*fault.reason) || fault.reason.contains(*told);
            if follows || told.iter().any(has) {
                continue;
            }
            told.push(&fault.reason);
            let ours = match point.answer {
                Answered::Differs(_) => "A FAULT OF symstack, PLEASE REPORT IT: ",
                _ => "",
            };
            lines.push(format!("{}: {}: {ours}{}", kernel.kernel, point.subject, fault.reason));
        }
    }
    lines
}
