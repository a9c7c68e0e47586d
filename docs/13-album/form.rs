// SPDX-License-Identifier: GPL-2.0

//! The forms of a track: its notes as text, and its sound.

use crate::tracks::{
    Note,
    Track, //
};
use kernel::{
    fmt::{
        self,
        Write, //
    },
    prelude::*, //
};

/// What a device makes of a track.
pub(crate) trait Form: Send + Sync + 'static {
    /// Fills `chunk` with what the track is from its byte `from` on, and returns how many bytes
    /// that is. It waits for nothing.
    fn make(track: Track<'_>, from: usize, chunk: &mut [u8]) -> usize;
}

/// The names of the pitches of an octave, with the frequencies of those from C4 on, in hundredths
/// of a hertz.
const PITCHES: [(&str, u64); 12] = [
    ("C", 26163),
    ("C#", 27718),
    ("D", 29366),
    ("D#", 31113),
    ("E", 32963),
    ("F", 34923),
    ("F#", 36999),
    ("G", 39200),
    ("G#", 41530),
    ("A", 44000),
    ("A#", 46616),
    ("B", 49388),
];

/// The octave of a note, its name, and its frequency in C4's octave; nothing for a rest.
fn pitch(note: &Note) -> Option<(u8, &'static str, u64)> {
    let octave = (note.pitch / 12).checked_sub(1)?;
    let (name, hundredths) = PITCHES.get(usize::from(note.pitch % 12))?;
    Some((octave, name, *hundredths))
}

/// The title, and the notes: `E4-` is two eighths of E in the fourth octave, `r` a rest.
pub(crate) struct Sheet;

impl Form for Sheet {
    fn make(track: Track<'_>, from: usize, chunk: &mut [u8]) -> usize {
        let mut window = Window {
            before: from,
            chunk,
            filled: 0,
        };
        // An error is a full window, and the end of it.
        let _ = window.text(track);
        window.filled
    }
}

/// The part of a text that begins at some byte and fits into a chunk.
struct Window<'a> {
    before: usize,
    chunk: &'a mut [u8],
    filled: usize,
}

impl Window<'_> {
    fn text(&mut self, track: Track<'_>) -> fmt::Result {
        self.write_fmt(fmt!("{}\n", track.title))?;
        for note in track.notes {
            match pitch(note) {
                Some((octave, name, _)) => self.write_fmt(fmt!(" {name}{octave}"))?,
                None => self.write_str(" r")?,
            }
            for _ in 1..note.eighths {
                self.write_char('-')?;
            }
        }
        self.write_char('\n')
    }
}

impl Write for Window<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if self.before > 0 {
                self.before -= 1;
                continue;
            }
            *self.chunk.get_mut(self.filled).ok_or(fmt::Error)? = byte;
            self.filled += 1;
        }
        Ok(())
    }
}

/// The sound: one byte a sample, unsigned, 8000 of them a second.
pub(crate) struct Pcm;

/// Samples of an eighth, at 120 quarters a minute.
const EIGHTH: usize = 2000;
/// Samples of silence at the end of a note, so that two of a pitch are two.
const GAP: usize = 250;

impl Form for Pcm {
    fn make(track: Track<'_>, from: usize, chunk: &mut [u8]) -> usize {
        let room = chunk.len();
        let mut before = from;
        let mut slots = chunk.iter_mut();
        for note in track.notes {
            let samples = usize::from(note.eighths) * EIGHTH;
            for index in before..samples {
                let Some(slot) = slots.next() else {
                    return room;
                };
                *slot = sample(note, index, samples);
            }
            before = before.saturating_sub(samples);
        }
        room - slots.len()
    }
}

// ANCHOR: sample
/// The sample `index` of a note: a square wave, 64 above the silence and 64 below.
fn sample(note: &Note, index: usize, samples: usize) -> u8 {
    match pitch(note) {
        Some((octave, _, hundredths)) if index + GAP < samples => {
            // Half waves until here: twice the frequency, times the time. No fraction is needed,
            // nor allowed: the kernel has no floating point.
            let halves = ((index as u64 * hundredths * 2) << octave >> 4) / (8000 * 100);
            if halves % 2 == 0 {
                192
            } else {
                64
            }
        }
        _ => 128,
    }
}
// ANCHOR_END: sample
