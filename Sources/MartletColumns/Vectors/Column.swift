internal import Glibc
package import MartletCore

/// How values of a type lie in memory.
package enum PhysicalType: UInt8, Sendable {
    /// One byte, 0 or 1.
    case bool
    case int16
    case int32
    case int64
    case float
    case double
    /// `Int128` coefficients, with a scale byte per row in `Column.scales` (254, 255 and 253: ±Infinity and NaN as in `Decimal`).
    case decimal
    /// `StringView`: TEXT, BYTEA, JSONB (PostgreSQL's canonical text), arrays and structures (the bytes of `ValueCodec`).
    case view
    /// `Interval` (16 bytes).
    case interval
    /// 16 bytes.
    case uuid

    package var stride: Int {
        switch self {
        case .bool: 1
        case .int16: 2
        case .int32, .float: 4
        case .int64, .double: 8
        case .decimal, .view, .interval, .uuid: 16
        }
    }

    package init(_ type: DataType) {
        switch type {
        case .boolean: self = .bool
        case .smallint: self = .int16
        case .integer, .date: self = .int32
        case .bigint, .time, .timestamp, .timestamptz: self = .int64
        case .real: self = .float
        case .double: self = .double
        case .numeric: self = .decimal
        case .text, .bytea, .jsonb, .array, .structure, .unknown: self = .view
        case .interval: self = .interval
        case .uuid: self = .uuid
        }
    }
}

/// A typed vector with optional validity: the unit every kernel works on.
///
/// Rows `0..<count` are initialised; the value of a NULL row is all zero bytes, so that kernels may compute on it.
/// Filled by one owner and then read-only: a column that was put into a `Batch` never changes, and may be shared
/// between batches and threads.
package final class Column: @unchecked Sendable {
    // Sendable: see above; mutation ends before the first hand-over.
    package let type: DataType
    package let physical: PhysicalType
    package private(set) var capacity: Int
    package var count: Int
    package private(set) var data: UnsafeMutableRawPointer
    /// 1 = a value, 0 = NULL; nil: no row is NULL.
    package private(set) var validity: UnsafeMutablePointer<UInt8>?
    /// Scale per row of a decimal column, else nil.
    package private(set) var scales: UnsafeMutablePointer<UInt8>?
    /// Keeps the bytes of long string views alive.
    package var heaps: [ByteHeap] = []
    /// Where values, validity and scales lie, if they are not the column's own: it never changes then.
    private let ground: ByteHeap?

    /// An empty column with room for `capacity` rows.
    package init(_ type: DataType, capacity: Int) {
        self.type = type
        physical = PhysicalType(type)
        self.capacity = max(capacity, 1)
        ground = nil
        count = 0
        data = Column.allocate(self.capacity * physical.stride)
        if physical == .decimal {
            scales = UnsafeMutablePointer<UInt8>.allocate(capacity: self.capacity)
        }
    }

    /// A copy of `column` that lies where `place` says, for so many bytes, in `ground`.
    init(_ column: Column, in ground: ByteHeap, _ place: (_ bytes: Int) -> UnsafeMutablePointer<UInt8>) {
        type = column.type
        physical = column.physical
        capacity = max(column.count, 1)
        count = column.count
        self.ground = ground
        data = UnsafeMutableRawPointer(place(count * physical.stride))
        memcpy(data, column.data, count * physical.stride)
        validity = column.validity.map { theirs in
            let own = place(count)
            memcpy(own, theirs, count)
            return own
        }
        scales = column.scales.map { theirs in
            let own = place(count)
            memcpy(own, theirs, count)
            return own
        }
    }

    deinit {
        guard ground == nil else { return }
        free(data)
        validity?.deallocate()
        scales?.deallocate()
    }

    /// 64-byte aligned, with a block to spare so that vector loads may run past the end.
    private static func allocate(_ bytes: Int) -> UnsafeMutableRawPointer {
        guard let memory = aligned_alloc(64, (bytes + 127) & ~63) else {
            preconditionFailure("out of memory: \(bytes) bytes for a column")
        }
        return memory
    }

    @inline(__always)
    package func values<Element: BitwiseCopyable>(_: Element.Type) -> UnsafeMutablePointer<Element> {
        data.assumingMemoryBound(to: Element.self)
    }

    @inline(__always) package var bools: UnsafeMutablePointer<UInt8> { values(UInt8.self) }
    @inline(__always) package var int16s: UnsafeMutablePointer<Int16> { values(Int16.self) }
    @inline(__always) package var int32s: UnsafeMutablePointer<Int32> { values(Int32.self) }
    @inline(__always) package var int64s: UnsafeMutablePointer<Int64> { values(Int64.self) }
    @inline(__always) package var floats: UnsafeMutablePointer<Float> { values(Float.self) }
    @inline(__always) package var doubles: UnsafeMutablePointer<Double> { values(Double.self) }
    @inline(__always) package var coefficients: UnsafeMutablePointer<Int128> { values(Int128.self) }
    @inline(__always) package var views: UnsafeMutablePointer<StringView> { values(StringView.self) }

    @inline(__always)
    package func isNull(_ row: Int) -> Bool {
        guard let validity else { return false }
        return validity[row] == 0
    }

    /// The validity bytes, made (all valid up to `capacity`) if there were none.
    @inline(__always)
    package func mutableValidity() -> UnsafeMutablePointer<UInt8> {
        if let validity { return validity }
        let made = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        memset(made, 1, capacity)
        validity = made
        return made
    }

    /// Makes `row` NULL (zeroing its value). `row` < capacity.
    package func setNull(_ row: Int) {
        mutableValidity()[row] = 0
        memset(data + row * physical.stride, 0, physical.stride)
        scales?[row] = 0
    }

    /// Room for at least `rows` rows, keeping the first `count`.
    package func reserve(_ rows: Int) {
        guard rows > capacity else { return }
        precondition(ground == nil, "a column that is kept grows")
        let wanted = max(rows, capacity * 2)
        let grown = Column.allocate(wanted * physical.stride)
        memcpy(grown, data, count * physical.stride)
        free(data)
        data = grown
        if let old = validity {
            let made = UnsafeMutablePointer<UInt8>.allocate(capacity: wanted)
            memcpy(made, old, count)
            memset(made + count, 1, wanted - count)
            old.deallocate()
            validity = made
        }
        if let old = scales {
            let made = UnsafeMutablePointer<UInt8>.allocate(capacity: wanted)
            memcpy(made, old, count)
            old.deallocate()
            scales = made
        }
        capacity = wanted
    }

    /// Copies bytes into a heap of this column's own and answers a view of them.
    package func store(_ bytes: UnsafeBufferPointer<UInt8>) -> StringView {
        guard let start = bytes.baseAddress, bytes.count > 0 else { return .empty }
        if bytes.count <= StringView.inlineCapacity { return StringView(start, count: bytes.count) }
        if let last = heaps.last, last === ownHeap, let at = last.append(start, count: bytes.count) {
            return StringView(at, count: bytes.count)
        }
        let heap = ByteHeap(capacity: max(bytes.count, min(65536, max(1024, capacity * 16))))
        ownHeap = heap
        heaps.append(heap)
        let at = heap.append(start, count: bytes.count)!
        return StringView(at, count: bytes.count)
    }

    private var ownHeap: ByteHeap?
}
