//! Tests of what looks at commits on the played GitHub: check runs, statuses, runs of workflows,
//! logs.

use serde_json::{Value, json};

use super::{Client, DEADLINE, REPO, installation_token, listen, world};
use crate::world::github::{GitHub, Job};

#[tokio::test(flavor = "multi_thread")]
async fn a_check_run_is_an_apps_and_tells_of_its_end() {
    let (github, _) = world().await;
    let (url, mut heard) = listen().await;
    github.send_app_webhooks_to(&url, "secret");
    let sha = github.commits(REPO, "main")[0].sha.clone();
    let make = json!({"name": "hob", "head_sha": sha, "actions": [
        {"label": "Stop", "description": "Stops the agent", "identifier": "stop"}]});
    let all = format!("/repos/{REPO}/check-runs");
    let person = Client::new(&github, github.token());
    assert_eq!(person.json("POST", &all, Some(make.clone())).await.0, 403, "a token can make none");

    let app = Client::new(&github, &installation_token(&github).await);
    let (status, made) = app.json("POST", &all, Some(make)).await;
    assert_eq!((status, &made["status"], &made["app"]["slug"]), (201, &json!("queued"), &json!("hob")));
    let id = made["id"].as_u64().unwrap();
    let one = format!("{all}/{id}");
    let output = json!({"title": "Done", "summary": "It went well."});
    let end = json!({"status": "completed", "conclusion": "success", "output": output});
    let begin = json!({"status": "in_progress"});
    assert_eq!(app.json("PATCH", &one, Some(begin)).await.1["conclusion"], Value::Null);
    let (status, ended) = app.json("PATCH", &one, Some(end.clone())).await;
    assert_eq!((status, &ended["conclusion"]), (200, &json!("success")));
    let (headers, body) = heard.recv().await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(headers["X-GitHub-Event"], "check_run");
    assert_eq!(
        (&body["action"], &body["check_run"]["id"], &body["check_run"]["head_sha"]),
        (&json!("completed"), &json!(id), &json!(sha))
    );

    github.press(REPO, "alice", id, Some("stop")).await;
    let pressed: Value = serde_json::from_slice(&heard.recv().await.unwrap().1).unwrap();
    assert_eq!(
        (&pressed["requested_action"]["identifier"], &pressed["sender"]["login"]),
        (&json!("stop"), &json!("alice"))
    );
    github.press(REPO, "alice", id, None).await;
    let pressed: Value = serde_json::from_slice(&heard.recv().await.unwrap().1).unwrap();
    assert_eq!(
        (&pressed["action"], &pressed["check_run"]["app"]["slug"]),
        (&json!("rerequested"), &json!("hob"))
    );

    let seen = github.check_runs(REPO, &sha);
    let statuses: Vec<&str> = seen[0].history.iter().map(|(status, ..)| status.as_str()).collect();
    assert_eq!(statuses, ["queued", "in_progress", "completed"]);
    assert_eq!(seen[0].buttons, ["stop"]);
    let others = github.lint(REPO, "lint", &sha, "failure", ["1 error", "", ""], Vec::new()).await;
    assert_eq!(app.json("PATCH", &format!("{all}/{others}"), Some(end)).await.0, 403, "another App's");
    assert_eq!(github.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_on_a_commit_is_read_as_it_is_now() {
    let (github, _) = world().await;
    let sha = github.commits(REPO, "main")[0].sha.clone();
    let client = Client::new(&github, github.token());
    let job = |name, conclusion, log| Job { name, conclusion, log };
    let first = [job("build", "failure", Some("error: no\n")), job("test", "failure", None)];
    let ids = github.run_workflow(REPO, "CI", &sha, &first).await;
    github.run_workflow(REPO, "CI", &sha, &[job("test", "success", Some(""))]).await;
    let note = json!({"path": "a.rs", "start_line": 1, "end_line": 1, "annotation_level": "failure", "message": "no"});
    let lint =
        github.lint(REPO, "lint", &sha, "failure", ["1 error", "One.", "It is one."], vec![note]).await;

    let names = async |query: &str| -> Vec<(String, String)> {
        let (status, list) = client.get(&format!("/repos/{REPO}/commits/main/check-runs{query}")).await;
        assert_eq!(status, 200, "{list}");
        let runs = list["check_runs"].as_array().unwrap().iter();
        let word = |run: &Value, name: &str| run[name].as_str().unwrap().to_owned();
        runs.map(|run| (word(run, "name"), word(run, "conclusion"))).collect()
    };
    let pair = |name: &str, conclusion: &str| (name.to_owned(), conclusion.to_owned());
    assert_eq!(names("").await, [pair("lint", "failure"), pair("test", "success"), pair("build", "failure")]);
    assert_eq!(names("?filter=all").await.len(), 4);
    assert_eq!(names("?check_name=test").await, [pair("test", "success")]);
    let notes = client.get(&format!("/repos/{REPO}/check-runs/{lint}/annotations")).await.1;
    assert_eq!(notes[0]["message"], "no");

    let log = client.send("GET", &format!("/repos/{REPO}/actions/jobs/{}/logs", ids[0]), None).await.unwrap();
    assert_eq!((log.status().as_u16(), log.text().await.unwrap().as_str()), (200, "error: no\n"));
    for (id, status) in [(ids[1], 410), (lint, 404)] {
        assert_eq!(client.get(&format!("/repos/{REPO}/actions/jobs/{id}/logs")).await.0, status);
    }

    let broken = github.fail_to_start(REPO, "release", &sha).await;
    let runs = client.get(&format!("/repos/{REPO}/actions/runs?head_sha={sha}")).await.1;
    assert_eq!(runs["total_count"], 2);
    assert_eq!(
        (&runs["workflow_runs"][0]["id"], &runs["workflow_runs"][0]["conclusion"]),
        (&json!(broken), &json!("startup_failure"))
    );
    assert_eq!(client.get(&format!("/repos/{REPO}/actions/runs/{broken}/jobs")).await.1["total_count"], 0);
    let jobs =
        client.get(&format!("/repos/{REPO}/actions/runs/{}/jobs", runs["workflow_runs"][1]["id"])).await.1;
    assert_eq!(jobs["total_count"], 3);

    github.set_status(REPO, "deploy", &sha, "failure", "no disk").await;
    let post = json!({"state": "pending", "context": "hob", "description": "working"});
    assert_eq!(client.json("POST", &format!("/repos/{REPO}/statuses/{sha}"), Some(post)).await.0, 201);
    let together = client.get(&format!("/repos/{REPO}/commits/{sha}/status")).await.1;
    assert_eq!((&together["state"], &together["total_count"]), (&json!("failure"), &json!(2)));
    github.set_status(REPO, "deploy", &sha, "success", "").await;
    let together = client.get(&format!("/repos/{REPO}/commits/{sha}/status")).await.1;
    assert_eq!((&together["state"], &together["total_count"]), (&json!("pending"), &json!(2)));
    assert_eq!(github.statuses(REPO, &sha).len(), 3);
    let told = |github: &GitHub| {
        github
            .deliveries()
            .iter()
            .any(|told| told.event == "status" && told.delivered.is_some())
            .then_some(())
    };
    github.until("a status to be told", DEADLINE, told).await;
    assert_eq!(github.violations(), Vec::<String>::new());
}
