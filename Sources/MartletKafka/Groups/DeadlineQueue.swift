/// When what has to be looked at again: a binary heap of (time, name), earliest first, ties by name so that runs repeat.
/// An owner remembers the time it is armed for; entries that no longer match are dropped when they come up, which is
/// cheaper than removing them.
struct DeadlineQueue {
    private struct Entry {
        var millis: Int64
        var name: String

        static func < (left: Entry, right: Entry) -> Bool {
            left.millis != right.millis ? left.millis < right.millis : left.name < right.name
        }
    }

    private var entries: [Entry] = []

    var earliest: Int64? { entries.first?.millis }

    mutating func push(_ name: String, at millis: Int64) {
        entries.append(Entry(millis: millis, name: name))
        var child = entries.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard entries[child] < entries[parent] else { break }
            entries.swapAt(child, parent)
            child = parent
        }
    }

    /// The earliest, if it is due at `now`.
    mutating func pop(dueAt now: Int64) -> (name: String, millis: Int64)? {
        guard let first = entries.first, first.millis <= now else { return nil }
        let last = entries.removeLast()
        if !entries.isEmpty {
            entries[0] = last
            var parent = 0
            while true {
                var child = parent * 2 + 1
                guard child < entries.count else { break }
                if child + 1 < entries.count, entries[child + 1] < entries[child] { child += 1 }
                guard entries[child] < entries[parent] else { break }
                entries.swapAt(child, parent)
                parent = child
            }
        }
        return (first.name, first.millis)
    }
}
