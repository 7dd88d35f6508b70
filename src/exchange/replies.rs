//! What an agent answers in the threads of a review: the file `replies.json`, read with as much
//! patience as can be had without guessing. Pure; the file itself is opened in `exchange.rs`.

use serde::Deserialize;

use crate::agent;
use crate::story::review::Reply;

/// More answers are left out.
const MAX_REPLIES: usize = 200;

#[derive(Deserialize)]
struct Raw {
    #[serde(alias = "id")]
    thread: String,
    #[serde(alias = "text", alias = "body")]
    reply: String,
}

/// The answers in it; each thread's last one counts. An error is a complaint for the log.
pub(super) fn parse(text: &str) -> Result<Vec<Reply>, String> {
    let value = agent::json_value(text.as_bytes()).ok_or("it is not JSON")?;
    let list = match value {
        serde_json::Value::Array(list) => list,
        // `{"replies": […]}`, and one answer alone.
        serde_json::Value::Object(mut map) => match map.remove("replies") {
            Some(serde_json::Value::Array(list)) => list,
            _ => vec![serde_json::Value::Object(map)],
        },
        _ => return Err("it is not a list".to_owned()),
    };
    let mut replies: Vec<Reply> = Vec::new();
    for raw in list.into_iter().take(MAX_REPLIES) {
        // One that is broken does not take the others with it.
        let Ok(Raw { thread, reply }) = serde_json::from_value(raw) else { continue };
        let (thread, reply) = (thread.trim().to_ascii_uppercase(), reply.trim().to_owned());
        if reply.is_empty() {
            continue;
        }
        replies.retain(|other| other.thread != thread);
        replies.push(Reply { thread, reply });
    }
    if replies.is_empty() { Err("it contains no replies".to_owned()) } else { Ok(replies) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, String> {
        Ok(parse(text)?.into_iter().map(|reply| (reply.thread, reply.reply)).collect())
    }

    #[test]
    fn answers_are_read_in_every_form_that_means_them() {
        let one = Ok(vec![("T1".to_owned(), "Done.".to_owned())]);
        for text in [
            r#"[{"thread":"T1","reply":"Done."}]"#,
            r#"{"replies":[{"thread":"t1","reply":" Done. "}]}"#,
            r#"{"thread":"T1","reply":"Done."}"#,
            r#"[{"thread":"T1","reply":"Not yet."},{"thread":"T2"},7,{"id":"T1","text":"Done."},{"thread":"T3","reply":" "}]"#,
        ] {
            assert_eq!(read(text), one, "{text}");
        }
        for text in ["", "Done.", "\"Done.\"", "[]", "{}", r#"[{"thread":1,"reply":"Done."}]"#] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
