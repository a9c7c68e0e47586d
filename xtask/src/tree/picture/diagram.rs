//! A diagram of steps, drawn from a small text: a part of Graphviz's language DOT.
//!
//! ```text
//! digraph "The title" {
//!   comment="The same in words, for whoever cannot see it."
//!   rankdir=LR
//!   load [label="`Loading`\ninit runs"]
//!   gone [label="refused", class=bad]
//!   load -> gone [label="error"]
//! }
//! ```
//!
//! Boxes stand below each other, or with `rankdir=LR` beside each other. The first line of a label
//! is bold; `class` is `note` for a thing and `bad` for what nobody wants. Between backticks stands
//! what a machine says: whoever shows the diagram holds it against that.

use std::collections::BTreeMap;

use super::{
    CHAR_WIDTH, LINE_HEIGHT, MARGIN, PADDING, document,
    dot::Tokens,
    escaped,
    layered::{Part, Place},
};
use crate::problem::{Problem, Result};

/// Between two rows of boxes; between two columns a label has to fit in, too.
const GAP: usize = 22;
/// The same where a line has a label.
const GAP_LABEL: usize = 38;
/// The width of a character of a line's label.
const LABEL_CHAR_WIDTH: usize = 7;

/// The styles that only diagrams have.
const STYLE: &str = "\
.bad { fill: #f9dede; stroke: #a33c3c; } .said { fill: #1d4f7c; }
.label { font-style: italic; stroke: #ffffff; stroke-width: 4px; paint-order: stroke; }
@media (prefers-color-scheme: dark) {
.bad { fill: #4f2424; stroke: #e08a8a; } .said { fill: #a8d0f5; }
.label { stroke: #16181c; }
}
";

/// A diagram that was read.
#[derive(Debug)]
pub struct Diagram {
    title: String,
    words: String,
    sideways: bool,
    boxes: Vec<Node>,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Node {
    label: String,
    class: &'static str,
}

#[derive(Debug)]
struct Line {
    from: usize,
    to: usize,
    label: String,
}

impl Diagram {
    /// Reads a text.
    ///
    /// # Errors
    /// It cannot be understood, a line leads to no box, or the lines go round in a circle.
    pub fn parse(text: &str) -> Result<Self> {
        let mut tokens = Tokens::of(text)?;
        if tokens.text()? != "digraph" {
            return Err(tokens.wrong("should begin with digraph"));
        }
        let title = tokens.text()?;
        tokens.mark('{')?;
        let (boxes, lines) = (Vec::new(), Vec::new());
        let mut diagram = Self { title, words: String::new(), sideways: false, boxes, lines };
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        while !tokens.takes('}') {
            let name = tokens.text()?;
            if tokens.takes('=') {
                let value = tokens.text()?;
                match name.as_str() {
                    "comment" => diagram.words = value,
                    "rankdir" => diagram.sideways = value == "LR",
                    _ => return Err(tokens.wrong(&format!("knows no {name}"))),
                }
                continue;
            }
            let mut chain = vec![name];
            while tokens.takes('>') {
                chain.push(tokens.text()?);
            }
            let attributes = tokens.attributes()?;
            let label = attributes.get("label").cloned();
            if let [name] = chain.as_slice() {
                let class = match attributes.get("class").map(String::as_str) {
                    None => "module",
                    Some("note") => "symbols",
                    Some("bad") => "bad",
                    Some(other) => return Err(tokens.wrong(&format!("has no class {other}"))),
                };
                names.insert(name.clone(), diagram.boxes.len());
                diagram.boxes.push(Node { label: label.unwrap_or_else(|| name.clone()), class });
                continue;
            }
            for pair in chain.windows(2) {
                let of = |name: &String| {
                    let unknown = || tokens.wrong(&format!("has no box {name} above this line"));
                    names.get(name).copied().ok_or_else(unknown)
                };
                let (from, to) = (of(&pair[0])?, of(&pair[1])?);
                let label = label.clone().unwrap_or_default();
                diagram.lines.push(Line { from, to, label });
            }
        }
        if diagram.words.is_empty() {
            return Err(tokens.wrong("has no comment, for whoever cannot see it"));
        }
        diagram.ranks().map(|_| diagram).ok_or_else(|| {
            Problem::usage("the diagram goes round in a circle, and its steps have no order")
        })
    }

    /// Returns the pieces of labels in backticks: output of a machine.
    pub fn said(&self) -> Vec<&str> {
        self.pieces().filter_map(|(said, piece)| said.then_some(piece)).collect()
    }

    /// The rest of its labels.
    pub fn unsaid(&self) -> Vec<&str> {
        self.pieces().filter_map(|(said, piece)| (!said).then_some(piece)).collect()
    }

    /// The same of the two boxes of each line between them.
    pub fn steps(&self) -> impl Iterator<Item = (Vec<&str>, Vec<&str>)> {
        let said = |at: usize| {
            let pieces = pieces(&self.boxes[at].label);
            pieces.filter_map(|(said, piece)| said.then_some(piece)).collect()
        };
        self.lines.iter().map(move |line| (said(line.from), said(line.to)))
    }

    fn pieces(&self) -> impl Iterator<Item = (bool, &str)> {
        let boxes = self.boxes.iter().map(|node| &node.label);
        boxes.chain(self.lines.iter().map(|line| &line.label)).flat_map(|label| pieces(label))
    }

    /// Returns the length of the longest path to each box, or `None` for a cycle.
    fn ranks(&self) -> Option<Vec<usize>> {
        let mut ranks = vec![0_usize; self.boxes.len()];
        for round in 0..=self.boxes.len() {
            let before = ranks.clone();
            for Line { from, to, .. } in &self.lines {
                ranks[*to] = ranks[*to].max(ranks[*from] + 1);
            }
            if ranks == before {
                break;
            }
            if round == self.boxes.len() {
                return None;
            }
        }
        // A box without incoming lines stands beside its successor.
        for at in 0..ranks.len() {
            if !self.lines.iter().any(|line| line.to == at) {
                let next = self.lines.iter().filter(|line| line.from == at);
                let next = next.map(|line| ranks[line.to]).min().unwrap_or(1);
                ranks[at] = next.saturating_sub(1);
            }
        }
        Some(ranks)
    }

    /// A picture that a browser shows.
    pub fn svg(&self) -> String {
        let labels = self.lines.iter().map(|line| line.label.chars().count());
        let longest = labels.max().unwrap_or(0);
        let gap = match (longest, self.sideways) {
            (0, _) => GAP,
            (_, false) => GAP_LABEL,
            (longest, true) => GAP_LABEL.max(longest * LABEL_CHAR_WIDTH + 2 * PADDING),
        };
        let ends: Vec<(usize, usize)> =
            self.lines.iter().map(|line| (line.from, line.to)).collect();
        let part = Part::new(self.places(), &ends, gap);
        let (mut width, mut height) = (part.width, part.height);
        if !self.sideways {
            (width, height) = (height, width);
        }
        let mut drawn = format!("<g transform=\"translate({MARGIN},{MARGIN})\">\n");
        // Above all lines, so that none goes through a label.
        let mut labels = String::new();
        for (at, line) in self.lines.iter().enumerate() {
            let path = part.path(at, !self.sideways);
            let arrow = "marker-end=\"url(#arrow)\"";
            drawn.push_str(&format!("<path class=\"line\" d=\"{path}\" {arrow}/>\n"));
            if !line.label.is_empty() {
                let (x, y, anchor) = self.label_at(&part, at, gap);
                let long = line.label.chars().count() * LABEL_CHAR_WIDTH;
                width = width.max(if self.sideways { 0 } else { x + long });
                let label = with_said(&line.label);
                labels.push_str(&format!(
                    "<text class=\"label\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" \
                     font-size=\"11\">{label}</text>\n"
                ));
            }
        }
        drawn.push_str(&labels);
        for (node, place) in self.boxes.iter().zip(&part.places) {
            node.draw(&part, place, self.sideways, &mut drawn);
        }
        drawn.push_str("</g>\n");
        let size = (width + 2 * MARGIN, height + 2 * MARGIN);
        document((&self.title, &self.words), size, STYLE, &drawn)
    }

    /// The boxes, of one size in each row or column.
    fn places(&self) -> Vec<Place> {
        let ranks = self.ranks().unwrap_or_default();
        let place = |(node, &column): (&Node, &usize)| {
            let (width, height) = node.size();
            let (width, height) = if self.sideways { (width, height) } else { (height, width) };
            Place { names: Vec::new(), across: 1, column, y: 0.0, width, height }
        };
        let mut places: Vec<Place> = self.boxes.iter().zip(&ranks).map(place).collect();
        let mut widest: BTreeMap<usize, usize> = BTreeMap::new();
        for place in &places {
            let width = widest.entry(place.column).or_default();
            *width = place.width.max(*width);
        }
        places.iter_mut().for_each(|place| place.width = widest[&place.column]);
        places
    }

    /// Returns the place of a line's label: in the first gap that the line passes.
    fn label_at(&self, part: &Part, at: usize, gap: usize) -> (usize, usize, &'static str) {
        let wire = &part.wires[at];
        let column = part.places[wire[0]].column;
        let along = part.left(column) + part.column_width(column) + gap / 2;
        let to = if wire.len() == 2 { part.port(at, true) } else { part.places[wire[1]].y };
        let across = ((part.port(at, false) + to) / 2.0) as usize;
        if self.sideways {
            (along, across.saturating_sub(5), "middle")
        } else {
            (across + 6, along + 4, "start")
        }
    }
}

impl Node {
    fn lines(&self) -> Vec<&str> {
        self.label.split("\\n").collect()
    }

    fn size(&self) -> (usize, usize) {
        let lines = self.lines();
        let long = |line: &&str| line.chars().filter(|c| *c != '`').count();
        let longest = lines.iter().map(long).max().unwrap_or(0);
        (longest * CHAR_WIDTH + 2 * PADDING, lines.len() * LINE_HEIGHT + PADDING)
    }

    fn draw(&self, part: &Part, place: &Place, sideways: bool, svg: &mut String) {
        let (along, long) = (part.left(place.column), place.width);
        let across = (place.y - place.height as f64 / 2.0).max(0.0) as usize;
        let (x, y, width, height) = if sideways {
            (along, across, long, place.height)
        } else {
            (across, along, place.height, long)
        };
        let class = self.class;
        svg.push_str(&format!(
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" \
             rx=\"4\"/>\n"
        ));
        let lines = self.lines();
        let top = y + (height - lines.len() * LINE_HEIGHT) / 2;
        for (index, line) in lines.into_iter().enumerate() {
            let (x, y) = (x + width / 2, top + (index + 1) * LINE_HEIGHT - 4);
            let weight = if index == 0 { "bold" } else { "normal" };
            let line = with_said(line);
            svg.push_str(&format!(
                "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" \
                 font-weight=\"{weight}\">{line}</text>\n"
            ));
        }
    }
}

/// The pieces of a label, and whether a machine says each.
fn pieces(label: &str) -> impl Iterator<Item = (bool, &str)> {
    let lines = label.split("\\n");
    lines.flat_map(|line| line.split('`').enumerate().map(|(n, piece)| (n % 2 == 1, piece)))
}

/// A line of text, with what a machine says in a color of its own.
fn with_said(line: &str) -> String {
    let piece = |(index, piece): (usize, &str)| {
        let piece = escaped(piece);
        let said = index % 2 == 1;
        if said { format!("<tspan class=\"said\">{piece}</tspan>") } else { piece }
    };
    line.split('`').enumerate().map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "digraph \"A title\" {\n  comment=\"In <words>.\"\n  // No box.\n  \
        a [label=\"first\\n`a.ko` & b\", class=note];\n  b\n  c [class=bad]\n  far\n  \
        a -> b -> far [label=\"then\"]\n  a -> c\n  a -> far\n}\n";

    #[test]
    fn a_text_becomes_boxes_and_lines() {
        let diagram = Diagram::parse(TEXT).unwrap();
        assert_eq!(diagram.ranks().unwrap(), [0, 1, 1, 2]);
        assert_eq!(diagram.said(), ["a.ko"]);
        assert_eq!(
            diagram.unsaid(),
            ["first", "", " & b", "b", "c", "far", "then", "then", "", ""]
        );
        let svg = diagram.svg();
        for part in [
            "<title id=\"title\">A title</title>",
            "<desc id=\"desc\">In &lt;words&gt;.</desc>",
            "font-weight=\"bold\">first</text>",
            "<tspan class=\"said\">a.ko</tspan> &amp; b</text>",
            "<rect class=\"bad\"",
            "prefers-color-scheme: dark",
        ] {
            assert!(svg.contains(part), "{part}\n{svg}");
        }
        assert_eq!((svg.matches("<rect").count(), svg.matches("marker-end").count()), (5, 4));
        let beside = Diagram::parse(&TEXT.replace("// No box.", "rankdir=LR")).unwrap().svg();
        assert_ne!(svg, beside);
    }

    #[test]
    fn errors_name_their_line() {
        let wrong =
            |from: &str, to: &str| Diagram::parse(&TEXT.replace(from, to)).unwrap_err().fact;
        assert!(wrong("a -> c", "a -> d").contains("line 9: the diagram has no box d"));
        assert!(wrong("class=bad", "class=good").contains("line 6: the diagram has no class good"));
        assert!(wrong("In <words>.", "").contains("the diagram has no comment"));
        assert!(wrong("comment", "size").contains("line 2: the diagram knows no size"));
        assert!(wrong("class=note", "shape=box").contains("line 4: the diagram knows no shape"));
        assert!(wrong("\"A title\"", "\"A title").contains("line 1: a text has no end"));
        assert!(wrong("digraph", "graph").contains("should begin with digraph"));
        assert!(wrong("a -> far\n}", "a -> far\n").contains("line 10: the diagram lacks"));
        assert!(wrong("a -> far", "far -> a").contains("in a circle"));
    }

    /// Returns the contrast ratio of two colors, 1 to 21 (WCAG 2.2).
    fn contrast(a: &str, b: &str) -> f64 {
        let light = |color: &str| {
            let part = |at: usize, weight: f64| {
                let value = u8::from_str_radix(&color[at..at + 2], 16).unwrap();
                let value = f64::from(value) / 255.0;
                let linear = if value <= 0.040_45 {
                    value / 12.92
                } else {
                    ((value + 0.055) / 1.055).powf(2.4)
                };
                weight * linear
            };
            part(1, 0.2126) + part(3, 0.7152) + part(5, 0.0722) + 0.05
        };
        let (a, b) = (light(a), light(b));
        a.max(b) / a.min(b)
    }

    #[test]
    fn every_text_can_be_read_on_every_box_in_the_light_and_in_the_dark() {
        assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 0.01);
        let mut modes = [String::new(), String::new()];
        for style in [super::super::STYLE, STYLE] {
            let (light, dark) = style.split_once("@media").unwrap();
            modes[0].push_str(light);
            modes[1].push_str(dark);
        }
        for mode in modes {
            let color = |class: &str| {
                let (_, rest) = mode.split_once(&format!("{class} {{ fill: ")).unwrap();
                &rest[..7]
            };
            for text in ["text", ".said", ".gpl"] {
                for behind in [".back", ".module", ".symbols", ".bad"] {
                    let contrast = contrast(color(text), color(behind));
                    assert!(contrast > 4.5, "{text} on {behind}: {contrast:.1}");
                }
            }
        }
    }
}
