internal import MartletCore

/// The messages of one read of a row, as libpq and drivers send them together, where they lie: what a service asks thousands of
/// times a second is taken apart without making anything of it.
struct QuickRead {
    let bind: QuickBind
    /// Describe of the portal comes between.
    let isDescribed: Bool
    /// Of all its messages.
    let bytes: Int

    /// nil: `frames` do not begin with Bind to the unnamed portal, Describe of that or not, Execute of all its rows, and then
    /// another Bind or a Sync.
    init?(_ frames: UnsafeRawBufferPointer) {
        guard let (first, body) = QuickRead.message("B", frames, at: 0), let bind = QuickBind(body) else { return nil }
        var at = first
        var isDescribed = false
        if let (next, body) = QuickRead.message("D", frames, at: at) {
            guard body.count == 2, body[0] == UInt8(ascii: "P"), body[1] == 0 else { return nil }
            isDescribed = true
            at = next
        }
        // No portal's name, no limit of rows.
        guard let (end, body) = QuickRead.message("E", frames, at: at), body.count == 5, body.allSatisfy({ $0 == 0 }),
            end < frames.count, frames[end] == UInt8(ascii: "B") || frames[end] == UInt8(ascii: "S")
        else { return nil }
        self.bind = bind
        self.isDescribed = isDescribed
        bytes = end
    }

    /// Where the message behind one ends, and its body; nil: it is of another type, or not whole.
    private static func message(_ type: Unicode.Scalar, _ frames: UnsafeRawBufferPointer, at start: Int) -> (end: Int, body: UnsafeRawBufferPointer)? {
        let rest = UnsafeRawBufferPointer(rebasing: frames[start...])
        guard let first = rest.first, first == UInt8(truncatingIfNeeded: type.value), let length = FrontendMessage.frameLength(rest),
            length <= rest.count
        else { return nil }
        return (start + length, UnsafeRawBufferPointer(rebasing: rest[FrontendMessage.headerBytes..<length]))
    }
}

/// A Bind message to the unnamed portal, in its frame. Lives as long as that.
package struct QuickBind {
    let statement: UnsafeRawBufferPointer
    let resultFormats: [Int16]
    /// How many parameters there are.
    package let count: Int
    /// None: all text; one: for all; or one each.
    private let formats: UnsafeRawBufferPointer
    private let parameters: UnsafeRawBufferPointer

    /// nil: it is to another portal, or is not as it should be.
    init?(_ body: UnsafeRawBufferPointer) {
        var reader = MessageReader(body)
        guard let portal = try? reader.stringBytes(), portal.isEmpty, let statement = try? reader.stringBytes(),
            let formatCount = try? reader.uint16(), let formats = try? reader.bytes(2 * Int(formatCount)), let count = try? reader.uint16(),
            formatCount <= 1 || formatCount == count
        else { return nil }
        let before = reader.remaining
        for _ in 0..<count {
            guard let length = try? reader.uint32() else { return nil }
            if length != .max { guard (try? reader.skip(Int(Int32(bitPattern: length)))) != nil else { return nil } }
        }
        parameters = UnsafeRawBufferPointer(rebasing: body[(body.count - before)..<(body.count - reader.remaining)])
        guard let results = try? reader.list({ reader throws(SQLError) in Int16(bitPattern: try reader.uint16()) }), reader.isAtEnd else { return nil }
        self.statement = statement
        self.formats = formats
        self.count = Int(count)
        resultFormats = results
    }

    /// The parameters in order, until `body` says no: its number, its bytes (nil: NULL) and format code. Answers whether it never did.
    package func parametersSatisfy(_ body: (_ index: Int, _ bytes: UnsafeRawBufferPointer?, _ format: Int16) -> Bool) -> Bool {
        var reader = MessageReader(parameters)
        for index in 0..<count {
            guard let length = try? reader.uint32() else { return false }
            let bytes = length == .max ? nil : try? reader.bytes(Int(Int32(bitPattern: length)))
            guard body(index, bytes, format(of: index)) else { return false }
        }
        return true
    }

    private func format(of index: Int) -> Int16 {
        if formats.isEmpty { return 0 }
        return Int16(bigEndian: formats.loadUnaligned(fromByteOffset: formats.count == 2 ? 0 : 2 * index, as: Int16.self))
    }
}
