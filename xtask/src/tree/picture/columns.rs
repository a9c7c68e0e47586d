//! A picture of many modules, in columns: a module that uses a symbol stands left of the one that
//! exports it, as names are wide and low.
//!
//! Modules with the same users that use the same modules share a box. A line that passes a column
//! has a place of its own in it, so that it crosses no box (the layered layout of Sugiyama, Tagawa
//! and Toda, 1981). What nothing connects is drawn apart.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::{
    Edge, LINE_HEIGHT, MARGIN, PADDING, Picture, ROW_WIDTH_MAX, Shown, escaped,
    layered::{Part, Place},
};

/// Between two columns, for the lines.
const GAP_X: usize = 110;

/// The edges that one line stands for.
type Edges<'p> = Vec<&'p Edge>;

pub(super) fn svg(picture: &Picture) -> String {
    let (groups, heights) = (groups(picture), picture.heights());
    let group_of: BTreeMap<usize, usize> = (0..)
        .zip(&groups)
        .flat_map(|(group, members)| members.iter().map(move |&module| (module, group)))
        .collect();
    let mut between: BTreeMap<(usize, usize), Edges<'_>> = BTreeMap::new();
    for edge in &picture.edges {
        between.entry((group_of[&edge.from], group_of[&edge.to])).or_default().push(edge);
    }
    let mut parts: Vec<(Part, Vec<&Edges<'_>>)> = connected(groups.len(), between.keys())
        .into_iter()
        .map(|members| part((picture, &heights), &groups, &between, &members))
        .collect();
    // The largest first, and what uses nothing and is not used below all.
    parts.sort_by_key(|(part, _)| (part.wires.is_empty(), std::cmp::Reverse(part.height)));
    let (mut body, mut width) = (String::new(), 0);
    let (mut x, mut y, mut row) = (MARGIN, MARGIN, 0);
    for (part, edges) in &parts {
        if x > MARGIN && x + part.width > ROW_WIDTH_MAX {
            (x, y, row) = (MARGIN, y + row + 2 * MARGIN, 0);
        }
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(body, "<g transform=\"translate({x},{y})\">");
        part.draw(picture, edges, &mut body);
        body.push_str("</g>\n");
        width = width.max(x + part.width + MARGIN);
        (x, row) = (x + part.width + 2 * MARGIN, row.max(part.height));
    }
    picture.document(width, y + row + MARGIN, &body)
}

/// The groups of these numbers, placed, and what each line between them stands for.
fn part<'p>(
    (picture, heights): (&Picture, &[usize]),
    groups: &[Vec<usize>],
    between: &'p BTreeMap<(usize, usize), Edges<'p>>,
    members: &[usize],
) -> (Part, Vec<&'p Edges<'p>>) {
    let height = |group: usize| groups[group].first().map_or(0, |&module| heights[module]);
    let top = members.iter().map(|&group| height(group)).max().unwrap_or(0);
    let place = |&group: &usize| {
        let names = groups[group].iter().map(|&module| picture.names[module].clone());
        Place::of(names.collect(), top - height(group), members.len() == 1)
    };
    let local = |group: usize| members.iter().position(|&member| member == group);
    let (mut ends, mut lines) = (Vec::new(), Vec::new());
    for ((from, to), edges) in between {
        let (Some(from), Some(to)) = (local(*from), local(*to)) else { continue };
        ends.push((from, to));
        lines.push(edges);
    }
    (Part::new(members.iter().map(place).collect(), &ends, GAP_X), lines)
}

/// Modules with the same users that use the same modules, in load order.
fn groups(picture: &Picture) -> Vec<Vec<usize>> {
    let mut neighbors = vec![(BTreeSet::new(), BTreeSet::new()); picture.names.len()];
    for edge in &picture.edges {
        neighbors[edge.from].0.insert(edge.to);
        neighbors[edge.to].1.insert(edge.from);
    }
    let mut groups: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (module, neighbors) in (0..).zip(neighbors) {
        groups.entry(neighbors).or_default().push(module);
    }
    let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
    groups.sort();
    groups
}

/// The groups that edges connect with each other.
fn connected<'a>(count: usize, edges: impl Iterator<Item = &'a (usize, usize)>) -> Vec<Vec<usize>> {
    let mut part_of: Vec<usize> = (0..count).collect();
    for &(from, to) in edges {
        let (from, to) = (part_of[from], part_of[to]);
        part_of.iter_mut().filter(|part| **part == from).for_each(|part| *part = to);
    }
    let mut parts: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    part_of
        .iter()
        .enumerate()
        .for_each(|(group, &part)| parts.entry(part).or_default().push(group));
    parts.into_values().collect()
}

impl Part {
    fn draw(&self, picture: &Picture, edges: &[&Edges<'_>], svg: &mut String) {
        for (at, edges) in edges.iter().enumerate() {
            self.draw_wire(picture, at, edges, svg);
        }
        for place in self.places.iter().filter(|place| !place.names.is_empty()) {
            place.draw(self.left(place.column), svg);
        }
    }

    fn draw_wire(&self, picture: &Picture, at: usize, edges: &[&Edge], svg: &mut String) {
        let path = self.path(at, false);
        let from = &self.places[self.wires[at][0]];
        let left = self.left(from.column) + from.width;
        let words: Vec<String> =
            edges.iter().map(|edge| picture.edge_in_words(edge, Shown::All)).collect();
        let counts = || edges.iter().map(|edge| edge.symbols.len());
        let (few, many) = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
        let count = if few == many { few.to_string() } else { format!("{few}\u{2013}{many}") };
        let _ = writeln!(
            svg,
            "<g class=\"edge\"><title>{}</title><path class=\"line\" d=\"{path}\" \
             marker-end=\"url(#arrow)\"/><text class=\"count\" x=\"{left}\" y=\"{:.0}\" \
             font-size=\"11\">{count}</text></g>",
            escaped(&words.join("\n")),
            self.port(at, false) - 3.0,
            left = left + 4,
        );
    }
}

impl Place {
    fn draw(&self, x: usize, svg: &mut String) {
        let Self { names, across, y, width, height, .. } = self;
        let rows = names.len().div_ceil(*across);
        let top = y - *height as f64 / 2.0;
        let _ = writeln!(
            svg,
            "<rect class=\"module\" x=\"{x}\" y=\"{top:.0}\" width=\"{width}\" \
             height=\"{height}\" rx=\"4\"/>"
        );
        let above = y - (rows * LINE_HEIGHT) as f64 / 2.0;
        for (index, name) in names.iter().enumerate() {
            let x = x + PADDING + index / rows * Self::name_width(names);
            let y = above + ((index % rows + 1) * LINE_HEIGHT) as f64 - 4.0;
            let name = escaped(name);
            let _ =
                writeln!(svg, "<text x=\"{x}\" y=\"{y:.0}\" font-weight=\"bold\">{name}</text>");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module uses the next but one, and each third one that of a third of its number.
    fn picture() -> Picture {
        let edge = |from, to| Edge { from, to, symbols: vec![("s".into(), false)] };
        let chain = (2..40).map(|from| edge(from, from - 2));
        let far = (1..13).map(|to| edge(3 * to, to));
        let names = (0..40).map(|number| format!("module_{number}")).collect();
        Picture { names, edges: chain.chain(far).collect(), shown: Shown::Count }
    }

    #[test]
    fn a_user_stands_left_and_nothing_lies_on_another() {
        let picture = picture();
        let groups: Vec<Vec<usize>> = (0..40).map(|module| vec![module]).collect();
        let mut between: BTreeMap<(usize, usize), Edges<'_>> = BTreeMap::new();
        picture.edges.iter().for_each(|e| between.entry((e.from, e.to)).or_default().push(e));
        let members: Vec<usize> = (0..40).collect();
        let (part, _) = part((&picture, &picture.heights()), &groups, &between, &members);
        for wire in &part.wires {
            let columns = wire.iter().map(|&place| part.places[place].column);
            let columns: Vec<usize> = columns.collect();
            assert!(columns.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{columns:?}");
        }
        let mut pairs = 0;
        for column in &part.columns {
            for pair in column.windows(2) {
                let [a, b] = [pair[0], pair[1]].map(|place| &part.places[place]);
                assert!(a.y + a.height as f64 / 2.0 < b.y - b.height as f64 / 2.0);
                pairs += 1;
            }
        }
        assert!(pairs > 40, "{pairs}");
        let drawn = svg(&picture);
        assert_eq!(drawn.matches("<rect class=\"module\"").count(), 40);
        assert!(drawn.contains("module_39 uses 1 symbol of module_37"), "{drawn}");
    }
}
