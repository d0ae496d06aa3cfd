/// "Did you mean": the known name nearest to what was written.
enum Suggestion {
    /// Names longer than this are not compared, and no more than this many candidates: hints must not cost more than the statement.
    private static let lengthMax = 64
    private static let candidatesMax = 20_000

    /// The closest candidate within a third of the name's length (at least 1, at most 3 edits); ties go to the first by name.
    static func nearest<Names: Sequence<String>>(to name: String, among candidates: Names) -> String? {
        let target = Array(name.lowercasedASCII.utf8)
        guard !target.isEmpty, target.count <= lengthMax else { return nil }
        let allowed = min(3, max(1, target.count / 3))
        var best: (distance: Int, name: String)?
        for candidate in candidates.prefix(candidatesMax) {
            let other = Array(candidate.lowercasedASCII.utf8)
            guard other.count <= lengthMax, abs(other.count - target.count) <= allowed else { continue }
            let distance = distance(target, other)
            guard distance <= allowed else { continue }
            if let current = best, (current.distance, current.name) <= (distance, candidate) { continue }
            best = (distance, candidate)
        }
        return best?.name
    }

    /// Edits (insert, delete, replace, swap of neighbours) between two short names.
    static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var beforePrevious = [Int](repeating: 0, count: right.count + 1)
        var previous = Array(0...right.count)
        for row in 0..<left.count {
            var current = [row + 1]
            current.reserveCapacity(right.count + 1)
            for column in 0..<right.count {
                var cost = min(previous[column + 1] + 1, current[column] + 1, previous[column] + (left[row] == right[column] ? 0 : 1))
                if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                    cost = min(cost, beforePrevious[column - 1] + 1)
                }
                current.append(cost)
            }
            beforePrevious = previous
            previous = current
        }
        return previous[right.count]
    }
}
