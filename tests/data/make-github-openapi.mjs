// Makes `github-openapi.json` and `webhooks/*.json`, from which the played GitHub of the tests builds
// and checks its answers. The sources are GitHub's own description and example payloads as published
// on npm; they are too large to keep (13 MB and 4 MB), so this takes out what the tests use:
//
//   npm pack @octokit/openapi@23.0.2 @octokit/webhooks-examples@7.6.1     (in some temporary folder)
//   mkdir openapi examples
//   tar xzf octokit-openapi-23.0.2.tgz -C openapi package/generated/api.github.com.json
//   tar xzf octokit-webhooks-examples-7.6.1.tgz -C examples package/api.github.com/index.json
//   node tests/data/make-github-openapi.mjs openapi/package examples/package
//
// The description is OpenAPI 3.0.3, whose schemas are not quite JSON Schema. What is written is plain
// JSON Schema (draft 2020-12): `nullable` becomes a type "null", prose and examples go. A keyword that
// is not known here ends the script, so that no rule of the description is lost without a word.
//
// To serve one more route, add a line to ROUTES and run again.

import { readFileSync, writeFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROUTES = [
  "GET /user",
  "GET /app",
  "GET /app/hook/deliveries",
  "POST /app/hook/deliveries/{delivery_id}/attempts",
  "GET /app/installations",
  "POST /app/installations/{installation_id}/access_tokens",
  "GET /installation/repositories",
  "GET /repos/{owner}/{repo}",
  "GET /repos/{owner}/{repo}/installation",
  "GET /repos/{owner}/{repo}/collaborators/{username}/permission",
  "GET /repos/{owner}/{repo}/issues",
  "GET /repos/{owner}/{repo}/issues/comments",
  "GET /repos/{owner}/{repo}/issues/{issue_number}",
  "GET /repos/{owner}/{repo}/issues/{issue_number}/comments",
  "POST /repos/{owner}/{repo}/issues/{issue_number}/comments",
  "GET /repos/{owner}/{repo}/issues/comments/{comment_id}",
  "PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}",
  "DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}",
  "POST /repos/{owner}/{repo}/issues/{issue_number}/reactions",
  "POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions",
  "GET /repos/{owner}/{repo}/issues/{issue_number}/labels",
  "POST /repos/{owner}/{repo}/issues/{issue_number}/labels",
  "DELETE /repos/{owner}/{repo}/issues/{issue_number}/labels/{name}",
  "POST /repos/{owner}/{repo}/labels",
  "PATCH /repos/{owner}/{repo}/labels/{name}",
  "GET /repos/{owner}/{repo}/pulls",
  "POST /repos/{owner}/{repo}/pulls",
  "GET /repos/{owner}/{repo}/pulls/{pull_number}",
  "PATCH /repos/{owner}/{repo}/pulls/{pull_number}",
  "POST /repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers",
  "GET /repos/{owner}/{repo}/issues/{issue_number}/dependencies/blocked_by",
  "GET /repos/{owner}/{repo}/issues/{issue_number}/dependencies/blocking",
  "GET /repos/{owner}/{repo}/issues/{issue_number}/sub_issues",
  "GET /repos/{owner}/{repo}/issues/{issue_number}/events",
  "GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews",
  "GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}",
  "GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}/comments",
  "GET /repos/{owner}/{repo}/pulls/{pull_number}/comments",
  "POST /repos/{owner}/{repo}/pulls/{pull_number}/comments/{comment_id}/replies",
  "DELETE /repos/{owner}/{repo}/pulls/comments/{comment_id}",
  "POST /repos/{owner}/{repo}/pulls/comments/{comment_id}/reactions",
  "GET /repos/{owner}/{repo}/commits/{ref}/check-runs",
  "POST /repos/{owner}/{repo}/check-runs",
  "GET /repos/{owner}/{repo}/check-runs/{check_run_id}",
  "PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}",
  "GET /repos/{owner}/{repo}/check-runs/{check_run_id}/annotations",
  "GET /repos/{owner}/{repo}/commits/{ref}/status",
  "POST /repos/{owner}/{repo}/statuses/{sha}",
  "GET /repos/{owner}/{repo}/actions/runs",
  "GET /repos/{owner}/{repo}/actions/runs/{run_id}/jobs",
  "GET /repos/{owner}/{repo}/actions/jobs/{job_id}/logs",
  "GET /repos/{owner}/{repo}/branches/{branch}",
  "DELETE /repos/{owner}/{repo}/git/refs/{ref}",
];

// The payloads that are sent: the example of this event and action with the fewest parts, which is
// the one of a repository's own webhook (no organization, no installation).
const WEBHOOKS = [
  "issues.labeled",
  "issue_comment.created",
  "ping",
  "pull_request_review.submitted",
  "pull_request.closed",
  "check_run.completed",
  "check_run.requested_action",
  "check_run.rerequested",
  "status",
  "workflow_run.completed",
  "push",
];

// Here the description wants an account to be a user and an enterprise at once, so that its own example does not fit. The
// schema of the same name says what is meant, and other routes refer to it.
const MEANT = {
  "GET /app/installations": { type: "array", items: { $ref: "#/components/schemas/installation" } },
};

const KEPT = new Set([
  "type", "enum", "required", "minimum", "maximum", "minLength", "maxLength",
  "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "pattern",
]);
const DROPPED = new Set([
  "title", "description", "example", "examples", "default", "deprecated", "externalDocs",
  "readOnly", "writeOnly", "format", "discriminator",
]);

const [openapiFolder, examplesFolder] = process.argv.slice(2);
if (!openapiFolder || !examplesFolder) {
  console.error("usage: make-github-openapi.mjs <unpacked @octokit/openapi> <unpacked @octokit/webhooks-examples>");
  process.exit(2);
}
const here = dirname(fileURLToPath(import.meta.url));
const description = JSON.parse(readFileSync(join(openapiFolder, "generated/api.github.com.json"), "utf8"));
const definitions = {};

// Follows one `$ref` inside the description.
function resolve(node) {
  if (!node?.$ref) return node;
  return node.$ref.slice(2).split("/").reduce((at, key) => at[key], description);
}

// One OpenAPI 3.0 schema as JSON Schema. Named schemas are carried to `$defs` once.
function schema(source) {
  if (source.$ref) {
    const name = source.$ref.replace("#/components/schemas/", "");
    if (!(name in definitions)) {
      definitions[name] = null; // taken before the walk, since schemas can refer to themselves
      definitions[name] = schema(resolve(source));
    }
    const reference = { $ref: `#/$defs/${name}` };
    return source.nullable ? { anyOf: [reference, { type: "null" }] } : reference;
  }
  const result = {};
  for (const [key, value] of Object.entries(source)) {
    if (KEPT.has(key)) result[key] = value;
    else if (key === "properties")
      result.properties = Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, schema(inner)]));
    else if (key === "items" || key === "not") result[key] = schema(value);
    else if (key === "additionalProperties") result[key] = typeof value === "boolean" ? value : schema(value);
    else if (["allOf", "anyOf", "oneOf"].includes(key)) result[key] = value.map(schema);
    else if (key !== "nullable" && !DROPPED.has(key) && !key.startsWith("x-"))
      throw new Error(`unknown keyword ${key}`);
  }
  return source.nullable ? orNull(result) : result;
}

// The same schema, with null allowed too.
function orNull(result) {
  const simple = !["allOf", "anyOf", "oneOf", "not"].some((key) => key in result);
  if (!simple) return { anyOf: [result, { type: "null" }] };
  if (result.type) result.type = [result.type, "null"];
  if (result.enum && !result.enum.includes(null)) result.enum = [...result.enum, null];
  return result;
}

// The value of an example, which can be a reference, or hold one where its value should be.
function exampleValue(node) {
  const { value } = resolve(node);
  return value?.$ref ? exampleValue(value) : value;
}

function route(key) {
  const [method, path] = key.split(" ");
  const operation = description.paths[path]?.[method.toLowerCase()];
  if (!operation) throw new Error(`${key} is not in the description`);
  const query = {};
  for (const parameter of (operation.parameters ?? []).map(resolve))
    if (parameter.in === "query") query[parameter.name] = schema(parameter.schema);

  const body = operation.requestBody && resolve(operation.requestBody);
  const result = { query, responses: {} };
  if (body) {
    result.body = schema(body.content["application/json"].schema);
    result.bodyRequired = body.required ?? false;
  }
  for (const [status, reference] of Object.entries(operation.responses)) {
    const content = resolve(reference).content?.["application/json"];
    if (content) result.responses[status] = schema(MEANT[key] ?? content.schema);
    else if (status === "204" || status === "302") result.responses[status] = { type: "null" };
    // The last success answer is the one of having made something, where there are two.
    if (content && status.startsWith("2")) result.example = exampleValue(Object.values(content.examples)[0]);
  }
  return result;
}

const routes = Object.fromEntries(ROUTES.map((key) => [key, route(key)]));
// Refusals come on every route, whether the description lists them there or not.
schema({ $ref: "#/components/schemas/basic-error" });
schema({ $ref: "#/components/schemas/validation-error" });
const source = `@octokit/openapi ${description.info.version}, api.github.com, MIT License, Copyright (c) 2020 Octokit contributors`;

// One definition or route a line, so that a change of GitHub's shows in a diff.
const lines = (map) =>
  "{\n" + Object.entries(map).map(([key, value]) => `${JSON.stringify(key)}: ${JSON.stringify(value)}`).join(",\n") + "\n}";
const sorted = Object.fromEntries(Object.entries(definitions).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(
  join(here, "github-openapi.json"),
  `{\n"source": ${JSON.stringify(source)},\n"routes": ${lines(routes)},\n"$defs": ${lines(sorted)}\n}\n`,
);

const examples = JSON.parse(readFileSync(join(examplesFolder, "api.github.com/index.json"), "utf8"));
mkdirSync(join(here, "webhooks"), { recursive: true });
for (const name of WEBHOOKS) {
  const [event, action] = name.split(".");
  const [payload] = examples
    .find((group) => group.name === event)
    .examples.filter((example) => example.action === action)
    .sort((a, b) => Object.keys(a).length - Object.keys(b).length);
  writeFileSync(join(here, "webhooks", `${name}.json`), JSON.stringify(payload, null, 1) + "\n");
}
