//! A picture of a stack: which module uses which symbols of which other, as Graphviz text or SVG.
//!
//! Users stand above what they use. The symbols of an edge are a block of their own between the
//! two boxes, so that no two texts lie on each other however many edges there are. In a picture of
//! many modules the block has only their number, and a row that is too wide goes on in the next.

use std::{collections::HashMap, fmt::Write as _};

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
    more: usize,
}

/// Some modules of a graph, in load order, to be drawn.
pub struct Picture {
    names: Vec<String>,
    edges: Vec<Edge>,
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
        if edges.len() > EDGES_SPELLED_MAX {
            edges.iter_mut().for_each(Edge::count);
        }
        let names = modules.iter().map(|&index| graph.name(index).to_owned()).collect();
        Self { names, edges }
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
            let label: Vec<String> = edge.lines().map(|(text, _)| quoted(&text)).collect();
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
        Layout::of(self).svg(&self.words())
    }

    /// The picture in words, for whoever cannot see it.
    fn words(&self) -> String {
        let edge = |edge: &Edge| {
            let symbols: Vec<String> = edge.lines().map(|(text, _)| text).collect();
            let (from, to) = (&self.names[edge.from], &self.names[edge.to]);
            format!("{from} uses {} of {to}", symbols.join(", "))
        };
        self.edges.iter().map(edge).collect::<Vec<_>>().join("; ")
    }

    /// How far above the lowest module each stands: the longest way down.
    fn heights(&self) -> Vec<usize> {
        let mut heights = vec![0; self.names.len()];
        // In load order what is used stands before its users, so one pass is enough.
        for from in 0..self.names.len() {
            let below = self.edges.iter().filter(|edge| edge.from == from);
            heights[from] = below.map(|edge| heights[edge.to] + 1).max().unwrap_or(0);
        }
        heights
    }
}

impl Edge {
    fn new(graph: &Graph, (user, exporter): (usize, usize), (from, to): (usize, usize)) -> Self {
        let gpl = &graph.modules()[exporter].info.gpl_exports;
        let all = graph.symbols(user, exporter);
        let more = all.len().saturating_sub(SYMBOLS_SHOWN_MAX);
        let symbols = all.into_iter().take(SYMBOLS_SHOWN_MAX).map(|symbol| {
            let is_gpl = gpl.iter().any(|name| name == symbol);
            (ko::text::SymbolName(symbol).to_string(), is_gpl)
        });
        Self { from, to, symbols: symbols.collect(), more }
    }

    /// Leaves nothing of its symbols but their number.
    fn count(&mut self) {
        self.more += self.symbols.len();
        self.symbols.clear();
    }

    /// The lines of its block, and whether each is marked GPL-only.
    fn lines(&self) -> impl Iterator<Item = (String, bool)> {
        let symbols = self.symbols.iter().map(|(name, is_gpl)| {
            let mark = if *is_gpl { " [GPL]" } else { "" };
            (format!("{name}{mark}"), *is_gpl)
        });
        let text = match (self.symbols.is_empty(), self.more) {
            (true, 1) => "1 symbol".into(),
            (true, more) => format!("{more} symbols"),
            (false, more) => format!("and {more} more"),
        };
        let more = (self.more > 0).then_some((text, false));
        symbols.chain(more)
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
@media (prefers-color-scheme: dark) {
.back { fill: #16181c; } text { fill: #f0f0f0; } .gpl { fill: #f0a8a8; }
.module { fill: #1f3a55; stroke: #7fb0e0; } .symbols { fill: #2c2b22; }
.line { stroke: #aaaaaa; } .head { fill: #aaaaaa; }
}
";

/// The width of a character of the monospaced font, at 13 pixels, rounded up.
const CHAR_WIDTH: usize = 8;
const LINE_HEIGHT: usize = 17;
const PADDING: usize = 10;
const GAP_X: usize = 28;
const GAP_Y: usize = 34;
const MARGIN: usize = 16;
/// A row that is wider goes on in the next.
const ROW_WIDTH_MAX: usize = 1400;

/// A box with lines of text: a module, or the symbols of an edge.
struct Block {
    lines: Vec<(String, bool)>,
    is_module: bool,
    row: usize,
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

impl Block {
    fn new(lines: Vec<(String, bool)>, is_module: bool, row: usize) -> Self {
        let longest = lines.iter().map(|(text, _)| text.chars().count()).max().unwrap_or(0);
        let width = longest * CHAR_WIDTH + 2 * PADDING;
        let height = lines.len() * LINE_HEIGHT + PADDING;
        Self { lines, is_module, row, x: 0, y: 0, width, height }
    }

    fn middle(&self) -> usize {
        self.x + self.width / 2
    }
}

/// Every block at its place, in rows from the top, and the lines between them.
struct Layout {
    blocks: Vec<Block>,
    /// From a block to one below it; the second of an edge's two has the arrow.
    lines: Vec<(usize, usize, bool)>,
    width: usize,
    height: usize,
}

impl Layout {
    fn of(picture: &Picture) -> Self {
        let heights = picture.heights();
        let top = heights.iter().copied().max().unwrap_or(0);
        // Modules in the even rows, symbols in the odd row above what they belong to.
        let row_of = |module: usize| 2 * (top - heights[module]);
        let module =
            |(i, name): (usize, &String)| Block::new(vec![(name.clone(), false)], true, row_of(i));
        let mut blocks: Vec<Block> = picture.names.iter().enumerate().map(module).collect();
        let mut lines = Vec::new();
        for edge in &picture.edges {
            let block = blocks.len();
            blocks.push(Block::new(edge.lines().collect(), false, row_of(edge.to) - 1));
            lines.push((edge.from, block, false));
            lines.push((block, edge.to, true));
        }
        let mut layout = Self { blocks, lines, width: 0, height: 0 };
        layout.place();
        layout
    }

    /// Rows from the top; within a row by the middle of what stands above.
    fn place(&mut self) {
        let rows = self.blocks.iter().map(|block| block.row + 1).max().unwrap_or(0);
        let members: Vec<Vec<usize>> = (0..rows)
            .map(|row| (0..self.blocks.len()).filter(|&b| self.blocks[b].row == row).collect())
            .flat_map(|row| self.broken(row))
            .collect();
        let widest = members.iter().map(|row| self.row_width(row)).max().unwrap_or(0);
        self.width = widest + 2 * MARGIN;
        let mut y = MARGIN;
        for mut row in members {
            row.sort_by_key(|&block| self.middle_above(block));
            let mut x = MARGIN + (widest - self.row_width(&row)) / 2;
            let height = row.iter().map(|&block| self.blocks[block].height).max().unwrap_or(0);
            for block in row {
                let block = &mut self.blocks[block];
                (block.x, block.y) = (x, y + (height - block.height) / 2);
                x += block.width + GAP_X;
            }
            y += height + GAP_Y;
        }
        self.height = y - GAP_Y.min(y) + MARGIN;
    }

    fn row_width(&self, row: &[usize]) -> usize {
        let widths: usize = row.iter().map(|&block| self.blocks[block].width).sum();
        widths + GAP_X * row.len().saturating_sub(1)
    }

    /// A row, as several of about the same length when it is too wide.
    fn broken(&self, row: Vec<usize>) -> Vec<Vec<usize>> {
        let parts = self.row_width(&row).div_ceil(ROW_WIDTH_MAX).max(1);
        let length = row.len().div_ceil(parts).max(1);
        row.chunks(length).map(<[usize]>::to_vec).collect()
    }

    fn middle_above(&self, block: usize) -> usize {
        let above = self.lines.iter().filter(|(_, to, _)| *to == block);
        let middles: Vec<usize> = above.map(|(from, ..)| self.blocks[*from].middle()).collect();
        middles.iter().sum::<usize>() / middles.len().max(1)
    }

    fn svg(&self, words: &str) -> String {
        let (width, height, words) = (self.width, self.height, escaped(words));
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"title desc\" \
             font-family=\"monospace\" font-size=\"13\">\n\
             <title id=\"title\">Which module uses which symbols of which other</title>\n\
             <desc id=\"desc\">{words}</desc>\n\
             <style>\n{STYLE}</style>\n\
             <defs><marker id=\"arrow\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" \
             markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\">\
             <path class=\"head\" d=\"M0,0 L10,5 L0,10 z\"/></marker></defs>\n\
             <rect class=\"back\" width=\"{width}\" height=\"{height}\"/>\n"
        );
        for &(from, to, arrow) in &self.lines {
            self.write_line(&mut svg, &self.blocks[from], &self.blocks[to], arrow);
        }
        self.blocks.iter().for_each(|block| write_block(&mut svg, block));
        svg.push_str("</svg>\n");
        svg
    }

    fn write_line(&self, svg: &mut String, from: &Block, to: &Block, arrow: bool) {
        let (x1, y1) = (from.middle(), from.y + from.height);
        let (x2, y2) = (to.middle(), to.y);
        let half = y2.saturating_sub(y1) / 2;
        let (c1, c2) = (y1 + half, y2.saturating_sub(half));
        let end = if arrow { " marker-end=\"url(#arrow)\"" } else { "" };
        let _ = writeln!(
            svg,
            "<path class=\"line\" d=\"M{x1},{y1} C{x1},{c1} {x2},{c2} {x2},{y2}\"{end}/>"
        );
    }
}

fn write_block(svg: &mut String, block: &Block) {
    let Block { lines, is_module, x, y, width, height, .. } = block;
    let (class, weight) = if *is_module { ("module", "bold") } else { ("symbols", "normal") };
    let _ = writeln!(
        svg,
        "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" \
         rx=\"4\"/>"
    );
    for (index, (text, is_gpl)) in lines.iter().enumerate() {
        let (x, y) = (block.middle(), y + PADDING / 2 + (index + 1) * LINE_HEIGHT - 4);
        let class = if *is_gpl { " class=\"gpl\"" } else { "" };
        let text = escaped(text);
        let _ = writeln!(
            svg,
            "<text{class} x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" \
             font-weight=\"{weight}\">{text}</text>"
        );
    }
}

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
    fn many_modules_make_a_picture_that_a_screen_can_show() {
        let names: Vec<String> = (0..40).map(|number| format!("a_long_name_{number}")).collect();
        let mut modules = vec![module("base", &["b", "open"], &[])];
        modules.extend(names.iter().map(|name| module(name, &[], &["b", "open"])));
        let all: Vec<usize> = (0..modules.len()).collect();
        let picture = Picture::new(&Graph::new(modules), &all);
        let layout = Layout::of(&picture);
        assert!(layout.width <= ROW_WIDTH_MAX + 2 * MARGIN, "{} wide", layout.width);
        let svg = picture.svg();
        assert!(svg.contains(">2 symbols</text>") && !svg.contains(">open"), "{svg}");
        assert!(svg.contains("a_long_name_7 uses 2 symbols of base"), "{svg}");
    }

    #[test]
    fn the_user_stands_above_and_no_boxes_meet() {
        let layout = Layout::of(&picture());
        let [base, top, symbols] = layout.blocks.as_slice() else { panic!("three blocks") };
        assert!(top.y + top.height < symbols.y && symbols.y + symbols.height < base.y);
        let svg = picture().svg();
        assert!(svg.contains(">b [GPL]</text>"));
        assert!(svg.contains("<desc id=\"desc\">top uses b [GPL], open of base</desc>"), "{svg}");
    }
}
