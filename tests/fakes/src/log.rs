//! The log lines of functions that run on this thread, as CloudWatch would get them.

use std::io::Write;
use std::sync::{Arc, Mutex, Once};

use serde_json::Value;
use tracing::subscriber::DefaultGuard;

/// What is logged on this thread while it lives.
pub struct Log {
    bytes: Arc<Mutex<Vec<u8>>>,
    _guard: DefaultGuard,
}

struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Begins to listen, at INFO as the functions log by default.
    pub fn listen() -> Self {
        // Whether anybody listens is remembered for each place that logs, by the thread that comes there first: without
        // a subscriber of all threads, one that has none would switch the place off for everybody.
        static ALL_THREADS: Once = Once::new();
        ALL_THREADS.call_once(|| {
            let nowhere = tracing_subscriber::fmt().with_writer(std::io::sink);
            tracing::subscriber::set_global_default(nowhere.finish()).unwrap();
        });
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = bytes.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::INFO)
            .with_writer(move || Sink(sink.clone()));
        Self { bytes, _guard: tracing::subscriber::set_default(subscriber.finish()) }
    }

    /// The fields of each line since the last look, with its `level`.
    pub fn take(&self) -> Vec<Value> {
        let bytes = std::mem::take(&mut *self.bytes.lock().unwrap());
        let lines = String::from_utf8(bytes).unwrap();
        let read = |line: &str| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            let mut fields = line["fields"].take();
            fields["level"] = line["level"].take();
            fields
        };
        lines.lines().map(read).collect()
    }

    /// The fields of the lines since the last look with this `outcome`.
    pub fn with_outcome(&self, outcome: &str) -> Vec<Value> {
        self.take().into_iter().filter(|line| line["outcome"] == outcome).collect()
    }
}
