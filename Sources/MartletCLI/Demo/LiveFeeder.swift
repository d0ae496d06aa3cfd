import MartletConnectors
import MartletCore
import MartletPlatform
import Synchronization

/// Appends a generator's events to a file at a steady rate, as a service would that logs what it does.
final class LiveFeeder: Sendable {
    private let generator: any EventGenerator
    private let first: UInt64
    private let perSecond: UInt64
    private let total: UInt64
    private let file: SystemFile
    private let clock = SystemClock()
    /// Lines written; and whether no more will come.
    private let lines = Atomic<UInt64>(0)
    private let hasEnded = Atomic<Bool>(false)
    private let isStopped = Atomic<Bool>(false)
    private let problem = Mutex<IOError?>(nil)

    /// The events from number `first` on, of a generator with one stream.
    init(_ options: GeneratorOptions, from first: UInt64, perSecond: UInt64, seconds: Int, to path: String) throws {
        generator = try Generators.make(options)
        self.first = first
        self.perSecond = perSecond
        total = perSecond * UInt64(seconds)
        file = try SystemDisk().openFile(path, .replace)
    }

    var failure: IOError? { problem.withLock { $0 } }

    func stop() { isStopped.store(true, ordering: .relaxed) }

    /// Everything was written, and `taken` lines are all of it.
    func isDone(after taken: UInt64) -> Bool {
        hasEnded.load(ordering: .acquiring) && taken >= lines.load(ordering: .acquiring)
    }

    /// Writes what is due each millisecond. On a thread of its own.
    func run() {
        let sink = ByteSink()
        let start = clock.monotonicNanos()
        var written: UInt64 = 0
        while written < total && !isStopped.load(ordering: .relaxed) {
            let elapsed = UInt64(max(clock.monotonicNanos() - start, 0))
            let due = min(elapsed / 1_000_000 * perSecond / 1000, total)
            if due > written {
                sink.clear()
                let count = generator.write(0, from: first + written, by: 1, count: Int(due - written), into: sink)
                do throws(IOError) {
                    try file.append(sink.bytes)
                } catch {
                    problem.withLock { $0 = error }
                    break
                }
                written = due
                lines.wrappingAdd(UInt64(count), ordering: .releasing)
            }
            clock.sleep(nanos: 1_000_000)
        }
        hasEnded.store(true, ordering: .releasing)
    }
}
