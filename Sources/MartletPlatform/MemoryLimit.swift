internal import CMartletPager
internal import Glibc
package import MartletCore
internal import Synchronization

/// A limit to this process's memory that holds: state that was not touched of late goes into a file, from which it comes back
/// when it is touched (docs/decisions/0016-cold-state-in-pages.md). One in a process, for as long as it lives.
///
/// What cannot go into the file (indexes, what is on its way through the operators, buffers of clients) counts against the
/// limit, too; state has what is left. A thread looks every few milliseconds how much that is; whoever brings in state beyond
/// it takes other state out first.
package final class MemoryLimit: Sendable {
    private let limit: Int64
    /// Where the file lies.
    private let directory: String
    private let log: StructuredLog
    /// When a line about each was last written, in nanoseconds; 0: never.
    private struct Told {
        var isFull: Int64 = 0
        var isTooLow: Int64 = 0
        var hasBegun = false
    }

    /// State has at least a sixteenth of the limit, and this.
    private static let budgetMin: Int64 = 8 << 20
    package static let limitMin: Int64 = 64 << 20
    /// Units in memory at most: with two mappings each they are half of what the kernel allows a process by default.
    private static let unitsMax: Int64 = 16_384
    private static let unitMin: Int64 = 16 << 10
    /// Addresses are reserved for so many times the limit, within bounds.
    private static let rangeFactor: Int64 = 64
    private static let rangeMin: Int64 = 64 << 30
    private static let rangeMax: Int64 = 8 << 40
    private static let tellAgainNanos: Int64 = 60_000_000_000
    /// Of the file system, so much stays free for those who must write: a sixteenth, and no more than this.
    private static let reserveMax: Int64 = 1 << 30
    private static let reserveShare: Int64 = 16

    /// Starts paging, before any state is made. The file lies in `directory`, without a name.
    /// - Parameter limit: bytes, `limitMin` at least.
    package init(_ limit: Int64, directory: String, log: StructuredLog, metrics: MetricsRegistry) throws(IOError) {
        self.limit = limit
        self.directory = directory
        self.log = log
        let path = directory + "/cold-state"
        let disk = SystemDisk()
        try disk.makeDirectories(directory)
        let file = try disk.openFile(path, .replace)
        // What is in it means something to this process alone.
        try disk.remove(path)
        var unit = MemoryLimit.unitMin
        while limit / unit > MemoryLimit.unitsMax { unit *= 2 }
        let range = min(max(limit.multipliedReportingOverflow(by: MemoryLimit.rangeFactor).partialValue, MemoryLimit.rangeMin), MemoryLimit.rangeMax)
        // The pager's from now on: closed by nobody.
        let descriptor = dup(file.number)
        guard descriptor >= 0 else { throw IOError("keep", path: path, errno: errno) }
        let started = martlet_pager_start(descriptor, Int(unit), UInt64(range))
        guard started == 0 else { throw IOError("page state to", path: path, errno: -started) }
        MemoryLimit.register(limit, in: metrics)
        adjust()
        martlet_pager_take_state(1)
        do throws(ThreadError) {
            _ = try WorkerThread(name: "pager") { [self] in run() }
        } catch {
            throw IOError("start a thread for", path: path, errno: error.code)
        }
        log.info(
            "memory is limited",
            ["limit_bytes": .int(limit), "unit_bytes": .int(unit), "directory": .string(directory)])
    }

    private static func register(_ limit: Int64, in metrics: MetricsRegistry) {
        metrics.gauge("martlet_memory_limit_bytes", help: "What this process's memory is limited to.") { Double(limit) }
        metrics.gauge("martlet_state_resident_bytes", help: "State in memory that may go into a file.") {
            Double(martlet_pager_look().resident_bytes)
        }
        metrics.gauge("martlet_state_paged_out_bytes", help: "State that is in a file and not in memory.") {
            Double(martlet_pager_look().out_bytes)
        }
        metrics.counter("martlet_state_page_ins_total", help: "Units of state that were read back from the file.") {
            Double(martlet_pager_look().page_ins)
        }
        metrics.counter("martlet_state_page_outs_total", help: "Units of state that were taken out of memory.") {
            Double(martlet_pager_look().page_outs)
        }
        metrics.counter("martlet_state_page_writes_total", help: "Those of them that had to be written to the file.") {
            Double(martlet_pager_look().writes)
        }
    }

    /// Tells the pager what state may take now; the answer is what it may, and what everything else takes.
    @discardableResult
    private func adjust() -> (budget: Int64, others: Int64) {
        let resident = ProcessFacts.residentBytes
        let state = Int64(martlet_pager_look().resident_bytes)
        let others = max(resident - state, 0)
        // The rest of the process may grow a little until the next look.
        let budget = max(limit - limit / 16 - others, MemoryLimit.budgetMin, limit / 16)
        martlet_pager_set_budget(UInt64(budget))
        return (budget, others)
    }

    /// A full disk would end the process, if it is the log's as well.
    private var hasRoom: Bool {
        guard let (total, usable) = fileSystemSpace(at: directory) else { return true }
        return usable > min(total / MemoryLimit.reserveShare, MemoryLimit.reserveMax)
    }

    private func run() {
        let clock = SystemClock()
        var told = Told()
        while true {
            let (budget, others) = adjust()
            let state = Int64(martlet_pager_look().resident_bytes)
            // A little is kept free, so that those who compute seldom have to write.
            let kept = budget - budget / 32
            if state > kept { martlet_pager_let_grow(hasRoom ? 1 : 0) }
            let error = state > kept ? martlet_pager_make_room(UInt64(kept)) : 0
            tell(budget, others, state, error: -error, now: clock.monotonicNanos(), &told)
            clock.sleep(nanos: error != 0 ? 200_000_000 : state > budget / 2 ? 2_000_000 : 20_000_000)
        }
    }

    private func tell(_ budget: Int64, _ others: Int64, _ state: Int64, error: Int32, now: Int64, _ told: inout Told) {
        if error != 0, told.isFull == 0 || now - told.isFull > MemoryLimit.tellAgainNanos {
            told.isFull = now
            log.warn(
                "state cannot be written to its file, so that it stays in memory beyond the limit",
                [
                    "limit_bytes": .int(limit), "state_bytes": .int(state), "directory": .string(directory),
                    "error": .string(String(cString: strerror(error))),
                    "hint": .string("make room on the disk of that directory, or raise the limit: paging goes on by itself"),
                ])
        }
        if others + budget > limit, told.isTooLow == 0 || now - told.isTooLow > MemoryLimit.tellAgainNanos {
            told.isTooLow = now
            log.warn(
                "what cannot go into a file leaves state too little of the memory limit, which is passed",
                ["limit_bytes": .int(limit), "other_bytes": .int(others), "state_bytes": .int(state)])
        }
        if !told.hasBegun, martlet_pager_look().page_outs > 0 {
            told.hasBegun = true
            log.info("state is larger than memory: what is touched least goes into a file", ["limit_bytes": .int(limit)])
        }
    }
}
