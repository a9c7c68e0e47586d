//! A picture of many modules, in columns: whoever uses a symbol stands left of the module that
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
    CHAR_WIDTH, Edge, LINE_HEIGHT, MARGIN, PADDING, Picture, ROW_WIDTH_MAX, Shown, escaped,
};

/// Between two columns, for the lines.
const GAP_X: usize = 110;
/// Between two boxes.
const GAP_Y: f64 = 16.0;
/// Between two lines that meet a box, so that their numbers can be read.
const LINE_GAP: usize = 14;
/// How many names stand in a box before it has a second column of them.
const NAMES_HIGH: usize = 24;
/// How often places are sorted and moved toward their neighbors. More changes nothing that is seen.
const SWEEPS: usize = 24;

pub(super) fn svg(picture: &Picture) -> String {
    let groups = groups(picture);
    let group_of: BTreeMap<usize, usize> = (0..)
        .zip(&groups)
        .flat_map(|(group, members)| members.iter().map(move |&module| (module, group)))
        .collect();
    let mut between: BTreeMap<(usize, usize), Vec<&Edge>> = BTreeMap::new();
    for edge in &picture.edges {
        between.entry((group_of[&edge.from], group_of[&edge.to])).or_default().push(edge);
    }
    let mut parts: Vec<Part<'_>> = connected(groups.len(), between.keys())
        .into_iter()
        .map(|members| Part::new(picture, &groups, &between, &members))
        .collect();
    // The largest first, and what uses nothing and is not used below all.
    parts.sort_by_key(|part| (part.wires.is_empty(), std::cmp::Reverse(part.height)));
    let (mut body, mut width) = (String::new(), 0);
    let (mut x, mut y, mut row) = (MARGIN, MARGIN, 0);
    for part in &parts {
        if x > MARGIN && x + part.width > ROW_WIDTH_MAX {
            (x, y, row) = (MARGIN, y + row + 2 * MARGIN, 0);
        }
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(body, "<g transform=\"translate({x},{y})\">");
        part.draw(picture, &mut body);
        body.push_str("</g>\n");
        width = width.max(x + part.width + MARGIN);
        (x, row) = (x + part.width + 2 * MARGIN, row.max(part.height));
    }
    picture.document(width, y + row + MARGIN, &body)
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

/// A box, or where a line passes a column.
struct Place {
    names: Vec<String>,
    /// How many names stand beside each other.
    across: usize,
    column: usize,
    /// The middle.
    y: f64,
    width: usize,
    height: usize,
}

/// What one line stands for, and the places that it goes through.
struct Wire<'p> {
    edges: &'p [&'p Edge],
    places: Vec<usize>,
}

/// Groups that are connected.
struct Part<'p> {
    places: Vec<Place>,
    wires: Vec<Wire<'p>>,
    /// The places of each column, from the top.
    columns: Vec<Vec<usize>>,
    width: usize,
    height: usize,
}

impl<'p> Part<'p> {
    fn new(
        picture: &Picture,
        groups: &[Vec<usize>],
        between: &'p BTreeMap<(usize, usize), Vec<&'p Edge>>,
        members: &[usize],
    ) -> Self {
        let heights = picture.heights();
        let height = |group: usize| groups[group].first().map_or(0, |&module| heights[module]);
        let top = members.iter().map(|&group| height(group)).max().unwrap_or(0);
        let place = |&group: &usize| {
            let names = groups[group].iter().map(|&module| picture.names[module].clone());
            Place::of(
                names.collect(),
                top - height(group),
                between.is_empty() || members.len() == 1,
            )
        };
        let mut places: Vec<Place> = members.iter().map(place).collect();
        let local = |group: usize| members.iter().position(|&member| member == group);
        let mut wires = Vec::new();
        for ((from, to), edges) in between {
            let (Some(from), Some(to)) = (local(*from), local(*to)) else { continue };
            let mut through = vec![from];
            for column in places[from].column + 1..places[to].column {
                through.push(places.len());
                places.push(Place::passing(column));
            }
            through.push(to);
            wires.push(Wire { edges, places: through });
        }
        let columns = (0..=top)
            .map(|column| (0..places.len()).filter(|&p| places[p].column == column).collect());
        let mut part = Self { columns: columns.collect(), places, wires, width: 0, height: 0 };
        part.make_room_for_wires();
        part.sort();
        part.settle();
        part
    }

    /// A box is as high as the lines need that meet it on a side.
    fn make_room_for_wires(&mut self) {
        for at in 0..self.places.len() {
            let out = self.wires.iter().filter(|wire| wire.places.first() == Some(&at)).count();
            let into = self.wires.iter().filter(|wire| wire.places.last() == Some(&at)).count();
            let place = &mut self.places[at];
            place.height = place.height.max(out.max(into) * LINE_GAP);
        }
    }

    /// For each place its neighbors in the column to the left, or to the right.
    fn neighbors(&self, left: bool) -> Vec<Vec<usize>> {
        let mut neighbors = vec![Vec::new(); self.places.len()];
        for pair in self.wires.iter().flat_map(|wire| wire.places.windows(2)) {
            let (of, neighbor) = if left { (pair[1], pair[0]) } else { (pair[0], pair[1]) };
            neighbors[of].push(neighbor);
        }
        neighbors
    }

    /// Each column in the direction of a sweep.
    fn in_direction(&self, right: bool) -> Vec<usize> {
        let columns = 0..self.columns.len();
        if right { columns.collect() } else { columns.rev().collect() }
    }

    /// Sorts each column by the middle of the neighbors, back and forth.
    fn sort(&mut self) {
        let sides = [self.neighbors(false), self.neighbors(true)];
        for sweep in 0..SWEEPS {
            let right = sweep % 2 == 1;
            for column in self.in_direction(right) {
                let mut at = vec![0.0; self.places.len()];
                for places in &self.columns {
                    let share = 1.0 / places.len().max(1) as f64;
                    (0..).zip(places).for_each(|(i, &place)| at[place] = f64::from(i) * share);
                }
                let key = |place: &usize| mean(&sides[usize::from(right)][*place], &at);
                let key = |place: &usize| key(place).unwrap_or(at[*place]);
                self.columns[column].sort_by(|a, b| key(a).total_cmp(&key(b)));
            }
        }
    }

    /// Moves all places toward their neighbors, as far as those of their column let them.
    fn settle(&mut self) {
        let sides = [self.neighbors(false), self.neighbors(true)];
        for sweep in 0..SWEEPS {
            let right = sweep % 2 == 1;
            for column in self.in_direction(right) {
                let ys: Vec<f64> = self.places.iter().map(|place| place.y).collect();
                let places = &self.columns[column];
                let wish = |&place: &usize| {
                    mean(&sides[usize::from(right)][place], &ys).unwrap_or(ys[place])
                };
                let wishes: Vec<f64> = places.iter().map(wish).collect();
                let gap = |pair: &[usize]| {
                    let [a, b] = [pair[0], pair[1]].map(|place| self.places[place].height as f64);
                    (a + b) / 2.0 + GAP_Y
                };
                let gaps: Vec<f64> = places.windows(2).map(gap).collect();
                for (&place, y) in places.clone().iter().zip(spread(&wishes, &gaps)) {
                    self.places[place].y = y;
                }
            }
        }
        let above = |place: &Place| place.y - place.height as f64 / 2.0;
        let top = self.places.iter().map(above).fold(f64::INFINITY, f64::min);
        self.places.iter_mut().for_each(|place| place.y -= top);
        let below = |place: &Place| (place.y + place.height as f64 / 2.0).ceil() as usize;
        self.height = self.places.iter().map(below).max().unwrap_or(0);
        self.width = self.left(self.columns.len()) - GAP_X;
    }

    fn column_width(&self, column: usize) -> usize {
        self.columns[column].iter().map(|&place| self.places[place].width).max().unwrap_or(0)
    }

    /// Where a column begins.
    fn left(&self, column: usize) -> usize {
        (0..column).map(|before| self.column_width(before) + GAP_X).sum()
    }

    fn draw(&self, picture: &Picture, svg: &mut String) {
        for at in 0..self.wires.len() {
            self.draw_wire(picture, at, svg);
        }
        for place in self.places.iter().filter(|place| !place.names.is_empty()) {
            place.draw(self.left(place.column), svg);
        }
    }

    /// How high a wire meets the box that it begins or ends at: each has a share of its side.
    fn port(&self, at: usize, end: bool) -> f64 {
        let meets =
            |wire: &Wire<'_>| if end { wire.places.last() } else { wire.places.first() }.copied();
        let next = |wire: &Wire<'_>| {
            let beside = if end { wire.places.len() - 2 } else { 1 };
            self.places[wire.places[beside]].y
        };
        let Some(place) = meets(&self.wires[at]) else { return 0.0 };
        let mut beside: Vec<usize> =
            (0..self.wires.len()).filter(|&w| meets(&self.wires[w]) == Some(place)).collect();
        beside.sort_by(|&a, &b| next(&self.wires[a]).total_cmp(&next(&self.wires[b])));
        let share = beside.iter().position(|&wire| wire == at).unwrap_or(0) as f64 + 0.5;
        let Place { y, height, .. } = self.places[place];
        y + height as f64 * (share / beside.len() as f64 - 0.5)
    }

    fn draw_wire(&self, picture: &Picture, at: usize, svg: &mut String) {
        let Wire { edges, places } = &self.wires[at];
        let (Some(&from), Some(&to)) = (places.first(), places.last()) else { return };
        let begin = self.places[from].column;
        // Beside its own box it meets none, and another of its column may be wider.
        let (mut x, mut y) = (self.left(begin) + self.column_width(begin), self.port(at, false));
        let left = self.left(begin) + self.places[from].width;
        let mut path = format!("M{left},{y:.0} L{x},{y:.0}");
        for (&place, is_end) in places[1..].iter().map(|place| (place, *place == to)) {
            let column = self.places[place].column;
            let (x2, y2) = (
                self.left(column),
                if is_end { self.port(at, true) } else { self.places[place].y },
            );
            let middle = (x + x2) / 2;
            let _ = write!(path, " C{middle},{y:.0} {middle},{y2:.0} {x2},{y2:.0}");
            (x, y) = (x2, y2);
            if !is_end {
                x += self.column_width(column);
                let _ = write!(path, " L{x},{y2:.0}");
            }
        }
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
    /// A box with these names. One that stands alone may be as wide as the picture.
    fn of(names: Vec<String>, column: usize, is_alone: bool) -> Self {
        let name_width = Self::name_width(&names);
        let across = if is_alone {
            (ROW_WIDTH_MAX / name_width).clamp(1, names.len().max(1))
        } else {
            names.len().div_ceil(NAMES_HIGH).max(1)
        };
        let height = names.len().div_ceil(across) * LINE_HEIGHT + PADDING;
        let width = across * name_width + PADDING;
        Self { names, across, column, y: 0.0, width, height }
    }

    fn passing(column: usize) -> Self {
        Self { names: Vec::new(), across: 1, column, y: 0.0, width: 0, height: 0 }
    }

    fn name_width(names: &[String]) -> usize {
        let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        longest * CHAR_WIDTH + PADDING
    }

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

fn mean(of: &[usize], values: &[f64]) -> Option<f64> {
    let sum: f64 = of.iter().map(|&index| values[index]).sum();
    (!of.is_empty()).then(|| sum / of.len() as f64)
}

/// The values that are nearest to those wished for, each by its gap above the one before it: the
/// pooling of neighbors that would lie on each other (isotonic regression).
fn spread(wishes: &[f64], gaps: &[f64]) -> Vec<f64> {
    let mut offset = 0.0;
    let offsets: Vec<f64> = (0..wishes.len())
        .map(|index| {
            offset += index.checked_sub(1).map_or(0.0, |before| gaps[before]);
            offset
        })
        .collect();
    // The sum of each pool, and how many are in it.
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for (wish, offset) in wishes.iter().zip(&offsets) {
        pools.push((wish - offset, 1));
        while let [.., (a, m), (b, n)] = pools[..] {
            if a / m as f64 <= b / n as f64 {
                break;
            }
            pools.truncate(pools.len() - 2);
            pools.push((a + b, m + n));
        }
    }
    let values = pools.iter().flat_map(|&(sum, count)| vec![sum / count as f64; count]);
    values.zip(&offsets).map(|(value, offset)| value + offset).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_as_near_to_the_wished_ones_as_the_gaps_allow() {
        assert_eq!(spread(&[0.0, 100.0], &[10.0]), [0.0, 100.0]);
        assert_eq!(spread(&[5.0, 5.0], &[10.0]), [0.0, 10.0]);
        assert_eq!(spread(&[0.0, 50.0, 40.0, 90.0], &[10.0, 10.0, 10.0]), [0.0, 40.0, 50.0, 90.0]);
        assert_eq!(spread(&[], &[]), [0.0; 0]);
    }

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
        let mut between: BTreeMap<(usize, usize), Vec<&Edge>> = BTreeMap::new();
        picture.edges.iter().for_each(|e| between.entry((e.from, e.to)).or_default().push(e));
        let members: Vec<usize> = (0..40).collect();
        let part = Part::new(&picture, &groups, &between, &members);
        for wire in &part.wires {
            let columns = wire.places.iter().map(|&place| part.places[place].column);
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
