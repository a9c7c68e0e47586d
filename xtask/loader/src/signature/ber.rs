//! The kernel's ASN.1 decoder (`asn1_ber_decoder()`, `lib/asn1_decoder.c` of 7.3.4), as far as it
//! decides what is accepted: lengths of two bytes at most, also indefinite ones, and what is
//! optional as its compiled grammars have it.

use ko::der::tag;

/// The decoder's answer to what is no valid message: it is silent, and the error is `EBADMSG`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bad;

/// The largest message that the decoder takes.
pub(super) const BYTES_MAX: usize = 65535;

/// `ASN1_CONS_BIT`.
const CONSTRUCTED: u8 = 0x20;
/// `ASN1_LONG_TAG`.
const LONG_TAG: u8 = 0x1f;
/// `ASN1_INDEFINITE_LENGTH`.
const INDEFINITE: usize = 0x80;

/// The bytes of a length at most, after the first.
const DIGITS_MAX: usize = 2;
/// The same, in the search for the end of an element.
const LONG_DIGITS_MAX: usize = 7;

/// An element that was matched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    pub(super) tag: u8,
    /// The contents; for an indefinite length with the end mark.
    pub(super) value: &'a [u8],
    /// The offset of the value in the message.
    pub(super) at: usize,
    /// The bytes of tag and length.
    header_bytes: usize,
}

/// A constructed element that is open.
#[derive(Clone, Copy, Debug)]
struct Level {
    /// The offset of its contents.
    begin: usize,
    /// The end of the enclosing element; `None` if its own length is indefinite.
    outer_end: Option<usize>,
}

/// The decoder's place in a message.
#[derive(Debug)]
pub(super) struct Ber<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
    /// `FLAG_MATCHED`: whether the last tag that was looked for was there.
    matched: bool,
    levels: Vec<Level>,
}

impl<'a> Ber<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, end: bytes.len(), matched: false, levels: Vec::new() }
    }

    fn byte(&mut self) -> Result<u8, Bad> {
        let byte = self.bytes.get(self.at).filter(|_| self.at < self.end).ok_or(Bad)?;
        self.at += 1;
        Ok(*byte)
    }

    fn left(&self) -> usize {
        self.end.saturating_sub(self.at)
    }

    /// Reads a tag; none, and nothing is read, when it is not the one wanted. A constructed tag is
    /// matched whether the message says so or not.
    fn tag(&mut self, wanted: Option<u8>) -> Result<Option<u8>, Bad> {
        self.matched = false;
        if self.left() < 2 {
            return Err(Bad);
        }
        let found = self.byte()?;
        if found & LONG_TAG == LONG_TAG {
            return Err(Bad);
        }
        if wanted.is_some_and(|wanted| (wanted ^ found) & !(wanted & CONSTRUCTED) != 0) {
            self.at -= 1;
            return Ok(None);
        }
        self.matched = true;
        Ok(Some(found))
    }

    /// Reads a length of at most so many bytes; none for an indefinite one.
    fn length(&mut self, tag: u8, digits_max: usize) -> Result<Option<usize>, Bad> {
        let first = usize::from(self.byte()?);
        if first == INDEFINITE {
            return if tag & CONSTRUCTED != 0 { Ok(None) } else { Err(Bad) };
        }
        let mut length = first as u64;
        if first > INDEFINITE {
            let digits = first - INDEFINITE;
            if digits > digits_max {
                return Err(Bad);
            }
            length = 0;
            for _ in 0..digits {
                length = length << 8 | u64::from(self.byte()?);
            }
        }
        if length > self.left() as u64 { Err(Bad) } else { Ok(Some(length as usize)) }
    }

    /// `asn1_find_indefinite_length()`: where the end mark of an element ends.
    fn indefinite_end(&self) -> Result<usize, Bad> {
        let mut ahead = Self { levels: Vec::new(), ..*self };
        let mut open = 1u32;
        while open > 0 {
            if ahead.left() < 2 {
                return Err(Bad);
            }
            let found = ahead.byte()?;
            if found == 0 {
                if ahead.byte()? != 0 {
                    return Err(Bad);
                }
                open -= 1;
                continue;
            }
            if found & LONG_TAG == LONG_TAG {
                while ahead.left() >= 2 && ahead.byte()? & 0x80 != 0 {}
            }
            match ahead.length(found, LONG_DIGITS_MAX)? {
                None => open += 1,
                Some(length) => ahead.at += length,
            }
        }
        Ok(ahead.at)
    }

    /// `ASN1_OP_MATCH…` of a whole element, of any tag where none is wanted.
    fn leaf(&mut self, tag: u8, begin: usize) -> Result<Found<'a>, Bad> {
        let length = self.length(tag, DIGITS_MAX)?;
        let at = self.at;
        let end = match length {
            Some(length) => at + length,
            None => self.indefinite_end()?,
        };
        self.at = end;
        let value = self.bytes.get(at..end).ok_or(Bad)?;
        Ok(Found { tag, value, at, header_bytes: at - begin })
    }

    /// The next element, which must have this tag.
    pub(super) fn expect(&mut self, wanted: u8) -> Result<Found<'a>, Bad> {
        let begin = self.at;
        let tag = self.tag(Some(wanted))?.ok_or(Bad)?;
        self.leaf(tag, begin)
    }

    /// The next element, whatever it is.
    pub(super) fn any(&mut self) -> Result<Found<'a>, Bad> {
        let begin = self.at;
        let tag = self.tag(None)?.ok_or(Bad)?;
        self.leaf(tag, begin)
    }

    /// The next element, unless this is the end.
    pub(super) fn skip_any(&mut self) -> Result<(), Bad> {
        if self.at == self.end { Ok(()) } else { self.any().map(drop) }
    }

    /// Opens the next element, which must have this tag.
    pub(super) fn open(&mut self, wanted: u8) -> Result<(), Bad> {
        let tag = self.tag(Some(wanted))?.ok_or(Bad)?;
        self.enter(tag)
    }

    fn enter(&mut self, tag: u8) -> Result<(), Bad> {
        // The flag of an indefinite length wants a tag that is constructed in the message, too.
        let length = self.length(tag, DIGITS_MAX)?;
        if length.is_none() && self.left() < 2 {
            return Err(Bad);
        }
        let outer_end = length.map(|length| std::mem::replace(&mut self.end, self.at + length));
        self.levels.push(Level { begin: self.at, outer_end });
        Ok(())
    }

    /// Opens the next element if it has this tag (`…_OR_SKIP`).
    pub(super) fn open_if(&mut self, wanted: u8) -> Result<bool, Bad> {
        // At the end nothing is looked for, and what was matched before stays so.
        if self.at == self.end {
            return Ok(false);
        }
        match self.tag(Some(wanted))? {
            Some(tag) => self.enter(tag).map(|()| true),
            None => Ok(false),
        }
    }

    /// Opens the second of two alternatives, unless the first was there (`COND_…_OR_SKIP`).
    pub(super) fn open_else(&mut self, wanted: u8) -> Result<bool, Bad> {
        if self.matched { Ok(false) } else { self.open_if(wanted) }
    }

    /// The second of two alternatives, as a whole.
    pub(super) fn expect_else(&mut self, wanted: u8) -> Result<Option<Found<'a>>, Bad> {
        if self.matched || self.at == self.end {
            return Ok(None);
        }
        let begin = self.at;
        match self.tag(Some(wanted))? {
            Some(tag) => self.leaf(tag, begin).map(Some),
            None => Ok(None),
        }
    }

    /// `ASN1_OP_COND_FAIL`: one of the alternatives was there.
    pub(super) fn one_matched(&self) -> Result<(), Bad> {
        if self.matched { Ok(()) } else { Err(Bad) }
    }

    /// Ends an element of fixed members, which must have no more than those.
    pub(super) fn close(&mut self) -> Result<(), Bad> {
        self.end_of(false).map(drop)
    }

    /// Ends an element of any number of members; none while there are more of them.
    pub(super) fn close_list(&mut self) -> Result<Option<&'a [u8]>, Bad> {
        self.end_of(true)
    }

    fn end_of(&mut self, is_list: bool) -> Result<Option<&'a [u8]>, Bad> {
        let level = self.levels.last().copied().ok_or(Bad)?;
        let contents_end = self.at;
        match level.outer_end {
            None => {
                if self.left() < 2 {
                    return Err(Bad);
                }
                if self.bytes.get(self.at) != Some(&0) {
                    return if is_list { Ok(None) } else { Err(Bad) };
                }
                if self.bytes.get(self.at + 1) != Some(&0) {
                    return Err(Bad);
                }
                self.at += 2;
            }
            Some(outer_end) => {
                if self.at < self.end && is_list {
                    return Ok(None);
                }
                if self.at != self.end {
                    return Err(Bad);
                }
                self.end = outer_end;
            }
        }
        self.levels.pop();
        self.bytes.get(level.begin..contents_end).map(Some).ok_or(Bad)
    }

    /// `ASN1_OP_RETURN`: an alternative was read to its end.
    pub(super) fn returned(&mut self) {
        self.matched = true;
    }
}

impl<'a> Found<'a> {
    /// The element with its tag and length, of a message.
    pub(super) fn raw(&self, message: &'a [u8]) -> &'a [u8] {
        let begin = self.at.saturating_sub(self.header_bytes);
        message.get(begin..self.at + self.value.len()).unwrap_or_default()
    }
}

/// The two numbers of an ECDSA signature (`crypto/ecdsasignature.asn1`), as big-endian bytes.
pub(super) fn ecdsa_signature(bytes: &[u8]) -> Result<[&[u8]; 2], Bad> {
    let mut ber = Ber::new(bytes);
    ber.open(tag::SEQUENCE)?;
    let r = ber.expect(tag::INTEGER)?.value;
    let s = ber.expect(tag::INTEGER)?.value;
    ber.close()?;
    Ok([r, s])
}
