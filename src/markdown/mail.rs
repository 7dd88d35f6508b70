//! Answers by mail. Below (or above) what somebody wrote, their mail program puts what they answer
//! to, often without a sign before its lines: behind a line such as `On …, hob wrote:`, behind one
//! of dashes, or behind the head of the mail.

/// How a mail's head begins, in the languages of common mail programs.
const FROM: &[&str] = &[
    "from",
    "von",
    "de",
    "da",
    "van",
    "från",
    "fra",
    "od",
    "от",
    "від",
    "od koho",
    "expéditeur",
    "remitente",
    "mittente",
    "afzender",
    "nadawca",
    "lähettäjä",
    "feladó",
    "kimden",
    "gönderen",
    "από",
    "מאת",
    "من",
    "发件人",
    "寄件者",
    "寄件人",
    "差出人",
    "送信者",
    "보낸 사람",
    "dari",
    "từ",
];

/// What "wrote" is, in the same.
const WROTE: &[&str] = &[
    "wrote",
    "writes",
    "schrieb",
    "a écrit",
    "écrit",
    "escribió",
    "escribio",
    "ha scritto",
    "scritto",
    "schreef",
    "escreveu",
    "skrev",
    "kirjoitti",
    "pisze",
    "napisał",
    "napisał(a)",
    "napisał/a",
    "napsal",
    "napsal(a)",
    "napísal",
    "írta",
    "ezt írta",
    "написал",
    "написала",
    "написал(а)",
    "пишет",
    "пише",
    "написав",
    "a scris",
    "yazdı",
    "şunu yazdı",
    "έγραψε",
    "כתב",
    "كتب",
    "写道",
    "寫道",
    "のメール",
    "は書きました",
    "さんのメッセージ",
    "작성",
    "님이 작성",
    "menulis",
    "đã viết",
    "je napisao",
];

/// How the line begins that a phone puts at the end of a mail.
const SENT_FROM: &[&str] = &[
    "sent from",
    "sent via",
    "sent with",
    "get outlook for",
    "von meinem",
    "gesendet von",
    "envoyé de",
    "envoyé depuis",
    "enviado desde",
    "enviado do",
    "enviado a partir",
    "inviato da",
    "verzonden vanaf",
    "skickat från",
    "sendt fra",
    "wysłane z",
    "odesláno z",
    "отправлено с",
    "从我的",
    "发自我的",
];

/// What GitHub writes at the end of its mails.
const NOTICES: &[&str] = &[
    "reply to this email directly",
    "you are receiving this because",
    "message id: <",
    "view it on github",
    "or unsubscribe",
    "triage notifications",
];

/// No longer line is one of a mail program's own.
const MAX_LINE: usize = 300;
/// Over so many lines the line that says who wrote may be wrapped.
const MAX_WRAPPED: usize = 3;
/// A head has so many lines at least.
const MIN_HEAD: usize = 3;

/// The line from which on a comment is what its writer answers to, put there by a mail program
/// without a sign before each line.
pub fn original_at(text: &str) -> Option<usize> {
    let lines: Vec<&str> = text.lines().collect();
    (0..lines.len()).find(|at| begins_original(&lines, *at))
}

fn begins_original(lines: &[&str], at: usize) -> bool {
    let line = lines[at].trim();
    if line.is_empty() || line.starts_with('>') {
        return false;
    }
    if is_rule_with_words(line) || is_head(lines, at) {
        return true;
    }
    let next = || lines[at + 1..].iter().position(|line| !line.trim().is_empty()).map(|next| at + 1 + next);
    if line.len() >= 10 && line.bytes().all(|byte| byte == b'_') {
        return next().is_some_and(|next| is_head(lines, next));
    }
    match attribution(&lines[at..]) {
        // Where the lines have signs before them, Markdown tells them apart.
        Some(length) => {
            let after = lines[at + length..].iter().find(|line| !line.trim().is_empty());
            after.is_some_and(|line| !line.trim_start().starts_with('>'))
        }
        None => false,
    }
}

/// `-----Original Message-----`, in whatever language.
fn is_rule_with_words(line: &str) -> bool {
    let inner = line.trim_matches('-');
    let (before, after) =
        (line.len() - line.trim_start_matches('-').len(), line.len() - line.trim_end_matches('-').len());
    line.len() <= MAX_LINE
        && before >= 3
        && after >= 3
        && inner.chars().filter(|c| c.is_alphabetic()).count() >= 4
        && !inner.contains('|')
}

/// Whether the head of a mail begins here: lines such as `From: …` and `Sent: …`, one of which has
/// a date.
fn is_head(lines: &[&str], at: usize) -> bool {
    let head: Vec<(String, &str)> = lines[at..].iter().take(8).map_while(|line| field(line)).collect();
    let Some((first, from)) = head.first() else { return false };
    let has_date = head.iter().any(|(_, value)| has_year(value));
    let is_from = FROM.contains(&first.as_str());
    let is_of_github = || head.iter().any(|(_, value)| value.contains("(Issue #") || value.contains("(PR #"));
    head.len() >= MIN_HEAD && has_date && (is_from || (from.contains('@') && is_of_github()))
}

/// The name of a field in small letters, and its value.
fn field(line: &str) -> Option<(String, &str)> {
    let line = line.trim().trim_start_matches(['*', '_']);
    if line.len() > MAX_LINE {
        return None;
    }
    let (name, value) = line.split_once([':', '：'])?;
    let name = name.trim_matches(|c: char| c.is_whitespace() || c == '*' || c == '_');
    let is_name = (1..=30).contains(&name.chars().count())
        && name.chars().all(|c| c.is_alphabetic() || matches!(c, ' ' | '-' | '.' | '\''));
    let value = value.trim().trim_matches('*').trim();
    (is_name && !value.is_empty()).then(|| (name.to_lowercase(), value))
}

fn has_year(text: &str) -> bool {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    numbers.any(|number| number.len() == 4 && (number.starts_with("19") || number.starts_with("20")))
}

/// How many lines the line has that says who wrote what follows, if these begin with it.
pub fn attribution(lines: &[&str]) -> Option<usize> {
    let mut whole = String::new();
    for (at, line) in lines.iter().take(MAX_WRAPPED).enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('>') || whole.len() + line.len() > MAX_LINE {
            return None;
        }
        whole.push_str(line);
        whole.push(' ');
        let said = whole.trim_end().trim_end_matches(['*', '_', '-']).trim_end();
        let Some(said) = said.strip_suffix([':', '：']) else { continue };
        let said = said.trim_end().to_lowercase();
        let is_addressed = said.contains('@') || said.contains('<');
        let numbers = said.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty()).count();
        let has_time = numbers > 1 || is_addressed;
        let is_said = WROTE.iter().any(|wrote| {
            said.ends_with(wrote)
                || ((is_addressed || numbers > 3)
                    && (said.starts_with(wrote) || said.contains(&format!(" {wrote} "))))
        });
        let is_sender = said.ends_with('>') && said.contains('<') && said.contains('@');
        if has_time && (is_said || is_sender) {
            return Some(at + 1);
        }
        return None;
    }
    None
}

/// Whether a line is the one before a signature, or one that a phone or GitHub puts at the end of a
/// mail.
pub fn is_closing(line: &str) -> bool {
    if line.trim_end() == "--" {
        return true;
    }
    let line = line.trim().trim_start_matches(['*', '_', '<', '[']).to_lowercase();
    line.len() <= MAX_LINE && SENT_FROM.iter().chain(NOTICES).any(|usual| line.starts_with(usual))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_answered_to_is_found_in_whatever_form_a_mail_program_has() {
        for head in [
            "From: hob-bot <notifications@github.com>\nSent: Monday, 30 November 2026 10:00\nTo: acme/tool\nSubject: Re: x",
            "*Von:* hob-bot <notifications@github.com>\n*Gesendet:* Montag, 30. November 2026 10:00\n*An:* acme/tool",
            "De : hob-bot\nEnvoyé : lundi 30 novembre 2026 10:00\nÀ : acme/tool\nObjet : Re: x",
            "发件人: hob-bot\n发送时间: 2026年11月30日 10:00\n收件人: acme/tool",
            "________________________________\nFrom: hob\nSent: 30 Nov 2026\nTo: acme",
            "-----Original Message-----\nFrom: hob",
            "-------- Ursprüngliche Nachricht --------",
            "On Mon, Nov 30, 2026 at 10:00 AM hob-bot <notifications@github.com> wrote:",
            "On Mon, Nov 30, 2026 at 10:00 AM hob-bot\n<notifications@github.com> wrote:",
            "Am Mo., 30. Nov. 2026 um 10:00 Uhr schrieb hob-bot <notifications@github.com>:",
            "Le lun. 30 nov. 2026 à 10:00, hob-bot <n@github.com> a écrit :",
            "El lun, 30 nov 2026 a las 10:00, hob-bot (<n@github.com>) escribió:",
            "2026年11月30日(月) 10:00 hob-bot <n@github.com>:",
            "在 2026年11月30日，hob-bot 写道：",
        ] {
            let text = format!("yes\n\n{head}\n\n**I have a question**");
            assert_eq!(original_at(&text), Some(2), "{head}");
        }
    }

    #[test]
    fn what_people_write_is_theirs() {
        for text in [
            "yes\n\nFrom: the parser\nTo: the writer",
            "Name: x\nSize: 20\nShape: round",
            "--json and --yaml",
            "--- a/x\n+++ b/x",
            "|---|---|",
            "as alice wrote: no",
            "In 2026 alice wrote:\n\nno",
            "On the 3rd line bob wrote:\n> a\n\nand so",
            "________",
            "1: a\n2: b\n3: 2026",
        ] {
            assert_eq!(original_at(text), None, "{text}");
        }
    }

    #[test]
    fn the_end_of_a_mail_is_known() {
        for line in [
            "-- ",
            "--",
            "Sent from my iPhone",
            "Von meinem iPhone gesendet",
            "Reply to this email directly, view it on GitHub",
        ] {
            assert!(is_closing(line), "{line}");
        }
        for line in ["--json", "---", "It was sent from here"] {
            assert!(!is_closing(line), "{line}");
        }
    }
}
