//! One arena of the allocator for all threads where addresses are limited.

/// The variable of glibc for how many arenas its allocator may have.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: &str = "MALLOC_ARENA_MAX";

/// Where addresses are limited (`ulimit -v`), begins the program anew with one arena. Else every thread may set aside 64 MiB of
/// addresses at any of its allocations, and what was free when that was looked at is not free any more. glibc reads it when a process
/// begins; its identity stays.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn share_one() {
    use std::os::unix::process::CommandExt;
    use std::{env, process};

    if !charlstm::model::memory::is_limited() || env::var_os(ARENAS).is_some() {
        return;
    }
    if let (Ok(program), mut args) = (env::current_exe(), env::args_os()) {
        let name = args.next().unwrap_or_else(|| program.clone().into());
        // Where it returns it has failed, and all goes on with as many arenas as there are.
        let _ = process::Command::new(program).arg0(name).args(args).env(ARENAS, "1").exec();
    }
}

/// Other allocators set nothing aside.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn share_one() {}
