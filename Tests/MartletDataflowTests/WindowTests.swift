import MartletCore
@testable import MartletDataflow
import MartletTestKit
import Testing

@Suite("Window arithmetic")
struct WindowTests {
    /// Tumbling, hops that divide the size and hops that do not, hops longer than the window, offsets either way.
    static let windows: [WindowSpec] = {
        var windows = [
            WindowSpec.tumble(1), .tumble(10), WindowSpec(size: 10, hop: 10, offset: 3), WindowSpec(size: 10, hop: 5),
            WindowSpec(size: 10, hop: 4), WindowSpec(size: 10, hop: 3, offset: -7), WindowSpec(size: 3, hop: 10),
            WindowSpec(size: 7, hop: 9, offset: 100), WindowSpec(size: 60, hop: 1),
        ]
        var random = SplitMix64(seed: 5)
        for _ in 0..<40 {
            windows.append(
                WindowSpec(size: random.within(1...50), hop: random.within(1...60), offset: random.within(-200...200)))
        }
        return windows
    }()

    @Test("against all windows tried one by one, before and after 1970", arguments: windows)
    func bruteForce(spec: WindowSpec) {
        let shape = WindowShape(size: spec.size, hop: spec.hop, offset: spec.offset)
        for time in Int64(-300)...300 {
            let starts = DataflowModel.windows(spec, of: time)
            #expect(shape.isCovered(time) == !starts.isEmpty, "at \(time)")
            guard let first = starts.first, let last = starts.last else { continue }
            #expect(shape.firstWindowEnd(time) == first + spec.size, "at \(time)")
            #expect(shape.lastWindowStart(time) == last, "at \(time)")
            #expect(shape.lastWindowEnd(time) == last + spec.size, "at \(time)")
            // Every instant of a slice is in the same windows.
            let slice = shape.sliceStart(time)
            #expect(slice <= time && time < slice + shape.slice)
            for other in slice..<(slice + shape.slice) {
                #expect(DataflowModel.windows(spec, of: other) == starts, "\(other) is in the slice of \(time)")
            }
        }
    }

    @Test("ends of windows come out once each, in order, up to the limit")
    func expiryIndex() {
        for seed in 1...50 as ClosedRange<UInt64> {
            var random = SplitMix64(seed: seed)
            var ends = WindowEnds()
            var expected: Set<Int64> = []
            for _ in 0..<200 {
                if random.chance(0.7) {
                    let end = random.within(-50...50)
                    ends.insert(end)
                    expected.insert(end)
                } else {
                    let limit = random.within(-60...60)
                    var taken: [Int64] = []
                    while let end = ends.popFirst(upTo: limit) { taken.append(end) }
                    #expect(taken == expected.filter { $0 <= limit }.sorted(), "seed \(seed)")
                    expected = expected.filter { $0 > limit }
                }
            }
        }
    }

    /// Timestamps are any 64 bits of microseconds: none may trap, wrap round into another era or take forever.
    @Test("event times at the ends of time", arguments: [1, 2, 4])
    func extremes(shards: Int) throws {
        let edges: [Int64] = [
            .min + 1, .min + 1_000, -1 << 62, (-1 << 62) - 2, 1 << 62, (1 << 62) + 2, .max - 1, .max - 1_000, 0, -1, 1,
        ]
        for window in [WindowSpec.tumble(10), WindowSpec(size: 100, hop: 7), WindowSpec(size: 5, hop: 11, offset: -3)] {
            for order in [edges, edges.reversed()] {
                let rows = order.enumerated().map { ScriptedRow(id: Int64($0), time: $1) }
                let item = DataflowCase(
                    sources: [SourceScript(delay: 5, rows: [rows])],
                    views: [
                        ViewSpec(.sliced(window), allowedLateness: 3), ViewSpec(.grouped(window, onClose: false)),
                        ViewSpec(.ordered, allowedLateness: 3), ViewSpec(.cascade(window)),
                    ])
                let run = try check(item, DataflowSettings(shards: shards, batchRows: 2, rowsPerTick: 3))
                #expect(run.outcome.sources[0].refused.count == 6)
            }
        }
    }
}
