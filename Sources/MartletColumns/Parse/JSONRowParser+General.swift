internal import Glibc
internal import MartletCore

/// The general way: structure that was not predicted, and values that are not of their column's usual form.
extension JSONRowParser {
    /// Reads the structure after `previous` token by token, moves `p` to the next value (or past the record), and
    /// learns what it saw.
    @inline(never)
    func advance(
        _ p: inout Bytes, from previous: UnsafeMutablePointer<Literal>
    ) throws(ScanFailure) -> UnsafeMutablePointer<Literal> {
        let start = p
        let node = previous.pointee.after
        var at = skipBlanks(start)
        if previous.pointee.opens {
            guard at.pointee == Ascii.openBrace else { throw ScanFailure(at, "a record must be a JSON object") }
            at = skipBlanks(at + 1)
            if at.pointee != Ascii.closeBrace { return try advanceToValue(&p, at, previous) }
        } else if at.pointee == Ascii.comma {
            return try advanceToValue(&p, skipBlanks(at + 1), previous)
        } else if at.pointee != Ascii.closeBrace {
            throw ScanFailure(at, "expected ',' or '}'")
        }
        at += 1
        if node == 0 {
            at = skipBlanks(at)
            guard at.pointee == Ascii.lineFeed else { throw ScanFailure(at, "text after the record's object") }
            at += 1
        }
        p = at
        if let known = chain.recall(start, at, node: node, after: previous) { return known }
        var meaning = chain.blank
        meaning.node = node
        meaning.action = node == 0 ? .end : .leave
        meaning.after = nodes.nodes[node].parent
        return chain.learn(start, at, after: previous, meaning: meaning)
    }

    /// The second half of `advance`: a member's name is at `name`.
    @inline(__always)
    private func advanceToValue(
        _ p: inout Bytes, _ name: Bytes, _ previous: UnsafeMutablePointer<Literal>
    ) throws(ScanFailure) -> UnsafeMutablePointer<Literal> {
        let start = p
        guard name.pointee == Ascii.quote else { throw ScanFailure(name, "expected a member name in quotes") }
        let afterName = try skipString(name + 1)
        let colon = skipBlanks(afterName)
        guard colon.pointee == Ascii.colon else { throw ScanFailure(colon, "expected ':'") }
        let value = skipBlanks(colon + 1)
        p = value
        let node = previous.pointee.after
        if let known = chain.recall(start, value, node: node, after: previous) { return known }
        let encoded = UnsafeBufferPointer(start: name + 1, count: afterName - name - 2)
        var meaning = chain.blank
        meaning.node = node
        meaning.after = node
        meaning.depth = nodes.nodes[node].depth
        switch resolve(node, encoded) {
        case .none: meaning.action = .skip
        case .column(let index):
            meaning.action = LiteralAction(target.slots[index].kind)
            meaning.index = index
        case .node(let child):
            meaning.action = .enter
            meaning.index = child
            meaning.after = child
            meaning.opens = true
        }
        return chain.learn(start, value, after: previous, meaning: meaning)
    }

    private func resolve(_ node: Int, _ encoded: UnsafeBufferPointer<UInt8>) -> ObjectTree.Child? {
        guard encoded.contains(Ascii.backslash) else { return nodes.child(node, encoded) }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: encoded.count + 1) { decoded in
            let count = decodeString(encoded.baseAddress!, into: decoded.baseAddress!)
            return nodes.child(node, UnsafeBufferPointer(rebasing: decoded[..<count]))
        }
    }

    /// At the value of a member that has columns below it. `p` stays at its brace, which the next literal begins with.
    @inline(never)
    func enter(
        _ p: inout Bytes, _ entry: UnsafeMutablePointer<Literal>
    ) throws(ScanFailure) -> UnsafeMutablePointer<Literal> {
        let node = entry.pointee.index
        if nodes.nodes[node].stamp == target.stamp {
            // A duplicate: what the earlier one said about the columns below does not count.
            for column in nodes.nodes[node].columns { target.unmark(column) }
        }
        nodes.nodes[node].stamp = target.stamp
        p = skipBlanks(p)
        if p.pointee == Ascii.openBrace {
            guard nodes.nodes[node].depth <= limits.depthMax else {
                throw ScanFailure(p, "nested too deeply", reason: .tooDeep)
            }
            return entry
        }
        let end = try skipValue(p, depth: entry.pointee.depth, depthMax: limits.depthMax)
        guard load32(p) == Word.null else {
            fieldFailure = (nodes.nodes[node].name, "expected an object")
            throw ScanFailure(p, "", reason: .wrongType)
        }
        p = end
        var meaning = chain.blank
        meaning.after = nodes.nodes[node].parent
        meaning.depth = entry.pointee.depth
        return chain.forget(meaning)
    }

    /// Past the value at `p`, of whatever kind, stored in the column of `entry` if that takes it.
    @inline(never)
    func readValue(_ start: Bytes, _ entry: UnsafeMutablePointer<Literal>) throws(ScanFailure) -> Bytes {
        let p = skipBlanks(start)
        let index = entry.pointee.index
        let kind = target.slots[index].kind
        let end = try skipValue(p, depth: entry.pointee.depth, depthMax: limits.depthMax)
        if load32(p) == Word.null {
            target.setNull(index)
            return end
        }
        let text = UnsafeBufferPointer(start: p, count: end - p)
        do throws(FieldFailure) {
            if kind == .jsonb {
                try target.storeThroughCore(text, index)
            } else if kind == .nested {
                try target.storeNested(text, index)
            } else if p.pointee == Ascii.quote {
                try readString(UnsafeBufferPointer(start: p + 1, count: end - p - 2), index)
            } else if Ascii.isDigit(p.pointee) || p.pointee == Ascii.minus {
                guard kind.takesNumbers else { throw wrongType("a number", index) }
                try target.storeNumber(text, index)
            } else if p.pointee == 0x74 || p.pointee == 0x66 {
                guard kind == .boolean else { throw wrongType("a boolean", index) }
                target.slots[index].put(p.pointee == 0x74 ? 1 as UInt8 : 0, target.row)
            } else {
                throw wrongType(p.pointee == Ascii.openBrace ? "an object" : "an array", index)
            }
        } catch {
            fieldFailure = (target.schema.columns[index].name, error.message)
            throw ScanFailure(p, "", reason: error.reason)
        }
        return end
    }

    /// A string, from its encoded content.
    private func readString(_ encoded: UnsafeBufferPointer<UInt8>, _ index: Int) throws(FieldFailure) {
        var text = encoded
        if encoded.contains(Ascii.backslash) {
            let space = target.scratchSpace(encoded.count)
            let count = decodeString(encoded.baseAddress!, into: space)
            text = UnsafeBufferPointer(start: space, count: count)
            target.keepScratch(count)
        }
        switch target.slots[index].kind {
        case .text:
            if text.contains(0) {
                throw FieldFailure(reason: .invalidValue, message: "\\u0000 cannot be converted to text")
            }
            try target.storeString(text, index)
        case .bytea: try target.storeBase64(text, index)
        case .boolean, .smallint, .integer, .bigint: throw wrongType("a string", index)
        case .real, .double:
            // What JSON has no number for, as the writer writes it.
            guard text.isSpecialNumber else { throw wrongType("a string", index) }
            try target.storeText(text, index)
        case .numeric, .limitedNumeric, .date, .time, .timestamp, .timestamptz, .interval, .uuid:
            try target.storeText(text, index)
        case .jsonb, .nested: break
        }
    }

    private func wrongType(_ found: String, _ index: Int) -> FieldFailure {
        let name = target.schema.columns[index].type.sqlName
        return FieldFailure(reason: .wrongType, message: "\(found) is not accepted for type \(name)")
    }
}

extension ValueKind {
    /// Whether JSON numbers are read.
    var takesNumbers: Bool {
        switch self {
        case .smallint, .integer, .bigint, .real, .double, .numeric, .limitedNumeric, .timestamp, .timestamptz: true
        case .boolean, .text, .bytea, .date, .time, .interval, .jsonb, .uuid, .nested: false
        }
    }
}

extension UnsafeBufferPointer<UInt8> {
    var isSpecialNumber: Bool {
        guard count >= 3, count <= 9 else { return false }
        let text = String(decoding: self, as: UTF8.self)
        return text == "NaN" || text == "Infinity" || text == "-Infinity"
    }
}
