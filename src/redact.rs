//! The redactor of known secrets. Everything that is written to a log, the store or GitHub and was
//! said by somebody else goes through it, and the hand-over's policy asks it whether an object
//! holds one. It knows each secret as it is and in the encodings that a line of shell makes:
//! base64, hexadecimal, percent signs; also where a tool has wrapped, quoted, spaced or coloured
//! them, or written them with the escapes of JSON or HTML (`redact/views.rs`). A secret that was
//! encrypted, compressed or cut in pieces it does not know: a text is shortened only after it went
//! through here.

mod addresses;
mod views;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::AhoCorasick;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};

pub use addresses::Addresses;
use views::{Places, View};

/// What stands where a secret was.
pub const MARK: &str = "[secret]";

/// As many bytes before a piece of a text as are enough to know every secret that ends in it,
/// wrapped and with escapes.
pub const CONTEXT: usize = 32 << 10;

/// A shorter text is no secret worth the name, and would be found everywhere.
const MIN_BYTES: usize = 8;

/// A shorter form is looked for as it is and over line ends, but not with spaces in it: it may be
/// made of words.
const MIN_SPACED: usize = 20;

/// A longer line of a stream is looked through in pieces, each with as much of the one before as
/// half of this.
const MAX_LINE_LEN: usize = 256 << 10;

/// Tokens that were handed out at run time and are remembered; each is good for an hour.
const MAX_HANDED_OUT: usize = 64;

/// Knows a set of secrets.
pub struct Redactor {
    all: Option<Forms>,
    /// The forms that are long enough to be looked for with gaps in them.
    spaced: Option<Forms>,
}

/// What some secrets may look like.
struct Forms {
    automaton: AhoCorasick,
    /// The secret that each form is of, by its place among them.
    of: Vec<usize>,
    /// Which bytes are in them.
    bytes: [bool; 256],
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Forms {
    /// Fails only on more bytes than fit in 32 bits.
    fn new<'a>(forms: impl Iterator<Item = (&'a String, &'a usize)>) -> Option<Forms> {
        let (forms, of): (Vec<&String>, Vec<usize>) = forms.unzip();
        if forms.is_empty() {
            return None;
        }
        let mut bytes = [false; 256];
        forms.iter().flat_map(|form| form.bytes()).for_each(|byte| bytes[usize::from(byte)] = true);
        Some(Forms { automaton: AhoCorasick::new(forms).ok()?, of, bytes })
    }
}

impl Redactor {
    /// A redactor of these secrets. One of several lines, a PEM key for example, is known line by
    /// line, however the lines are joined or indented. Lines under 8 bytes are not known.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Redactor {
        let lines = secrets.into_iter().flat_map(str::lines).map(str::trim);
        // The first and the last line of a PEM key are no secret.
        let known = lines.filter(|line| line.len() >= MIN_BYTES && !line.starts_with("-----"));
        let mut all: BTreeMap<String, usize> = BTreeMap::new();
        for (place, secret) in known.enumerate() {
            for form in forms(secret) {
                all.entry(form).or_insert(place);
            }
        }
        let spaced = Forms::new(all.iter().filter(|(form, _)| form.len() >= MIN_SPACED));
        Redactor { all: Forms::new(all.iter()), spaced }
    }

    /// The text with every secret replaced, also where a form of it is wrapped over several lines
    /// or spaced.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let spans = self.spans(text.as_bytes());
        if spans.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(without(text, 0, spans)) }
    }

    /// What the text reads from a place on, with every secret replaced, also one that begins before
    /// that place. Before it there have to be [`CONTEXT`] bytes, or the beginning.
    pub fn redact_from(&self, text: &str, from: usize) -> String {
        without(text, text.ceil_char_boundary(from), self.spans(text.as_bytes()))
    }

    /// Whether a secret is in there, in any form, also where it is wrapped over several lines or
    /// spaced.
    pub fn finds(&self, bytes: &[u8]) -> bool {
        let mut is_found = false;
        for stretch in self.stretches(bytes) {
            self.look(stretch, Places::Unknown, |view, forms| {
                is_found = forms.automaton.is_match(view.bytes());
                !is_found
            });
            if is_found {
                break;
            }
        }
        is_found
    }

    /// Which secrets are in there, each by a number of its own.
    pub fn found_in(&self, bytes: &[u8]) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        for stretch in self.stretches(bytes) {
            self.look(stretch, Places::Unknown, |view, forms| {
                let matches = forms.automaton.find_overlapping_iter(view.bytes());
                found.extend(matches.map(|found| forms.of[found.pattern().as_usize()]));
                true
            });
        }
        found
    }

    /// The parts of the bytes in which a secret may stand. Of an image or an archive that is
    /// little.
    fn stretches<'b>(&self, bytes: &'b [u8]) -> impl Iterator<Item = &'b [u8]> {
        let forms = self.all.as_ref().map(|forms| &forms.bytes);
        forms.into_iter().flat_map(move |forms| views::stretches(bytes, forms, MIN_BYTES))
    }

    /// Where the secrets are; may overlap.
    fn spans(&self, bytes: &[u8]) -> Vec<(usize, usize)> {
        let mut spans = Vec::new();
        self.look(bytes, Places::Known, |view, forms| {
            let matches = forms.automaton.find_overlapping_iter(view.bytes());
            spans.extend(matches.map(|found| view.span(found.start(), found.end())));
            true
        });
        spans
    }

    /// Shows every way to read the bytes with the forms to be looked for in it, until `look` says
    /// that it is enough.
    fn look(&self, bytes: &[u8], places: Places, mut look: impl FnMut(&View<'_>, &Forms) -> bool) {
        let Some(all) = &self.all else { return };
        views::each(bytes, places, &mut |view, has_gaps| match (has_gaps, &self.spaced) {
            (false, _) => look(view, all),
            (true, Some(spaced)) => look(view, spaced),
            (true, None) => true,
        });
    }
}

/// The text from a place on, without these spans.
fn without(text: &str, from: usize, spans: Vec<(usize, usize)>) -> String {
    let mut clean = String::with_capacity(text.len() - from);
    let mut at = from;
    for (start, end) in merged(spans) {
        if end <= from {
            continue;
        }
        let start = text.floor_char_boundary(start).max(at);
        clean.push_str(&text[at..start]);
        clean.push_str(MARK);
        at = text.ceil_char_boundary(end);
    }
    clean.push_str(&text[at..]);
    clean
}

/// Redacts bytes that come in pieces, line by line. What comes out does not depend on where they
/// were cut. A form that is wrapped over several lines of the stream is not found; in one line, as
/// JSON has them, it is.
#[derive(Debug)]
pub struct Stream {
    redactor: Arc<Redactor>,
    /// The line so far, or what may be the beginning of a secret in it.
    held: Vec<u8>,
    /// So many bytes of `held` belong to a secret whose mark is out already.
    marked: usize,
}

impl Stream {
    /// A stream at its beginning.
    pub fn new(redactor: Arc<Redactor>) -> Stream {
        Stream { redactor, held: Vec::new(), marked: 0 }
    }

    /// Takes a piece in; gives out what can be given out. Whole lines are never held back.
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for line in piece.split_inclusive(|byte| *byte == b'\n') {
            let mut rest = line;
            while !rest.is_empty() {
                let (part, after) = rest.split_at(rest.len().min(MAX_LINE_LEN - self.held.len()));
                self.held.extend_from_slice(part);
                rest = after;
                if self.held.last() == Some(&b'\n') {
                    out.extend(self.give(self.held.len()));
                } else if self.held.len() == MAX_LINE_LEN {
                    out.extend(self.give(MAX_LINE_LEN / 2));
                }
            }
        }
        out
    }

    /// The rest, once nothing more comes.
    pub fn finish(&mut self) -> Vec<u8> {
        self.give(self.held.len())
    }

    /// Gives out the first `cut` bytes. Whatever begins in them lies in `held` whole.
    fn give(&mut self, cut: usize) -> Vec<u8> {
        let mut spans = self.redactor.spans(&self.held);
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
        self.held.drain(..cut);
        out
    }
}

/// The secrets that hob knows now. Clones share them. Values that come at run time, installation
/// tokens, are added by who receives them.
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
        if known.handed_out.len() > MAX_HANDED_OUT {
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

/// The digits of the base64 of a longer text that depend on this part of it alone, where the part
/// begins `before` bytes after a multiple of three.
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
    fn what_is_escaped_coloured_or_quoted_is_found() {
        let redactor = Arc::new(Redactor::new([KEY]));
        let each =
            |write: &dyn Fn(u32) -> String| -> String { KEY.chars().map(|c| write(u32::from(c))).collect() };
        let json = each(&|code| format!("\\u{code:04x}"));
        let coloured = KEY.replace('/', "\u{1b}[0m\u{1b}[01;31m\u{1b}[K/\u{1b}[m");
        let (first, second) = KEY.split_at(13);
        // A line that begins with a sign of its own.
        let (head, tail) = KEY.split_at(KEY.find('+').unwrap());
        let hidden = [
            KEY.replace('/', "\\/"),
            KEY.replace('-', "\\u002d"),
            json.clone(),
            json.to_uppercase().replace("\\U", "\\u"),
            serde_json::to_string(&json).unwrap(),
            serde_json::to_string(&coloured).unwrap(),
            each(&|code| format!("\\x{code:02x}")),
            each(&|code| format!("\\{code:03o}")),
            each(&|code| format!("\\u{{{code:x}}}")),
            each(&|code| format!("\\U{code:08x}")),
            each(&|code| format!("&#{code};")),
            each(&|code| format!("&#x{code:X};")),
            each(&|code| format!("%{code:02X}")).replace("%61", "a"),
            KEY.replace('-', "&hyphen;")
                .replace('/', "&sol;")
                .replace('+', "&plus;")
                .replace('=', "&equals;"),
            KEY.replace('+', "&amp;plus;"),
            coloured.clone(),
            KEY.replace('-', "-\u{1b}]8;;https://e.example\u{1b}\\\u{1b}]8;;\u{7}"),
            KEY.replace('-', "-\u{9b}1m\u{1b}(B"),
            KEY.replace('-', "-[31m"),
            KEY.replace('-', "\\x1b[1m-\\033[0m\\e[m"),
            KEY.replace('a', "a\u{200b}\u{ad}\u{feff}\u{0}"),
            format!("> {first}\n> {second}"),
            format!("> > {first}\r\n> > {second}"),
            format!("# {first} \\\n#   {second}"),
            format!("+{first}\n+{second}"),
            format!("+{head}\n+{tail}"),
            format!("+> {head}\n+> {tail}"),
            format!("// {head}\n// {tail}"),
            format!("/// {first}\n/// {second}"),
            format!(" * {first}\n * {second}"),
            format!("-- {first}\n-- {second}"),
            format!("    12\t{first}\n    13\t{second}"),
            format!("a.txt\n12:{first}\n13:{second}"),
            STANDARD.encode(format!("{}{KEY}", "x".repeat(50))).replace('e', "e\n# "),
            serde_json::to_string(&format!("> {first}\n> {second}")).unwrap(),
        ];
        let mut random = fastrand::Rng::with_seed(1);
        let mut image = || std::iter::repeat_with(|| random.u8(..)).take(2_000).collect::<Vec<u8>>();
        for form in hidden {
            assert!(redactor.finds(form.as_bytes()), "{form:?}");
            assert!(redactor.finds(&[image(), form.clone().into_bytes(), image()].concat()), "{form:?}");
            assert_eq!(redactor.found_in(form.as_bytes()), BTreeSet::from([0]), "{form:?}");
            let clean = redactor.redact(&form);
            assert!(clean.contains(MARK) && !redactor.finds(clean.as_bytes()), "{form:?}: {clean}");
            if !form.contains('\n') {
                let mut stream = Stream::new(redactor.clone());
                let given = [stream.push(form.as_bytes()), stream.finish()].concat();
                assert_eq!(String::from_utf8(given).unwrap(), clean);
            }
        }
        for text in [
            "\\u", "&#;", "&;", "%", "%4", "\u{1b}", "\u{1b}[", "\u{1b}]", "\\u{", "\\ud800", "[1",
            "> a\n> b", "\\",
        ] {
            assert!(matches!(redactor.redact(text), Cow::Borrowed(_)), "{text:?}");
        }
    }

    #[test]
    fn the_rest_of_a_text_is_without_what_began_before_it() {
        let redactor = Redactor::new([KEY]);
        let text = format!("é{KEY} and é {KEY}");
        assert_eq!(redactor.redact_from(&text, 0), "é[secret] and é [secret]");
        assert_eq!(redactor.redact_from(&text, 1), "[secret] and é [secret]");
        assert_eq!(redactor.redact_from(&text, 9), "[secret] and é [secret]");
        assert_eq!(redactor.redact_from(&text, 2 + KEY.len()), " and é [secret]");
        assert_eq!(redactor.redact_from(&text, text.len()), "");
    }

    #[test]
    fn a_long_line_of_a_stream_is_given_out_in_pieces() {
        let redactor = Arc::new(Redactor::new([KEY]));
        for before in [MAX_LINE_LEN / 2 - 7, MAX_LINE_LEN - 7, 3 * MAX_LINE_LEN / 2 - 7] {
            let mut stream = Stream::new(redactor.clone());
            let text = format!("{}{KEY}{}\n", "x".repeat(before), "y".repeat(MAX_LINE_LEN));
            let mut given = Vec::new();
            for piece in text.as_bytes().chunks(4099) {
                given.extend(stream.push(piece));
                assert!(stream.held.len() < MAX_LINE_LEN);
            }
            let clean = format!("{}[secret]{}\n", "x".repeat(before), "y".repeat(MAX_LINE_LEN));
            assert!(String::from_utf8(given).unwrap() == clean, "{before}");
        }
    }

    /// The processor time of this thread. Other processes do not lengthen it.
    fn processor_time() -> std::time::Duration {
        use nix::sys::resource::{UsageWho, getrusage};
        let used = getrusage(UsageWho::RUSAGE_THREAD).expect("this thread's usage");
        let micros = |time: nix::sys::time::TimeVal| {
            u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).expect("a time")
        };
        std::time::Duration::from_micros(micros(used.user_time()) + micros(used.system_time()))
    }

    /// Each of them once read by a function that took ever longer with every one more.
    #[test]
    fn no_text_takes_longer_than_its_length() {
        let redactor = Redactor::new([KEY, "0123456789abcdef0123456789abcdef", "aaaaaaaaaaaaaaaaaaaaaaaa"]);
        let patterns = [
            "\\",
            "\\u",
            "\\u00",
            "&",
            "&#",
            "&#x",
            "&amp;",
            "&amp;amp;",
            "%",
            "%2",
            "%25",
            "\u{1b}",
            "\u{1b}[",
            "\u{1b}]",
            "\u{1b}]8;;",
            "[",
            "[1",
            "[1;",
            "\u{9b}",
            "\u{9b}1",
            "\n",
            "\n ",
            "\n>",
            "\n> ",
            "\n+",
            "\n//",
            "\r",
            " ",
            "\t",
            "\n1",
            "\n12:",
            "\n\n>\n",
            "\u{200b}",
            "\u{0}",
            "a",
            "a\n",
            "a\n> ",
            "ab",
            KEY,
            "\\ud800",
            "\\ud83d\\u",
        ];
        let took = |pattern: &str, bytes: usize| {
            let text = pattern.repeat(bytes / pattern.len());
            let begun = processor_time();
            let _ = redactor.redact(&text);
            assert!(!redactor.finds(text.as_bytes()) || pattern.starts_with('a') || pattern == KEY);
            processor_time() - begun
        };
        for pattern in patterns {
            let (short, long) = (took(pattern, 8 << 10), took(pattern, 128 << 10));
            // Sixteen times the length, with room for the clock's ticks.
            assert!(
                long < short * 64 + std::time::Duration::from_millis(500),
                "{pattern:?}: {short:?}, {long:?}"
            );
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
        for n in 0..2 * MAX_HANDED_OUT {
            secrets.add(&SecretString::from(format!("ghs_number-{n}")));
        }
        assert_eq!(other.values().len(), 1 + MAX_HANDED_OUT);
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

    /// Text over a small alphabet, so that secrets repeat and overlap, with secrets in some form
    /// between, some of them wrapped.
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
            // A mark that is part of a secret, or beside which a secret begins again, is not a
            // secret's end.
            prop_assume!(!secret.starts_with("-----") && !secret.contains(['[', ']']));
            let redactor = Redactor::new([secret.as_str()]);
            let inner = [before.as_slice(), secret.as_bytes(), &after].concat();
            for text in [STANDARD.encode(&inner), URL_SAFE.encode(&inner), hex::encode(&inner), hex::encode_upper(&inner)] {
                prop_assert!(redactor.finds(text.as_bytes()));
                prop_assert!(!redactor.finds(redactor.redact(&text).as_bytes()));
                // As `echo $(… | base64)` prints it, and as JSON has what `base64` prints.
                for gap in ["\n", "\r\n", " ", "\\n", "\\\\n"].into_iter().filter(|_| secret.len() >= MIN_SPACED) {
                    let wrapped = wrapped(&text, width, gap);
                    prop_assert!(redactor.finds(wrapped.as_bytes()), "{}", wrapped);
                    prop_assert!(!redactor.finds(redactor.redact(&wrapped).as_bytes()), "{}", wrapped);
                }
            }
        }
    }
}
