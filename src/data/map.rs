//! A file mapped into memory, which may be cut short while it is read: the only unsafe code outside of the kernels.
//!
//! To read what is mapped but no longer in the file raises SIGBUS, which ends a process. Here it puts zeros in the place of what
//! is gone and is noted. Within the last page there are zeros without a signal, so the file is asked for its length too; whoever
//! reads can tell ([`Map::gone`]) and end in good order.

use std::fs::{File, Metadata};
use std::io;
use std::ops::Deref;
use std::path::Path;

use memmap2::Mmap;

/// A mapped file.
#[derive(Debug)]
pub(super) struct Map {
    map: Mmap,
    #[cfg(unix)]
    guard: &'static guard::Guard,
    found: Metadata,
    /// The file itself, whatever becomes of its name; none of many, since only so many may be open.
    file: Option<File>,
}

/// Why zeros may have been read in the place of what was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// The file is shorter than it was: its bytes now.
    CutShort(u64),
    /// The file is as long, but a part of it could not be read.
    Unreadable,
}

/// What has become of a file by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Now {
    /// It has the length that it had.
    AsLong,
    /// It has another length, in bytes.
    OtherLength(u64),
    /// There is no such file any more, or another one.
    Elsewhere,
}

impl Map {
    /// Maps all of a file, which must not be empty.
    pub fn new(file: File) -> io::Result<Self> {
        // SAFETY: the map is read-only, and its bytes are read as plain numbers: nothing relies on them being UTF-8, or the same
        // when they are read again, so that a file that changes underneath gives other characters and no more than that.
        let map = unsafe { Mmap::map(&file) }?;
        let found = file.metadata()?;
        Ok(Map {
            // Nothing can fail from here on: a guard must end before its map does.
            #[cfg(unix)]
            guard: guard::Guard::new(&map),
            map,
            found,
            file: Some(file),
        })
    }

    /// Closes the file, which is known by its name from here on.
    pub fn close(&mut self) {
        self.file = None;
    }

    /// Whether something may have been read that is no longer there, and zeros in its place; the file has this name.
    pub fn gone(&self, name: &Path) -> Option<Gone> {
        let found = match &self.file {
            Some(file) => file.metadata(),
            None => name.metadata(),
        };
        match self.now(found) {
            Now::OtherLength(now) if now < self.map.len() as u64 => Some(Gone::CutShort(now)),
            _ if self.was_filled() => Some(Gone::Unreadable),
            _ => None,
        }
    }

    /// Whether zeros were put in the place of something.
    fn was_filled(&self) -> bool {
        #[cfg(unix)]
        return self.guard.was_filled();
        // Elsewhere a file that is mapped cannot be cut short.
        #[cfg(not(unix))]
        false
    }

    /// What has become of the file, whose metadata are asked for anew.
    pub fn now(&self, found: io::Result<Metadata>) -> Now {
        match found {
            Ok(found) if !same_file(&found, &self.found) => Now::Elsewhere,
            Ok(found) if found.len() != self.map.len() as u64 => Now::OtherLength(found.len()),
            Ok(_) => Now::AsLong,
            Err(_) => Now::Elsewhere,
        }
    }
}

impl Deref for Map {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.map
    }
}

#[cfg(unix)]
impl Drop for Map {
    fn drop(&mut self) {
        self.guard.end();
    }
}

/// Whether two are of one file; where a system does not tell, they are.
#[cfg(unix)]
pub(crate) fn same_file(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
pub(crate) fn same_file(_: &Metadata, _: &Metadata) -> bool {
    true
}

/// The signal's handler, and the list of maps that it looks into.
#[cfg(unix)]
mod guard {
    use std::ffi::{c_int, c_void};
    use std::ptr;
    use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
    use std::sync::{Once, OnceLock};

    /// Where a map is. It stays for good (a few words), so that the handler may look at it at any moment; it says itself whether
    /// the map is still there.
    #[derive(Debug)]
    pub struct Guard {
        start: usize,
        end: usize,
        page: usize,
        alive: AtomicBool,
        filled: AtomicBool,
        next: *mut Guard,
    }

    // SAFETY: `next` is set before the guard is shared and never changed; it points to a guard that is never freed.
    unsafe impl Sync for Guard {}
    // SAFETY: as above.
    unsafe impl Send for Guard {}

    /// The newest guard, from which `next` leads to all others.
    static NEWEST: AtomicPtr<Guard> = AtomicPtr::new(ptr::null_mut());
    /// What the signal did before.
    static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();
    static INSTALLED: Once = Once::new();

    impl Guard {
        pub fn new(map: &[u8]) -> &'static Guard {
            INSTALLED.call_once(install);
            // SAFETY: it asks for a number.
            let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
            let start = map.as_ptr() as usize;
            let guard = Guard {
                start,
                end: start + map.len().next_multiple_of(page),
                page,
                alive: AtomicBool::new(true),
                filled: AtomicBool::new(false),
                next: ptr::null_mut(),
            };
            let guard: *mut Guard = Box::leak(Box::new(guard));
            let add = |newest: *mut Guard| {
                // SAFETY: until it is the newest nobody else knows it.
                unsafe { (*guard).next = newest };
                Some(guard)
            };
            let _ = NEWEST.fetch_update(Ordering::AcqRel, Ordering::Acquire, add);
            // SAFETY: it is never freed, and from here on only shared.
            unsafe { &*guard }
        }

        pub fn was_filled(&self) -> bool {
            self.filled.load(Ordering::Acquire)
        }

        /// To be called before the map goes.
        pub fn end(&self) {
            self.alive.store(false, Ordering::Release);
        }

        /// Puts zeros in the place of what the map has from the page of `address` on; whether that is part of it.
        fn fill(&self, address: usize) -> bool {
            if !self.alive.load(Ordering::Acquire) || !(self.start..self.end).contains(&address) {
                return false;
            }
            let from = address - (address - self.start) % self.page;
            // First, so that whoever reads a zero can tell.
            self.filled.store(true, Ordering::Release);
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
            // SAFETY: these pages are of the map, which lives as long as somebody reads it, and readable before and after. What
            // was there cannot be read any more, and nobody relies on what is.
            let zeros = unsafe { libc::mmap(from as *mut c_void, self.end - from, libc::PROT_READ, flags, -1, 0) };
            zeros != libc::MAP_FAILED
        }
    }

    fn install() {
        // SAFETY: all zeros is a value of it: no flags, no mask, the default handler. It is filled in, and read after that only.
        let (mut before, mut ours): (libc::sigaction, libc::sigaction) = unsafe { std::mem::zeroed() };
        let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = on_bus_error;
        ours.sa_sigaction = handler as usize;
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: both are whole; the handler has the signature that SA_SIGINFO asks for, and does what a handler may: atomic
        // loads and stores, mmap, sigaction, raise. `BEFORE` is set before the handler can run.
        unsafe {
            libc::sigaction(libc::SIGBUS, ptr::null(), &raw mut before);
            let _ = BEFORE.set(before);
            libc::sigaction(libc::SIGBUS, &raw const ours, ptr::null_mut());
        }
    }

    extern "C" fn on_bus_error(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
        // SAFETY: the system hands over a whole siginfo.
        let (code, address) = unsafe { ((*info).si_code, (*info).si_addr() as usize) };
        // What is sent is no fault, and has no address. The faults are BUS_ADRALN to BUS_OBJERR, and Linux's two of failed memory.
        if !(1..=5).contains(&code) {
            return pass_on_sent(signal, info, context);
        }
        // SAFETY: guards are never freed, and whole before they are in the list.
        let mut guard = unsafe { NEWEST.load(Ordering::Acquire).as_ref() };
        while let Some(here) = guard {
            if here.fill(address) {
                return;
            }
            // SAFETY: as above.
            guard = unsafe { here.next.as_ref() };
        }
        pass_on(signal, info, context);
    }

    /// A fault that is not ours: what the signal did before is done. Where that is to end the process, the fault comes again.
    fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
        let Some(before) = BEFORE.get() else { return };
        let handler = before.sa_sigaction;
        if before.sa_flags & libc::SA_SIGINFO != 0 && handler != libc::SIG_DFL && handler != libc::SIG_IGN {
            // SAFETY: with SA_SIGINFO a handler has this signature.
            let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                unsafe { std::mem::transmute(handler) };
            handler(signal, info, context);
        } else {
            // SAFETY: `before` is what the system gave.
            unsafe { libc::sigaction(signal, before, ptr::null_mut()) };
        }
    }

    /// The same for a signal that a process sent, which does not come again by itself.
    fn pass_on_sent(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
        if BEFORE.get().is_some_and(|before| before.sa_sigaction == libc::SIG_IGN) {
            return;
        }
        pass_on(signal, info, context);
        // SAFETY: all zeros is a value of it, which the system replaces; a handler may raise a signal.
        unsafe {
            let mut now: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(signal, ptr::null(), &raw mut now) == 0 && now.sa_sigaction == libc::SIG_DFL {
                libc::raise(signal);
            }
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    const PAGE: usize = 1 << 16;

    fn text(len: usize) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, vec![7; len]).unwrap();
        file
    }

    fn map(file: &tempfile::NamedTempFile) -> Map {
        Map::new(file.reopen().unwrap()).unwrap()
    }

    #[test]
    fn what_is_cut_off_is_read_as_zeros_and_noted() {
        let file = text(8 * PAGE);
        let [cut, other] = [(); 2].map(|()| map(&file));
        let sum = |map: &Map| map.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        assert_eq!((sum(&cut), cut.gone(file.path())), (7 * 8 * PAGE as u64, None));
        file.as_file().set_len(3 * PAGE as u64).unwrap();
        assert_eq!((sum(&cut), cut.was_filled(), other.was_filled()), (7 * 3 * PAGE as u64, true, false));
        assert_eq!(cut.gone(file.path()), Some(Gone::CutShort(3 * PAGE as u64)));
        assert_eq!(cut.now(file.path().metadata()), Now::OtherLength(3 * PAGE as u64));
        // Another map in its place is watched as this one was, from any thread.
        drop(cut);
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!((other[8 * PAGE - 1], other.was_filled()), (0, true)));
        });
        // What was not there when it was read is not there for being put back.
        file.as_file().set_len(8 * PAGE as u64).unwrap();
        assert_eq!(other.gone(file.path()), Some(Gone::Unreadable));
    }

    #[test]
    fn a_cut_within_the_last_page_is_noted_whatever_becomes_of_the_name() {
        let (file, elsewhere) = (text(1000), Path::new("/nowhere"));
        let (open, mut closed) = (map(&file), map(&file));
        closed.close();
        assert_eq!((open.gone(elsewhere), closed.gone(file.path())), (None, None));
        file.as_file().set_len(999).unwrap();
        assert_eq!((open[999], open.was_filled()), (0, false), "zeros without a signal");
        assert_eq!(
            (open.gone(elsewhere), closed.gone(file.path())),
            (Some(Gone::CutShort(999)), Some(Gone::CutShort(999)))
        );
        assert_eq!(closed.gone(elsewhere), None, "nobody knows");
    }

    #[test]
    fn a_file_is_followed_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        std::fs::write(&path, "text").unwrap();
        let map = Map::new(File::open(&path).unwrap()).unwrap();
        assert_eq!(map.now(path.metadata()), Now::AsLong);
        std::fs::write(folder.path().join("new"), "text").unwrap();
        std::fs::rename(folder.path().join("new"), &path).unwrap();
        assert_eq!(map.now(path.metadata()), Now::Elsewhere);
        std::fs::remove_file(&path).unwrap();
        assert_eq!((map.now(path.metadata()), &*map), (Now::Elsewhere, &b"text"[..]));
    }
}
