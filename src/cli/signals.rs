//! Signals. While a run trains, the first Ctrl-C, SIGTERM or SIGHUP requests a save and stop; a second ends the process at once.
//! SIGUSR1 requests a checkpoint.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Builder;
use std::time::{Duration, Instant};

use charlstm::error::{Error, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::iterator::Signals as Incoming;
use signal_hook::{flag, low_level};

/// A second signal within this time is ignored: when a terminal closes, both the shell and the system send SIGHUP, and
/// `timeout` signals the process and its group.
const DUPLICATE_WINDOW: Duration = Duration::from_millis(500);

#[derive(Clone, Default)]
pub struct Signals {
    /// The signal that requested the stop; 0 if none was received.
    stop: Arc<AtomicUsize>,
    save: Arc<AtomicBool>,
    /// Whether the first signal only requests a stop instead of ending the process.
    is_deferred: Arc<AtomicBool>,
    /// Tells the user about the first deferred signal.
    announce: Arc<OnceLock<Box<dyn Fn() + Send + Sync>>>,
}

impl Signals {
    /// Starts listening. If SIGHUP is already ignored, as under `nohup`, it stays ignored.
    pub fn listen() -> Result<Self> {
        let signals = Signals::default();
        flag::register(SIGUSR1, Arc::clone(&signals.save)).map_err(cannot_listen)?;
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let is_caught = |signal: &i32| *signal != SIGHUP || !is_ignored(SIGHUP, &status);
        let incoming = Incoming::new([SIGINT, SIGTERM, SIGHUP].into_iter().filter(is_caught)).map_err(cannot_listen)?;
        let listener = signals.clone();
        let thread = Builder::new().name("signals".into());
        thread.spawn(move || listener.handle(incoming)).map_err(cannot_listen)?;
        Ok(signals)
    }

    fn handle(&self, mut incoming: Incoming) {
        let mut first: Option<Instant> = None;
        for signal in incoming.forever() {
            let exits = match first {
                None => !self.is_deferred.load(Ordering::SeqCst),
                Some(first) => first.elapsed() >= DUPLICATE_WINDOW,
            };
            if exits {
                low_level::exit(exit_code(signal as usize));
            }
            if first.is_none() {
                self.stop.store(signal as usize, Ordering::SeqCst);
                first = Some(Instant::now());
                // A step may take minutes, so the main thread cannot do this. Nor may a blocked terminal delay a second signal.
                let announce = Arc::clone(&self.announce);
                let _ = Builder::new().spawn(move || announce.get().map(|announce| announce()));
            }
        }
    }

    /// From now on, the first signal requests a save and a stop; `announce` is called at once.
    pub fn defer(&self, announce: impl Fn() + Send + Sync + 'static) {
        let _ = self.announce.set(Box::new(announce));
        self.is_deferred.store(true, Ordering::SeqCst);
    }

    /// From now on, any signal ends the process.
    pub fn restore(&self) {
        self.is_deferred.store(false, Ordering::SeqCst);
    }

    pub fn received(&self) -> Option<u8> {
        let signal = self.stop.load(Ordering::SeqCst);
        (signal != 0).then(|| exit_code(signal) as u8)
    }

    pub fn take_save_request(&self) -> bool {
        self.save.swap(false, Ordering::SeqCst)
    }
}

/// Makes a write beyond the file size limit (`ulimit -f`) fail like any other write, instead of killing the process.
pub fn report_file_size_limit_as_error() -> Result<()> {
    flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))).map(drop).map_err(cannot_listen)
}

pub fn cannot_listen(e: std::io::Error) -> Error {
    Error::Internal(format!("cannot catch signals: {e}"))
}

/// The exit code that shells report for a process ended by a signal.
fn exit_code(signal: usize) -> i32 {
    128 + signal as i32
}

/// Whether a process ignores a signal, according to the contents of `/proc/PID/status` on Linux.
fn is_ignored(signal: i32, status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_ignored_signals_in_the_mask() {
        let status = |mask: &str| format!("Name:\tx\nSigBlk:\tffff\nSigIgn:\t{mask}\nSigCgt:\tffff\n");
        assert!(is_ignored(SIGHUP, &status("0000000000000001")) && is_ignored(SIGTERM, &status("0000000000004000")));
        assert!(
            !is_ignored(SIGHUP, &status("0000000000004000"))
                && !is_ignored(SIGHUP, "")
                && !is_ignored(SIGHUP, &status("?"))
        );
    }
}
