use std::ops::Range;
use std::sync::Arc;

use super::position::Position;

/// A text put together from a file and from overrides, which knows where each byte came from.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// The file first, then one for each override.
    origins: Vec<Origin>,
    /// That of the file until something is replaced.
    text: Arc<str>,
    /// In order, the first from byte 0.
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
struct Origin {
    name: String,
    text: Arc<str>,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Where it begins in the text.
    start: usize,
    /// Whose it is.
    origin: usize,
    /// Where it begins in its origin; none for what nobody wrote.
    offset: Option<usize>,
}

/// Something to put into a [`Source`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Insert<'a> {
    /// The whole text of an origin.
    Written(usize),
    /// What nobody wrote, on behalf of an origin.
    Glue(usize, &'a str),
}

/// Where something is: the name of a text, and the place in it where there is one.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) source: String,
    pub(crate) position: Option<Position>,
}

impl Place {
    /// A text as a whole.
    pub(crate) fn whole(source: String) -> Self {
        Self {
            source,
            position: None,
        }
    }
}

impl Source {
    /// A file's text.
    pub(crate) fn new(name: impl Into<String>, text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        Self {
            origins: vec![Origin {
                name: name.into(),
                text: Arc::clone(&text),
            }],
            text,
            pieces: vec![Piece {
                start: 0,
                origin: 0,
                offset: Some(0),
            }],
        }
    }

    /// The text as a whole.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Adds an origin, of which nothing is in the text yet.
    pub(crate) fn add_origin(&mut self, name: String, text: String) -> usize {
        self.origins.push(Origin {
            name,
            text: text.into(),
        });
        self.origins.len() - 1
    }

    /// Puts something in the place of a range of the text.
    pub(crate) fn replace(&mut self, range: Range<usize>, inserts: &[Insert<'_>]) {
        let mut tail = self.pieces[self.piece_at(range.end)];
        tail.offset = tail.offset.map(|at| at + (range.end - tail.start));
        let later = self.pieces.iter().filter(|piece| piece.start > range.end);
        let later: Vec<Piece> = later.copied().collect();

        self.pieces.retain(|piece| piece.start < range.start);
        let mut inserted = String::new();
        for insert in inserts {
            let (origin, offset, text) = match *insert {
                Insert::Written(origin) => (origin, Some(0), &*self.origins[origin].text),
                Insert::Glue(origin, text) => (origin, None, text),
            };
            self.pieces.push(Piece {
                start: range.start + inserted.len(),
                origin,
                offset,
            });
            inserted.push_str(text);
        }
        tail.start = range.start + inserted.len();
        self.pieces.push(tail);
        self.pieces.extend(later.into_iter().map(|piece| Piece {
            start: piece.start - range.end + tail.start,
            ..piece
        }));
        let (before, after) = (&self.text[..range.start], &self.text[range.end..]);
        self.text = [before, &inserted, after].concat().into();
    }

    /// Where a range of the text came from: as much of it as came from where its beginning did.
    pub(crate) fn place(&self, span: &Range<usize>) -> Place {
        let index = self.piece_at(span.start);
        let piece = self.pieces[index];
        let origin = &self.origins[piece.origin];
        let end = match self.pieces.get(index + 1) {
            Some(next) => span.end.min(next.start),
            None => span.end,
        };
        Place {
            source: origin.name.clone(),
            position: piece.offset.map(|offset| {
                let start = offset + (span.start - piece.start);
                position(&origin.text, start..start + (end - span.start))
            }),
        }
    }

    /// The last piece that begins at or before a byte of the text.
    fn piece_at(&self, at: usize) -> usize {
        self.pieces.partition_point(|piece| piece.start <= at) - 1
    }
}

/// Characters of a line that are shown on either side of a place.
const AROUND: usize = 100;

/// Line and column of a range of a text.
fn position(text: &str, span: Range<usize>) -> Position {
    let before = &text[..span.start];
    let begin = before.rfind('\n').map_or(0, |at| at + 1);
    let end = text[span.start..]
        .find('\n')
        .map_or(text.len(), |at| span.start + at);
    let end = begin + text[begin..end].trim_end().len();
    let start = span.start.min(end);
    // What is shown of the line.
    let back = text[begin..start].char_indices().rev().nth(AROUND - 1);
    let from = back.map_or(begin, |(at, _)| begin + at);
    let on = text[start..end].char_indices().nth(AROUND);
    let to = on.map_or(end, |(at, _)| start + at);
    let marked = &text[start..span.end.clamp(start, to)];
    Position {
        line: before.matches('\n').count() + 1,
        column: text[begin..span.start].chars().count() + 1,
        width: marked.trim_end().chars().count().max(1),
        text: text[from..to].to_owned(),
        cut: text[begin..from].chars().count(),
        goes_on: to < end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_knows_where_it_came_from() {
        let mut source = Source::new("f.ron", "(a: 1,\n b: 22)");
        let one = source.add_origin("--set b".into(), "333".into());
        source.replace(11..13, &[Insert::Written(one)]);
        source.replace(1..1, &[Insert::Glue(one, "c: 4, ")]);
        assert_eq!(source.text(), "(c: 4, a: 1,\n b: 333)");
        let at = |start: usize, end: usize| {
            let place = source.place(&(start..end));
            let position = place.position.map(|at| (at.line, at.column, at.width));
            (place.source, position)
        };
        assert_eq!(at(0, 1), ("f.ron".into(), Some((1, 1, 1))));
        assert_eq!(at(1, 2), ("--set b".into(), None));
        assert_eq!(at(7, 8), ("f.ron".into(), Some((1, 2, 1))));
        assert_eq!(at(17, 20), ("--set b".into(), Some((1, 1, 3))));
        assert_eq!(at(20, 21), ("f.ron".into(), Some((2, 7, 1))));
    }
}
