//! What a failed run says, and the class of failure that it means: one table over agent, exit code,
//! event and phrase, for all agents. Its rows are the CLIs' own events and the words of their
//! providers' APIs.

use super::failure::status_in;
use super::{AgentKind, FailureClass, text};

/// Characters of a message in which phrases are looked for. They stand at its beginning, but
/// Google's nest deep, and a message can be a whole web page.
const READ_CHARS: usize = 6_000;

/// What is known of a failure.
#[derive(Debug, Clone, Copy, Default)]
pub struct Evidence<'a> {
    /// Whose it is. Absent: rows for any agent only.
    pub agent: Option<AgentKind>,
    /// The exit code, where the run has ended with one.
    pub exit: Option<i64>,
    /// The names by which the CLI's event calls it.
    pub events: &'a [&'a str],
    /// The HTTP status that the CLI names. Absent: one that stands in the message.
    pub status: Option<u16>,
    /// The message.
    pub message: &'a str,
}

/// One row. What it leaves open, anything will do for.
struct Row {
    agent: Option<AgentKind>,
    exit: Option<i64>,
    /// An event's name, or the HTTP status as one; `5xx` is any of them.
    event: &'static str,
    /// Parts of the message, in lower case, in this order; `*` stands between them.
    phrase: &'static str,
    class: FailureClass,
}

const fn event(agent: AgentKind, event: &'static str, class: FailureClass) -> Row {
    Row { agent: Some(agent), exit: None, event, phrase: "", class }
}

const fn said(agent: AgentKind, phrase: &'static str, class: FailureClass) -> Row {
    Row { agent: Some(agent), exit: None, event: "", phrase, class }
}

const fn phrase(phrase: &'static str, class: FailureClass) -> Row {
    Row { agent: None, exit: None, event: "", phrase, class }
}

const fn status(status: &'static str, class: FailureClass) -> Row {
    Row { agent: None, exit: None, event: status, phrase: "", class }
}

const fn exit(agent: AgentKind, code: i64, class: FailureClass) -> Row {
    Row { agent: Some(agent), exit: Some(code), event: "", phrase: "", class }
}

const fn shell(code: i64, class: FailureClass) -> Row {
    Row { agent: None, exit: Some(code), event: "", phrase: "", class }
}

use AgentKind::{Claude, Codex, Gemini, OpenCode};
use FailureClass::*;

/// The rows that name a reason. The first one that fits is the one: an event says more than a
/// phrase, and a phrase more than a status.
const REASONS: &[Row] = &[
    // Claude Code: `subtype`, `terminal_reason`, `stop_reason` and `api_error` of the result,
    // `error` of the message before.
    event(Claude, "error_max_turns", TurnLimit),
    event(Claude, "error_max_budget_usd", BudgetLimit),
    event(Claude, "prompt_too_long", ContextOverflow),
    event(Claude, "aborted", Interrupted),
    event(Claude, "refusal", Refused),
    event(Claude, "usage_limit_reached", UsageLimit),
    event(Claude, "authentication_failed", Authentication),
    event(Claude, "billing_error", Billing),
    event(Claude, "model_not_found", ModelUnknown),
    said(Claude, "no conversation found with session id", SessionLost),
    said(Claude, "--resume requires a valid session", SessionLost),
    // Codex.
    said(Codex, "no rollout found for thread id", SessionLost),
    // Gemini CLI.
    exit(Gemini, 53, TurnLimit),
    said(Gemini, "maximum session turns exceeded", TurnLimit),
    said(Gemini, "error resuming session", SessionLost),
    said(Gemini, "no previous sessions found", SessionLost),
    // Google's limits are per minute or per day, and their text is that of an account without a
    // plan.
    said(Gemini, "limit: 0,*model", Billing),
    said(Gemini, "perday", UsageLimit),
    said(Gemini, "daily quota", UsageLimit),
    said(Gemini, "exceeded your current quota", RateLimit),
    said(Gemini, "quota exceeded for", RateLimit),
    said(Gemini, "exhausted your capacity", RateLimit),
    said(Gemini, "resource has been exhausted", RateLimit),
    // What its stream of events calls an error is an answer of the model's that was cut short, or
    // that is none.
    said(Gemini, "due to safety", Refused),
    said(Gemini, "due to recitation", Refused),
    said(Gemini, "due to forbidden terms", Refused),
    said(Gemini, "due to sensitive personally", Refused),
    said(Gemini, "due to image safety", Refused),
    said(Gemini, "token limits", ContextOverflow),
    // OpenCode.
    event(OpenCode, "ProviderAuthError", Authentication),
    event(OpenCode, "ProviderModelNotFoundError", ModelUnknown),
    event(OpenCode, "ContextOverflowError", ContextOverflow),
    event(OpenCode, "MessageAbortedError", Interrupted),
    event(OpenCode, "usage_limit_reached", UsageLimit),
    said(OpenCode, "session not found", SessionLost),
    said(OpenCode, "generativelanguage*perday", UsageLimit),
    said(OpenCode, "ai.google.dev*rate-limits", RateLimit),
    // A subscription's limit. Its text offers credits too, so it comes before what is about money.
    phrase("usage limit", UsageLimit),
    phrase("usage_limit", UsageLimit),
    phrase("daily quota", UsageLimit),
    phrase("hit your limit", UsageLimit),
    phrase("hit your*limit*resets", UsageLimit),
    phrase("5-hour limit", UsageLimit),
    phrase("weekly limit", UsageLimit),
    phrase("prompt is too long", ContextOverflow),
    phrase("input is too long", ContextOverflow),
    phrase("context_length_exceeded", ContextOverflow),
    phrase("context window", ContextOverflow),
    phrase("maximum context length", ContextOverflow),
    phrase("exceeds the maximum number of tokens", ContextOverflow),
    phrase("reduce the length of the messages", ContextOverflow),
    phrase("credit balance", Billing),
    phrase("insufficient_quota", Billing),
    phrase("insufficient balance", Billing),
    phrase("insufficient credits", Billing),
    phrase("insufficient funds", Billing),
    phrase("requires more credits", Billing),
    phrase("out of credits", Billing),
    phrase("exceeded your current quota", Billing),
    phrase("check your plan", Billing),
    phrase("billing hard limit", Billing),
    phrase("billing_hard_limit", Billing),
    phrase("requires billing to be enabled", Billing),
    phrase("payment required", Billing),
    phrase("to use codex with your chatgpt plan, upgrade", Billing),
    phrase("api key not valid", Authentication),
    phrase("api_key_invalid", Authentication),
    phrase("invalid api key", Authentication),
    phrase("invalid_api_key", Authentication),
    phrase("invalid x-api-key", Authentication),
    phrase("incorrect api key", Authentication),
    phrase("api key is missing", Authentication),
    phrase("api key expired", Authentication),
    phrase("missing bearer", Authentication),
    phrase("invalid bearer token", Authentication),
    phrase("authentication_error", Authentication),
    phrase("oauth token has expired", Authentication),
    phrase("access token could not be refreshed", Authentication),
    phrase("log out and sign in again", Authentication),
    phrase("please run /login", Authentication),
    phrase("not logged in", Authentication),
    phrase("model_not_found", ModelUnknown),
    phrase("model not found", ModelUnknown),
    phrase("model is not supported", ModelUnknown),
    phrase("issue with the selected model", ModelUnknown),
    phrase("does not exist or you do not have access", ModelUnknown),
    phrase("model*does not exist", ModelUnknown),
    phrase("is not found for api version", ModelUnknown),
    phrase("not_found_error*model:", ModelUnknown),
    phrase("is not a valid model", ModelUnknown),
    phrase("unknown model", ModelUnknown),
    phrase("invalid model", ModelUnknown),
    phrase("no endpoints found", ModelUnknown),
    phrase("content_policy", Refused),
    phrase("content policy", Refused),
    phrase("content_filter", Refused),
    phrase("content filter", Refused),
    phrase("content management policy", Refused),
    phrase("prohibited_content", Refused),
    phrase("prohibited content", Refused),
    phrase("usage policy", Refused),
    phrase("usage policies", Refused),
    phrase("safety reasons", Refused),
    phrase("blocked*safety", Refused),
    phrase("prompt was blocked", Refused),
    phrase("invalid_prompt", Refused),
    phrase("flagged as potentially", Refused),
    phrase("refused to respond", Refused),
    status("400", RequestRefused),
    status("401", Authentication),
    status("402", Billing),
    status("403", Authentication),
    status("404", ModelUnknown),
    status("408", Overloaded),
    status("413", ContextOverflow),
    status("422", RequestRefused),
    status("429", RateLimit),
    status("5xx", Overloaded),
    // Names by which Claude Code calls what it tries again, where no status says more.
    event(Claude, "rate_limit", RateLimit),
    event(Claude, "server_error", Overloaded),
    event(Claude, "overloaded", Overloaded),
];

/// Phrases that say little, so that anything above counts before them.
const HINTS: &[Row] = &[
    phrase("rate limit", RateLimit),
    phrase("rate_limit", RateLimit),
    phrase("too many requests", RateLimit),
    phrase("resource_exhausted", RateLimit),
    phrase("overloaded", Overloaded),
    phrase("at capacity", Overloaded),
    phrase("high demand", Overloaded),
    phrase("internal server error", Overloaded),
    phrase("service unavailable", Overloaded),
    phrase("bad gateway", Overloaded),
    phrase("stream disconnected", Overloaded),
    phrase("stream ended", Overloaded),
    phrase("invalid stream", Overloaded),
    phrase("stream closed", Overloaded),
    phrase("incomplete json", Overloaded),
    phrase("empty response", Overloaded),
    phrase("premature close", Overloaded),
    phrase("socket hang up", Overloaded),
    phrase("other side closed", Overloaded),
    phrase("connection", Overloaded),
    phrase("unable to connect", Overloaded),
    phrase("error sending request", Overloaded),
    phrase("waiting for network", Overloaded),
    phrase("network is unreachable", Overloaded),
    phrase("network error", Overloaded),
    phrase("request timed out", Overloaded),
    phrase("fetch failed", Overloaded),
    phrase("econnrefused", Overloaded),
    phrase("econnreset", Overloaded),
    phrase("enotfound", Overloaded),
    phrase("eai_again", Overloaded),
    phrase("etimedout", Overloaded),
    phrase("invalid_request_error", RequestRefused),
    phrase("invalid_argument", RequestRefused),
];

/// What the exit code alone says.
const EXITS: &[Row] = &[
    exit(Gemini, 41, Authentication),
    // The shell found no such program, or one that this machine cannot run.
    shell(126, NotReady),
    shell(127, NotReady),
];

impl Evidence<'_> {
    /// The class of the failure; `None` where no row fits.
    pub fn class(&self) -> Option<FailureClass> {
        self.look_up(&[REASONS, HINTS, EXITS])
    }

    /// The same by what names a reason: of words that need not be about the failure, a hint says
    /// nothing.
    pub fn plain_class(&self) -> Option<FailureClass> {
        self.look_up(&[REASONS, EXITS])
    }

    fn look_up(&self, tables: &[&[Row]]) -> Option<FailureClass> {
        let message = text::one_line(self.message, READ_CHARS).to_lowercase();
        let exit_status = self.exit.filter(|_| self.agent == Some(Gemini)).and_then(status_of_exit);
        let status = self.status.or_else(|| status_in(&message)).or(exit_status);
        let by_status = status.map(|status| status.to_string());
        let is_5xx = status.is_some_and(|status| (500..600).contains(&status));
        let is_named = |name: &str| {
            self.events.contains(&name) || by_status.as_deref() == Some(name) || (is_5xx && name == "5xx")
        };
        let fits = |row: &&Row| {
            row.agent.is_none_or(|agent| self.agent == Some(agent))
                && row.exit.is_none_or(|code| self.exit == Some(code))
                && (row.event.is_empty() || is_named(row.event))
                && has_in_order(&message, row.phrase)
        };
        tables.iter().flat_map(|rows| rows.iter()).find(fits).map(|row| row.class)
    }
}

/// Whether the parts of a phrase stand in a text, in their order.
fn has_in_order(text: &str, phrase: &str) -> bool {
    let mut rest = text;
    phrase.split('*').all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

/// Gemini CLI ends after an API error with the HTTP status modulo 256. The codes of signals and its
/// own are none of them.
fn status_of_exit(code: i64) -> Option<u16> {
    const STATUSES: [u16; 14] = [400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 504, 529];
    STATUSES.into_iter().find(|status| i64::from(status % 256) == code)
}

/// The class of an error that a model's API or the way to it gave. `status` is the HTTP status
/// where the CLI names it; otherwise one is looked for in the text. `Crashed` when nothing fits.
pub fn classify(agent: AgentKind, status: Option<u16>, message: &str) -> FailureClass {
    Evidence { agent: Some(agent), status, message, ..Evidence::default() }.class().unwrap_or(Crashed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_providers_say_is_understood() {
        let any = [Claude, Codex, Gemini, OpenCode];
        let cases: &[(&[AgentKind], &str, FailureClass)] = &[
            (&any, "unexpected status 401 Unauthorized: no, url: http://x/v1", Authentication),
            (&any, "exceeded retry limit, last status: 429 Too Many Requests", RateLimit),
            (&any, r#"[API Error: {"error":{"code":503,"message":"try later"}}]"#, Overloaded),
            (
                &any,
                r#"[API Error: {"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}]"#,
                Authentication,
            ),
            (&any, "stream disconnected before completion: error sending request", Overloaded),
            (&any, "API Error: 529 Overloaded.", Overloaded),
            (&any, "the status of my code is 40 errors", Crashed),
            (&any, "", Crashed),
            // OpenAI.
            (
                &[Codex, OpenCode],
                "The model `gpt-9` does not exist or you do not have access to it.",
                ModelUnknown,
            ),
            (
                &[Codex],
                "unexpected status 404 Not Found: {\"error\":{\"message\":\"The model `gpt-9` does not exist or you do not have access to it.\",\"type\":\"invalid_request_error\",\"code\":\"model_not_found\"}}",
                ModelUnknown,
            ),
            (
                &[Codex],
                "The 'gpt-9' model is not supported when using Codex with a ChatGPT account.",
                ModelUnknown,
            ),
            (
                &[Codex, OpenCode],
                "You exceeded your current quota, please check your plan and billing details.",
                Billing,
            ),
            (&[Codex], "Quota exceeded. Check your plan and billing details.", Billing),
            (
                &[Codex],
                "To use Codex with your ChatGPT plan, upgrade to Plus: https://openai.com/chatgpt/pricing.",
                Billing,
            ),
            (
                &[Codex],
                "You've hit your usage limit. Upgrade to Pro (https://openai.com/chatgpt/pricing), visit https://chatgpt.com/codex/settings/usage to purchase more credits or try again at 4:52 PM.",
                UsageLimit,
            ),
            (
                &[Codex],
                "unexpected status 401 Unauthorized: {\"error\":{\"message\":\"Incorrect API key provided: sk-x.\",\"type\":\"invalid_request_error\",\"code\":\"invalid_api_key\"}}",
                Authentication,
            ),
            (
                &[Codex],
                "Your access token could not be refreshed because your refresh token was already used. Please log out and sign in again.",
                Authentication,
            ),
            (
                &[Codex],
                "We're currently experiencing high demand, which may cause temporary errors.",
                Overloaded,
            ),
            (&[Codex], "Selected model is at capacity. Please try a different model.", Overloaded),
            (
                &[Codex],
                "Codex ran out of room in the model's context window. Start a new thread.",
                ContextOverflow,
            ),
            (&[Codex], "unexpected status 400 Bad Request: no such field", RequestRefused),
            (
                &[Codex],
                "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
                Refused,
            ),
            (
                &[Codex, OpenCode],
                "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
                Refused,
            ),
            (&[Codex, OpenCode], "Incomplete response returned, reason: content filter", Refused),
            (
                &[Codex, OpenCode],
                "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.",
                ContextOverflow,
            ),
            (
                &[Codex, OpenCode],
                "Rate limit reached for gpt-5 in organization org-x on tokens per min (TPM): Limit 30000, Used 29000. Please try again in 1.2s.",
                RateLimit,
            ),
            // Anthropic.
            (
                &[Claude, OpenCode],
                "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.",
                Billing,
            ),
            (
                &[Claude],
                r#"API Error: 404 {"type":"error","error":{"type":"not_found_error","message":"model: claude-9"}}"#,
                ModelUnknown,
            ),
            (
                &[OpenCode],
                r#"{"type":"error","error":{"type":"not_found_error","message":"model: claude-9"}}"#,
                ModelUnknown,
            ),
            (
                &[Claude],
                "API Error: Claude Code is unable to respond to this request, which appears to violate our Usage Policy (https://www.anthropic.com/legal/aup).",
                Refused,
            ),
            (&[Claude, OpenCode], "Output blocked by content filtering policy", Refused),
            (
                &[Claude],
                "API Error: 400 The request body is not valid JSON: no low surrogate in string",
                RequestRefused,
            ),
            (
                &[OpenCode],
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"messages.3: `tool_use` ids were found without `tool_result` blocks"}}"#,
                RequestRefused,
            ),
            (
                &[Claude],
                r#"API Error: 401 {"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#,
                Authentication,
            ),
            (&[Claude], "Claude AI usage limit reached|1795500000", UsageLimit),
            (&[Claude], "You've hit your weekly limit · resets Dec 3, 9am (UTC)", UsageLimit),
            (&[Claude], "prompt is too long: 210000 tokens > 200000 maximum", ContextOverflow),
            // Google.
            (
                &[Gemini],
                "[API Error: You exceeded your current quota, please check your plan and billing details. For more information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits.\n* Quota exceeded for metric: generativelanguage.googleapis.com/generate_content_free_tier_input_token_count, limit: 125000\nPlease retry in 15.002899939s.]",
                RateLimit,
            ),
            (
                &[Gemini],
                r#"[API Error: {"error":{"message":"{\n  \"error\": {\n    \"code\": 429,\n    \"message\": \"You exceeded your current quota, please check your plan and billing details.\",\n    \"status\": \"RESOURCE_EXHAUSTED\",\n    \"details\": [{\"violations\": [{\"quotaId\": \"GenerateRequestsPerDayPerProjectPerModel-FreeTier\"}]}]}}"}}]"#,
                UsageLimit,
            ),
            (&[Gemini], "[API Error: Resource has been exhausted (e.g. check quota).]", RateLimit),
            (
                &[Gemini],
                "[API Error: You have exhausted your capacity on this model. Your quota will reset after 8h44m7s.]",
                RateLimit,
            ),
            (&[Gemini], "[API Error: You have exhausted your daily quota on this model.]", UsageLimit),
            (
                &[Gemini],
                "[API Error: models/gemini-9 is not found for API version v1beta, or is not supported for generateContent. Call ListModels to see the list of available models and their supported methods.]",
                ModelUnknown,
            ),
            (
                &[Gemini],
                "[API Error: The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).]",
                ContextOverflow,
            ),
            (&[Gemini], "[API Error: The model is overloaded. Please try again later.]", Overloaded),
            (&[Gemini], "Response stopped due to safety reasons.", Refused),
            (&[Gemini], "Response stopped due to recitation policy.", Refused),
            (
                &[Gemini],
                "Invalid stream: The model returned an empty response or malformed tool call.",
                Overloaded,
            ),
            (&[Gemini], "[API Error: Model stream ended without a finish reason.]", Overloaded),
            (
                &[OpenCode],
                "You exceeded your current quota, please check your plan and billing details. For more information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits.",
                RateLimit,
            ),
            // Others, by way of OpenCode.
            (&[OpenCode], "gpt-9 is not a valid model ID", ModelUnknown),
            (&[OpenCode], "This request requires more credits, or fewer max_tokens.", Billing),
            (
                &[OpenCode],
                "Anthropic API key is missing. Pass it using the 'apiKey' parameter or the ANTHROPIC_API_KEY environment variable.",
                Authentication,
            ),
            (&[OpenCode], "Unable to connect. Is the computer able to access the url?", Overloaded),
        ];
        for (agents, message, class) in cases {
            for agent in *agents {
                assert_eq!(classify(*agent, None, message), *class, "{agent}: {message}");
            }
        }
        assert_eq!(classify(Codex, Some(529), "who knows"), Overloaded);
        assert_eq!(classify(Codex, Some(429), "Connection: too many requests"), RateLimit);
        assert_eq!(classify(OpenCode, Some(400), "no such field"), RequestRefused);
    }

    #[test]
    fn an_exit_code_of_geminis_is_a_status_and_no_other_programs_is() {
        let class =
            |agent, code| Evidence { agent: Some(agent), exit: Some(code), ..Evidence::default() }.class();
        let codes = [
            (144, RequestRefused),
            (145, Authentication),
            (147, Authentication),
            (148, ModelUnknown),
            (173, RateLimit),
            (244, Overloaded),
            (247, Overloaded),
            (17, Overloaded),
            (41, Authentication),
            (53, TurnLimit),
            (127, NotReady),
        ];
        for (code, expected) in codes {
            assert_eq!(class(Gemini, code), Some(expected), "{code}");
        }
        for code in [0, 1, 2, 42, 130, 137, 139, 143] {
            assert_eq!(class(Gemini, code), None, "{code}");
        }
        assert_eq!(
            (class(Codex, 173), class(Claude, 127), class(OpenCode, 126)),
            (None, Some(NotReady), Some(NotReady))
        );
    }

    #[test]
    fn no_row_is_hidden_by_one_before_it_and_phrases_are_in_lower_case() {
        let rows: Vec<&Row> = [REASONS, HINTS, EXITS].into_iter().flatten().collect();
        for (at, row) in rows.iter().enumerate() {
            assert_eq!(row.phrase, row.phrase.to_lowercase());
            let hides = |before: &&&Row| {
                before.agent.is_none_or(|agent| row.agent == Some(agent))
                    && before.exit.is_none_or(|code| row.exit == Some(code))
                    && (before.event.is_empty() || before.event == row.event)
                    && has_in_order(row.phrase, before.phrase)
            };
            let hidden = rows[..at].iter().find(hides).filter(|before| before.class != row.class);
            assert!(hidden.is_none(), "{:?} {:?} never counts", row.event, row.phrase);
        }
    }
}
