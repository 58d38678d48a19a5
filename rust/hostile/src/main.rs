//! Runs hostile texts through the core and prints what came of it.
//!
//! ```text
//! hostile [--seed 1] [--from 0] [--count 100000]      random texts, by number
//! hostile --text "E + A / N**alpha"                   one text
//! hostile --show 12 [--seed 1]                        the text of that number, and what is said of it
//! ```
//!
//! The exit code is 1 if a text panicked, took more than a second of processor time or was given up after ten, or if the
//! process ever held more than 1 GB. Each failing text is printed with its number. A text that kills the process outright
//! (a stack overflow) is found by halving `--from` and `--count`. Threads have stacks of 2 MiB, the least that threads
//! usually get.

#![allow(clippy::print_stdout, clippy::print_stderr)] // what a program prints is its result

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use isoloss_hostile::{Outcome, Source, try_text};

/// Longest that a text may take.
const LIMIT: Duration = Duration::from_secs(1);
/// When a text that goes on is given up, and the run with it.
const GIVEN_UP: Duration = Duration::from_secs(10);
/// Most memory, in bytes.
const MEMORY: u64 = 1 << 30;
const STACK: usize = 2 << 20;

struct Arguments {
    seed: u64,
    from: u64,
    count: u64,
    threads: usize,
    text: Option<String>,
    show: Option<u64>,
}

fn arguments() -> Result<Arguments, String> {
    let mut found = Arguments { seed: 1, from: 0, count: 100_000, threads: 2, text: None, show: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} takes a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{word} {value}: a whole number is needed"));
        match word.as_str() {
            "--seed" => found.seed = number()?,
            "--from" => found.from = number()?,
            "--count" => found.count = number()?,
            "--threads" => found.threads = number()?.max(1) as usize,
            "--show" => found.show = Some(number()?),
            "--text" => found.text = Some(value),
            _ => return Err(format!("unknown option {word}")),
        }
    }
    Ok(found)
}

/// What a run found.
#[derive(Default)]
struct Tally {
    refused: u64,
    ran: u64,
    slowest: (Duration, u64),
    longest: usize,
    failures: Vec<String>,
}

/// Processor time of the calling thread where the system tells it, which other work on the machine does not lengthen.
fn processor_time(begun: Instant) -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let used = text.split_whitespace().next().and_then(|word| word.parse().ok()).map(Duration::from_nanos);
    used.unwrap_or_else(|| begun.elapsed())
}

/// The most memory that the process has ever held, in bytes; zero where the system does not tell.
fn peak_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|word| word.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn brief(text: &str) -> String {
    let short: String = text.chars().take(400).collect();
    format!("{short:?}{}", if short.len() < text.len() { " ..." } else { "" })
}

/// One text; the outcome, or what was wrong.
fn attempt(text: &str) -> (Result<Outcome, String>, Duration) {
    let begun = Instant::now();
    let before = processor_time(begun);
    let outcome = catch_unwind(AssertUnwindSafe(|| try_text(text)));
    let took = processor_time(begun).saturating_sub(before);
    let outcome = outcome.map_err(|_| "panicked".to_owned());
    let outcome = if took > LIMIT { outcome.and(Err(format!("took {took:.1?}"))) } else { outcome };
    (outcome, took)
}

fn run(arguments: &Arguments) -> Tally {
    let source = Source::new(arguments.seed);
    let next = AtomicU64::new(arguments.from);
    let end = arguments.from.saturating_add(arguments.count);
    let tally = Mutex::new(Tally::default());
    // What each thread is at, and since when, for the watchman.
    let at: Vec<Mutex<Option<(u64, Instant)>>> = (0..arguments.threads).map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        let (next, tally) = (&next, &tally);
        let mut threads = Vec::new();
        for slot in &at {
            let work = move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= end {
                        break;
                    }
                    let text = source.text(index);
                    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some((index, Instant::now()));
                    let (outcome, took) = attempt(&text);
                    *slot.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                    tally.longest = tally.longest.max(text.chars().count());
                    tally.slowest = tally.slowest.max((took, index));
                    match outcome {
                        Ok(Outcome::Refused) => tally.refused += 1,
                        Ok(Outcome::Ran) => tally.ran += 1,
                        Err(fault) => tally.failures.push(format!("text {index} {fault}: {}", brief(&text))),
                    }
                }
            };
            threads.push(std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).expect("a thread"));
        }
        while threads.iter().any(|thread| !thread.is_finished()) {
            std::thread::sleep(Duration::from_millis(20));
            for slot in &at {
                let slot = *slot.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((index, since)) = slot
                    && since.elapsed() > GIVEN_UP
                {
                    println!("text {index} was given up after {GIVEN_UP:?}: {}", brief(&source.text(index)));
                    std::process::exit(1);
                }
            }
        }
    });
    tally.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("hostile: {message}");
            return ExitCode::from(2);
        }
    };
    let shown = arguments.show.map(|index| Source::new(arguments.seed).text(index));
    if let Some(text) = shown.as_ref().or(arguments.text.as_ref()) {
        if shown.is_some() {
            println!("{text}");
            println!("names: {:?}", isoloss_core::expr::names(text));
        }
        let (outcome, took) = attempt(text);
        println!("{outcome:?} in {took:.1?}");
        return ExitCode::from(u8::from(outcome.is_err()));
    }
    // Failures are told in one line each at the end; the first few panics tell where they are from as well.
    let begun = Instant::now();
    let tally = run(&arguments);
    let memory = peak_memory();
    let (slowest, which) = tally.slowest;
    println!("texts        {} (seed {}, from {})", arguments.count, arguments.seed, arguments.from);
    println!("ran          {}", tally.ran);
    println!("refused      {}", tally.refused);
    println!("failed       {}", tally.failures.len());
    println!("longest      {} characters", tally.longest);
    println!("slowest      {:.0} ms of processor time (text {which})", slowest.as_secs_f64() * 1e3);
    println!("peak memory  {} MB", memory >> 20);
    println!("time         {:.0} s on {} threads", begun.elapsed().as_secs_f64(), arguments.threads);
    for failure in tally.failures.iter().take(20) {
        println!("{failure}");
    }
    ExitCode::from(u8::from(!tally.failures.is_empty() || memory > MEMORY))
}
