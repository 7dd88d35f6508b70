//! Checks that may reach some servers only.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hob::config::ChecksNetwork;
use hob::container::Docker;
use hob::ids::{LABEL_INSTANCE, LABEL_RUN, RunId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::world::network::Network;
use crate::world::{World, docker_address};

/// A server of this machine's, on all its addresses: its port, and how often somebody came.
async fn server() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let came = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&came);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello").await;
            });
        }
    });
    (port, came)
}

/// What the check does: `$1` is the machine's address, `$2` the port that is listed, `$3` another.
const SCRIPT: &str = r#"#!/bin/bash
get() { perl -MHTTP::Tiny -e '$r = HTTP::Tiny->new(timeout => 20)->get(shift); print "$r->{status} $r->{content}"' "http://$1/"; }
want() { [[ "$3" == $2 ]] || { echo "$1: $3"; exit 1; }; }
proxy=${HTTP_PROXY#http://}
want 'the listed server' '200 hello' "$(get "$1:$2")"
want 'another port' '403 *' "$(get "$1:$3")"
want 'another name' '403 *' "$(get "other.test")"
want 'a listed name of the machine itself' '403 *' "$(get "ip6-loopback")"
want 'a listed name of a neighbour' '403 *' "$(get "neighbour.example")"
exec 3<>"/dev/tcp/${proxy%:*}/${proxy#*:}"
printf 'CONNECT %s:%s HTTP/1.1\r\n\r\nhi' "$1" "$2" >&3
want 'a tunnel' 'HTTP/1.1 200 OK*hello' "$(timeout 20 cat <&3)"
exec 3<>"/dev/tcp/${proxy%:*}/${proxy#*:}"
printf 'CONNECT %s:443 HTTP/1.1\r\nConnection: close\r\n\r\n' "$(head -c 65500 /dev/zero | tr '\0' a)" >&3
want 'an endless name' 'HTTP/1.1 400 *' "$(timeout 20 cat <&3)"
# Without the proxy: the server itself, and the machine by whatever address it has.
for address in "$1" 172.17.0.1 "${proxy%.*}.1"; do
  ! timeout 4 bash -c "exec 3<>/dev/tcp/$address/$2" 2>/dev/null || { echo "$address is reached"; exit 1; }
done
! grep -qv ' lo$' /proc/net/if_inet6 2>/dev/null || { echo 'IPv6 is on'; exit 1; }
"#;

#[tokio::test]
async fn checks_reach_the_servers_of_their_list_and_nothing_else() {
    let mut outside = Network::create();
    outside.has_neighbour("neighbour.example");
    let gateway = outside.gateway();
    let ((port, came), (other, came_to_other)) = (server().await, server().await);
    let mut w = World::with(|config| {
        config.container.network = outside.name.clone();
        config.container.checks_network = ChecksNetwork::Everything;
    })
    .await;
    let settings = format!(
        "checks = [\"bash net.sh {gateway} {port} {other}\"]\ncheck_retries = 0\n\
         checks_network = [\"{gateway}:{port}\", \"ip6-loopback\", \"*.example\"]\n"
    );
    let files = [(".github/hob.toml", settings.as_str()), ("net.sh", SCRIPT)];
    w.alice().pushes("main", &files, "Say what is checked").await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: work]").await;
    w.alice().labels(issue, "hob").await;
    let pull = w.next_pull_request().await;
    w.next_comment(issue).await;
    let section = pull.body.split("### Checks").nth(1).expect("a section about checks");
    let log = std::fs::read_dir(w.data().join("runs")).unwrap().flatten().count();
    assert!(section.contains("✅ passed"), "{log} runs; {section}");
    let reach = format!("that reaches only `{gateway}:{port}`, `ip6-loopback`, `*.example`");
    for said in [
        reach.as_str(),
        &format!("could not reach `{gateway}:{other}`: it is not in `checks_network`"),
        "could not reach `other.test:80`: it is not in `checks_network`",
        "could not reach `ip6-loopback:80`: the name leads to a private address",
        "could not reach `neighbour.example:80`: the name leads to a private address",
    ] {
        assert!(section.contains(said), "{said} is not in {section}");
    }
    assert_eq!(section.matches("could not reach").count(), 4, "{section}");
    assert_eq!((came.load(Ordering::SeqCst), came_to_other.load(Ordering::SeqCst)), (2, 0));

    // A hob that dies leaves a network: the next one removes it.
    w.quiet().await;
    let instance = w.store().instance().await.unwrap();
    w.stop_hob().await;
    let labels = BTreeMap::from([
        (LABEL_INSTANCE.to_owned(), instance.clone()),
        (LABEL_RUN.to_owned(), RunId::new().to_string()),
    ]);
    let docker = Docker::connect(&docker_address()).unwrap();
    docker.make_inner_network(&format!("hob-left-{instance}"), &labels).await.unwrap();
    assert_eq!(w.containers().await.len(), 1);
    w.start_hob().await;
    w.eventually("the network to be gone", async || w.containers().await.is_empty().then_some(())).await;
    w.finish().await;
}

#[tokio::test]
async fn a_hob_that_is_killed_while_a_check_runs_in_its_fence_checks_again_and_leaves_nothing() {
    let outside = Network::create();
    let w = World::prepare(|config| {
        config.container.network = outside.name.clone();
        config.container.checks_network = ChecksNetwork::Everything;
    })
    .await;
    let first = w.start_program().await;
    let settings = "checks = [\"sleep 3\"]\nchecks_network = [\"crates.io\"]\n";
    w.alice().pushes("main", &[(".github/hob.toml", settings)], "Say what is checked").await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: work]").await;
    w.alice().labels(issue, "hob").await;
    // The network, the proxy, and the check.
    let all = async || Some(w.containers().await).filter(|all| all.len() == 3);
    let left = w.eventually("a check in its fence", all).await;
    first.kill().await;
    let second = w.start_program().await;
    let pull = w.next_pull_request().await;
    w.next_comment(issue).await;
    assert!(pull.body.contains("| `sleep 3` | ✅ passed, exit code 0 |"), "{}", pull.body);
    assert!(pull.body.contains("that reaches only `crates.io`"), "{}", pull.body);
    let gone = async || w.containers().await.is_empty().then_some(());
    w.eventually(&format!("{left:?} to be gone"), gone).await;
    assert_eq!(second.terminate().await, Some(0));
    w.finish().await;
}
