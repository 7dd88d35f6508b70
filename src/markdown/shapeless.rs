//! Characters that have no shape: of no width, for the direction of text, tags, fillers, controls.
//! People do not see them, and an agent would.

/// Whether a character has no shape of its own.
pub(super) fn is_shapeless(c: char) -> bool {
    matches!(c,
        '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Symbols that a joiner or a selector after them changes: arrows, signs, emoji.
fn is_pictograph(c: char) -> bool {
    matches!(c, '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2190}'..='\u{2bff}'
        | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}')
}

/// A text without characters that have no shape, and how many there were. Those that make up an
/// emoji stay.
pub fn without_shapeless(text: &str) -> (String, usize) {
    let mut taken_out = 0;
    let characters: Vec<char> = text.chars().collect();
    let mut shown = String::with_capacity(text.len());
    for (at, c) in characters.iter().copied().enumerate() {
        let before = at.checked_sub(1).map(|at| characters[at]);
        let after = characters.get(at + 1).copied();
        if is_shapeless(c) && !belongs_to_a_symbol(c, before, after) {
            taken_out += 1;
        } else {
            shown.push(c);
        }
    }
    (shown, taken_out)
}

/// Emoji are made of several characters, some of which are shapeless: one selector after a symbol,
/// one joiner between two.
fn belongs_to_a_symbol(c: char, before: Option<char>, after: Option<char>) -> bool {
    let follows_symbol = before.is_some_and(is_pictograph);
    match c {
        '\u{fe0e}' | '\u{fe0f}' => {
            let is_keycap = before.is_some_and(|c| c.is_ascii_digit() || c == '#' || c == '*');
            follows_symbol || (is_keycap && after == Some('\u{20e3}'))
        }
        '\u{200d}' => (follows_symbol || before == Some('\u{fe0f}')) && after.is_some_and(is_pictograph),
        _ => false,
    }
}
