//! The arenas of the system's allocator.

/// Lets all threads to come share one arena; does nothing where some were started already. Else glibc's allocator sets aside 64 MiB of
/// addresses for a thread, at any of its allocations. Others have no arenas.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn share_one() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let threads = status.lines().find_map(|line| line.strip_prefix("Threads:"));
    if threads.is_some_and(|threads| threads.trim() == "1") {
        // SAFETY: it sets a number within the allocator, which no other thread reads meanwhile: there is none.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    }
}

/// As above.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn share_one() {}
