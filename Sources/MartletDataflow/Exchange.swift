internal import MartletColumns
internal import MartletCore

/// Keys hash to 256 key groups; shards own ranges of key groups.
package enum KeyGroups {
    /// The shard that owns the hash's key group.
    @inline(__always)
    package static func shard(ofHash hash: UInt64, of shards: Int) -> Int {
        Hash.keyGroup(hash) &* shards / Hash.keyGroupCount
    }
}

/// The sending side of an exchange on one shard: rows wait here, by target, until the stage ends. What is sent within
/// a tick is bounded by the tick.
final class ExchangeSender {
    private let keys: [Int]
    private let shards: Int
    private var waiting: [[Batch]]
    private var hashes: UnsafeMutablePointer<UInt64>
    private var room = 4096
    /// About what waits, in bytes; texts that lie elsewhere are not counted.
    private(set) var waitingBytes = 0

    init(keys: [Int], shards: Int) {
        self.keys = keys
        self.shards = shards
        waiting = Array(repeating: [], count: shards)
        hashes = .allocate(capacity: room)
    }

    deinit { hashes.deallocate() }

    func take(_ target: Int) -> [Batch] {
        defer { waiting[target] = [] }
        // All targets take at the same time, before anything is sent again.
        waitingBytes = 0
        return waiting[target]
    }

    func send(_ batch: Batch) {
        waitingBytes += batch.columns.reduce(0) { $0 + $1.count * $1.physical.stride }
        if shards == 1 || keys.isEmpty {
            waiting[0].append(batch)
            return
        }
        if batch.count > room {
            hashes.deallocate()
            room = batch.count
            hashes = .allocate(capacity: room)
        }
        Hash.rows(keys.map { batch.columns[$0] }, count: batch.count, into: hashes)
        let selections = (0..<shards).map { _ in Selection(capacity: batch.count) }
        for row in 0..<batch.count {
            let selection = selections[KeyGroups.shard(ofHash: hashes[row], of: shards)]
            selection.indexes[selection.count] = Int32(truncatingIfNeeded: row)
            selection.count &+= 1
        }
        for (target, selection) in selections.enumerated() where selection.count > 0 {
            waiting[target].append(selection.count == batch.count ? batch : batch.gather(selection))
        }
    }
}
