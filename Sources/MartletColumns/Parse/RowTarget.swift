internal import Glibc
internal import MartletCore

/// How a value is read: the column types, with those apart whose modifiers matter.
enum ValueKind: UInt8 {
    case boolean, smallint, integer, bigint, real, double
    case numeric
    /// NUMERIC(p, s): rounds and limits.
    case limitedNumeric
    case text, bytea, date, time, timestamp, timestamptz, interval, jsonb, uuid
    /// Arrays and structures.
    case nested

    init(_ type: DataType) {
        switch type {
        case .boolean: self = .boolean
        case .smallint: self = .smallint
        case .integer: self = .integer
        case .bigint: self = .bigint
        case .real: self = .real
        case .double: self = .double
        case .numeric(let precision, _): self = precision == nil ? .numeric : .limitedNumeric
        case .text, .unknown: self = .text
        case .bytea: self = .bytea
        case .date: self = .date
        case .time: self = .time
        case .timestamp: self = .timestamp
        case .timestamptz: self = .timestamptz
        case .interval: self = .interval
        case .jsonb: self = .jsonb
        case .uuid: self = .uuid
        case .array, .structure: self = .nested
        }
    }
}

/// Raw access to one column being filled.
struct ColumnSlot {
    var data: UnsafeMutableRawPointer
    var validity: UnsafeMutablePointer<UInt8>?
    var scales: UnsafeMutablePointer<UInt8>?
    /// The record that last set a value here; see `RowTarget.stamp`.
    var stamp: UInt64
    var kind: ValueKind

    /// Says that record `stamp` sets this column now; of duplicates the last counts. `seen` counts columns.
    @inline(__always)
    mutating func mark(_ stamp: UInt64, _ row: Int, _ seen: inout Int) {
        if self.stamp == stamp {
            validity?[row] = 1
        } else {
            self.stamp = stamp
            seen &+= 1
        }
    }

    @inline(__always)
    func put<Element: BitwiseCopyable>(_ value: Element, _ row: Int) {
        (data + row &* MemoryLayout<Element>.stride).storeBytes(of: value, as: Element.self)
    }
}

/// The columns that a parser fills, row by row, through raw pointers.
///
/// A row is begun with a new `stamp`, gets values at `row`, and is either kept (`finishRow`) or taken back
/// (`abandonRow`). For one thread.
final class RowTarget {
    let schema: ParseSchema
    let slots: UnsafeMutablePointer<ColumnSlot>
    let slotCount: Int
    /// The number of the record, over the life of the parser; 0 is none.
    var stamp: UInt64 = 0
    /// How many columns the record has set, as of the last slow path; see `ColumnSlot.mark`.
    var seen = 0
    var row = 0
    /// Where decoded strings go.
    private(set) var scratch: ByteHeap?
    private var columns: [Column] = []
    private var heap: ByteHeap?
    /// Where in `columns[i].heaps` the input heap already is.
    private var scratches: [ByteHeap] = []

    init(schema: ParseSchema) {
        self.schema = schema
        slotCount = schema.columns.count
        slots = .allocate(capacity: max(slotCount, 1))
        for (index, column) in schema.columns.enumerated() {
            (slots + index).initialize(
                to: ColumnSlot(
                    data: UnsafeMutableRawPointer(slots), validity: nil, scales: nil, stamp: 0,
                    kind: ValueKind(column.type)))
        }
    }

    deinit { slots.deallocate() }

    /// Starts to fill `columns` from `row` on, with views into `heap`.
    func begin(_ columns: [Column], heap: ByteHeap, row: Int, rowsMax: Int) {
        precondition(columns.count == slotCount, "the columns are those of the schema")
        self.columns = columns
        self.heap = heap
        self.row = row
        scratches = []
        scratch = nil
        for (index, column) in columns.enumerated() {
            precondition(column.physical == PhysicalType(schema.columns[index].type), "a column of another type")
            column.count = row
            column.reserve(rowsMax)
            slots[index].data = column.data
            slots[index].validity = column.validity
            slots[index].scales = column.scales
        }
    }

    /// Ends the filling: the columns have `row` rows and hold the bytes their views point to.
    func end() {
        for (index, column) in columns.enumerated() {
            column.count = row
            guard column.physical == .view, let heap else { continue }
            let isBytes = [.bytea, .jsonb, .nested].contains(slots[index].kind)
            if !isBytes, column.heaps.last !== heap { column.heaps.append(heap) }
            column.heaps.append(contentsOf: scratches)
        }
        columns = []
        heap = nil
        scratch = nil
        scratches = []
    }

    @inline(__always)
    func beginRow() { stamp &+= 1 }

    /// Takes a value back, as if the record had none for column `index`.
    func unmark(_ index: Int) {
        guard slots[index].stamp == stamp else { return }
        slots[index].stamp = 0
        slots[index].validity?[row] = 1
        seen &-= 1
    }

    func setNull(_ index: Int) {
        columns[index].setNull(row)
        slots[index].validity = columns[index].validity
    }

    @inline(__always)
    func finishRow() {
        if seen != slotCount { fillMissing() }
        row &+= 1
    }

    @inline(never)
    private func fillMissing() {
        for index in 0..<slotCount where slots[index].stamp != stamp { setNull(index) }
    }

    func abandonRow() {
        for index in 0..<slotCount { slots[index].validity?[row] = 1 }
    }

    /// Room for `count` decoded bytes, which stay where they are; `keepScratch` says how many were used.
    func scratchSpace(_ count: Int) -> UnsafeMutablePointer<UInt8> {
        if let scratch, scratch.free >= count { return scratch.base + scratch.used }
        let made = ByteHeap(capacity: max(count, 16384))
        scratch = made
        scratches.append(made)
        return made.base
    }

    func keepScratch(_ count: Int) { scratch?.used += count }
}

/// A view of `count` bytes at `p`, of which 16 may be read whatever `count` is.
@inline(__always)
func makeView(_ p: Bytes, count: Int) -> StringView {
    if count > StringView.inlineCapacity {
        return StringView(
            head: UInt64(UInt32(truncatingIfNeeded: count)) | UInt64(load32(p)) << 32, tail: UInt64(UInt(bitPattern: p)))
    }
    let bits = UInt64(8 &* count)
    // Shifts by 64 and more give 0 with Swift's smart shifts, so the masks come out right at 0 and at 8.
    let low = load64(p) & ~(~0 << bits)
    let high = UInt64(load32(p + 8)) & (bits <= 64 ? 0 : ~(~0 << (bits &- 64)))
    return StringView(head: UInt64(UInt32(truncatingIfNeeded: count)) | low << 32, tail: low >> 32 | high << 32)
}
