//! tokio's process module for `aiospawn bench --peers`: up to COUNT children, WINDOW at a time, for no longer than SECONDS.
//!
//!     spawn THREADS PROGRAM COUNT SECONDS WINDOW none|pipe
//!
//! Prints one JSON object.

use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Instant;

use tokio::io::AsyncReadExt;
use tokio::process::Command;

async fn launch(program: &str, piped: bool) {
    let mut command = Command::new(program);
    if piped {
        command.stdout(Stdio::piped());
    }
    let mut child = command.spawn().expect("spawn");
    if let Some(mut output) = child.stdout.take() {
        output.read_to_end(&mut Vec::new()).await.expect("read");
    }
    assert!(child.wait().await.expect("wait").success());
}

async fn measure(program: String, count: u64, seconds: f64, window: usize, piped: bool) {
    launch(&program, piped).await;
    let (taken, launched) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let started = Instant::now();
    let workers: Vec<_> = (0..window)
        .map(|_| {
            let (program, taken, launched) = (program.clone(), taken.clone(), launched.clone());
            tokio::spawn(async move {
                while started.elapsed().as_secs_f64() < seconds && taken.fetch_add(1, Ordering::Relaxed) < count {
                    launch(&program, piped).await;
                    launched.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.expect("worker");
    }
    let elapsed = started.elapsed().as_secs_f64();
    let launched = launched.load(Ordering::Relaxed);
    println!(
        "{{\"launched\": {launched}, \"seconds\": {elapsed}, \"cut\": {}, \"per_s\": {}, \"mean_us\": {}}}",
        launched < count,
        launched as f64 / elapsed,
        elapsed / launched as f64 * 1e6
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.len() != 7 {
        eprintln!("usage: spawn THREADS PROGRAM COUNT SECONDS WINDOW none|pipe");
        std::process::exit(2);
    }
    let number = |index: usize| arguments[index].parse::<f64>().expect("a number");
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(number(1) as usize)
        .enable_all()
        .build()
        .expect("runtime")
        .block_on(measure(
            arguments[2].clone(),
            number(3) as u64,
            number(4),
            number(5) as usize,
            arguments[6] == "pipe",
        ));
}
