//! A stub of Lambda's Runtime API that runs one process of a function and measures it.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::convert::Infallible;
use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use nix::sys::resource::{UsageWho, getrusage};
use nix::time::ClockId;
use nix::unistd::Pid;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

/// How long anything may take before the benchmark gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a process of a function is started with.
#[derive(Clone, Debug)]
pub struct Program {
    executable: PathBuf,
    arguments: Vec<OsString>,
}

impl From<PathBuf> for Program {
    fn from(executable: PathBuf) -> Self {
        Self { executable, arguments: Vec::new() }
    }
}

impl Program {
    /// A script with its interpreter.
    pub fn script(interpreter: &Path, script: &Path) -> Self {
        Self { executable: interpreter.to_owned(), arguments: vec![script.into()] }
    }
}

/// One process of a function.
pub struct Function {
    child: Child,
    started: Instant,
    start_time: Duration,
    events: mpsc::UnboundedSender<Value>,
    polls: mpsc::UnboundedReceiver<Instant>,
    answers: mpsc::UnboundedReceiver<(Value, Instant)>,
    server: JoinHandle<()>,
}

struct Api {
    events: Mutex<mpsc::UnboundedReceiver<Value>>,
    polls: mpsc::UnboundedSender<Instant>,
    answers: mpsc::UnboundedSender<(Value, Instant)>,
    linger: Duration,
}

impl Function {
    /// Starts a process with these variables and nothing else in its environment.
    pub async fn start(
        program: &Program,
        variables: &[(&str, &str)],
    ) -> Result<Self, Box<dyn Error>> {
        Self::start_with(program, variables, Duration::ZERO).await
    }

    /// The same, but its answers are acknowledged late: until then it does nothing after them.
    pub async fn start_with(
        program: &Program,
        variables: &[(&str, &str)],
        linger: Duration,
    ) -> Result<Self, Box<dyn Error>> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?.to_string();
        let (events, inbox) = mpsc::unbounded_channel();
        let (polls, polled) = mpsc::unbounded_channel();
        let (answers, answered) = mpsc::unbounded_channel();
        let api = Arc::new(Api { events: Mutex::new(inbox), polls, answers, linger });
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let api = api.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let api = api.clone();
                        async move { Ok::<_, Infallible>(api.answer(request).await) }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        let mut command = Command::new(&program.executable);
        command
            .args(&program.arguments)
            .env_clear()
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", address.as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", "f"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
                ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
                ("AWS_REGION", "us-east-1"),
                ("AWS_DEFAULT_REGION", "us-east-1"),
                ("AWS_ACCESS_KEY_ID", "AKID"),
                ("AWS_SECRET_ACCESS_KEY", "secret"),
                // As the template sets it.
                ("MALLOC_ARENA_MAX", "1"),
            ]);
        let started = Instant::now();
        Ok(Self {
            child: command.spawn()?,
            started,
            start_time: Duration::ZERO,
            events,
            polls: polled,
            answers: answered,
            server,
        })
    }

    /// Waits until the function asks for its first event; -> how long that took.
    pub async fn ready(&mut self) -> Result<Duration, Box<dyn Error>> {
        let polled =
            tokio::time::timeout(PATIENCE, self.polls.recv()).await?.ok_or("the function ended")?;
        let took = polled - self.started;
        if self.start_time.is_zero() {
            self.start_time = took;
        }
        Ok(took)
    }

    pub fn send(&self, event: Value) -> Result<(), Box<dyn Error>> {
        Ok(self.events.send(event)?)
    }

    /// Waits for the answer; -> what it is, and when it came.
    pub async fn answer(&mut self) -> Result<(Value, Instant), Box<dyn Error>> {
        Ok(tokio::time::timeout(PATIENCE, self.answers.recv())
            .await?
            .ok_or("the function ended")?)
    }

    /// How long the process took to ask for its first event.
    pub fn start_time(&self) -> Duration {
        self.start_time
    }

    pub fn started(&self) -> Instant {
        self.started
    }

    /// The CPU time that the process has taken so far.
    pub fn cpu(&self) -> Result<Duration, Box<dyn Error>> {
        Ok(ClockId::pid_cpu_clock_id(self.pid()?)?.now()?.into())
    }

    pub fn pid(&self) -> Result<Pid, Box<dyn Error>> {
        let pid = self.child.id().ok_or("the function ended")?;
        Ok(Pid::from_raw(i32::try_from(pid)?))
    }

    /// The most memory that the process has had resident, in KiB.
    pub fn peak_memory(&self) -> Result<u64, Box<dyn Error>> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// Ends the process; -> the CPU time that all of it took, while no other one ends.
    pub async fn end(mut self) -> Result<Duration, Box<dyn Error>> {
        let before = cpu_of_children()?;
        self.child.kill().await?;
        self.server.abort();
        Ok(cpu_of_children()? - before)
    }
}

fn cpu_of_children() -> Result<Duration, Box<dyn Error>> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let of = |time: nix::sys::time::TimeVal| {
        Duration::new(
            time.tv_sec().unsigned_abs(),
            u32::try_from(time.tv_usec()).unwrap_or(0) * 1000,
        )
    };
    Ok(of(usage.user_time()) + of(usage.system_time()))
}

impl Api {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() == Method::GET {
            let _ = self.polls.send(Instant::now());
            let Some(event) = self.events.lock().await.recv().await else {
                return Response::default();
            };
            let deadline = SystemTime::now() + Duration::from_secs(28);
            let deadline =
                deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
            return Response::builder()
                .header("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
                .header("Lambda-Runtime-Deadline-Ms", deadline.to_string())
                .header(
                    "Lambda-Runtime-Invoked-Function-Arn",
                    "arn:aws:lambda:us-east-1:111122223333:function:f",
                )
                .header(
                    "Lambda-Runtime-Trace-Id",
                    "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1",
                )
                .header("Content-Type", "application/json")
                .body(Full::new(Bytes::from(event.to_string())))
                .unwrap_or_default();
        }
        let body =
            request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let _ =
            self.answers.send((serde_json::from_slice(&body).unwrap_or_default(), Instant::now()));
        tokio::time::sleep(self.linger).await;
        let mut accepted = Response::<Full<Bytes>>::default();
        *accepted.status_mut() = http::StatusCode::ACCEPTED;
        accepted
    }
}
