internal import CMartletLinux
internal import Glibc
internal import MartletCore

/// Memory in pages of 2 MiB: a fork copies one entry for each of them instead of 512, and a random access misses less.
package enum HugePages {
    private static let pageBytes: UInt = 2 << 20
    private static let smallPages = 512
    /// Pieces with fewer small pages in use stay as they are, so that no memory is taken for what is not there.
    private static let residentMin = smallPages * 7 / 8

    /// Moves the process's own memory into huge pages where it is not yet: what was allocated in small pieces, and what a fork
    /// broke up. For each piece moved, 0.2 ms to some milliseconds, nobody can use it, and who needs memory waits; so each is
    /// followed by a rest as long as it took. Nothing where the kernel has no such call. Any thread.
    package static func gather() {
        let clock = SystemClock()
        for mapping in ownMappings() {
            var piece = (mapping.lowerBound + pageBytes - 1) & ~(pageBytes - 1)
            while piece < mapping.upperBound & ~(pageBytes - 1) {
                if isInUse(piece) {
                    let start = clock.monotonicNanos()
                    // What cannot be moved now, or was given back meanwhile, stays as it is.
                    _ = martlet_collapse_pages(UnsafeMutableRawPointer(bitPattern: piece), Int(pageBytes))
                    let nanos = clock.monotonicNanos() - start
                    // A piece that was a huge page already takes no time to speak of.
                    if nanos > movedNanosMin { clock.sleep(nanos: min(nanos, restNanosMax)) }
                }
                piece += pageBytes
            }
        }
    }

    private static let movedNanosMin: Int64 = 100_000
    private static let restNanosMax: Int64 = 10_000_000

    private static func isInUse(_ start: UInt) -> Bool {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: smallPages) { pages in
            guard mincore(UnsafeMutableRawPointer(bitPattern: start), Int(pageBytes), pages.baseAddress) == 0 else { return false }
            return pages.reduce(0) { $0 + Int($1 & 1) } >= residentMin
        }
    }

    /// Private writable memory that no file is behind.
    private static func ownMappings() -> [Range<UInt>] {
        mapsText().split(separator: "\n").compactMap { line in
            // start-end permissions offset device inode name
            let fields = line.split(separator: " ", omittingEmptySubsequences: true)
            guard fields.count >= 5, fields[1] == "rw-p", fields[4] == "0" else { return nil }
            let isOwn = fields.count == 5 || fields[5] == "[heap]" || fields[5].hasPrefix("[anon")
            let bounds = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            guard isOwn, bounds.count == 2, bounds[1] >= bounds[0] + pageBytes else { return nil }
            return bounds[0]..<bounds[1]
        }
    }

    private static func mapsText() -> String {
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        guard let file = try? SystemDisk().openFile("/proc/self/maps", .read) else { return "" }
        while let count = try? buffer.withUnsafeMutableBytes({ try file.read(into: $0, at: Int64(text.count)) }), count > 0 {
            text += buffer[..<count]
        }
        return String(decoding: text, as: UTF8.self)
    }
}
