//! Where memory comes from.

/// Has all threads take their memory from one arena of glibc's. Only for the start: no other thread may be there yet.
///
/// A record's bytes are copied by one thread and given back by another, of librdkafka's or of the runtime's. glibc gives threads
/// arenas of their own, and what is given back to one is of no use to another: publishing 3,000,000 rows in one transaction took
/// 114 MB at their most instead of 61, and no less time. `MALLOC_ARENA_MAX` says otherwise where somebody sets it.
pub fn share_one_arena() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if std::env::var_os("MALLOC_ARENA_MAX").is_none() {
        #[expect(unsafe_code, reason = "there is no other way to say it from inside")]
        // SAFETY: mallopt(3) takes two integers, and reads and writes nothing but malloc's own parameters. It may not run beside
        // another call of malloc's: this is the only thread.
        let is_set = unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
        debug_assert_eq!(is_set, 1, "mallopt(3) takes it since glibc 2.10");
    }
}
