//! Ctrl-C, SIGTERM and SIGHUP: the first asks for the end, the second is the end. SIGUSR1 asks for a checkpoint.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use charlstm::error::{Error, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::flag;

/// Which signals have come.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    /// The one that asks for the end; 0: none.
    ending: Arc<AtomicUsize>,
    save: Arc<AtomicBool>,
}

impl Signals {
    /// Begins to listen. A SIGHUP that is ignored, as under `nohup`, stays so.
    pub fn listen() -> Result<Self> {
        let signals = Signals::default();
        let cannot = |e| Error::Internal(format!("signals cannot be caught: {e}"));
        let asked = Arc::new(AtomicBool::new(false));
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            if signal == SIGHUP && is_ignored(SIGHUP, &status) {
                continue;
            }
            // In this order: the first signal finds the flag down and raises it, the second finds it up and ends the process.
            let ending = flag::register_conditional_shutdown(signal, exit_code(signal as usize), Arc::clone(&asked));
            let raising = ending.and_then(|_| flag::register(signal, Arc::clone(&asked)));
            let noting =
                raising.and_then(|_| flag::register_usize(signal, Arc::clone(&signals.ending), signal as usize));
            noting.map_err(cannot)?;
        }
        flag::register(SIGUSR1, Arc::clone(&signals.save)).map_err(cannot)?;
        Ok(signals)
    }

    /// The exit code of the signal that asks for the end, if one came.
    pub fn received(&self) -> Option<u8> {
        let signal = self.ending.load(Ordering::Relaxed);
        (signal != 0).then(|| exit_code(signal) as u8)
    }

    /// Whether a checkpoint was asked for since this was last asked.
    pub fn take_save(&self) -> bool {
        self.save.swap(false, Ordering::Relaxed)
    }
}

/// Makes a write beyond the largest file that is allowed (`ulimit -f`) fail as any other may, in place of ending the process.
pub fn let_writes_fail() -> Result<()> {
    let caught = flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
    caught.map(drop).map_err(|e| Error::Internal(format!("signals cannot be caught: {e}")))
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
