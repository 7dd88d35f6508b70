//! The redactor of known secrets. Everything that is written to a log, the store or GitHub and was said
//! by somebody else goes through it, and the hand-over's policy asks it whether an object holds one. It
//! knows each secret as it is and in the encodings that a line of shell makes: base64, hexadecimal,
//! percent signs, also where a tool has wrapped or spaced them. A secret that was encrypted, compressed or
//! cut in pieces it does not know: a text is shortened only after it went through here.

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::AhoCorasick;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};

/// What stands where a secret was.
pub const MARK: &str = "[secret]";

/// A shorter text is no secret worth the name, and would be found everywhere.
const LEAST_BYTES: usize = 8;

/// A shorter form is looked for as it is and over line ends, but not with spaces in it: it may be made of words.
const LEAST_SPACED: usize = 20;

/// The most bytes between two of a form's in a stream: `\\r\\n` as JSON in JSON, or some indentation.
const MOST_GAP: usize = 8;

/// Tokens that were handed out at run time and are remembered; each is good for an hour.
const MOST_HANDED_OUT: usize = 64;

/// Knows a set of secrets.
pub struct Redactor {
    automaton: Option<AhoCorasick>,
    /// The forms that are long enough to be looked for with gaps in them.
    spaced: Option<AhoCorasick>,
    /// Bytes of the longest form.
    longest: usize,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Redactor {
    /// A redactor of these secrets. One of several lines, a PEM key for example, is known line by line,
    /// however the lines are joined or indented. Lines under 8 bytes are not known.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Redactor {
        let lines = secrets.into_iter().flat_map(str::lines).map(str::trim);
        // The first and the last line of a PEM key are no secret.
        let known = lines.filter(|line| line.len() >= LEAST_BYTES && !line.starts_with("-----"));
        let forms: BTreeSet<String> = known.flat_map(forms).collect();
        let longest = forms.iter().map(String::len).max().unwrap_or(0);
        // Fails only on more bytes than fit in 32 bits.
        let automaton = (!forms.is_empty()).then(|| AhoCorasick::new(&forms).ok()).flatten();
        let long: Vec<&String> = forms.iter().filter(|form| form.len() >= LEAST_SPACED).collect();
        let spaced = (!long.is_empty()).then(|| AhoCorasick::new(&long).ok()).flatten();
        Redactor { automaton, spaced, longest }
    }

    /// The text with every secret replaced, also where a form of it is wrapped over several lines or spaced.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let bytes = text.as_bytes();
        let mut spans = self.spans(bytes);
        if has_line_ends(bytes) {
            let joined = Joined::new(bytes, |_, byte| is_line_end(byte));
            spans.extend(joined.spans(self.spans(&joined.bytes)));
        }
        spans.extend(self.spaced(&Joined::new(bytes, is_gap)));
        if spans.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut clean = String::with_capacity(text.len());
        let mut at = 0;
        for (start, end) in merged(spans) {
            // Every form is ASCII or a whole secret, so both ends lie between characters.
            clean.push_str(&text[at..start]);
            clean.push_str(MARK);
            at = end;
        }
        clean.push_str(&text[at..]);
        Cow::Owned(clean)
    }

    /// Whether a secret is in there, in any form, also where it is wrapped over several lines or spaced.
    pub fn finds(&self, bytes: &[u8]) -> bool {
        let Some(automaton) = &self.automaton else { return false };
        if automaton.is_match(bytes) {
            return true;
        }
        if has_line_ends(bytes) {
            let joined: Vec<u8> = bytes.iter().copied().filter(|byte| !is_line_end(*byte)).collect();
            if automaton.is_match(&joined) {
                return true;
            }
        }
        // An object may have many megabytes: one plain loop.
        let Some(spaced) = &self.spaced else { return false };
        let mut joined = Vec::with_capacity(bytes.len());
        let mut before = 0;
        for byte in bytes {
            if !is_gap(before, *byte) {
                joined.push(*byte);
            }
            before = *byte;
        }
        spaced.is_match(&joined)
    }

    /// Where the secrets are; may overlap.
    fn spans(&self, bytes: &[u8]) -> Vec<(usize, usize)> {
        all_of(self.automaton.as_ref(), bytes)
    }

    /// Where the long forms are that have gaps.
    fn spaced(&self, joined: &Joined) -> impl Iterator<Item = (usize, usize)> {
        joined.spans(all_of(self.spaced.as_ref(), &joined.bytes))
    }

    /// Bytes of the longest form in a stream, with all the gaps that it may have there.
    fn widest(&self) -> usize {
        self.longest + self.longest.saturating_sub(1) * MOST_GAP
    }
}

fn all_of(automaton: Option<&AhoCorasick>, bytes: &[u8]) -> Vec<(usize, usize)> {
    let Some(automaton) = automaton else { return Vec::new() };
    automaton.find_overlapping_iter(bytes).map(|found| (found.start(), found.end())).collect()
}

/// Bytes without some of them.
struct Joined {
    bytes: Vec<u8>,
    /// Where each of them was.
    places: Vec<usize>,
}

impl Joined {
    /// Without what `is_out` says of a byte and the one before it.
    fn new(bytes: &[u8], is_out: impl Fn(u8, u8) -> bool) -> Joined {
        let stays = |at: &usize| !is_out(at.checked_sub(1).map_or(0, |before| bytes[before]), bytes[*at]);
        let places: Vec<usize> = (0..bytes.len()).filter(stays).collect();
        Joined { bytes: places.iter().map(|at| bytes[*at]).collect(), places }
    }

    /// Where these spans of what was joined were.
    fn spans(&self, spans: Vec<(usize, usize)>) -> impl Iterator<Item = (usize, usize)> {
        spans.into_iter().map(|(start, end)| (self.places[start], self.places[end - 1] + 1))
    }

    /// Lines without gaps; `before` is the byte that came before them. A line end stays, and one stands for a
    /// gap that is too long: no form has a line end in it.
    fn lines(bytes: &[u8], before: u8) -> Joined {
        let mut joined = Joined { bytes: Vec::with_capacity(bytes.len()), places: Vec::new() };
        let (mut before, mut gap) = (before, 0);
        for (at, byte) in bytes.iter().copied().enumerate() {
            let is_gap = byte != b'\n' && is_gap(before, byte);
            before = byte;
            gap = if is_gap { gap + 1 } else { 0 };
            if !is_gap || gap == MOST_GAP + 1 {
                joined.bytes.push(if is_gap { b'\n' } else { byte });
                joined.places.push(at);
            }
        }
        joined
    }
}

/// Redacts bytes that come in pieces. What comes out does not depend on where they were cut. A form that is
/// spaced, or wrapped over lines that stand in one as JSON has them, is found; one that is wrapped over several
/// lines of the stream is not.
#[derive(Debug)]
pub struct Stream {
    redactor: Arc<Redactor>,
    /// What may be the beginning of a secret.
    held: Vec<u8>,
    /// The byte that was given out last.
    before: u8,
    /// So many bytes of `held` belong to a secret whose mark is out already.
    marked: usize,
}

impl Stream {
    /// A stream at its beginning.
    pub fn new(redactor: Arc<Redactor>) -> Stream {
        Stream { redactor, held: Vec::new(), before: 0, marked: 0 }
    }

    /// Takes a piece in; gives out what can be given out. Whole lines are never held back.
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(piece);
        let safe = self.held.len().saturating_sub(self.redactor.widest().saturating_sub(1));
        // No form has a line end in it.
        let lines = self.held.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.give(safe.max(lines))
    }

    /// The rest, once nothing more comes.
    pub fn finish(&mut self) -> Vec<u8> {
        self.give(self.held.len())
    }

    /// Gives out the first `cut` bytes. Whatever begins in them lies in `held` whole.
    fn give(&mut self, cut: usize) -> Vec<u8> {
        if cut == 0 {
            return Vec::new();
        }
        let mut spans = self.redactor.spans(&self.held);
        spans.extend(self.redactor.spaced(&Joined::lines(&self.held, self.before)));
        let goes_on = self.marked > 0;
        if goes_on {
            spans.push((0, self.marked));
        }
        let mut out = Vec::with_capacity(cut);
        let mut at = 0;
        for (index, (start, end)) in merged(spans).into_iter().enumerate() {
            if start >= cut {
                break;
            }
            out.extend_from_slice(&self.held[at..start]);
            if index > 0 || !goes_on {
                out.extend_from_slice(MARK.as_bytes());
            }
            at = end;
        }
        if at < cut {
            out.extend_from_slice(&self.held[at..cut]);
        }
        self.marked = at.saturating_sub(cut);
        self.before = self.held[cut - 1];
        self.held.drain(..cut);
        out
    }
}

/// The secrets that hob knows now. Clones share them. Values that come at run time, installation tokens,
/// are added by who receives them.
#[derive(Debug, Clone)]
pub struct Secrets {
    shared: Arc<RwLock<Known>>,
}

#[derive(Debug)]
struct Known {
    configured: Vec<SecretString>,
    handed_out: VecDeque<SecretString>,
    redactor: Arc<Redactor>,
}

impl Secrets {
    /// The secrets of the configuration.
    pub fn new(configured: Vec<SecretString>) -> Secrets {
        let redactor = Arc::new(redactor_of(configured.iter()));
        Secrets { shared: Arc::new(RwLock::new(Known { configured, handed_out: VecDeque::new(), redactor })) }
    }

    /// Adds one that was handed out at run time. The oldest such are forgotten when there are many.
    pub fn add(&self, secret: &SecretString) {
        let mut known = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        let is_known = known.all().any(|k| k.expose_secret() == secret.expose_secret());
        if is_known {
            return;
        }
        known.handed_out.push_back(secret.clone());
        if known.handed_out.len() > MOST_HANDED_OUT {
            known.handed_out.pop_front();
        }
        let redactor = Arc::new(redactor_of(known.all()));
        known.redactor = redactor;
    }

    /// A redactor of what is known now.
    pub fn redactor(&self) -> Arc<Redactor> {
        self.shared.read().unwrap_or_else(PoisonError::into_inner).redactor.clone()
    }

    /// A text without what is known now.
    pub fn redact(&self, text: &str) -> String {
        self.redactor().redact(text).into_owned()
    }

    /// The values, for a process that has to look for them itself.
    pub fn values(&self) -> Vec<SecretString> {
        self.shared.read().unwrap_or_else(PoisonError::into_inner).all().cloned().collect()
    }
}

impl Known {
    fn all(&self) -> impl Iterator<Item = &SecretString> {
        self.configured.iter().chain(&self.handed_out)
    }
}

fn redactor_of<'a>(secrets: impl Iterator<Item = &'a SecretString>) -> Redactor {
    Redactor::new(secrets.map(|secret| secret.expose_secret()))
}

/// Everything a secret may look like.
fn forms(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let mut forms = vec![secret.to_owned(), hex::encode(bytes), hex::encode_upper(bytes)];
    for before in 0..3 {
        forms.push(inside_base64(&STANDARD_NO_PAD, bytes, before));
        forms.push(inside_base64(&URL_SAFE_NO_PAD, bytes, before));
    }
    // RFC 3986, JavaScript's encodeURIComponent, HTML forms, and everything.
    for plain in ["-._~", "-._~!*'()", "-._*", ""] {
        for upper in [true, false] {
            forms.push(percent(bytes, plain, upper));
            forms.push(percent(bytes, plain, upper).replace("%20", "+"));
        }
    }
    forms
}

/// The digits of the base64 of a longer text that depend on this part of it alone, where the part begins
/// `before` bytes after a multiple of three.
fn inside_base64(engine: &impl base64::Engine, part: &[u8], before: usize) -> String {
    let shifted = [&[0; 2][..before], part].concat();
    let digits = engine.encode(&shifted);
    // Six bits a digit.
    let first = (before * 8).div_ceil(6);
    let last = shifted.len() * 8 / 6;
    digits[first..last].to_owned()
}

/// Percent encoding; letters, digits and `plain` stay as they are, unless `plain` is empty.
fn percent(bytes: &[u8], plain: &str, upper: bool) -> String {
    let mut text = String::new();
    for byte in bytes {
        let stays = !plain.is_empty() && (byte.is_ascii_alphanumeric() || plain.as_bytes().contains(byte));
        // Writing to a String cannot fail.
        let _ = match (stays, upper) {
            (true, _) => write!(text, "{}", char::from(*byte)),
            (false, true) => write!(text, "%{byte:02X}"),
            (false, false) => write!(text, "%{byte:02x}"),
        };
    }
    text
}

/// The spans in order, those that overlap made one.
fn merged(mut spans: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
    spans.sort_unstable();
    let mut merged: Vec<(usize, usize)> = Vec::with_capacity(spans.len());
    for (start, end) in spans {
        match merged.last_mut() {
            Some(last) if start < last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    merged
}

fn has_line_ends(bytes: &[u8]) -> bool {
    bytes.contains(&b'\n')
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// Whether a byte can be what a tool puts between two pieces of a form: white space, a sign that the line goes on,
/// or white space as JSON writes it, also as JSON in JSON.
fn is_gap(before: u8, byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r' | b'\t' | b' ' | b'\\')
        || (before == b'\\' && matches!(byte, b'n' | b'r' | b't'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use proptest::prelude::*;

    const KEY: &str = "sk-ant-api03/Zm9v+YmFy=?0123";

    #[test]
    fn a_secret_is_found_in_every_form_and_nothing_else_is() {
        let redactor = Redactor::new([KEY, "short"]);
        let hidden = [
            KEY.to_owned(),
            STANDARD.encode(KEY),
            STANDARD.encode(format!("x{KEY}y")),
            URL_SAFE.encode(format!("xy{KEY}\n")),
            hex::encode(KEY),
            hex::encode_upper(KEY),
            "sk-ant-api03%2FZm9v%2BYmFy%3D%3F0123".to_owned(),
            "sk-ant-api03%2fZm9v%2bYmFy%3d%3f0123".to_owned(),
        ];
        for form in hidden {
            let text = format!("key: {form}.");
            assert!(redactor.finds(text.as_bytes()), "{form}");
            let clean = redactor.redact(&text);
            assert!(clean.contains(MARK) && clean.len() < 30, "{form}: {clean}");
        }
        for text in ["short", "sk-ant-api03", "", "ein Schlüssel", &hex::encode("something else")] {
            assert!(!redactor.finds(text.as_bytes()));
            assert!(matches!(redactor.redact(text), Cow::Borrowed(_)));
        }
    }

    #[test]
    fn what_a_tool_wraps_over_lines_is_found() {
        let redactor = Redactor::new([KEY]);
        let encoded = STANDARD.encode(format!("{}{KEY}", "x".repeat(50)));
        let wrapped = format!("begin\n{}\r\n{}\nend", &encoded[..76], &encoded[76..]);
        assert!(redactor.finds(wrapped.as_bytes()));
        let clean = redactor.redact(&wrapped);
        assert!(clean.starts_with("begin\n") && clean.ends_with("\nend") && clean.contains(MARK), "{clean}");
        assert!(!redactor.finds(clean.as_bytes()));
    }

    #[test]
    fn what_a_tool_spaces_or_json_escapes_is_found() {
        let redactor = Arc::new(Redactor::new([KEY, "my secret", "twelve-bytes"]));
        let encoded = STANDARD.encode(format!("{}{KEY}", "x".repeat(50)));
        let (first, second) = encoded.split_at(76);
        let octets: Vec<String> = KEY.bytes().map(|byte| format!("{byte:02x}")).collect();
        let wrapped = format!("{first}\n{second}\n");
        let in_json = serde_json::to_string(&wrapped).unwrap();
        let hidden = [
            format!("{first} {second}"),
            format!("{first}\\\n  {second}"),
            format!(" {}", octets.join(" ")),
            in_json.clone(),
            serde_json::to_string(&in_json).unwrap(),
        ];
        for form in hidden {
            assert!(redactor.finds(form.as_bytes()), "{form}");
            let clean = redactor.redact(&form);
            assert!(clean.contains(MARK) && !redactor.finds(clean.as_bytes()), "{form}: {clean}");
            if form.contains('\n') {
                continue;
            }
            let mut stream = Stream::new(redactor.clone());
            let given = [stream.push(form.as_bytes()), stream.finish()].concat();
            assert_eq!(String::from_utf8(given).unwrap(), clean);
        }
        // Words that happen to make up a short secret are none.
        for text in ["mysecret", "twelve -bytes", r"twelve\n-bytes"] {
            assert!(!redactor.finds(text.as_bytes()), "{text}");
            assert!(matches!(redactor.redact(text), Cow::Borrowed(_)));
        }
    }

    #[test]
    fn a_key_of_many_lines_is_known_line_by_line_without_its_frame() {
        let pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA0\nZW5kIG9mIGtleQ==\n-----END RSA PRIVATE KEY-----\n";
        let redactor = Redactor::new([pem]);
        let in_json = serde_json::to_string(pem).unwrap();
        let clean = redactor.redact(&in_json);
        assert!(!clean.contains("MIIE") && !clean.contains("ZW5k"), "{clean}");
        assert!(!redactor.finds(b"-----BEGIN RSA PRIVATE KEY-----"));
        assert!(redactor.finds(STANDARD.encode(pem).as_bytes()));
    }

    #[test]
    fn a_redactor_without_secrets_changes_nothing() {
        let redactor = Arc::new(Redactor::new([]));
        assert_eq!(redactor.redact("a\nb"), "a\nb");
        let mut stream = Stream::new(redactor);
        assert_eq!([stream.push(b"some"), stream.push(b"thing"), stream.finish()].concat(), b"something");
    }

    #[test]
    fn a_secret_that_is_handed_out_later_is_known_from_then_on() {
        let secrets = Secrets::new(vec![SecretString::from("configured-1")]);
        let other = secrets.clone();
        assert_eq!(other.redact("ghs_installation configured-1"), "ghs_installation [secret]");
        secrets.add(&SecretString::from("ghs_installation"));
        assert_eq!(other.redact("ghs_installation configured-1"), "[secret] [secret]");
        for n in 0..2 * MOST_HANDED_OUT {
            secrets.add(&SecretString::from(format!("ghs_number-{n}")));
        }
        assert_eq!(other.values().len(), 1 + MOST_HANDED_OUT);
        assert_eq!(other.redact("configured-1"), MARK);
        assert!(!format!("{other:?}").contains("configured-1"));
    }

    #[test]
    fn whole_lines_are_not_held_back() {
        let mut stream = Stream::new(Arc::new(Redactor::new([KEY])));
        assert_eq!(stream.push(b"one line\nand"), b"one line\n");
        assert_eq!(stream.push(b"\n"), b"and\n");
    }

    fn wrapped(form: &str, width: usize, gap: &str) -> String {
        let chars: Vec<char> = form.chars().collect();
        let lines: Vec<String> = chars.chunks(width).map(|line| line.iter().collect()).collect();
        lines.join(gap)
    }

    /// Text over a small alphabet, so that secrets repeat and overlap, with secrets in some form between, some of
    /// them wrapped.
    fn text() -> impl Strategy<Value = (Vec<String>, Vec<u8>)> {
        prop::collection::vec("[ab/+?é]{4,9}[ab]{4}", 1..4).prop_flat_map(|secrets| {
            let all: Vec<String> = secrets.iter().flat_map(|secret| forms(secret)).collect();
            let gap = prop::sample::select(vec![" ", "\\n", "\\\\r\\\\n", "          ", "\\", "n"]);
            let form = prop::sample::select(all);
            let wrapped =
                (form.clone(), gap, 1usize..30).prop_map(|(form, gap, width)| wrapped(&form, width, gap));
            let piece = prop_oneof![form, wrapped, "[abn\\n\\\\]{0,12}".prop_map(String::from)];
            let text = prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes());
            (Just(secrets), text)
        })
    }

    proptest! {
        #[test]
        fn however_a_stream_is_cut_the_same_comes_out(
            (secrets, bytes) in text(),
            cuts in prop::collection::vec(0usize..400, 0..12),
        ) {
            let redactor = Arc::new(Redactor::new(secrets.iter().map(String::as_str)));
            let mut whole = Stream::new(redactor.clone());
            let mut expected = whole.push(&bytes);
            expected.extend(whole.finish());

            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut pieces = Stream::new(redactor.clone());
            let mut given = Vec::new();
            for pair in cuts.windows(2) {
                given.extend(pieces.push(&bytes[pair[0]..pair[1]]));
            }
            given.extend(pieces.finish());
            prop_assert_eq!(String::from_utf8_lossy(&given), String::from_utf8_lossy(&expected));
            prop_assert!(redactor.spans(&given).is_empty(), "a form survives");
        }

        #[test]
        fn no_form_survives_wherever_it_stands(
            secret in "[!-~]{8,60}",
            before in prop::collection::vec(any::<u8>(), 0..5),
            after in prop::collection::vec(any::<u8>(), 0..5),
            width in 1usize..80,
        ) {
            // A mark that is part of a secret, or beside which a secret begins anew, is not a secret's end.
            prop_assume!(!secret.starts_with("-----") && !secret.contains(['[', ']']));
            let redactor = Redactor::new([secret.as_str()]);
            let inner = [before.as_slice(), secret.as_bytes(), &after].concat();
            for text in [STANDARD.encode(&inner), URL_SAFE.encode(&inner), hex::encode(&inner), hex::encode_upper(&inner)] {
                prop_assert!(redactor.finds(text.as_bytes()));
                prop_assert!(!redactor.finds(redactor.redact(&text).as_bytes()));
                // As `echo $(… | base64)` prints it, and as JSON has what `base64` prints.
                for gap in ["\n", "\r\n", " ", "\\n", "\\\\n"].into_iter().filter(|_| secret.len() >= LEAST_SPACED) {
                    let wrapped = wrapped(&text, width, gap);
                    prop_assert!(redactor.finds(wrapped.as_bytes()), "{}", wrapped);
                    prop_assert!(!redactor.finds(redactor.redact(&wrapped).as_bytes()), "{}", wrapped);
                }
            }
        }
    }
}
