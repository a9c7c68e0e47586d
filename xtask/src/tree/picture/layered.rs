//! The layered layout of Sugiyama, Tagawa and Toda (1981): columns of places, sorted and moved
//! toward their neighbors.

use std::fmt::Write as _;

use super::{CHAR_WIDTH, LINE_HEIGHT, PADDING, ROW_WIDTH_MAX};

/// Between two boxes.
const GAP_Y: f64 = 16.0;
/// Between two lines that meet a box, so that their numbers can be read.
const LINE_GAP: usize = 14;
/// The most names in a column of a box.
const NAMES_HIGH: usize = 24;
/// The rounds in which places move toward their neighbors. More make no visible difference.
const SWEEPS: usize = 24;

/// A box, or where a line passes a column.
pub(super) struct Place {
    pub(super) names: Vec<String>,
    /// The number of columns of names.
    pub(super) across: usize,
    pub(super) column: usize,
    /// The middle.
    pub(super) y: f64,
    pub(super) width: usize,
    pub(super) height: usize,
}

/// Groups that are connected.
pub(super) struct Part {
    /// The boxes in the order in which they were given, and behind them where lines pass.
    pub(super) places: Vec<Place>,
    /// The places that each line goes through, in the order in which the lines were given.
    pub(super) wires: Vec<Vec<usize>>,
    /// The places of each column, from the top.
    pub(super) columns: Vec<Vec<usize>>,
    pub(super) width: usize,
    pub(super) height: usize,
    /// Between two columns, for the lines.
    gap: usize,
}

impl Part {
    /// These boxes, each in its column, and lines from one to another that is farther right.
    pub(super) fn new(mut places: Vec<Place>, ends: &[(usize, usize)], gap: usize) -> Self {
        let last = places.iter().map(|place| place.column).max().unwrap_or(0);
        let mut wires = Vec::new();
        for &(from, to) in ends {
            let mut through = vec![from];
            for column in places[from].column + 1..places[to].column {
                through.push(places.len());
                places.push(Place::passing(column));
            }
            through.push(to);
            wires.push(through);
        }
        let columns = (0..=last)
            .map(|column| (0..places.len()).filter(|&p| places[p].column == column).collect());
        let mut part = Self { columns: columns.collect(), places, wires, width: 0, height: 0, gap };
        part.make_room_for_wires();
        part.sort();
        part.settle();
        part
    }

    /// A box is as high as the lines need that meet it on a side.
    fn make_room_for_wires(&mut self) {
        for at in 0..self.places.len() {
            let out = self.wires.iter().filter(|wire| wire.first() == Some(&at)).count();
            let into = self.wires.iter().filter(|wire| wire.last() == Some(&at)).count();
            let place = &mut self.places[at];
            place.height = place.height.max(out.max(into) * LINE_GAP);
        }
    }

    /// For each place its neighbors in the column to the left, or to the right.
    fn neighbors(&self, left: bool) -> Vec<Vec<usize>> {
        let mut neighbors = vec![Vec::new(); self.places.len()];
        for pair in self.wires.iter().flat_map(|wire| wire.windows(2)) {
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
        self.width = self.left(self.columns.len()) - self.gap;
    }

    pub(super) fn column_width(&self, column: usize) -> usize {
        self.columns[column].iter().map(|&place| self.places[place].width).max().unwrap_or(0)
    }

    /// Returns the left edge of a column.
    pub(super) fn left(&self, column: usize) -> usize {
        (0..column).map(|before| self.column_width(before) + self.gap).sum()
    }

    /// Returns the height at which a wire meets its first or last box; wires share a side evenly.
    pub(super) fn port(&self, at: usize, end: bool) -> f64 {
        let meets = |wire: &[usize]| if end { wire.last() } else { wire.first() }.copied();
        let next = |wire: &[usize]| self.places[wire[if end { wire.len() - 2 } else { 1 }]].y;
        let Some(place) = meets(&self.wires[at]) else { return 0.0 };
        let mut beside: Vec<usize> =
            (0..self.wires.len()).filter(|&w| meets(&self.wires[w]) == Some(place)).collect();
        beside.sort_by(|&a, &b| next(&self.wires[a]).total_cmp(&next(&self.wires[b])));
        let share = beside.iter().position(|&wire| wire == at).unwrap_or(0) as f64 + 0.5;
        let Place { y, height, .. } = self.places[place];
        y + height as f64 * (share / beside.len() as f64 - 0.5)
    }

    /// The path of a line, with columns beside each other; or, `turned`, one below the other.
    pub(super) fn path(&self, at: usize, turned: bool) -> String {
        let point = |x: usize, y: f64| {
            if turned { format!("{y:.0},{x}") } else { format!("{x},{y:.0}") }
        };
        let wire = &self.wires[at];
        let (from, last) = (wire[0], wire.len() - 1);
        let begin = self.places[from].column;
        // Beside its own box it meets none, and another of its column may be wider.
        let (mut x, mut y) = (self.left(begin) + self.column_width(begin), self.port(at, false));
        let left = self.left(begin) + self.places[from].width;
        let mut path = format!("M{} L{}", point(left, y), point(x, y));
        for (index, &place) in wire.iter().enumerate().skip(1) {
            let Place { column, y: middle, .. } = self.places[place];
            let x2 = self.left(column);
            let y2 = if index == last { self.port(at, true) } else { middle };
            let half = (x + x2) / 2;
            // Writing to a String cannot fail, here and below.
            let _ = write!(path, " C{} {} {}", point(half, y), point(half, y2), point(x2, y2));
            (x, y) = (x2, y2);
            if index != last {
                x += self.column_width(column);
                let _ = write!(path, " L{}", point(x, y2));
            }
        }
        path
    }
}

impl Place {
    /// A box with these names. One that stands alone may be as wide as the picture.
    pub(super) fn of(names: Vec<String>, column: usize, is_alone: bool) -> Self {
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

    pub(super) fn name_width(names: &[String]) -> usize {
        let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        longest * CHAR_WIDTH + PADDING
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
    use super::spread;

    #[test]
    fn values_are_as_near_to_the_wished_ones_as_the_gaps_allow() {
        assert_eq!(spread(&[0.0, 100.0], &[10.0]), [0.0, 100.0]);
        assert_eq!(spread(&[5.0, 5.0], &[10.0]), [0.0, 10.0]);
        assert_eq!(spread(&[0.0, 50.0, 40.0, 90.0], &[10.0, 10.0, 10.0]), [0.0, 40.0, 50.0, 90.0]);
        assert_eq!(spread(&[], &[]), [0.0; 0]);
    }
}
