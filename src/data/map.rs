//! Memory-mapped files that may be truncated while they are read.
//!
//! Reading a mapped page beyond the end of its file raises SIGBUS, which would end the process. The handler in this file maps
//! zeros over the missing pages instead and records that it did. Between the end of the file and the end of its last page the
//! system itself supplies zeros without a signal, so [`MappedFile::read_fault`] also checks the file's length. The only unsafe
//! code outside of the numerical kernels is in this file.

use std::fs::{File, Metadata};
use std::{io, ops::Deref, path::Path};

use memmap2::Mmap;

#[derive(Debug)]
pub(super) struct MappedFile {
    map: Mmap,
    #[cfg(unix)]
    guard: &'static sigbus::Guard,
    metadata: Metadata,
}

/// Why zeros may have been read instead of the contents of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadFault {
    /// The file was truncated to this many bytes.
    Truncated(u64),
    /// The file has its old length, but a part of it could not be read.
    Unreadable,
}

impl MappedFile {
    pub fn new(file: &File) -> io::Result<Self> {
        // SAFETY: the map is read-only and its bytes are only used as numbers. Nothing relies on them being valid UTF-8 or
        // staying the same, so a file that another process modifies yields wrong characters but no undefined behavior.
        let map = unsafe { Mmap::map(file) }?;
        let metadata = file.metadata()?;
        Ok(MappedFile {
            // Nothing may fail after this: the guard must be released before the map is.
            #[cfg(unix)]
            guard: sigbus::Guard::new(&map),
            map,
            metadata,
        })
    }

    /// Whether zeros may have been read instead of the file's contents. `path` is where the file was opened.
    pub fn read_fault(&self, path: &Path) -> Option<ReadFault> {
        match self.current_len(path) {
            Some(len) if len < self.map.len() as u64 => Some(ReadFault::Truncated(len)),
            _ if self.has_missing_pages() => Some(ReadFault::Unreadable),
            _ => None,
        }
    }

    fn has_missing_pages(&self) -> bool {
        #[cfg(unix)]
        return self.guard.has_missing_pages();
        // Other systems do not allow a mapped file to be truncated.
        #[cfg(not(unix))]
        false
    }

    /// The current length of the file; `None` if it was deleted or replaced, in which case the map still has the old contents.
    pub fn current_len(&self, path: &Path) -> Option<u64> {
        path.metadata().ok().filter(|now| same_file(now, &self.metadata)).map(|now| now.len())
    }
}

impl Deref for MappedFile {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.map
    }
}

#[cfg(unix)]
impl Drop for MappedFile {
    fn drop(&mut self) {
        self.guard.release();
    }
}

/// Whether both metadata belong to the same file; always true on systems that cannot tell.
#[cfg(unix)]
fn same_file(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn same_file(_: &Metadata, _: &Metadata) -> bool {
    true
}

#[cfg(unix)]
mod sigbus {
    use std::ffi::{c_int, c_void};
    use std::ptr;
    use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
    use std::sync::{Once, OnceLock};

    /// The address range of a map. Guards are never freed, so that the handler may read them at any time.
    #[derive(Debug)]
    pub struct Guard {
        start: usize,
        end: usize,
        page: usize,
        is_mapped: AtomicBool,
        has_missing_pages: AtomicBool,
        next: *mut Guard,
    }

    // SAFETY: `next` is set before the guard is shared and never changed; it points to a guard that is never freed.
    unsafe impl Sync for Guard {}
    // SAFETY: as above.
    unsafe impl Send for Guard {}

    static GUARDS: AtomicPtr<Guard> = AtomicPtr::new(ptr::null_mut());
    static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();
    static INSTALL: Once = Once::new();

    impl Guard {
        pub fn new(map: &[u8]) -> &'static Guard {
            INSTALL.call_once(install);
            // SAFETY: sysconf has no preconditions.
            let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
            let start = map.as_ptr() as usize;
            let guard = Guard {
                start,
                end: start + map.len().next_multiple_of(page),
                page,
                is_mapped: AtomicBool::new(true),
                has_missing_pages: AtomicBool::new(false),
                next: ptr::null_mut(),
            };
            let guard: *mut Guard = Box::leak(Box::new(guard));
            let push = |head: *mut Guard| {
                // SAFETY: until it is the head of the list, no other thread can reach the guard.
                unsafe { (*guard).next = head };
                Some(guard)
            };
            let _ = GUARDS.fetch_update(Ordering::AcqRel, Ordering::Acquire, push);
            // SAFETY: the guard is never freed and from here on only shared.
            unsafe { &*guard }
        }

        pub fn has_missing_pages(&self) -> bool {
            self.has_missing_pages.load(Ordering::Acquire)
        }

        /// Must be called before the file is unmapped.
        pub fn release(&self) {
            self.is_mapped.store(false, Ordering::Release);
        }

        /// Maps zeros from the page of `address` to the end. Returns false if the address is not in this map.
        fn map_zeros(&self, address: usize) -> bool {
            if !self.is_mapped.load(Ordering::Acquire) || !(self.start..self.end).contains(&address) {
                return false;
            }
            let from = address - (address - self.start) % self.page;
            // Set before mapping, so that every thread that reads a zero can detect it.
            self.has_missing_pages.store(true, Ordering::Release);
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
            // SAFETY: these pages belong to the map, which outlives all of its readers, and are readable before and after.
            // Their old contents can no longer be read, and nothing relies on the new ones.
            let zeros = unsafe { libc::mmap(from as *mut c_void, self.end - from, libc::PROT_READ, flags, -1, 0) };
            zeros != libc::MAP_FAILED
        }
    }

    fn install() {
        // SAFETY: all zeros is a valid sigaction: no flags, no mask, the default handler.
        let (mut previous, mut action): (libc::sigaction, libc::sigaction) = unsafe { std::mem::zeroed() };
        let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = on_sigbus;
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: both structs are initialized. The handler has the signature that SA_SIGINFO requires and everything it calls is
        // async-signal-safe: atomic loads and stores, mmap, sigaction, signal, raise. `PREVIOUS` is set before the handler can run.
        unsafe {
            libc::sigaction(libc::SIGBUS, ptr::null(), &raw mut previous);
            let _ = PREVIOUS.set(previous);
            libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut());
        }
    }

    extern "C" fn on_sigbus(signal: c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
        // SAFETY: the system passes a valid siginfo.
        let (code, address) = unsafe { ((*info).si_code, (*info).si_addr() as usize) };
        // Faults have the codes BUS_ADRALN to BUS_OBJERR and two of Linux's for failed memory. A signal that a process sent has
        // another code and no address.
        let is_fault = (1..=5).contains(&code);
        if is_fault && map_zeros_at(address) {
            return;
        }
        let Some(previous) = PREVIOUS.get() else { return };
        // SAFETY: `previous` was filled in by the system; all three functions are async-signal-safe. A fault recurs
        // when the handler returns, and the previous action handles it; a signal that was sent does not recur.
        unsafe {
            if is_fault {
                libc::sigaction(signal, previous, ptr::null_mut());
            } else {
                libc::signal(signal, libc::SIG_DFL);
                libc::raise(signal);
            }
        }
    }

    fn map_zeros_at(address: usize) -> bool {
        // SAFETY: guards are complete before they are in the list, and never freed.
        let mut guard = unsafe { GUARDS.load(Ordering::Acquire).as_ref() };
        while let Some(current) = guard {
            if current.map_zeros(address) {
                return true;
            }
            // SAFETY: as above.
            guard = unsafe { current.next.as_ref() };
        }
        false
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    const PAGE: usize = 1 << 16;

    fn temporary_file(len: usize) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, vec![7; len]).unwrap();
        file
    }

    fn map(file: &tempfile::NamedTempFile) -> MappedFile {
        MappedFile::new(&file.reopen().unwrap()).unwrap()
    }

    #[test]
    fn truncated_pages_read_as_zeros_and_are_reported() {
        let file = temporary_file(8 * PAGE);
        let [first, second] = [(); 2].map(|()| map(&file));
        let sum = |map: &MappedFile| map.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        assert_eq!((sum(&first), first.read_fault(file.path())), (7 * 8 * PAGE as u64, None));
        file.as_file().set_len(3 * PAGE as u64).unwrap();
        assert_eq!(sum(&first), 7 * 3 * PAGE as u64);
        assert!(first.has_missing_pages() && !second.has_missing_pages());
        assert_eq!(first.read_fault(file.path()), Some(ReadFault::Truncated(3 * PAGE as u64)));
        // The second map is still protected on any thread after the first is dropped.
        drop(first);
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!((second[8 * PAGE - 1], second.has_missing_pages()), (0, true)));
        });
        // Growing the file again does not clear the fault: zeros have already been read.
        file.as_file().set_len(8 * PAGE as u64).unwrap();
        assert_eq!(second.read_fault(file.path()), Some(ReadFault::Unreadable));
    }

    #[test]
    fn truncation_within_the_last_page_is_reported() {
        let file = temporary_file(1000);
        let map = map(&file);
        assert_eq!(map.read_fault(file.path()), None);
        file.as_file().set_len(999).unwrap();
        assert_eq!((map[999], map.has_missing_pages()), (0, false), "zeros without a signal");
        assert_eq!(map.read_fault(file.path()), Some(ReadFault::Truncated(999)));
    }

    #[test]
    fn a_replaced_or_deleted_file_stays_readable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        std::fs::write(&path, "text").unwrap();
        let map = MappedFile::new(&File::open(&path).unwrap()).unwrap();
        assert_eq!(map.current_len(&path), Some(4));
        std::fs::write(folder.path().join("new"), "new text").unwrap();
        std::fs::rename(folder.path().join("new"), &path).unwrap();
        assert_eq!((map.current_len(&path), map.read_fault(&path), &*map), (None, None, &b"text"[..]));
        std::fs::remove_file(&path).unwrap();
        assert_eq!((map.current_len(&path), map.read_fault(&path), &*map), (None, None, &b"text"[..]));
    }
}
