//! The ways to read bytes in which a secret may stand: as they are; with the escapes of JSON, HTML,
//! addresses and C read, and without colours and what has no width; each of these with its lines
//! joined, without what a quotation, a comment or a patch puts before each line, and without any
//! space. All of it takes time in proportion to the bytes.

use std::borrow::Cow;

/// JSON in JSON with colours in it takes three.
const MAX_DECODINGS: usize = 3;
/// The longest name of a character in [`ENTITIES`].
const MAX_ENTITY: usize = 14;
/// Digits of a line's number, as `cat -n` puts it before the line.
const MAX_NUMBER: usize = 7;

/// What HTML calls characters that are in secrets, and characters that nobody sees.
const ENTITIES: &[(&[u8], &str)] = &[
    (b"amp", "&"),
    (b"AMP", "&"),
    (b"lt", "<"),
    (b"LT", "<"),
    (b"gt", ">"),
    (b"GT", ">"),
    (b"quot", "\""),
    (b"QUOT", "\""),
    (b"apos", "'"),
    (b"plus", "+"),
    (b"sol", "/"),
    (b"bsol", "\\"),
    (b"equals", "="),
    (b"lowbar", "_"),
    (b"UnderBar", "_"),
    (b"hyphen", "-"),
    (b"dash", "-"),
    (b"period", "."),
    (b"comma", ","),
    (b"colon", ":"),
    (b"semi", ";"),
    (b"excl", "!"),
    (b"quest", "?"),
    (b"num", "#"),
    (b"dollar", "$"),
    (b"percnt", "%"),
    (b"lpar", "("),
    (b"rpar", ")"),
    (b"ast", "*"),
    (b"midast", "*"),
    (b"commat", "@"),
    (b"lsqb", "["),
    (b"lbrack", "["),
    (b"rsqb", "]"),
    (b"rbrack", "]"),
    (b"lcub", "{"),
    (b"lbrace", "{"),
    (b"rcub", "}"),
    (b"rbrace", "}"),
    (b"verbar", "|"),
    (b"vert", "|"),
    (b"VerticalLine", "|"),
    (b"Hat", "^"),
    (b"grave", "`"),
    (b"Tab", "\t"),
    (b"NewLine", "\n"),
    (b"nbsp", " "),
    (b"shy", ""),
    (b"zwj", ""),
    (b"zwnj", ""),
    (b"ZeroWidthSpace", ""),
    (b"NoBreak", ""),
];

/// Whether it is to be known where what is read was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Places {
    Known,
    Unknown,
}

/// Bytes that were read out of others.
pub(super) struct View<'a> {
    bytes: Cow<'a, [u8]>,
    /// Where each of them begins and ends in what was read; none where that is the same, or not to
    /// be known.
    places: Option<Vec<(usize, usize)>>,
}

/// Takes a byte, and where what it stands for begins and ends.
type Put<'a> = dyn FnMut(u8, usize, usize) + 'a;

impl View<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where a span of these bytes was. It is not empty.
    pub(super) fn span(&self, start: usize, end: usize) -> (usize, usize) {
        match &self.places {
            None => (start, end),
            Some(places) => (places[start].0, places[end - 1].1),
        }
    }

    /// What `read` reads out of this.
    fn read(&self, places: Places, read: impl FnOnce(&[u8], &mut Put<'_>)) -> View<'static> {
        let mut bytes = Vec::with_capacity(self.bytes.len());
        if places == Places::Unknown {
            read(&self.bytes, &mut |byte, _, _| bytes.push(byte));
            return View { bytes: Cow::Owned(bytes), places: None };
        }
        let mut found = Vec::with_capacity(self.bytes.len());
        read(&self.bytes, &mut |byte, start, end| {
            bytes.push(byte);
            found.push(self.span(start, end));
        });
        View { bytes: Cow::Owned(bytes), places: Some(found) }
    }
}

/// The parts of the bytes that have nothing in them but what these forms are made of, in any way to
/// read them. Shorter ones than `least` are left out.
pub(super) fn stretches<'b>(
    bytes: &'b [u8],
    of_forms: &[bool; 256],
    least: usize,
) -> impl Iterator<Item = &'b [u8]> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let start = at;
            while at < bytes.len() {
                let length = match bytes[at] {
                    0x1b => escape(&bytes[at..]),
                    0xc2.. => invisible(&bytes[at..]),
                    _ => 0,
                };
                if length == 0 && !bytes[at].is_ascii() && !of_forms[usize::from(bytes[at])] {
                    break;
                }
                at += length.max(1);
            }
            let stretch = &bytes[start..at];
            at += 1;
            if stretch.len() >= least {
                return Some(stretch);
            }
        }
        None
    })
}

/// Shows every way to read the bytes, each with whether spaces are left out of it, until `look`
/// says that it is enough.
pub(super) fn each(bytes: &[u8], places: Places, look: &mut dyn FnMut(&View<'_>, bool) -> bool) {
    let mut view = View { bytes: Cow::Borrowed(bytes), places: None };
    for decodings in 0..=MAX_DECODINGS {
        if !joined(&view, decodings > 0, places, look) || !view.bytes.iter().copied().any(may_be_coded) {
            return;
        }
        let decoded = view.read(places, decode);
        if decoded.bytes == view.bytes {
            return;
        }
        view = decoded;
    }
}

/// The same of bytes that are not decoded further. An escape that reads like a line end counts as a
/// space.
fn joined(
    view: &View<'_>,
    is_decoded: bool,
    places: Places,
    look: &mut dyn FnMut(&View<'_>, bool) -> bool,
) -> bool {
    if !look(view, false) {
        return false;
    }
    let bytes = view.bytes();
    if bytes.iter().copied().any(is_line_end) {
        let plain = view.read(places, |bytes, put| {
            for (at, byte) in bytes.iter().copied().enumerate().filter(|(_, byte)| !is_line_end(*byte)) {
                put(byte, at, at + 1);
            }
        });
        if !look(&plain, is_decoded) {
            return false;
        }
        drop(plain);
        for before in prefixes_in(bytes) {
            let unquoted = view.read(places, |bytes, put| unquote(bytes, *before, put));
            if !look(&unquoted, is_decoded) {
                return false;
            }
        }
    }
    let spaced = view.read(places, |bytes, put| {
        let mut before = 0;
        for (at, byte) in bytes.iter().copied().enumerate() {
            if !is_gap(before, byte) {
                put(byte, at, at + 1);
            }
            before = byte;
        }
    });
    look(&spaced, true)
}

/// What is left out before each line but the first. The signs may be those that a secret is made
/// of, so it takes several tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefix {
    /// So many signs, and the spaces around them.
    Signs(usize),
    /// Signs up to the first space.
    Word,
    /// Every sign, and a line's number.
    All,
}

/// Which of them are worth a try.
fn prefixes_in(bytes: &[u8]) -> &'static [Prefix] {
    const ALL: &[Prefix] = &[Prefix::Signs(1), Prefix::Signs(2), Prefix::Word, Prefix::All];
    let mut starts = bytes.iter().enumerate().filter(|(_, byte)| is_line_end(**byte)).map(|(at, _)| at + 1);
    let is_quoted = |at: usize| {
        let first = bytes[at..].iter().find(|byte| !is_blank(**byte));
        first.is_some_and(|byte| is_sign(*byte) || byte.is_ascii_digit())
    };
    if starts.any(is_quoted) { ALL } else { &[] }
}

/// Joins lines, without what is put before each.
fn unquote(bytes: &[u8], prefix: Prefix, put: &mut Put<'_>) {
    let mut at = 0;
    // The end of what was put out, and of what follows it that goes if a line ends there.
    let mut blanks: Option<usize> = None;
    while at < bytes.len() {
        let byte = bytes[at];
        if is_line_end(byte) {
            at += bytes[at..].iter().take_while(|byte| is_line_end(**byte)).count();
            at += before_line(&bytes[at..], prefix);
            blanks = None;
        } else if is_blank(byte) || byte == b'\\' {
            blanks.get_or_insert(at);
            at += 1;
        } else {
            let from = blanks.take().unwrap_or(at);
            bytes[from..at].iter().zip(from..).for_each(|(blank, at)| put(*blank, at, at + 1));
            put(byte, at, at + 1);
            at += 1;
        }
    }
}

/// How much of the beginning of a line is left out.
fn before_line(line: &[u8], prefix: Prefix) -> usize {
    let blanks = |from: usize| line[from..].iter().take_while(|byte| is_blank(**byte)).count();
    let mut at = blanks(0);
    match prefix {
        Prefix::Signs(most) => {
            for _ in 0..most {
                if !line.get(at).copied().is_some_and(is_sign) {
                    break;
                }
                at += 1;
                at += blanks(at);
            }
        }
        Prefix::Word => {
            let signs = line[at..].iter().take_while(|byte| is_sign(**byte)).count();
            let gap = blanks(at + signs);
            if signs > 0 && gap > 0 {
                at += signs + gap;
            }
        }
        Prefix::All => {
            let digits = line[at..].iter().take(MAX_NUMBER).take_while(|byte| byte.is_ascii_digit()).count();
            let after = line.get(at + digits).copied();
            if digits > 0
                && after.is_some_and(|byte| matches!(byte, b':' | b'|' | b'.' | b')' | b']' | b'>' | b'\t'))
            {
                at += digits;
            }
            at += line[at..].iter().take_while(|byte| is_sign(**byte) || is_blank(**byte)).count();
        }
    }
    at
}

fn is_sign(byte: u8) -> bool {
    byte.is_ascii_punctuation()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// Whether a byte can be what a tool puts between two pieces of a form: white space, a sign that
/// the line goes on, or white space as JSON writes it, also as JSON in JSON.
fn is_gap(before: u8, byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r' | b'\t' | b' ' | b'\\')
        || (before == b'\\' && matches!(byte, b'n' | b'r' | b't'))
}

/// Whether a byte may begin what [`decode`] reads in another way.
fn may_be_coded(byte: u8) -> bool {
    matches!(byte, b'\\' | b'&' | b'%' | b'[' | 0x7f | 0xc2 | 0xcd | 0xe1 | 0xe2 | 0xef | 0xf3)
        || (byte < b' ' && !is_blank(byte) && !is_line_end(byte))
}

/// Reads escapes, and leaves out what has no width.
fn decode(bytes: &[u8], put: &mut Put<'_>) {
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let (length, read) = match rest[0] {
            b'\\' => after_backslash(rest),
            b'&' => entity(rest),
            b'%' => match hex(rest, 1, 2) {
                Some(code) => (3, Read::Byte(code as u8)),
                None => (1, Read::Same),
            },
            0x1b => (escape(rest), Read::Nothing),
            b'[' => match colour(&rest[1..]) {
                // Somebody has taken the character before it out.
                Some(length) => (1 + length, Read::Nothing),
                None => (1, Read::Same),
            },
            byte if byte >= 0xc2 => match invisible(rest) {
                0 => (1, Read::Same),
                length => (length, Read::Nothing),
            },
            byte if (byte < b' ' && !is_blank(byte) && !is_line_end(byte)) || byte == 0x7f => {
                (1, Read::Nothing)
            }
            _ => (1, Read::Same),
        };
        let end = at + length;
        match read {
            Read::Nothing => {}
            Read::Same => put(rest[0], at, end),
            Read::Byte(byte) => put(byte, at, end),
            Read::Text(text) => text.bytes().for_each(|byte| put(byte, at, end)),
            Read::Char(c) => c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| put(byte, at, end)),
        }
        at = end;
    }
}

/// What some bytes stand for.
enum Read {
    /// Nothing that is seen.
    Nothing,
    /// The first of them for itself.
    Same,
    Byte(u8),
    Text(&'static str),
    Char(char),
}

/// An escape of JSON, JavaScript, C, Python, Rust or a shell.
fn after_backslash(rest: &[u8]) -> (usize, Read) {
    let Some(next) = rest.get(1) else { return (1, Read::Same) };
    match next {
        b'n' => (2, Read::Byte(b'\n')),
        b'r' => (2, Read::Byte(b'\r')),
        b't' => (2, Read::Byte(b'\t')),
        b'e' => (2, Read::Byte(0x1b)),
        b'x' => match hex(rest, 2, 2) {
            Some(code) => (4, Read::Byte(code as u8)),
            None => (1, Read::Same),
        },
        b'u' if rest.get(2) == Some(&b'{') => {
            let digits = rest[3..].iter().take(6).take_while(|byte| byte.is_ascii_hexdigit()).count();
            let c = hex(rest, 3, digits).and_then(char::from_u32);
            match c.filter(|_| rest.get(3 + digits) == Some(&b'}')) {
                Some(c) => (4 + digits, Read::Char(c)),
                None => (1, Read::Same),
            }
        }
        b'u' => {
            let low = || (rest.get(6..8) == Some(br"\u")).then(|| hex(rest, 8, 4)).flatten();
            match hex(rest, 2, 4) {
                Some(high @ 0xd800..=0xdbff) => match low().filter(|low| (0xdc00..=0xdfff).contains(low)) {
                    Some(low) => {
                        let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                        (12, char::from_u32(code).map_or(Read::Nothing, Read::Char))
                    }
                    None => (6, Read::Nothing),
                },
                Some(code) => (6, char::from_u32(code).map_or(Read::Nothing, Read::Char)),
                None => (1, Read::Same),
            }
        }
        b'U' => match hex(rest, 2, 8).and_then(char::from_u32) {
            Some(c) => (10, Read::Char(c)),
            None => (1, Read::Same),
        },
        b'0'..=b'7' => {
            let digits = rest[1..].iter().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
            let code = rest[1..=digits].iter().fold(0u32, |code, digit| code * 8 + u32::from(digit - b'0'));
            (1 + digits, Read::Byte(code as u8))
        }
        byte if byte.is_ascii_punctuation() || is_line_end(*byte) => (2, Read::Byte(*byte)),
        _ => (1, Read::Same),
    }
}

/// A character's name or number in HTML. The semicolon may be missing behind a number.
fn entity(rest: &[u8]) -> (usize, Read) {
    let numbered = |from: usize, radix: u32, most: usize| {
        let is_digit = |byte: &&u8| char::from(**byte).is_digit(radix);
        let digits = rest[from..].iter().take(most).take_while(is_digit).count();
        let text = std::str::from_utf8(&rest[from..from + digits]).ok()?;
        let c = u32::from_str_radix(text, radix).ok().and_then(char::from_u32)?;
        let end = from + digits;
        Some((end + usize::from(rest.get(end) == Some(&b';')), Read::Char(c)))
    };
    let same = (1, Read::Same);
    match (rest.get(1), rest.get(2)) {
        (Some(b'#'), Some(b'x' | b'X')) => numbered(3, 16, 8).unwrap_or(same),
        (Some(b'#'), _) => numbered(2, 10, 8).unwrap_or(same),
        _ => {
            let name =
                rest[1..].iter().take(MAX_ENTITY).take_while(|byte| byte.is_ascii_alphabetic()).count();
            let known = ENTITIES.iter().find(|(known, _)| *known == &rest[1..=name]);
            match known.filter(|_| rest.get(1 + name) == Some(&b';')) {
                Some((_, text)) => (2 + name, Read::Text(text)),
                None => same,
            }
        }
    }
}

/// The number that so many hexadecimal digits make.
fn hex(bytes: &[u8], from: usize, digits: usize) -> Option<u32> {
    let digits = bytes.get(from..from + digits).filter(|digits| !digits.is_empty())?;
    digits.iter().try_fold(0u32, |code, digit| Some((code << 4) | char::from(*digit).to_digit(16)?))
}

/// The length of a sequence that steers a terminal.
fn escape(rest: &[u8]) -> usize {
    match rest.get(1) {
        Some(b'[') => 2 + control(&rest[2..]),
        // A title or the address of a link, up to its end. Another escape ends it too, so no byte
        // is looked at twice.
        Some(b']' | b'P' | b'X' | b'^' | b'_') => {
            let inside = rest[2..].iter().take_while(|byte| !matches!(byte, 0x07 | 0x1b | b'\n')).count();
            match (rest.get(2 + inside), rest.get(3 + inside)) {
                (Some(0x07), _) => 3 + inside,
                (Some(0x1b), Some(b'\\')) => 4 + inside,
                _ => 2,
            }
        }
        // The usual set of characters, as `tput sgr0` has it.
        Some(b'(' | b')') if matches!(rest.get(2), Some(b'B' | b'0' | b'A')) => 3,
        _ => 1,
    }
}

/// The length of a control sequence behind its beginning.
fn control(rest: &[u8]) -> usize {
    let inside = rest.iter().take_while(|byte| matches!(byte, b' '..=b'?')).count();
    match rest.get(inside) {
        Some(b'@'..=b'~') => inside + 1,
        _ => inside,
    }
}

/// The length of a colour's sequence behind its `[`, if it is one.
fn colour(rest: &[u8]) -> Option<usize> {
    let inside = rest.iter().take(24).take_while(|byte| byte.is_ascii_digit() || **byte == b';').count();
    (rest.get(inside) == Some(&b'm')).then_some(inside + 1)
}

/// The length of a character that has no width, where there is one; also of the control character
/// that begins a sequence.
fn invisible(rest: &[u8]) -> usize {
    match rest {
        [0xc2, 0x9b, after @ ..] => 2 + control(after),
        [0xc2, 0x80..=0x9f | 0xad, ..] | [0xcd, 0x8f, ..] => 2,
        [0xe1, 0xa0, 0x8e, ..]
        | [0xe2, 0x80, 0x8b..=0x8f | 0xaa..=0xae, ..]
        | [0xe2, 0x81, 0xa0..=0xaf, ..]
        | [0xef, 0xbb, 0xbf, ..]
        | [0xef, 0xb8, 0x80..=0x8f, ..] => 3,
        [0xf3, 0xa0, 0x80..=0x87, _, ..] => 4,
        _ => 0,
    }
}
