//! Changes of an input: of single bytes, and of its pieces (words, quoted strings, signs), so that what comes out is
//! often still JSON, or a network.

use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// No input gets longer: size alone finds little, and takes time.
const LONGEST: usize = 8192;

/// Which kept input is changed, and how.
pub type Mutant = (Index, Vec<Change>);

/// One change.
#[derive(Clone, Debug)]
pub struct Change {
    /// What the input is taken for.
    grain: Grain,
    /// The first piece that is changed, and how many are.
    from: Index,
    count: usize,
    to: To,
}

/// What counts as one piece.
#[derive(Clone, Copy, Debug)]
enum Grain {
    Byte,
    /// Letters and digits in a row, or one sign.
    Word,
    /// The same, but a quoted string as a whole.
    Token,
    /// Only quoted strings and words: what stands between the signs of JSON.
    Value,
}

/// What the pieces become.
#[derive(Clone, Debug)]
enum To {
    Nothing,
    /// Themselves, so many times.
    Repeated(usize),
    Bytes(Vec<u8>),
    /// A number so much larger.
    Plus(i8),
    /// One of the target's words.
    Word(Index),
    /// The same number of pieces of a kept input.
    Pieces(Index, Index),
    /// Themselves, after pieces of the same input from further on.
    After(Index),
}

/// Every mutant; fewer changes are simpler.
pub fn mutants() -> impl Strategy<Value = Mutant> {
    let grain = prop_oneof![
        3 => Just(Grain::Value),
        1 => Just(Grain::Token),
        2 => Just(Grain::Word),
        1 => Just(Grain::Byte),
    ];
    let count = prop_oneof![6 => Just(1usize), 1 => 0usize..4, 1 => 0usize..40];
    let byte = prop_oneof![any::<u8>(), 32u8..127, Just(b'"'), Just(b'\\'), Just(0), Just(0xff)];
    let to = prop_oneof![
        2 => Just(To::Nothing),
        1 => (2usize..4).prop_map(To::Repeated),
        1 => (2usize..400).prop_map(To::Repeated),
        2 => vec(byte, 1..5).prop_map(To::Bytes),
        2 => (-2i8..3).prop_map(To::Plus),
        4 => any::<Index>().prop_map(To::Word),
        4 => (any::<Index>(), any::<Index>()).prop_map(|(input, from)| To::Pieces(input, from)),
        1 => any::<Index>().prop_map(To::After),
    ];
    let change = (grain, any::<Index>(), count, to).prop_map(|(grain, from, count, to)| Change {
        grain,
        from,
        count,
        to,
    });
    (any::<Index>(), vec(change, 1..5))
}

/// The input that a mutant stands for.
pub fn mutated(pool: &[Vec<u8>], words: &[&str], (input, changes): &Mutant) -> Vec<u8> {
    let mut text = input.get(pool).clone();
    for change in changes {
        let pieces = pieces(&text, change.grain);
        let place = range(&pieces, change.from, change.count, text.len());
        let old = text[place.clone()].to_vec();
        let new = match &change.to {
            To::Nothing => Vec::new(),
            To::Repeated(times) => old.repeat(*times),
            To::Bytes(bytes) => bytes.clone(),
            To::Plus(more) => plus(&old, *more).unwrap_or(old),
            To::Word(_) if words.is_empty() => old,
            To::Word(index) => index.get(words).as_bytes().to_vec(),
            To::Pieces(input, from) => piece_of(input.get::<Vec<u8>>(pool), change, *from).to_vec(),
            To::After(from) => [piece_of(&text, change, *from), &old].concat(),
        };
        text.splice(place, new);
        text.truncate(LONGEST);
    }
    text
}

fn piece_of<'t>(text: &'t [u8], change: &Change, from: Index) -> &'t [u8] {
    let count = change.count.max(1);
    &text[range(&pieces(text, change.grain), from, count, text.len())]
}

/// Where `count` pieces stand; their place is the end of the text where there are none.
fn range(pieces: &[Range<usize>], from: Index, count: usize, end: usize) -> Range<usize> {
    let first = from.index(pieces.len() + 1);
    let start = pieces.get(first).map_or(end, |piece| piece.start);
    let last = pieces.get((first + count).min(pieces.len()).wrapping_sub(1));
    start..last.map_or(end, |piece| piece.end).max(start)
}

fn plus(old: &[u8], more: i8) -> Option<Vec<u8>> {
    let number: i128 = std::str::from_utf8(old).ok()?.parse().ok()?;
    Some(number.checked_add(more.into())?.to_string().into_bytes())
}

fn pieces(text: &[u8], grain: Grain) -> Vec<Range<usize>> {
    let mut pieces: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    while let Some(first) = text.get(start) {
        let rest = &text[start..];
        let is_word = |b: &u8| b.is_ascii_alphanumeric();
        let length = match grain {
            Grain::Token | Grain::Value if *first == b'"' => quoted(rest),
            Grain::Byte => 1,
            _ => rest.iter().take_while(|b| is_word(b)).count().max(1),
        };
        let is_sign = length == 1 && !is_word(first);
        if !(matches!(grain, Grain::Value) && is_sign) {
            pieces.push(start..start + length);
        }
        start += length;
    }
    pieces
}

/// The length of the quoted string that a text begins with.
fn quoted(text: &[u8]) -> usize {
    let mut escaped = false;
    let end = text.iter().skip(1).position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}
