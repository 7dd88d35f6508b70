//! What goes on in a container that says nothing: the processor's time that it has used, and the
//! processes that its program has started.

use std::time::Duration;

use bollard::models::ContainerTopResponse;
use bollard::query_parameters::{StatsOptionsBuilder, TopOptionsBuilder};
use futures_util::StreamExt as _;

use super::{ContainerError, Docker};

/// What goes on in a container at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Activity {
    /// The processor's time that it has used so far; `None` if the daemon does not say.
    pub cpu: Option<Duration>,
    /// The processes that programs in it have started. The container's own program, which is its
    /// init's child does not count. Empty where the daemon does not say.
    pub children: Vec<Child>,
}

/// A process that a program in a container has started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Child {
    /// How long it has run.
    pub age: Duration,
    /// Whether the program that started it was started by another one itself.
    pub is_nested: bool,
}

impl Docker {
    /// What goes on in a running container. What the daemon cannot say of it is left out.
    pub async fn activity(&self, name: &str) -> Result<Activity, ContainerError> {
        let client = self.client().await?;
        let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
        let mut answers = std::pin::pin!(client.stats(name, Some(options)));
        let operation = format!("reading the statistics of {name}");
        let usage = async {
            match answers.next().await {
                Some(Ok(answer)) => {
                    Ok(answer.cpu_stats.and_then(|cpu| cpu.cpu_usage).and_then(|cpu| cpu.total_usage))
                }
                Some(Err(error)) => Err(error),
                None => Ok(None),
            }
        };
        let cpu = match self.call(&operation, usage).await {
            Err(error @ ContainerError::Unreachable(_)) => return Err(error),
            answer => answer.ok().flatten(),
        };
        let options = TopOptionsBuilder::new().ps_args("-eo pid,ppid,etimes").build();
        let operation = format!("listing the processes of {name}");
        let children = match self.call(&operation, client.top_processes(name, Some(options))).await {
            Ok(answer) => children(&answer),
            Err(error @ ContainerError::Unreachable(_)) => return Err(error),
            Err(_) => Vec::new(),
        };
        Ok(Activity { cpu: cpu.map(Duration::from_nanos), children })
    }
}

/// All processes but the first one, whose parent is outside, and its own children.
fn children(answer: &ContainerTopResponse) -> Vec<Child> {
    let rows: Vec<[u64; 3]> = answer
        .processes
        .iter()
        .flatten()
        .filter_map(|row| {
            let number = |at: usize| row.get(at)?.trim().parse().ok();
            Some([number(0)?, number(1)?, number(2)?])
        })
        .collect();
    let Some([init, ..]) = rows.iter().find(|[_, parent, _]| !rows.iter().any(|[pid, ..]| pid == parent))
    else {
        return Vec::new();
    };
    let is_inits = |process: &u64| rows.iter().any(|[pid, parent, _]| pid == process && parent == init);
    let deeper = rows.iter().filter(|[pid, parent, _]| pid != init && parent != init);
    deeper
        .map(|[_, parent, seconds]| Child {
            age: Duration::from_secs(*seconds),
            is_nested: !is_inits(parent),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_containers_own_program_is_not_its_child() {
        let top = |rows: &[[&str; 3]]| ContainerTopResponse {
            titles: None,
            processes: Some(rows.iter().map(|row| row.map(str::to_owned).to_vec()).collect()),
        };
        let alone = [["10", "1", "60"], ["11", "10", "60"], ["12", "10", "60"]];
        assert!(children(&top(&alone)).is_empty());
        let building = [["11", "10", "60"], ["10", "1", "60"], ["20", "11", "30"], ["21", "20", "5"]];
        assert_eq!(
            children(&top(&building)),
            [(30, false), (5, true)]
                .map(|(seconds, is_nested)| Child { age: Duration::from_secs(seconds), is_nested })
        );
        assert!(children(&top(&[["a", "b", "c"]])).is_empty());
        assert!(children(&ContainerTopResponse::default()).is_empty());
    }
}
