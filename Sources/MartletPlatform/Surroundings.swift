internal import CMartletLinux
internal import Glibc
package import MartletCore

/// What is at the other end of a standard stream.
package enum Terminal {
    package static func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

    /// Columns; nil where there is no terminal or it does not say.
    package static func width(_ descriptor: Int32) -> Int? {
        let columns = martlet_terminal_width(descriptor)
        return columns > 0 ? Int(columns) : nil
    }

    /// On a terminal that can, unless NO_COLOR is set to anything but nothing (no-color.org).
    package static func usesColor(_ descriptor: Int32) -> Bool {
        isTerminal(descriptor) && (environment("NO_COLOR") ?? "").isEmpty && environment("TERM") != "dumb"
    }
}

/// A variable of the environment; nil if it is not set.
package func environment(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }
}

/// What the kernel counts for this process.
package enum ProcessFacts {
    /// Bytes in memory now; 0 where the kernel does not say.
    package static var residentBytes: Int64 {
        // Field 2 of /proc/self/statm: pages.
        var text = [UInt8](repeating: 0, count: 128)
        guard let file = try? SystemDisk().openFile("/proc/self/statm", .read),
            let count = try? text.withUnsafeMutableBytes({ try file.read(into: $0, at: 0) })
        else { return 0 }
        let fields = String(decoding: text[..<count], as: UTF8.self).split(separator: " ")
        guard fields.count > 1, let pages = Int64(fields[1]) else { return 0 }
        return pages * Int64(sysconf(Int32(_SC_PAGESIZE)))
    }

    /// Bytes in memory at the most so far.
    package static var peakResidentBytes: Int64 {
        var usage = rusage()
        getrusage(0 /* RUSAGE_SELF */, &usage)
        return Int64(usage.ru_maxrss) * 1024
    }

    /// Nanoseconds of processor time, user and system, all threads.
    package static var cpuNanos: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    package static var identifier: Int32 { getpid() }

    /// For a process that serves: freed memory is kept for the next request, within bounds.
    package static func keepFreedMemory() { martlet_keep_freed_memory() }

    /// Adds this process's memory and processor time to the metrics page.
    package static func register(in metrics: MetricsRegistry) {
        metrics.gauge("martlet_process_resident_memory_bytes", help: "Memory in use by this process.") {
            Double(residentBytes)
        }
        metrics.counter("martlet_process_cpu_seconds_total", help: "Processor time, user and system.") {
            Double(cpuNanos) * 1e-9
        }
    }
}
