//! What readers see of texts, and what they do not.

use std::collections::HashSet;

use super::*;
use crate::markdown::html::{pieces, unescaped};
use proptest::prelude::*;

#[track_caller]
fn check(text: &str, shown: &str, comments: usize, characters: usize) {
    assert_eq!(visible(text), (shown.to_owned(), Hidden { comments, characters }), "{text:?}");
}

#[test]
fn plain_text_stays_as_it_is() {
    for text in [
        "One line.",
        "Two\nlines.",
        "# A title\n\nA paragraph.\n\n- one\n- two\n  - inner\n\n1. first\n2. second",
        "> said\n>\n> twice\n\nand so",
        "- [x] done\n- [ ] open",
        "```rust\nlet a = \"<b> <!-- c -->\";\n```",
        "````\n```\n````",
        "Call `a < b` and ``c`d``.",
        "| a | b |\n|---|---|\n| c | d |",
        "see [the docs](https://x.example/docs)",
        "https://x.example/a?b=c#d and a@b.c",
        "~~not this~~ but that",
        "a < b, c <= d, x<!y, 2 * 3 * 4, a_b_c",
        "日本語 العربية עברית ไทย 👩‍👩‍👧 ❤️ 1️⃣ ©️ é",
        "[scenario: script]\n\n```sh\necho a\n```",
        "loose\n\n- a\n\n  b\n\n- c",
    ] {
        check(text, text, 0, 0);
    }
    check("**so** *it* is\\!", "so it is!", 0, 0);
    check("    code", "```\ncode\n```", 0, 0);
    check("a\r\nb\u{2028}c", "a\nb\nc", 0, 0);
    check("a[^x]\n\n[^x]: b", "a[1]\n\n[1] b", 0, 0);
    check("> [!NOTE]\n> a", "> Note:\n>\n> a", 0, 0);
    check("<details><summary>log</summary>\n\nline\n</details>", "log\n\nline", 0, 0);
    check("x<sup>2</sup><br>y<sub>1</sub> <kbd>Q</kbd>", "x^2\ny1 Q", 0, 0);
    check("<p align=\"center\"><a href=\"https://x.example\">here</a></p>", "here (https://x.example)", 0, 0);
    check("<ul>\n<li>a</li>\n<li>b &amp; c</li>\n</ul>", "- a\n- b & c", 0, 0);
    check("[a][b]\n\n[b]: https://x.example", "[a](https://x.example)", 0, 0);
    check("![](https://x.example/1.png)", "![](https://x.example/1.png)", 0, 0);
}

#[test]
fn what_github_does_not_show_is_taken_out_and_counted() {
    for (text, shown) in [
        ("a <!-- leak --> b", "a  b"),
        ("a\n\n<!-- leak\n\nleak -->\n\nb", "a\n\nb"),
        ("a\n\n<!-- leak\n\nleak", "a"),
        ("> <!-- leak\n\nleak\n\n-->", ""),
        ("a <?php leak ?> b", "a  b"),
        ("a <!DOCTYPE leak> b", "a  b"),
        ("a <![CDATA[leak]]> b", "a  b"),
        ("a\n\n[//]: # (leak)", "a"),
        ("a\n\n[leak]: https://x.example/a", "a"),
        ("[a][b]\n\n[b]: https://x.example 'leak'", "[a](https://x.example)"),
        ("[a][b]\n\n[b]: https://x.example\n  \"leak\"", "[a](https://x.example)"),
        ("[a](https://x.example \"leak\")", "[a](https://x.example)"),
        ("![leak](https://x.example/1.png)", "![](https://x.example/1.png)"),
        ("![leak [leak](b) `leak`](https://x.example/1.png)", "![](https://x.example/1.png)"),
        ("![leak][r]\n\n[r]: https://x.example/1.png", "![](https://x.example/1.png)"),
        ("<img src=\"https://x.example/1.png\" alt=\"leak now\">", "![](https://x.example/1.png)"),
        ("<b data-x=\"leak\">a</b>", "a"),
        ("<b leak>a</b>", "a"),
        ("<abbr title=\"leak\">a</abbr>", "a"),
        ("<div style=\"display:none\">leak</div>\n\na", "a"),
        ("<span hidden>leak</span> a", "a"),
        ("a <script>leak</script> b", "a  b"),
        ("<template>\n\nleak\n\n</template>\n\na", "a"),
        ("a <leak> b", "a  b"),
        ("a\n\n<div\nleak", "a"),
        ("```rust leak\na\n```", "```rust\na\n```"),
        ("```leak\na\n```", "```\na\n```"),
        ("[a](javascript:leak)", "a"),
        ("a\n\n[^leak]: leak", "a"),
        ("| a |\n|---|\n| b | leak |", "| a |\n|---|\n| b |"),
        ("$a \\phantom{leak}$ b", "b"),
        ("$$a % leak$$", ""),
        ("```mermaid\n%% leak\ngraph\n```", "```mermaid\ngraph\n```"),
        ("```geojson\n{\"leak\": 1}\n```\n\na", "a"),
    ] {
        let (found, hidden) = visible(text);
        assert_eq!(found, shown, "{text:?}");
        assert!(hidden.comments > 0, "{text:?}");
    }
}

#[test]
fn shapeless_characters_are_taken_out() {
    check("a\u{200b}b\u{202e}c\u{e0041}d\u{feff}\u{3164}", "abcd", 0, 5);
    check("a\u{fe00}\u{e0100}❤\u{fe0f}\u{fe0f}", "a❤\u{fe0f}", 0, 3);
    check("a&#8203;b&#xE0041;c&#65;", "abcA", 0, 2);
    check("\u{1b}[8mhidden\u{1b}[0m\r\nb", "[8mhidden[0m\nb", 0, 2);
    check("x\u{200d}\u{200d}y 👩\u{200d}", "xy 👩", 0, 3);
}

#[test]
fn only_what_an_element_that_is_ended_holds_is_hidden_with_it() {
    check("The <script> is not loaded.\n\nSee the log.", "The  is not loaded.\n\nSee the log.", 1, 0);
    check("<div hidden>\n\na\n\n<div>b</div>\n\nc\n\n</div>\n\nd", "d", 2, 0);
    check("Vec<String> holds it", "Vec holds it", 1, 0);
    check("a </nonsense> b", "a  b", 1, 0);
}

#[test]
fn images_and_links_are_those_that_are_shown() {
    let text = "![a](https://x.example/1.png) <img src='https://x.example/2.png'> <!-- ![a](https://x.example/3.png) -->\n\
                https://github.com/user-attachments/assets/4 `![a](https://x.example/5.png)` [b](https://x.example/6)\n\n\
                ![c][r]\n\n[r]: https://x.example/7.png";
    let found = render(text);
    let images: Vec<&str> = found.images.iter().map(|url| url.rsplit('/').next().unwrap()).collect();
    assert_eq!(images, ["1.png", "2.png", "4", "7.png"]);
    assert_eq!(found.links, ["https://github.com/user-attachments/assets/4", "https://x.example/6"]);
}

#[test]
fn a_text_longer_than_githubs_is_cut_and_says_so() {
    let text = "é".repeat(MAX_CHARS + 1);
    let (shown, _) = visible(&text);
    assert!(shown.ends_with("\n\n[hob has cut off the rest]") && shown.starts_with("éé"));
    assert_eq!(visible(&text[..MAX_CHARS * 2]).0, &text[..MAX_CHARS * 2]);
}

/// The words of the rendering, by another way: the HTML that the parser makes of it, and where its
/// links lead.
fn rendered(text: &str) -> String {
    let html = comrak::markdown_to_html(text, &{
        let mut options = crate::markdown::options();
        options.render.r#unsafe = true;
        options
    });
    let (mut words, mut targets) = (String::new(), String::new());
    for piece in pieces(&html) {
        match piece {
            Piece::Text(text) => words.push_str(&unescaped(text)),
            Piece::Open(tag) => {
                // The mark of a task that is done.
                words.push_str(if tag.attribute("checked").is_some() { " x " } else { " " });
                for name in ["href", "src"] {
                    let address = tag.attribute(name).unwrap_or_default();
                    let decoded = percent_encoding::percent_decode_str(&address).decode_utf8_lossy();
                    targets.push_str(&format!("{} {decoded} ", address.replace(char::is_whitespace, "%20")));
                }
            }
            _ => words.push(' '),
        }
    }
    format!("{words} {targets}")
}

/// What texts with something to hide are made of.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "<",
        "!",
        "--",
        "<!--",
        "-->",
        "<!-",
        ">",
        "<?",
        "?>",
        "<![CDATA[",
        "]]>",
        "<!a",
        "`",
        "```",
        "~~~",
        "\n",
        "\n\n",
        " ",
        "    ",
        "- ",
        "1. ",
        "> ",
        "<div>",
        "</div>",
        "<div hidden>",
        "<script>",
        "</script>",
        "<b title=\"",
        "\">",
        "<img alt='",
        "' src=x>",
        "<a href=\"",
        "</a>",
        "[x]: # (y)",
        "[x]: <y> \"",
        "[x]",
        "[",
        "](",
        ")",
        " \"",
        "\")",
        "![",
        "[^x]",
        "[^x]: ",
        "&#8203;",
        "&lt;",
        "&eacute;",
        "\u{200b}",
        "\u{200d}",
        "\u{e0041}",
        "\r\n",
        "👩",
        "|",
        "|---|\n",
        "| a | b |\n",
        "$",
        "$$",
        "\\",
        "*",
        "**",
        "~~",
        "# ",
        "one",
        "two",
        "three",
        "four",
        "5",
        "<details>",
        "<summary>",
        "</details>",
        "<pre>",
        "<!--one",
    ]);
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
}

fn describe(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Whether a word is nothing but some of these, one after the other.
fn is_made_of(word: &str, parts: &HashSet<&str>) -> bool {
    let mut reached = vec![false; word.len() + 1];
    reached[0] = true;
    for start in 0..word.len() {
        if reached[start] {
            for part in parts.iter().filter(|part| word[start..].starts_with(**part)) {
                reached[start + part.len()] = true;
            }
        }
    }
    reached[word.len()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_word_that_an_agent_is_given_is_in_the_rendering(text in hostile()) {
        let (shown, _) = visible(&text);
        let (rendered, _) = without_shapeless(&rendered(&text));
        // Items and footnotes are numbered by who shows them; the title of an alert is its kind.
        let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
        let joined = rendered.replace(' ', "");
        let words: HashSet<&str> = describe(&rendered).collect();
        for word in describe(&shown).filter(|word| !is_number(word)) {
            // What is hidden between two words goes, and they come together.
            let is_there = rendered.contains(word) || joined.contains(word) || is_made_of(word, &words);
            prop_assert!(is_there, "{:?} is not in {:?} but in {:?}", word, rendered, shown);
        }
        prop_assert_eq!(without_shapeless(&shown).1, 0);
    }

    #[test]
    fn plain_words_all_arrive(text in "[a-zA-Z0-9 .,;:é日本👩\n-]{0,200}") {
        let (shown, hidden) = visible(&text);
        prop_assert_eq!(hidden, Hidden::default());
        prop_assert_eq!(describe(&shown).filter(|word| word.len() > 3).count(), describe(&text).filter(|word| word.len() > 3).count());
    }
}
