//! A small world for the tests: a bare repository with some history, the git program, and
//! `git http-backend` behind axum, which counts requests and wants a token.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode, header};
use base64::Engine;
use tempfile::TempDir;

use hob::git::{ImportError, ImportLimits, ImportTarget, Imported, Mirror, Remote, import};
use hob::ids::Sha;

pub const TOKEN: &str = "ghs_aVerySecretToken";

/// `origin.git` with branches `main` (two commits) and `old`, and a clone of it to work in.
pub struct World {
    pub dir: TempDir,
    pub origin: PathBuf,
    pub work: PathBuf,
}

impl World {
    pub fn new() -> World {
        let dir = TempDir::new().unwrap();
        let origin = dir.path().join("origin.git");
        let work = dir.path().join("work");
        git(dir.path(), &["init", "-q", "--bare", "-b", "main", "origin.git"]);
        git(&origin, &["config", "http.receivepack", "true"]);
        git(dir.path(), &["init", "-q", "-b", "main", "work"]);
        let world = World { dir, origin, work };
        world.write("README.md", "hello\n");
        world.write("src/run.sh", "#!/bin/sh\n");
        world.write("src/deep/data.txt", &"line\n".repeat(500));
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(world.work.join("src/run.sh"), executable).unwrap();
        std::os::unix::fs::symlink("src/run.sh", world.work.join("link")).unwrap();
        world.commit_all("first");
        world.write("README.md", "hello again\n");
        world.commit_all("second");
        git(&world.work, &["remote", "add", "origin", world.origin.to_str().unwrap()]);
        git(&world.work, &["push", "-q", "origin", "main", "main:old"]);
        world
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.work.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn commit(&self, message: &str) -> Sha {
        git(&self.work, &["commit", "-q", "--allow-empty", "-m", message]);
        self.sha("HEAD")
    }

    pub fn commit_all(&self, message: &str) -> Sha {
        git(&self.work, &["add", "-A"]);
        self.commit(message)
    }

    pub fn sha(&self, name: &str) -> Sha {
        git(&self.work, &["rev-parse", name]).parse().unwrap()
    }

    /// What a branch of the origin points at, or nothing.
    pub fn origin_branch(&self, name: &str) -> Option<Sha> {
        let output = run(&self.origin, &["rev-parse", "-q", "--verify", &format!("refs/heads/{name}")]);
        String::from_utf8(output.stdout).unwrap().trim().parse().ok()
    }

    /// A mirror, fetched by path.
    pub fn mirror(&self) -> Mirror {
        let mirror = Mirror::ensure(&self.dir.path().join("mirrors/acme/tool.git")).unwrap();
        mirror.fetch(&self.by_path()).unwrap();
        mirror
    }

    pub fn by_path(&self) -> Remote {
        Remote { url: self.origin.to_str().unwrap().to_owned(), token: None }
    }

    pub fn quarantine(&self) -> PathBuf {
        self.dir.path().join("quarantine")
    }

    pub fn import(&self, mirror: &Mirror, base: &Sha, bundle: &[u8]) -> Result<Imported, ImportError> {
        self.import_within(mirror, base, bundle, ImportLimits::default())
    }

    pub fn import_within(
        &self,
        mirror: &Mirror,
        base: &Sha,
        bundle: &[u8],
        limits: ImportLimits,
    ) -> Result<Imported, ImportError> {
        let hand_over = ImportTarget { quarantine: &self.quarantine(), base, base_branch: None, limits };
        import(mirror, &hand_over, &mut &bundle[..])
    }

    /// The bundle an agent's container would print.
    pub fn bundle(&self, branch: &str, base: &Sha) -> Vec<u8> {
        bundle(&self.work, &[branch, &format!("^{base}")])
    }

    /// A commit on the branch `story`, its base, and its import.
    pub fn handed_over(&self, mirror: &Mirror) -> (Sha, Imported) {
        let base = self.sha("main");
        git(&self.work, &["checkout", "-q", "-B", "story", "main"]);
        self.write("new.txt", "new\n");
        self.commit_all("third");
        let imported = self.import(mirror, &base, &self.bundle("story", &base)).unwrap();
        (base, imported)
    }
}

pub fn bundle(repository: &Path, revisions: &[&str]) -> Vec<u8> {
    let arguments = [&["bundle", "create", "-q", "-"], revisions].concat();
    let output = run(repository, &arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A bundle with a header of ours around any pack.
pub fn bundle_of(header: &str, pack: &[u8]) -> Vec<u8> {
    [header.as_bytes(), b"\n", pack].concat()
}

pub fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub fn run(folder: &Path, arguments: &[&str]) -> Output {
    with_input(folder, arguments, &[])
}

pub fn with_input(folder: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new("git");
    command.current_dir(folder).args(arguments).env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Ada").env(format!("GIT_{role}_EMAIL"), "ada@example.com");
    }
    feed(&mut command, input)
}

fn feed(command: &mut Command, input: &[u8]) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // A program that does not read its input closes the pipe.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// Whether any file below the folder holds the text.
pub fn holds(folder: &Path, text: &str) -> bool {
    let output = Command::new("grep").args(["-raq", text]).arg(folder).status().unwrap();
    output.code() == Some(0)
}

/// A git server. The first part of the path says how it behaves.
pub struct Server {
    pub address: String,
    /// Method, path and `User-Agent` of each request.
    pub requests: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone)]
struct Backend {
    root: PathBuf,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves what lies in `root`, from a thread of its own that ends with the process.
    pub fn start(root: &Path) -> Server {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let backend = Backend { root: root.to_owned(), requests: requests.clone() };
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, Router::new().fallback(answer).with_state(backend)).await.unwrap();
            });
        });
        Server { address, requests }
    }

    pub fn remote(&self, path: &str, token: &str) -> Remote {
        Remote { url: format!("{}{path}", self.address), token: Some(token.to_owned().into()) }
    }

    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}

async fn answer(State(backend): State<Backend>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let get = |name: header::HeaderName| {
        parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned()
    };
    let path = parts.uri.path().to_owned();
    let line = format!("{} {path} {}", parts.method, get(header::USER_AGENT));
    backend.requests.lock().unwrap().push(line);
    let plain = |status: StatusCode, text: &str| {
        Response::builder().status(status).body(Body::from(text.to_owned())).unwrap()
    };
    let wanted = base64::engine::general_purpose::STANDARD.encode(format!("x-access-token:{TOKEN}"));
    let given = get(header::AUTHORIZATION);
    match path.split('/').nth(1).unwrap() {
        "moved" => {
            let to = format!("/new/tool.git/info/refs?service=x&token={TOKEN}");
            return Response::builder().status(301).header(header::LOCATION, to).body(Body::empty()).unwrap();
        }
        // Followed by the rest of the path, on this host or on the one that the path names.
        "renamed" | "away" | "circle" => {
            let query = parts.uri.query().unwrap_or_default();
            let (mut rest, mut host) = (path.split('/').skip(2).collect::<Vec<_>>().join("/"), String::new());
            if path.starts_with("/away/") {
                let (to, after) = rest.split_once('/').unwrap();
                (host, rest) = (format!("http://{to}"), after.to_owned());
            }
            if path.starts_with("/circle/") {
                rest = format!("circle/{rest}");
            }
            let to = format!("{host}/{rest}?{query}");
            return Response::builder().status(301).header(header::LOCATION, to).body(Body::empty()).unwrap();
        }
        "down" => return plain(StatusCode::SERVICE_UNAVAILABLE, "come back later"),
        "page" => return plain(StatusCode::OK, "<html>sign in</html>"),
        // Writing is forbidden, with a text that quotes the credentials.
        "readonly" if path.ends_with("git-receive-pack") => {
            return plain(StatusCode::FORBIDDEN, &format!("archived; you sent {given}"));
        }
        _ if given != format!("Basic {wanted}") => return plain(StatusCode::UNAUTHORIZED, "who are you?"),
        _ => {}
    }
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let query = parts.uri.query().unwrap_or("").to_owned();
    let (method, kind) = (parts.method.to_string(), get(header::CONTENT_TYPE));
    let path = path.replace("/readonly/", "/");
    let output = tokio::task::spawn_blocking(move || {
        let mut command = Command::new("git");
        command.arg("http-backend").env("GIT_PROJECT_ROOT", &backend.root).env("GIT_HTTP_EXPORT_ALL", "1");
        command.env("PATH_INFO", path).env("QUERY_STRING", query).env("REQUEST_METHOD", method);
        command.env("CONTENT_TYPE", kind).env("CONTENT_LENGTH", body.len().to_string());
        command.env("REMOTE_USER", "x-access-token").env("GIT_CONFIG_GLOBAL", "/dev/null");
        feed(&mut command, &body).stdout
    });
    from_cgi(output.await.unwrap().into())
}

fn from_cgi(output: Bytes) -> Response<Body> {
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let mut response = Response::builder();
    for line in std::str::from_utf8(&output[..end]).unwrap().lines() {
        let (name, value) = line.split_once(": ").unwrap();
        response = match name {
            "Status" => response.status(value[..3].parse::<u16>().unwrap()),
            _ => response.header(name, value),
        };
    }
    response.body(Body::from(output.slice(end + 4..))).unwrap()
}
