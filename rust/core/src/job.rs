//! Long work: a pool of our own, progress, and a way to stop.
//!
//! The calling thread does no work while a pool runs; it wakes every 50 ms to report progress and to ask whether to
//! stop. Workers only look at a flag. Every path joins the workers before it returns, so nothing outlives the
//! call. Pools are kept warm between calls and belong to the process that made them: after a `fork` the child makes
//! its own.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Result};

/// How often the calling thread looks up.
const TICK: Duration = Duration::from_millis(50);
/// Below this many point evaluations waking the pool costs more than it gives.
const SMALL: usize = 4_000;
/// More is a slip of the keyboard, which a system may answer by hanging.
const MOST_THREADS: usize = 1_024;

/// A callback with (done, total); `false` asks the job to stop.
type Tick<'a> = Box<dyn FnMut(usize, usize) -> bool + Send + 'a>;

/// What the caller wants to know of, and to say to, a running job.
pub struct Control<'a> {
    cancelled: AtomicBool,
    done: AtomicUsize,
    total: AtomicUsize,
    /// Called on the calling thread.
    tick: Option<Mutex<Tick<'a>>>,
    /// Whether a stopped job returns what it has.
    partial: bool,
}

impl std::fmt::Debug for Control<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("cancelled", &self.cancelled).field("done", &self.done).finish_non_exhaustive()
    }
}

impl<'a> Control<'a> {
    /// A job that nobody watches.
    pub fn silent() -> Control<'static> {
        Control {
            cancelled: AtomicBool::new(false),
            done: AtomicUsize::new(0),
            total: AtomicUsize::new(0),
            tick: None,
            partial: false,
        }
    }

    /// A job that calls `tick(done, total)` about every 50 ms and stops when that returns false; `partial` then
    /// gives what is finished instead of [`Error::Interrupted`].
    pub fn watched(tick: impl FnMut(usize, usize) -> bool + Send + 'a, partial: bool) -> Self {
        Self { tick: Some(Mutex::new(Box::new(tick))), partial, ..Control::silent() }
    }

    /// Whether the job was told to stop.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Whether a job that was told to stop gives what it has.
    pub fn is_partial(&self) -> bool {
        self.partial
    }

    /// Counts work as done.
    pub fn add(&self, count: usize) {
        self.done.fetch_add(count, Ordering::Relaxed);
    }

    /// The last look-up of a job.
    fn finish(&self) -> Result<()> {
        self.look_up();
        if self.is_cancelled() && !self.partial { Err(Error::Interrupted) } else { Ok(()) }
    }

    fn look_up(&self) {
        if let Some(tick) = &self.tick {
            let mut tick = tick.lock().unwrap_or_else(PoisonError::into_inner);
            if !tick(self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed)) {
                self.cancelled.store(true, Ordering::Relaxed);
            }
        }
    }
}

/// How many threads to use.
#[derive(Debug, Clone, Copy)]
pub struct Job {
    threads: usize,
}

impl Job {
    /// A job on `threads` threads; zero for `ISOLOSS_THREADS`, else one per available core.
    ///
    /// # Errors
    /// [`Error::Option`] when `ISOLOSS_THREADS` is not a positive number, or the number is beyond any machine.
    pub fn new(threads: usize) -> Result<Self> {
        let threads = if threads == 0 { default_threads()? } else { threads };
        if threads > MOST_THREADS {
            return Err(Error::Option(format!("{threads} threads are asked for: at most {MOST_THREADS} are started")));
        }
        Ok(Self { threads })
    }

    /// How many threads the job uses.
    pub fn threads(self) -> usize {
        self.threads
    }

    /// Runs one `worker` inside the pool, which may share its work among the pool's threads by Rayon.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when the job was stopped and partial results were not asked for.
    pub fn run_one<T: Send>(
        self,
        control: &Control<'_>,
        total: usize,
        worker: impl Fn(&Control<'_>) -> T + Sync,
    ) -> Result<T> {
        control.total.store(total, Ordering::Relaxed);
        let mut parts = watch(&*pool(self.threads)?, 1, control, &worker);
        control.finish()?;
        parts.pop().ok_or(Error::Interrupted)
    }

    /// Runs `worker` on every thread until each returns. `total` is what progress counts to, `work` a rough size.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when the job was stopped and partial results were not asked for.
    pub fn run<T: Send>(
        self,
        control: &Control<'_>,
        total: usize,
        work: usize,
        worker: impl Fn(&Control<'_>) -> T + Sync,
    ) -> Result<Vec<T>> {
        control.total.store(total, Ordering::Relaxed);
        let parts = if work <= SMALL {
            vec![worker(control)]
        } else {
            watch(&*pool(self.threads)?, self.threads, control, &worker)
        };
        control.finish()?;
        Ok(parts)
    }
}

/// Starts `count` workers in a pool and looks up until all have returned.
fn watch<T: Send>(
    pool: &ThreadPool,
    count: usize,
    control: &Control<'_>,
    worker: &(impl Fn(&Control<'_>) -> T + Sync),
) -> Vec<T> {
    let (send, receive) = mpsc::channel();
    pool.in_place_scope(|scope| {
        for _ in 0..count {
            let send = send.clone();
            scope.spawn(move |_| {
                // The receiver lives until all workers have sent, unless one of them panicked.
                let _ = send.send(worker(control));
            });
        }
        drop(send);
        let mut parts = Vec::with_capacity(count);
        loop {
            match receive.recv_timeout(TICK) {
                Ok(part) => parts.push(part),
                Err(mpsc::RecvTimeoutError::Timeout) => control.look_up(),
                Err(mpsc::RecvTimeoutError::Disconnected) => return parts,
            }
        }
    })
}

fn default_threads() -> Result<usize> {
    match std::env::var("ISOLOSS_THREADS") {
        Ok(text) if !text.trim().is_empty() => match text.trim().parse() {
            Ok(threads) if threads > 0 => Ok(threads),
            _ => Err(Error::Option(format!("ISOLOSS_THREADS is {text:?}: a positive number is needed"))),
        },
        _ => Ok(std::thread::available_parallelism().map_or(1, NonZero::get)),
    }
}

type Pools = HashMap<(u32, usize), Arc<ThreadPool>>;

fn pool(threads: usize) -> Result<Arc<ThreadPool>> {
    static POOLS: Mutex<Option<Pools>> = Mutex::new(None);
    let process = std::process::id();
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    let pools = pools.get_or_insert_default();
    if let Some(pool) = pools.get(&(process, threads)) {
        return Ok(Arc::clone(pool));
    }
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|index| format!("isoloss-{index}"))
        .build()
        .map_err(|error| Error::Option(format!("cannot start {threads} threads: {error}")))?;
    let pool = Arc::new(pool);
    // Pools of a parent process stay in the map: their threads do not exist here, so dropping one would wait forever.
    pools.insert((process, threads), Arc::clone(&pool));
    Ok(pool)
}
