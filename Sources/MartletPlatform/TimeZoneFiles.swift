package import MartletCore
internal import Synchronization

/// The machine's time zone database (tzdata): zones by name, each file read once. Any thread.
package enum TimeZoneFiles {
    /// What expressions evaluate in on this machine.
    package static let context = EvaluationContext(zones: { zone(named: $0) })

    private static let folder = environment("TZDIR") ?? "/usr/share/zoneinfo"
    private static let known = Mutex<[String: TimeZone?]>([:])
    /// Names come from rows too, so what is remembered is bounded: the database has about 600.
    private static let knownMax = 4096
    /// The largest file of the database has about 4 KiB.
    private static let fileBytesMax = 1 << 16

    /// The zone of that name; nil where the database has none.
    package static func zone(named name: String) -> TimeZone? {
        if let zone = known.withLock({ $0[name] }) { return zone }
        let zone = load(name)
        known.withLock { if $0.count < knownMax { $0[name] = .some(zone) } }
        return zone
    }

    private static func load(_ name: String) -> TimeZone? {
        // Letters, digits and "_+-/": a name is no way to any other file.
        guard !name.isEmpty, name.utf8.count <= 64, !name.hasPrefix("/"),
            name.utf8.allSatisfy({ byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2F, 0x5F, 0x2B, 0x2D: true
                default: false
                }
            }), let file = try? SystemDisk().openFile("\(folder)/\(name)", .read), let facts = try? file.facts(), facts.kind == .file,
            facts.size <= fileBytesMax
        else { return nil }
        var bytes = [UInt8](repeating: 0, count: Int(facts.size))
        guard let count = try? bytes.withUnsafeMutableBytes({ try file.read(into: $0, at: 0) }) else { return nil }
        return TimeZone(name: name, tzif: Array(bytes[..<count]))
    }
}
