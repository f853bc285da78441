//! Ctrl-C and SIGTERM: the first asks for the end, the second is the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use charlstm::error::{Error, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Which signal has come, if any.
#[derive(Clone, Debug)]
pub struct Signals(Arc<AtomicUsize>);

impl Signals {
    /// Begins to listen.
    pub fn listen() -> Result<Self> {
        let signals = Signals(Arc::new(AtomicUsize::new(0)));
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag down and raises it, the second finds it up and ends the process.
            let ending = flag::register_conditional_shutdown(signal, exit_code(signal as usize), Arc::clone(&asked));
            let raising = ending.and_then(|_| flag::register(signal, Arc::clone(&asked)));
            let noting = raising.and_then(|_| flag::register_usize(signal, Arc::clone(&signals.0), signal as usize));
            noting.map_err(|e| Error::Internal(format!("signals cannot be caught: {e}")))?;
        }
        Ok(signals)
    }

    /// The exit code of the signal that came.
    pub fn received(&self) -> Option<u8> {
        let signal = self.0.load(Ordering::Relaxed);
        (signal != 0).then(|| exit_code(signal) as u8)
    }
}

/// What shells report for a process that a signal ended.
fn exit_code(signal: usize) -> i32 {
    128 + signal as i32
}
