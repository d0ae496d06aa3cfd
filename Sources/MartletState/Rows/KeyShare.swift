internal import Glibc
internal import MartletColumns

/// The keys of one shard among several: key groups in equal runs. Where there are no keys, all is shard 0's.
package struct KeyShare: Sendable {
    package let shard: Int
    package let shards: Int

    package init(shard: Int, of shards: Int) {
        self.shard = shard
        self.shards = shards
    }

    /// Only the upper half of the hash counts.
    package func contains(_ hash: UInt64) -> Bool { Hash.keyGroup(hash) &* shards / Hash.keyGroupCount == shard }

    /// Where a row that stays behind would be.
    static let none = UInt32.max
}

// What was saved on some shards and goes on on others is taken over row by row: a table `adopts` those of another one, just
// restored, whose keys are its share. The other one is good for nothing any more but to be let go.

extension KeyedRows {
    /// Takes over rows as they are, long strings copied. The answer: by the other's numbers, the new ones.
    func adopt(_ other: KeyedRows, _ share: KeyShare) -> [UInt32] {
        precondition(store.rowBytes == other.store.rowBytes, "tables of different layouts")
        var numbers = [UInt32](repeating: KeyShare.none, count: other.count)
        for id in 0..<other.count where other.isLive(id) {
            let tag = other[id].load(fromByteOffset: KeyLayout.tag, as: UInt32.self)
            let hash = UInt64(tag) &<< 32
            guard layout.fields.isEmpty ? share.shard == 0 : share.contains(hash) else { continue }
            let number = store.count
            let row = store.append()
            memcpy(row, other[id], store.rowBytes)
            texts.keep(row, id: number, textWords)
            index.insert(hash, id: number)
            numbers[id] = UInt32(truncatingIfNeeded: number)
        }
        return numbers
    }
}

extension KeyIndex {
    /// The answer: by the other's numbers, in their order, the new ones; nil where the key stays behind.
    package func adopt(_ other: KeyIndex, _ share: KeyShare) -> [UInt32?] {
        rows.adopt(other.rows, share).map { $0 == KeyShare.none ? nil : $0 }
    }
}

extension RowHeap {
    /// Takes over the rows for whose slots `isMine` says so, the owner's words as they are. The answer: by the other's slots,
    /// the new ones.
    func adopt(_ other: RowHeap, _ isMine: (UInt32) -> Bool) -> [UInt32] {
        precondition(store.rowBytes == other.store.rowBytes, "heaps of different layouts")
        var slots = [UInt32](repeating: KeyShare.none, count: other.store.count)
        for slot in other.liveSlots where isMine(slot) {
            let id = store.count
            let row = store.append()
            memcpy(row, other[slot], store.rowBytes)
            texts.keep(row, id: id, textWords)
            index?.insert(UInt64(row.load(fromByteOffset: KeyLayout.tag, as: UInt32.self)) &<< 32, id: id)
            slots[Int(slot)] = UInt32(truncatingIfNeeded: id)
        }
        return slots
    }

    /// Slots with rows, ascending.
    var liveSlots: [UInt32] {
        var isFree = [Bool](repeating: false, count: store.count)
        for slot in free { isFree[Int(slot)] = true }
        return isFree.indices.filter { !isFree[$0] }.map { UInt32(truncatingIfNeeded: $0) }
    }
}

extension RowGroups {
    /// Takes over the rows of the keys that have new numbers; heads in the keys' rows are 0. The answer: by the other's slots,
    /// the new ones.
    func adopt(_ other: RowGroups, keys numbers: [UInt32]) -> [UInt32] {
        let slots = rows.adopt(other.rows) { numbers[other.key(of: $0)] != KeyShare.none }
        for (slot, new) in slots.enumerated() where new != KeyShare.none {
            link(new, key: numbers[other.key(of: UInt32(truncatingIfNeeded: slot))])
        }
        return slots
    }

    /// Takes over keys without their chains.
    static func adoptKeys(_ keys: KeyedRows, _ other: KeyedRows, _ share: KeyShare) -> [UInt32] {
        let numbers = keys.adopt(other, share)
        for number in numbers where number != KeyShare.none {
            keys[Int(number)].storeBytes(of: 0, toByteOffset: keys.layout.bytes, as: UInt64.self)
        }
        return numbers
    }
}

extension PartitionTable {
    /// The answer: by the other's numbers of partitions, the new ones; nil where the partition stays behind.
    @discardableResult
    package func adopt(_ other: PartitionTable, _ share: KeyShare) -> [UInt32?] {
        let numbers = RowGroups.adoptKeys(groups.keys, other.groups.keys, share)
        _ = groups.adopt(other.groups, keys: numbers)
        return numbers.map { $0 == KeyShare.none ? nil : $0 }
    }
}

extension JoinTable {
    package func adopt(_ other: JoinTable, _ share: KeyShare) {
        for side in 0...1 { other.indexWaiting(side) }
        let numbers = RowGroups.adoptKeys(keys, other.keys, share)
        for side in 0...1 {
            let slots = groups[side].adopt(other.groups[side], keys: numbers)
            for start in other.ends[side].all {
                let moved = (other.spans[side][start] ?? []).map { slots[Int($0)] }.filter { $0 != KeyShare.none }
                if moved.isEmpty { continue }
                spans[side][start, default: []] += moved
                ends[side].insert(start)
            }
        }
    }
}

extension AggregateTable {
    package func adopt(_ other: AggregateTable, _ share: KeyShare) {
        if share.shard == 0 { isGlobalShown = isGlobalShown || other.isGlobalShown }
        let marked = other.markedRows
        let numbers = rows.adopt(other.rows, share)
        for (id, number) in numbers.enumerated() where number != KeyShare.none {
            let (mine, theirs) = (rows[Int(number)], other.rows[id])
            for accumulator in layout.accumulators {
                switch accumulator.kind {
                // What a row owns is now this one's.
                case .extreme(.text, _): accumulator.words(theirs)[0] = 0
                case .gathered:
                    objectBytes += Gathered.at(accumulator.words(mine))?.bytes ?? 0
                    accumulator.words(theirs)[0] = 0
                default: break
                }
            }
            if let mark = layout.mark { mine.storeBytes(of: 0, toByteOffset: mark, as: UInt64.self) }
        }
        let changed = marked.map { numbers[$0] }.filter { $0 != KeyShare.none }.map { rows[Int($0)] }
        changed.withUnsafeBufferPointer { if let base = $0.baseAddress { keepImages(base, $0.count) } }
    }
}
