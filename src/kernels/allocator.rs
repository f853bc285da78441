//! What the system's allocator sets aside.

/// The bytes from which on glibc gives each allocation pages of its own, at first.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const OWN_PAGES: libc::c_int = 128 << 10;

/// Makes glibc's allocator spare addresses; does nothing where there are threads already. All threads to come share one arena: else it
/// sets aside 64 MiB for one, at any of its allocations. And what is large has pages of its own, which go when it is freed: else
/// matrices of up to 32 MiB come to share some with what is small, and leave gaps that no larger one fits. Other allocators are left
/// as they are.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn spare_addresses() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let threads = status.lines().find_map(|line| line.strip_prefix("Threads:"));
    if threads.is_some_and(|threads| threads.trim() == "1") {
        for (what, value) in [(libc::M_ARENA_MAX, 1), (libc::M_MMAP_THRESHOLD, OWN_PAGES)] {
            // SAFETY: it sets a number within the allocator, which no other thread reads meanwhile: there is none.
            unsafe { libc::mallopt(what, value) };
        }
    }
}

/// As above.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn spare_addresses() {}
