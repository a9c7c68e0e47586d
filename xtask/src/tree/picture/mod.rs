//! A picture of a stack: which module uses which symbols of which other, as Graphviz text or SVG.
//!
//! A picture of few edges spells their symbols (`rows.rs`), one of many has their numbers
//! (`columns.rs`). A browser shows all symbols of an edge that the pointer is on.

mod columns;
pub mod diagram;
mod dot;
mod layered;
mod rows;

use std::{collections::HashMap, fmt::Write as _};

use ko::text::Name;
use stack::graph::Graph;

/// More symbols on one edge than this are counted, not shown.
const SYMBOLS_SHOWN_MAX: usize = 12;

/// In a picture of more edges than this the symbols are counted, not shown.
const EDGES_SPELLED_MAX: usize = 16;

/// One edge of the picture.
struct Edge {
    from: usize,
    to: usize,
    /// The symbols, and whether each is for GPL-compatible modules only.
    symbols: Vec<(String, bool)>,
}

/// The number of symbols that an edge shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    All,
    Few,
    Count,
}

/// Some modules of a graph, in load order, to be drawn.
pub struct Picture {
    names: Vec<String>,
    edges: Vec<Edge>,
    shown: Shown,
}

impl Picture {
    /// The modules of these indices, and the edges among them.
    pub fn new(graph: &Graph, modules: &[usize]) -> Self {
        let place: HashMap<usize, usize> =
            modules.iter().enumerate().map(|(place, &index)| (index, place)).collect();
        let mut edges = Vec::new();
        for (from, &index) in modules.iter().enumerate() {
            for edge in graph.edges(index) {
                let Some(&to) = place.get(&edge.to) else { continue };
                edges.push(Edge::new(graph, (index, edge.to), (from, to)));
            }
        }
        // A Rust module's needs begin with hashes that differ from build to build, and so does the
        // order of its edges.
        edges.sort_by_key(|edge| (edge.from, edge.to));
        let shown = if edges.len() > EDGES_SPELLED_MAX { Shown::Count } else { Shown::Few };
        let names =
            modules.iter().map(|&index| Name(graph.name(index).as_bytes()).to_string()).collect();
        Self { names, edges, shown }
    }

    /// The same with every symbol on every edge, however many there are.
    pub fn with_all_symbols(self) -> Self {
        Self { shown: Shown::All, ..self }
    }

    /// Text for Graphviz.
    pub fn dot(&self) -> String {
        let mut dot = String::from("digraph stack {\n  node [shape=box, fontname=monospace];\n");
        dot.push_str("  edge [fontname=monospace, fontsize=10];\n");
        for name in &self.names {
            // Writing to a String cannot fail, here and below.
            let _ = writeln!(dot, "  \"{}\";", quoted(name));
        }
        for edge in &self.edges {
            let lines = edge.lines(self.shown);
            let label: Vec<String> = lines.iter().map(|(text, _)| quoted(text)).collect();
            let (from, to) = (&self.names[edge.from], &self.names[edge.to]);
            let label = label.join("\\n");
            let (from, to) = (quoted(from), quoted(to));
            let _ = writeln!(dot, "  \"{from}\" -> \"{to}\" [label=\"{label}\"];");
        }
        dot.push_str("}\n");
        dot
    }

    /// A picture that a browser shows.
    pub fn svg(&self) -> String {
        match self.shown {
            Shown::Count => columns::svg(self),
            Shown::All | Shown::Few => rows::svg(self),
        }
    }

    /// The picture in words, for a reader who cannot see it.
    fn words(&self) -> String {
        let edges = self.edges.iter().map(|edge| self.edge_in_words(edge, self.shown));
        edges.collect::<Vec<_>>().join("; ")
    }

    fn edge_in_words(&self, edge: &Edge, shown: Shown) -> String {
        let lines = edge.lines(shown).into_iter();
        let symbols: Vec<String> = lines.map(|(text, _)| text).collect();
        let (from, to) = (&self.names[edge.from], &self.names[edge.to]);
        format!("{from} uses {} of {to}", symbols.join(", "))
    }

    /// Returns the height of each module: the longest path down.
    fn heights(&self) -> Vec<usize> {
        let mut heights = vec![0; self.names.len()];
        // In load order what is used stands before its users, so one pass is enough.
        for from in 0..self.names.len() {
            let below = self.edges.iter().filter(|edge| edge.from == from);
            heights[from] = below.map(|edge| heights[edge.to] + 1).max().unwrap_or(0);
        }
        heights
    }

    /// The SVG of this size around what was drawn.
    fn document(&self, width: usize, height: usize, drawn: &str) -> String {
        let title = "Which module uses which symbols of which other";
        document((title, &self.words()), (width, height), "", drawn)
    }
}

/// An SVG with a title and what it shows in words, of this size, with more colors than all have.
fn document(
    (title, words): (&str, &str),
    (width, height): (usize, usize),
    style: &str,
    drawn: &str,
) -> String {
    let (title, words) = (escaped(title), escaped(words));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"title desc\" \
         font-family=\"monospace\" font-size=\"13\">\n\
         <title id=\"title\">{title}</title>\n\
         <desc id=\"desc\">{words}</desc>\n\
         <style>\n{STYLE}{style}</style>\n\
         <defs><marker id=\"arrow\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" \
         markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\">\
         <path class=\"head\" d=\"M0,0 L10,5 L0,10 z\"/></marker></defs>\n\
         <rect class=\"back\" width=\"{width}\" height=\"{height}\"/>\n\
         {drawn}</svg>\n"
    )
}

impl Edge {
    fn new(graph: &Graph, (user, exporter): (usize, usize), (from, to): (usize, usize)) -> Self {
        let gpl = &graph.modules()[exporter].info.gpl_exports;
        let symbols = graph.symbols(user, exporter).into_iter().map(|symbol| {
            let is_gpl = gpl.iter().any(|name| name == symbol);
            (ko::text::SymbolName(symbol).to_string(), is_gpl)
        });
        Self { from, to, symbols: symbols.collect() }
    }

    /// Returns its lines, each with `true` if it is GPL-only.
    fn lines(&self, shown: Shown) -> Vec<(String, bool)> {
        let all = self.symbols.len();
        let spelled = match shown {
            Shown::All => all,
            Shown::Few => all.min(SYMBOLS_SHOWN_MAX),
            Shown::Count => 0,
        };
        let mut lines: Vec<(String, bool)> = self.symbols[..spelled]
            .iter()
            .map(|(name, is_gpl)| {
                let mark = if *is_gpl { " [GPL]" } else { "" };
                (format!("{name}{mark}"), *is_gpl)
            })
            .collect();
        match (spelled, all - spelled) {
            (_, 0) => {}
            (0, 1) => lines.push(("1 symbol".into(), false)),
            (0, more) => lines.push((format!("{more} symbols"), false)),
            (_, more) => lines.push((format!("and {more} more"), false)),
        }
        lines
    }
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The colors, for a light page and for a dark one.
const STYLE: &str = "\
.back { fill: #ffffff; } text { fill: #1b1b1b; } .gpl { fill: #8a2f2f; }
.module { fill: #dbe9f6; stroke: #2f5d8a; } .symbols { fill: #fdfdf5; stroke: #b9b48a; }
.line { fill: none; stroke: #555555; } .head { fill: #555555; }
.edge:hover .line { stroke: #b3261e; stroke-width: 3; } .edge:hover .count { fill: #b3261e; }
@media (prefers-color-scheme: dark) {
.back { fill: #16181c; } text { fill: #f0f0f0; } .gpl { fill: #f0a8a8; }
.module { fill: #1f3a55; stroke: #7fb0e0; } .symbols { fill: #2c2b22; }
.line { stroke: #aaaaaa; } .head { fill: #aaaaaa; }
.edge:hover .line { stroke: #ffb4a9; } .edge:hover .count { fill: #ffb4a9; }
}
";

/// The width of a character of the monospaced font, at 13 pixels, rounded up.
const CHAR_WIDTH: usize = 8;
const LINE_HEIGHT: usize = 17;
const PADDING: usize = 10;
const MARGIN: usize = 16;
/// A wider row continues below.
const ROW_WIDTH_MAX: usize = 1400;

#[cfg(test)]
mod tests {
    use stack::{dependency_info::DependencyInfo, graph::ScannedModule};

    use super::*;

    fn module(name: &str, exports: &[&str], needs: &[&str]) -> ScannedModule {
        let mut info = DependencyInfo::default();
        exports.iter().for_each(|symbol| info.exports.push(symbol.as_bytes()));
        needs.iter().for_each(|symbol| info.needs.push(symbol.as_bytes()));
        ScannedModule::without_file(name, info)
    }

    fn picture() -> Picture {
        let mut base = module("base", &["b", "open"], &[]);
        base.info.gpl_exports.push(b"b");
        let graph = Graph::new(vec![base, module("top", &[], &["b", "open", "printk"])]);
        Picture::new(&graph, &[0, 1])
    }

    #[test]
    fn the_text_names_both_and_marks_gpl() {
        let dot = picture().dot();
        assert!(dot.contains("\"top\" -> \"base\" [label=\"b [GPL]\\nopen\"];"), "{dot}");
    }

    #[test]
    fn the_order_in_which_a_module_names_its_needs_does_not_show() {
        let drawn = |needs: &[&str]| {
            let (low, high) = (module("low", &["a"], &[]), module("high", &["b"], &[]));
            let graph = Graph::new(vec![low, high, module("top", &[], needs)]);
            Picture::new(&graph, &[0, 1, 2]).svg()
        };
        assert_eq!(drawn(&["a", "b"]), drawn(&["b", "a"]));
    }

    #[test]
    fn many_modules_make_a_picture_that_a_screen_can_show() {
        let names: Vec<String> = (0..40).map(|number| format!("a_long_name_{number}")).collect();
        let mut modules = vec![module("base", &["b", "open"], &[])];
        modules.extend(names.iter().map(|name| module(name, &[], &["b", "open"])));
        let all: Vec<usize> = (0..modules.len()).collect();
        let graph = Graph::new(modules);
        let svg = Picture::new(&graph, &all).svg();
        let (_, width) = svg.split_once(" width=\"").unwrap();
        let width: usize = width.split_once('"').unwrap().0.parse().unwrap();
        assert!(width <= ROW_WIDTH_MAX + 2 * MARGIN, "{width} wide");
        assert_eq!(svg.matches("class=\"module\"").count(), 2, "those alike share a box");
        assert!(svg.contains(">a_long_name_7</text>") && svg.contains(">2</text>"), "{svg}");
        assert!(svg.contains("a_long_name_7 uses 2 symbols of base"), "{svg}");
        assert!(svg.contains("a_long_name_7 uses b, open of base"), "a browser shows which");
        let all = Picture::new(&graph, &all).with_all_symbols().svg();
        assert_eq!(all.matches(">open</text>").count(), 40);
    }

    #[test]
    fn the_user_stands_above_and_no_boxes_meet() {
        let layout = rows::Layout::of(&picture());
        let [base, top, symbols] = layout.blocks.as_slice() else { panic!("three blocks") };
        assert!(top.y + top.height < symbols.y && symbols.y + symbols.height < base.y);
        let svg = picture().svg();
        assert!(svg.contains(">b [GPL]</text>"));
        assert!(svg.contains("<desc id=\"desc\">top uses b [GPL], open of base</desc>"), "{svg}");
    }
}
