//! Ctrl-C, SIGTERM and SIGHUP: while a run trains, the first asks for the end and the next is the end; else each is. SIGUSR1 asks for
//! a checkpoint.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use charlstm::error::{Error, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::iterator::Signals as Incoming;
use signal_hook::{flag, low_level};

/// What comes so soon after the first signal is the same wish told again: a shell and the system both tell a process that its
/// terminal is gone, and `timeout` tells the process and then its group.
const ECHO: Duration = Duration::from_millis(500);
/// The same for Ctrl-C, which nobody presses twice within it.
const ECHO_OF_A_KEY: Duration = Duration::from_millis(100);

/// Which signals have come.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    /// The one that asks for the end; 0: none.
    ending: Arc<AtomicUsize>,
    save: Arc<AtomicBool>,
    /// Whether there is a run that must be saved first.
    held: Arc<AtomicBool>,
}

impl Signals {
    /// Begins to listen. A SIGHUP that is ignored, as under `nohup`, stays so.
    pub fn listen() -> Result<Self> {
        let signals = Signals::default();
        flag::register(SIGUSR1, Arc::clone(&signals.save)).map_err(cannot)?;
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ends =
            [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| *signal != SIGHUP || !is_ignored(SIGHUP, &status));
        let incoming = Incoming::new(ends).map_err(cannot)?;
        let listener = signals.clone();
        let thread = std::thread::Builder::new().name("signals".into()).stack_size(1 << 16);
        thread.spawn(move || listener.obey(incoming)).map_err(cannot)?;
        Ok(signals)
    }

    fn obey(&self, mut incoming: Incoming) {
        let mut first: Option<Instant> = None;
        for signal in incoming.forever() {
            let echo = if signal == SIGINT { ECHO_OF_A_KEY } else { ECHO };
            let ends = first.map_or_else(|| !self.held.load(Ordering::SeqCst), |first| first.elapsed() >= echo);
            if ends {
                low_level::exit(exit_code(signal as usize));
            }
            if first.is_none() {
                self.ending.store(signal as usize, Ordering::SeqCst);
                first = Some(Instant::now());
            }
        }
    }

    /// From now on there is a run to save before the process ends: the first signal only asks for the end.
    pub fn hold(&self) {
        self.held.store(true, Ordering::SeqCst);
    }

    /// From now on all is saved, and any signal ends the process.
    pub fn release(&self) {
        self.held.store(false, Ordering::SeqCst);
    }

    /// The exit code of the signal that asks for the end, if one came.
    pub fn received(&self) -> Option<u8> {
        let signal = self.ending.load(Ordering::SeqCst);
        (signal != 0).then(|| exit_code(signal) as u8)
    }

    /// Whether a checkpoint was asked for since this was last asked.
    pub fn take_save(&self) -> bool {
        self.save.swap(false, Ordering::SeqCst)
    }
}

/// Makes a write beyond the largest file that is allowed (`ulimit -f`) fail as any other may, in place of ending the process.
pub fn let_writes_fail() -> Result<()> {
    flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))).map(drop).map_err(cannot)
}

/// The error where a signal cannot be listened to.
pub fn cannot(e: std::io::Error) -> Error {
    Error::Internal(format!("signals cannot be caught: {e}"))
}

/// What shells report for a process that a signal ended.
fn exit_code(signal: usize) -> i32 {
    128 + signal as i32
}

/// Whether a process ignores a signal, as Linux tells it in `/proc/PID/status`; elsewhere that is not known.
fn is_ignored(signal: i32, status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_signal_is_found_in_the_mask() {
        let status = |mask: &str| format!("Name:\tx\nSigBlk:\tffff\nSigIgn:\t{mask}\nSigCgt:\tffff\n");
        assert!(is_ignored(SIGHUP, &status("0000000000000001")) && is_ignored(SIGTERM, &status("0000000000004000")));
        assert!(
            !is_ignored(SIGHUP, &status("0000000000004000"))
                && !is_ignored(SIGHUP, "")
                && !is_ignored(SIGHUP, &status("?"))
        );
    }
}
