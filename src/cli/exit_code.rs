//! Exit codes, after BSD's `sysexits.h`.

use charlstm::error::Error;

/// Wrong arguments; clap uses the same code.
pub const USAGE: u8 = 2;
const BAD_DATA: u8 = 65;
const NO_INPUT: u8 = 66;
const INTERNAL: u8 = 70;
const CANNOT_CREATE: u8 = 73;
const IO_ERROR: u8 = 74;
const BUSY: u8 = 75;

pub fn exit_code(error: &Error) -> u8 {
    match error {
        Error::Usage(_)
        | Error::OutOfMemory { .. }
        | Error::OutOfRange { .. }
        | Error::Inapplicable { .. }
        | Error::UnknownName { .. }
        | Error::FixedSetting { .. }
        | Error::EncodingMismatch { .. }
        | Error::UnknownCharacter(_) => USAGE,
        Error::Corpus { .. }
        | Error::NotUtf8 { .. }
        | Error::NoTextFiles { .. }
        | Error::TextTooShort { .. }
        | Error::CorpusMismatch { .. }
        | Error::Checkpoint { .. } => BAD_DATA,
        Error::Input { .. } | Error::CorpusMissing { .. } | Error::Missing(_) | Error::NoRuns { .. } => NO_INPUT,
        Error::CannotCreate { .. } | Error::RunExists { .. } => CANNOT_CREATE,
        Error::Io { .. } | Error::Changed { .. } | Error::NoRoom { .. } => IO_ERROR,
        Error::Busy { .. } => BUSY,
        // Diverged, internal, and what a later version of the library adds.
        _ => INTERNAL,
    }
}
