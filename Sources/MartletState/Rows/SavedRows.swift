internal import Glibc
internal import MartletColumns
internal import MartletCore

/// How rows lie in memory, as far as saving them must know: what of a row is no plain number.
struct RowShape {
    /// Bytes of a row at which a string begins whose long bytes lie in a `ByteHeap`.
    var views: [Int] = []
    /// The same, where the row owns the long bytes (`malloc`).
    var ownedViews: [Int] = []
    /// Words that refer to an object, which is saved by itself: 1 in the saved row where there is one.
    var references: [Int] = []
    /// Words that mean something within a tick only: 0 in the saved row.
    var passing: [Int] = []

    var isPlain: Bool { views.isEmpty && ownedViews.isEmpty && references.isEmpty && passing.isEmpty }
    /// Rows own nothing, so that they may be made whole many at a time.
    var isOwnerless: Bool { ownedViews.isEmpty && references.isEmpty && passing.isEmpty }
}

/// Rows of one size as they are saved: runs of rows, each behind the bytes of its long strings, to which the rows refer by
/// offset. Plain rows go out as they lie in memory.
enum SavedRows {
    /// A run ends at about so many bytes, of rows or of strings.
    private static let runBytes = 256 << 10
    private static let textBytesMax = 1 << 32

    static func save(_ store: RowStore, _ shape: RowShape, into writer: StateWriter) {
        writer.write(UInt64(store.count))
        let bytes = store.rowBytes
        let rowsMax = max(runBytes / bytes, 1)
        let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: shape.isPlain ? 0 : rowsMax * bytes, alignment: 64)
        defer { scratch.deallocate() }
        let texts = ByteSink(capacity: 1 << 16)
        var next = 0
        while next < store.count {
            let run = store.run(from: next, max: rowsMax)
            if shape.isPlain {
                writer.write(UInt32(truncatingIfNeeded: run.count))
                writer.writeRaw(UnsafeRawBufferPointer(start: run.start, count: run.count * bytes))
                next += run.count
                continue
            }
            texts.clear()
            var taken = 0
            while taken < run.count, texts.count < runBytes {
                let row = scratch.baseAddress! + taken * bytes
                memcpy(row, run.start + taken * bytes, bytes)
                pack(row, shape, texts)
                taken += 1
            }
            writer.write(UInt32(truncatingIfNeeded: taken))
            writer.write(texts.bytes)
            writer.writeRaw(UnsafeRawBufferPointer(start: scratch.baseAddress, count: taken * bytes))
            next += taken
        }
    }

    /// Makes a copy of a row independent of addresses.
    private static func pack(_ row: UnsafeMutableRawPointer, _ shape: RowShape, _ texts: ByteSink) {
        for offset in shape.views { pack(row + offset, texts) }
        for offset in shape.ownedViews { pack(row + offset, texts) }
        for offset in shape.references {
            let word = row.load(fromByteOffset: offset, as: UInt64.self)
            row.storeBytes(of: word == 0 ? 0 : 1, toByteOffset: offset, as: UInt64.self)
        }
        for offset in shape.passing { row.storeBytes(of: 0, toByteOffset: offset, as: UInt64.self) }
    }

    private static func pack(_ words: UnsafeMutableRawPointer, _ texts: ByteSink) {
        let pair = words.assumingMemoryBound(to: UInt64.self)
        let view = StringView(head: pair[0], tail: pair[1])
        if view.isInline {
            // What a removed row's second word was is an address.
            if view.count == 0 { pair[1] = 0 }
            return
        }
        pair[1] = UInt64(texts.count)
        texts.append(UnsafePointer(view.pointer), view.count)
    }

    /// Rows that refer to objects, in the order in which they were saved.
    struct Restored {
        /// Strings, and the rows that have them.
        var heaps: [(heap: ByteHeap, rows: Range<Int>)] = []
        /// The number of a row, and the place of the word among `RowShape.references`.
        var references: [(row: Int, reference: Int)] = []
    }

    /// Into an empty store. When it throws, the rows that are in the store are whole, and their objects are missing.
    static func restore(
        into store: inout RowStore, _ shape: RowShape, from reader: StateReader
    ) throws(StateError) -> Restored {
        var restored = Restored()
        let count = try reader.readCount(max: Int(UInt32.max) - 1)
        let bytes = store.rowBytes
        while store.count < count {
            let rows = Int(try reader.read(UInt32.self))
            guard rows > 0, rows <= count - store.count else { throw reader.error("a run of \(rows) rows") }
            var texts: ByteHeap?
            if !shape.isPlain {
                let heap = ByteHeap(kept: try reader.readCount(max: textBytesMax))
                try reader.readRaw(into: UnsafeMutableRawBufferPointer(start: heap.base, count: heap.capacity))
                heap.used = heap.capacity
                texts = heap
                if !shape.views.isEmpty, heap.capacity > 0 { restored.heaps.append((heap, store.count..<store.count + rows)) }
            }
            let first = store.count
            while store.count < first + rows {
                let run = store.room(max: min(first + rows - store.count, max(runBytes / bytes, 1)))
                try reader.readRaw(into: UnsafeMutableRawBufferPointer(start: run.start, count: run.count * bytes))
                if shape.isOwnerless {
                    if let texts { try unpack(run.start, run.count, bytes, shape.views, texts, reader) }
                    store.take(run.count)
                    continue
                }
                for row in 0..<run.count {
                    if let texts { try unpack(run.start + row * bytes, shape, texts, store.count, &restored, reader) }
                    store.take(1)
                }
            }
        }
        return restored
    }

    /// Rows that own nothing: strings by their offsets become strings by their addresses.
    private static func unpack(
        _ start: UnsafeMutableRawPointer, _ rows: Int, _ bytes: Int, _ views: [Int], _ texts: ByteHeap, _ reader: StateReader
    ) throws(StateError) {
        let (base, used) = (UInt64(UInt(bitPattern: texts.base)), UInt64(texts.used))
        for offset in views {
            for row in 0..<rows {
                let pair = (start + row &* bytes + offset).assumingMemoryBound(to: UInt64.self)
                let count = pair[0] & 0xFFFF_FFFF
                if count <= UInt64(StringView.inlineCapacity) { continue }
                guard count <= used, pair[1] <= used &- count else { throw reader.error("a string outside of its bytes") }
                pair[1] &+= base
            }
        }
    }

    private static func unpack(
        _ row: UnsafeMutableRawPointer, _ shape: RowShape, _ texts: ByteHeap, _ number: Int, _ restored: inout Restored,
        _ reader: StateReader
    ) throws(StateError) {
        for offset in shape.views + shape.ownedViews {
            let pair = (row + offset).assumingMemoryBound(to: UInt64.self)
            let count = Int(pair[0] & 0xFFFF_FFFF)
            if count <= StringView.inlineCapacity { continue }
            guard count <= texts.used, pair[1] <= UInt64(texts.used - count) else {
                throw reader.error("a string outside of its bytes")
            }
        }
        for offset in shape.views {
            let pair = (row + offset).assumingMemoryBound(to: UInt64.self)
            if pair[0] & 0xFFFF_FFFF > UInt64(StringView.inlineCapacity) { pair[1] += UInt64(UInt(bitPattern: texts.base)) }
        }
        for offset in shape.ownedViews {
            let pair = (row + offset).assumingMemoryBound(to: UInt64.self)
            let count = Int(pair[0] & 0xFFFF_FFFF)
            if count <= StringView.inlineCapacity { continue }
            guard let copy = malloc(count) else { preconditionFailure("out of memory: \(count) bytes for state") }
            memcpy(copy, texts.base + Int(pair[1]), count)
            pair[1] = UInt64(UInt(bitPattern: copy))
        }
        for (reference, offset) in shape.references.enumerated() {
            if row.load(fromByteOffset: offset, as: UInt64.self) != 0 { restored.references.append((number, reference)) }
            row.storeBytes(of: 0, toByteOffset: offset, as: UInt64.self)
        }
        for offset in shape.passing { row.storeBytes(of: 0, toByteOffset: offset, as: UInt64.self) }
    }
}

extension RowStore {
    /// Rows that lie one behind the other, from row `id` on.
    func run(from id: Int, max: Int) -> (start: UnsafeMutableRawPointer, count: Int) {
        (self[id], Swift.min(max, count - id, RowStore.end(id) - id))
    }

    /// Room for rows that lie one behind the other, to be filled before `take` counts them.
    mutating func room(max: Int) -> (start: UnsafeMutableRawPointer, count: Int) {
        let start = next()
        return (start, Swift.min(max, RowStore.end(count) - count))
    }
}

extension KeyLayout {
    /// What a saved state says of the layout, so that another one's rows are told from this one's.
    var signature: [UInt8] { fields.map { $0.physical.rawValue << 1 | ($0.isLoose ? 1 : 0) } }

    /// Bytes of a row at which strings begin.
    var viewOffsets: [Int] { fields.filter { $0.physical == .view }.map { KeyLayout.keys + $0.word * 8 } }
}

extension StateReader {
    /// Numbers of rows that are free, each once and below `count`; the answer also says so by row.
    func readFree(of count: Int) throws(StateError) -> (free: [UInt32], isFree: [Bool]) {
        let free = try readNumbers(UInt32.self, max: count)
        var isFree = [Bool](repeating: false, count: count)
        for id in free {
            guard id < count, !isFree[Int(id)] else { throw error("row \(id) is free twice, or is none of \(count)") }
            isFree[Int(id)] = true
        }
        return (free, isFree)
    }

    /// Passes a layout's signature and the size of its rows.
    func expect(_ layout: KeyLayout, rowBytes: Int) throws(StateError) {
        let signature = try readBytes(max: 1 << 16)
        let bytes: UInt32 = try read()
        guard signature == layout.signature, bytes == UInt32(rowBytes) else { throw error("rows of another layout") }
    }
}

extension StateWriter {
    func write(_ layout: KeyLayout, rowBytes: Int) {
        write(layout.signature)
        write(UInt32(truncatingIfNeeded: rowBytes))
    }
}
