//! Texts of an agent that means harm, or stumbles: pieces that would do something, put together,
//! nested, torn and hidden in all the ways that Markdown has. The same seed makes the same text.

use fastrand::Rng;

/// What would act.
const ACTS: &[&str] = &[
    "@bob",
    "@acme/team",
    "@Bob-1",
    "＠bob",
    "@\u{200b}bob",
    "@\u{2060}bob",
    "\u{200d}@bob",
    "&#64;bob",
    "&#x40;bob",
    "&commat;bob",
    "\\@bob",
    "x@y.zz@bob",
    "(@bob)",
    "_@bob_",
    "a@bob",
    "@**bob**",
    "@[bob](/x)",
    "acme@0123456789abcdef",
    "fixes #3",
    "Fixes: #3",
    "fixes **#3**",
    "CLOSES acme/tool#3",
    "resolved GH-3",
    "fi**x**es #3",
    "fi&#120;es #3",
    "close\n#3",
    "fixed\t#3",
    "fix [#3](/x)",
    "[fixes](/x) #3",
    "fixes &#35;3",
    "fixes \\#3",
    "fixes #\u{200b}3",
    "resolves https://github.com/acme/tool/issues/3",
    "fixes https://ghes.example/a/b/issues/3",
    "fixes _#3_",
    "acme/tool\\#3",
    "https://github.com/acme/tool/pull/3",
    "https://www.GitHub.com/acme/tool/issues/3#x",
    "www.github.com/acme/tool/issues/3",
    "[x](https://github.com/acme/tool/issues/3)",
    "<https://github.com/acme/tool/issues/3>",
    "[x](//github.com/a/b/issues/3)",
    "https://github\\.com/acme/tool/issues/3",
    "https://a@github.com/acme/tool/issues/3",
    "https://github.com:443//a/b/commit/0123456",
    "[x](<https://github.com/a/b/issues/3>)",
    "[x](https://github.com/a/b/issues/3 '@bob')",
    "acme/tool#3",
    "gh-4",
    "![x](https://e.example/x.png)",
    "![x][r]",
    "![r]",
    "!\\[x](y)",
    "\\![x](y)",
    "!\u{200b}[x](y.png)",
    "[![x](y)](z)",
    "[r]: https://e.example/x.png \"@bob\"",
    "[r]:\n<x.png>",
    "[^n]: @bob `",
    "[^n]",
    "![^n]",
    "[x](`a) @bob `b)",
    "[x](/a \"`\") @bob `",
    "[x](/a\n\"`\") @bob `",
    "[@bob",
    "](/@bob)",
    "[a [b](/@bob) c](/@bob)",
    "<img src=x>",
    "<IMG\nsrc=x>",
    "<b>",
    "</details>",
    "<details>",
    "<!-- ",
    "<!-- hob:0190-00 -->",
    "-->",
    "<?php",
    "<![CDATA[",
    "<!DOCTYPE html>",
    "<script>",
    "<pre>",
    "<a href='//github.com/a/b/issues/3'>",
    "&lt;img src=x&gt;",
    "\\<img src=x>",
    "<\u{200b}b>",
    "<svg/onload=x>",
    "<textarea>",
    "< b>",
    "<b",
    "<br/>",
    "<bob@x.example>",
];

/// What opens, closes or confuses.
const MARKS: &[&str] = &[
    "```",
    "~~~",
    "````rust",
    "~~~~ `",
    "``` `x",
    "`",
    "``",
    "```",
    "\\`",
    "\\\\`",
    "\\",
    "|",
    "\\|",
    "$",
    "$$",
    "$`",
    "`$",
    "*",
    "**",
    "_",
    "~~",
    "[",
    "]",
    "](",
    ")",
    "\"",
    "'",
    "(",
    ":",
    "!",
    "#",
    "## ",
    "<",
    ">",
    "> ",
    ">> ",
    "- ",
    "* ",
    "+ ",
    "1. ",
    "12) ",
    "- [ ] ",
    "- [x] ",
    "---",
    "===",
    "***",
    "    ",
    "\t",
    "  ",
    " ",
    "&",
    ";",
    "&amp;",
    "&nbsp;",
    "&#10;",
    "&#96;",
    "&zwj;",
    "\u{feff}",
    "\u{202e}",
    "\u{0}",
    "\u{b}",
    "\u{2028}",
    "\u{85}",
    "\r",
    "www.",
    "https://x.example/",
    "http://",
    "://",
    "a@b.c",
    "mailto:",
    "word",
    "fixes ",
    "closes: ",
    "ä",
    "е",
    "é",
    "[!NOTE]",
    "|---|---|",
    "| a | b |",
    ":-:",
    "\\\n",
    "  \n",
    "%40",
    "#3",
    "x",
    "7",
];

const ENDS: &[&str] = &[
    "\n", "\n\n", "\r\n", "\r\n\r\n", "\r", "\n\n\n", "\n    ", "\n\t", "\n  ", "\n> ", "\n- ", "\n1. ",
    "\n> > ", "\n  - ",
];

/// A text.
pub fn text(rng: &mut Rng) -> String {
    let mut text = String::new();
    for _ in 0..rng.usize(1..14) {
        match rng.u8(0..10) {
            0..=3 => text.push_str(act(rng).as_str()),
            4..=6 => text.push_str(one(rng, MARKS)),
            7 => text.push_str(&wrapped(rng)),
            8 => text.push(' '),
            _ => text.push_str(one(rng, ENDS)),
        }
        if rng.u8(0..4) == 0 {
            text.push_str(one(rng, ENDS));
        }
    }
    if rng.u8(0..6) == 0 { torn(rng, &text) } else { text }
}

fn one<'a>(rng: &mut Rng, of: &[&'a str]) -> &'a str {
    of[rng.usize(..of.len())]
}

fn act(rng: &mut Rng) -> String {
    let act = one(rng, ACTS);
    match rng.u8(0..8) {
        0 => act.replace(' ', "\n"),
        1 => act.replace('e', "\u{200b}e"),
        2 => act.to_uppercase(),
        _ => act.to_owned(),
    }
}

/// A whole construct around something that acts.
fn wrapped(rng: &mut Rng) -> String {
    let (a, b) = (act(rng), act(rng));
    match rng.u8(0..14) {
        0 => format!("`{a}`"),
        1 => format!("``{a} ` {b}``"),
        2 => format!("\n```\n{a}\n```\n{b}"),
        3 => format!("\n> ```\n> {a}\n{b}"),
        4 => format!("\n- ```\n  {a}\n  ```\n{b}"),
        5 => format!("\n| h | i |\n|---|---|\n| `{a} | {b}` |\n"),
        6 => format!("**{a}** _{b}_"),
        7 => format!("[{a}]({b})"),
        8 => format!("\n    {a}\n\n{b}"),
        9 => format!("$a`$ {a} `$ {b}"),
        10 => format!("https://x.example/`a {a} `{b}"),
        11 => format!("\n<div>\n{a}\n\n{b}"),
        12 => format!("~~{a}~~ `{b}\n{a}`"),
        _ => format!("\n# {a}\n===\n{b}\n---\n"),
    }
}

/// A text from which some characters are missing, or stand twice.
fn torn(rng: &mut Rng, text: &str) -> String {
    let mut torn = String::new();
    for c in text.chars() {
        match rng.u8(0..16) {
            0 => {}
            1 => torn.extend([c, c]),
            _ => torn.push(c),
        }
    }
    torn
}
