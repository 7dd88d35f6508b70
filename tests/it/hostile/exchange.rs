//! What lies where hob reads the agent's question, summary and drops, and in the agent's home.

use super::plants::{Expect, Plant, plant};

use Expect::{Either, Pull};

/// All of them. None stands in the way of the work: the pull request comes, without what was
/// planted.
pub const PLANTS: &[Plant] = &[
    plant(
        "question and summary as links to a file of the host",
        Pull,
        r#"
work; ln -s "$canary/readable" /hob/question.json; ln -s "$canary/private" /hob/summary.md"#,
    ),
    plant(
        "question and summary as links to a sibling's file",
        Pull,
        r#"
work; ln -s "$sibling/secret.txt" /hob/question.json; ln -s ../../../hob.db /hob/summary.md"#,
    ),
    plant(
        "question and summary as magic links",
        Pull,
        r#"
work; ln -s /proc/self/environ /hob/question.json; ln -s /proc/self/root"$canary"/readable /hob/summary.md"#,
    ),
    plant("question and summary as pipes", Pull, r#"work; mkfifo /hob/question.json /hob/summary.md"#),
    plant(
        "question and summary as folders",
        Pull,
        r#"work; mkdir /hob/question.json /hob/summary.md; chmod 0 /hob/summary.md"#,
    ),
    plant(
        "a summary that is a socket",
        Pull,
        r#"
work; perl -e 'use Socket; socket(S, AF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un("/hob/summary.md"))'"#,
    ),
    plant(
        "question and summary of 10 GB",
        Either,
        r#"work; truncate -s 10G /hob/question.json /hob/summary.md"#,
    ),
    plant(
        "drops as a link to a folder of the host",
        Pull,
        r#"work; rmdir /hob/drops; ln -s "$canary" /hob/drops"#,
    ),
    plant(
        "links, a pipe, a socket and 10 GB in drops",
        Either,
        r#"
work; cd /hob/drops; ln -s "$canary/readable" link; ln -s /proc/self/environ magic; ln -s "$canary" folder; mkfifo pipe
truncate -s 10G huge; mkdir deep; ln -s ../../../../../hob.db deep/store"#,
    ),
    plant(
        "the prompt as a link, the exchange closed",
        Pull,
        r#"
work; rm /hob/prompt.md; ln -s "$canary/readable" /hob/prompt.md; chmod 0500 /hob/drops; chmod 0 /hob"#,
    ),
    plant(
        "credentials in the home as links and pipes",
        Pull,
        r#"
work; mkdir -p "$HOME/.claude"; ln -sf "$canary/readable" "$HOME/.claude/.credentials.json"; rm -f "$HOME/.claude.json"
mkfifo "$HOME/.claude.json"; ln -s "$canary" "$HOME/.codex"; ln -s /proc/self/environ "$HOME/.gemini""#,
    ),
];
