internal import MartletCore

/// Regular expressions compiled once for a constant pattern, and the packing of rows.
extension Kernels {
    static func regex(_ call: Call, _ constants: [Column?]) -> Kernel? {
        let isNegated: Bool
        var options = RegexOptions()
        switch call.function {
        case .matches: isNegated = false
        case .notMatches: isNegated = true
        case .matchesAnyCase: (isNegated, options) = (false, RegexOptions(ignoresCase: true))
        case .notMatchesAnyCase: (isNegated, options) = (true, RegexOptions(ignoresCase: true))
        default: return nil
        }
        // A pattern that does not compile is every row's error: the scalar definition says it.
        guard let pattern = constants[1], pattern.validity == nil,
            let compiled = try? Regex.cached(pattern.views[0].string, options)
        else { return nil }
        return { _, arguments, frame in
            let result = Column(.boolean, capacity: frame.count)
            result.count = frame.count
            let views = arguments[0].column.views
            for row in 0..<frame.count {
                let isMatch = views[row].withBytes { compiled.matches($0) }
                result.bools[row] = isMatch != isNegated ? 1 : 0
            }
            result.finishStrict(arguments)
            return result
        }
    }

    /// ROW(…), which also carries the arguments of aggregates that have several: the fields' bytes straight from the
    /// columns, without values in between.
    static func nested(_ call: Call) -> Kernel? {
        guard call.function == .makeRow else { return nil }
        return { call, arguments, frame in
            let result = Column(call.result, capacity: frame.count)
            result.count = frame.count
            var buffer: [UInt8] = []
            for row in 0..<frame.count {
                buffer.removeAll(keepingCapacity: true)
                for argument in arguments { argument.column.encode(argument.row(row), into: &buffer) }
                result.views[row] = buffer.withUnsafeBufferPointer { result.store($0) }
            }
            return result
        }
    }
}

/// A group of the first match of a constant pattern, seen where it lies in the text; NULL where there is no match or no such
/// group. As in `regexp_match`, a pattern without groups has one: the whole match.
final class RegexGroupNode: Node {
    private let text: Node
    private let regex: Regex
    /// Among the match and its groups; nil: there is none of that number.
    private let place: Int?

    init(_ text: Node, _ regex: Regex, group: Int) {
        self.text = text
        self.regex = regex
        let place = regex.groups == 0 ? group - 1 : group
        self.place = group >= 1 && place <= regex.groups ? place : nil
    }

    override var cost: Int { text.cost + 10 }

    override func evaluate(_ frame: Frame) -> Vector {
        let vector = text.evaluate(frame)
        let (given, count) = (vector.column, vector.isConstant ? min(frame.count, 1) : frame.count)
        let result = Column(.text, capacity: count)
        result.count = count
        result.heaps = given.heaps
        for row in 0..<count {
            guard let place, !given.isNull(row), !frame.hasFailed(row) else {
                result.setNull(row)
                continue
            }
            let found: StringView? = given.views[row].withBytes { bytes in
                guard let range = regex.span(bytes, of: place) else { return nil }
                guard let base = bytes.baseAddress else { return .empty }
                return StringView(base + range.lowerBound, count: range.count)
            }
            if let found { result.views[row] = found } else { result.setNull(row) }
        }
        return vector.isConstant && frame.count > 0 ? Vector(constant: result) : Vector(result)
    }
}

extension Column {
    /// Appends the value of `row` as a field of a structure, in the form of `ValueCodec.encodeInner`.
    package func encode(_ row: Int, into buffer: inout [UInt8]) {
        if isNull(row) {
            buffer.append(0)
            return
        }
        buffer.append(1)
        switch physical {
        case .bool: buffer.append(bools[row])
        case .int16, .int32, .int64, .float, .double:
            buffer.append(contentsOf: UnsafeRawBufferPointer(start: data + row * physical.stride, count: physical.stride))
        case .decimal:
            buffer.append(scales.unsafelyUnwrapped[row])
            buffer.append(contentsOf: UnsafeRawBufferPointer(start: data + row * 16, count: 16))
        case .view:
            views[row].withBytes { bytes in
                if !type.isNested {
                    withUnsafeBytes(of: UInt32(truncatingIfNeeded: bytes.count).littleEndian) { buffer.append(contentsOf: $0) }
                }
                buffer.append(contentsOf: bytes)
            }
        case .interval, .uuid: ValueCodec.encode(value(at: row), into: &buffer)
        }
    }
}
