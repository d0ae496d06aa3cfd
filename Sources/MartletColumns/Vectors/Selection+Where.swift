internal import CMartletVector

extension Selection {
    /// Rows `0 ..< count`.
    package static func all(_ count: Int) -> Selection {
        let selection = Selection(capacity: count)
        for row in 0..<count { selection.indexes[row] = Int32(truncatingIfNeeded: row) }
        selection.count = count
        return selection
    }

    package convenience init(_ rows: [Int]) {
        self.init(capacity: rows.count)
        for (at, row) in rows.enumerated() { indexes[at] = Int32(row) }
        count = rows.count
    }

    package var rows: [Int] { (0..<count).map { Int(indexes[$0]) } }

    /// The rows of a boolean column that are true (not false, not NULL), ascending.
    ///
    /// 32 rows at a time: none or all of them true cost one comparison.
    package static func `where`(_ condition: Column) -> Selection {
        precondition(condition.physical == .bool, "a condition is boolean")
        // A NULL row's byte is 0, so the values alone decide.
        return matching(condition.bools, count: condition.count, byte: 1)
    }

    /// The rows whose byte equals `byte`, ascending.
    static func matching(_ bytes: UnsafePointer<UInt8>, count: Int, byte: UInt8) -> Selection {
        let selection = Selection(capacity: count)
        let out = selection.indexes
        var found = 0
        var start = 0
        while start &+ 32 <= count {
            var mask = martlet_match32(bytes + start, byte)
            if mask == UInt32.max {
                for at in 0..<32 { out[found &+ at] = Int32(truncatingIfNeeded: start &+ at) }
                found &+= 32
            } else {
                while mask != 0 {
                    out[found] = Int32(truncatingIfNeeded: start &+ mask.trailingZeroBitCount)
                    found &+= 1
                    mask &= mask &- 1
                }
            }
            start &+= 32
        }
        while start < count {
            if bytes[start] == byte {
                out[found] = Int32(truncatingIfNeeded: start)
                found &+= 1
            }
            start &+= 1
        }
        selection.count = found
        return selection
    }
}
