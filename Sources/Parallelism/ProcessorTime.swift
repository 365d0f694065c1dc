#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// What the system has let run so far, whatever others had of the machine meanwhile.
struct ProcessorTime {
    let nanoseconds: UInt64

    /// Of the calling thread.
    static var ofThread: ProcessorTime { ProcessorTime(CLOCK_THREAD_CPUTIME_ID) }
    /// Of all threads of this process.
    static var ofProcess: ProcessorTime { ProcessorTime(CLOCK_PROCESS_CPUTIME_ID) }

    private init(_ clock: clockid_t) {
        var time = timespec()
        clock_gettime(clock, &time)
        nanoseconds = UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
