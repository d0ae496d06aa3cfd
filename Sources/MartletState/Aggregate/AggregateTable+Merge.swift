internal import Glibc
internal import MartletColumns
internal import MartletCore

extension AggregateTable {
    /// Adds another table's groups (of the same layout) to this one: all of them, or those whose key belongs to
    /// `shard` of `shards` (key groups in equal runs). The other table is only read; O(its groups), without hashing.
    package func merge(from other: AggregateTable, shard: Int = 0, of shards: Int = 1) {
        precondition(
            other.layout.calls == layout.calls && other.layout.keys.words == layout.keys.words
                && other.layout.accumulators.count == layout.accumulators.count, "tables of different layouts")
        let scratch = BlockScratch(keyWords: layout.keys.words, rows: other.groupCount)
        var from = 0
        while from < other.groupCount {
            let to = min(from + BlockScratch.rows, other.groupCount)
            merge(other, from..<to, shard, shards, scratch)
            from = to
        }
    }

    private func merge(
        _ other: AggregateTable, _ groups: Range<Int>, _ shard: Int, _ shards: Int, _ scratch: BlockScratch
    ) {
        var count = 0
        for id in groups {
            let row = other.rows[id]
            let tag = row.load(fromByteOffset: KeyLayout.tag, as: UInt32.self)
            let hash = UInt64(tag) &<< 32
            if shards > 1, Hash.keyGroup(hash) &* shards / Hash.keyGroupCount != shard { continue }
            scratch.sources[count] = row
            scratch.hashes[count] = hash
            scratch.nulls[count] = row.load(fromByteOffset: KeyLayout.nulls, as: UInt16.self)
            let key = (row + KeyLayout.keys).assumingMemoryBound(to: UInt64.self)
            (scratch.words + count &* layout.keys.words).update(from: key, count: layout.keys.words)
            count &+= 1
        }
        guard count > 0 else { return }
        let images = KeyImages(words: UnsafePointer(scratch.words), nulls: UnsafePointer(scratch.nulls))
        rows.find(images, scratch.hashes, count: count, into: scratch.targets)
        if layout.mark != nil { keepImages(scratch.targets, count) }
        for at in 0..<count {
            let target = scratch.targets[at].assumingMemoryBound(to: Int64.self)
            target.pointee &+= scratch.sources[at].load(as: Int64.self)
        }
        for (accumulator, theirs) in zip(layout.accumulators, other.layout.accumulators) {
            for at in 0..<count { merge(accumulator, scratch.targets[at], theirs, scratch.sources[at]) }
        }
    }

    /// `theirs` is the same accumulator as it lies in the source's row.
    func merge(
        _ accumulator: Accumulator, _ target: UnsafeMutableRawPointer, _ theirs: Accumulator,
        _ source: UnsafeMutableRawPointer
    ) {
        let words = accumulator.words(target)
        let other = UnsafePointer(theirs.words(source))
        switch accumulator.kind {
        case .count: words[0] &+= other[0]
        case .integerSum:
            Words.store(Words.int128(words) &+ Words.int128(other), words)
            words[2] &+= other[2]
        case .decimalSum: DecimalSum.merge(words, other)
        case .doubleSum: DoubleSum.merge(words, other)
        case .truths, .bits, .intervalSum, .integerMoments, .doubleMoments, .regression: accumulator.mergeComputed(words, other)
        case .gathered(let shape):
            guard let object = Gathered.at(other) else { return }
            let mine = gathered(shape, words)
            let held = mine.bytes
            mine.merge(object)
            objectBytes += mine.bytes - held
        case .extreme(let extreme, let isMax):
            let flags = theirs.flags(source).pointee
            if flags & theirs.withdrawn != 0 { accumulator.flags(target).pointee |= accumulator.withdrawn }
            guard flags & theirs.seen != 0 else { return }
            switch extreme {
            case .integer: accumulator.addInteger(Int64(bitPattern: other[0]), isMax: isMax, target)
            case .double: accumulator.addDouble(Double(bitPattern: other[0]), isMax: isMax, target)
            case .decimal: accumulator.addDecimal(Words.decimal(other), isMax: isMax, target)
            case .text:
                accumulator.addText(StringView(head: other[0], tail: other[1]), isMax: isMax, target, image(of: target))
            case .interval: accumulator.addInterval(Words.interval(other), isMax: isMax, target)
            case .uuid: accumulator.addUUID(UUIDValue(high: other[0], low: other[1]), isMax: isMax, target)
            }
        }
    }
}
