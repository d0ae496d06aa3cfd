internal import Synchronization

/// What happened, in order, as a hash and as the last lines in words. Two runs of a seed must end with the same hash; if
/// they do not, something in them depends on the clock, on an address or on hash order.
package final class Trace: Sendable {
    private struct State {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        var count = 0
        var recent: [String] = []
    }

    private let state = Mutex(State())
    private let keptMax: Int

    /// Keeps the last `keptMax` lines for a failure's message.
    package init(keptMax: Int = 50) { self.keptMax = keptMax }

    package func note(_ line: String) {
        state.withLock { state in
            // FNV-1a, 64 bits; 0xFF, which no UTF-8 holds, ends a line.
            for byte in line.utf8 { state.hash = (state.hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
            state.hash = (state.hash ^ 0xFF) &* 0x100_0000_01B3
            state.count += 1
            guard keptMax > 0 else { return }
            state.recent.append("\(state.count): \(line)")
            if state.recent.count > 2 * keptMax { state.recent.removeFirst(keptMax) }
        }
    }

    package var hash: UInt64 { state.withLock { $0.hash } }
    package var count: Int { state.withLock { $0.count } }
    package var recent: [String] { state.withLock { Array($0.recent.suffix(keptMax)) } }
}

/// A hash of bytes for a trace's lines.
func traceHash(_ bytes: UnsafeRawBufferPointer) -> String {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    return String(hash, radix: 16)
}
