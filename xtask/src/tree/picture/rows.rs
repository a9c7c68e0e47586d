//! A picture of few edges, in rows.
//!
//! Users stand above what they use. The symbols of an edge are a block of their own between the
//! two boxes, so that no two texts lie on each other however many edges there are. A row that is
//! too wide goes on in the next.

use std::fmt::Write as _;

use super::{CHAR_WIDTH, LINE_HEIGHT, MARGIN, PADDING, Picture, ROW_WIDTH_MAX, escaped};

const GAP_X: usize = 28;
const GAP_Y: usize = 34;

pub(super) fn svg(picture: &Picture) -> String {
    let layout = Layout::of(picture);
    picture.document(layout.width, layout.height, &layout.drawn())
}

/// A box with lines of text: a module, or the symbols of an edge.
pub(super) struct Block {
    lines: Vec<(String, bool)>,
    is_module: bool,
    row: usize,
    x: usize,
    pub(super) y: usize,
    width: usize,
    pub(super) height: usize,
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
pub(super) struct Layout {
    pub(super) blocks: Vec<Block>,
    /// From a block to one below it; the second of an edge's two has the arrow.
    lines: Vec<(usize, usize, bool)>,
    width: usize,
    height: usize,
}

impl Layout {
    pub(super) fn of(picture: &Picture) -> Self {
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
            blocks.push(Block::new(edge.lines(picture.shown), false, row_of(edge.to) - 1));
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

    fn drawn(&self) -> String {
        let mut svg = String::new();
        for &(from, to, arrow) in &self.lines {
            self.write_line(&mut svg, &self.blocks[from], &self.blocks[to], arrow);
        }
        self.blocks.iter().for_each(|block| write_block(&mut svg, block));
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
