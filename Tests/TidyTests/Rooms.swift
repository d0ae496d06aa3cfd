/// Who may know whom: the table of ARCHITECTURE.md as data. A room may import what its line lists, whatever those may
/// import, and MartletCore; nothing else.
enum Rooms {
    static let mayImport: [String: Set<String>] = [
        "MartletCore": [],
        "MartletPlatform": ["MartletCore"],
        "MartletColumns": ["MartletCore"],
        "MartletLog": ["MartletCore"],
        "MartletKafka": ["MartletCore", "MartletLog"],
        "MartletSQL": ["MartletCore"],
        "MartletState": ["MartletCore", "MartletColumns"],
        "MartletDataflow": ["MartletCore", "MartletColumns", "MartletState"],
        "MartletPostgres": ["MartletCore"],
        "MartletEngine": ["MartletSQL", "MartletColumns", "MartletDataflow", "MartletLog"],
        "MartletConnectors": ["MartletEngine", "MartletDataflow", "MartletColumns", "MartletPlatform"],
        "MartletServer": ["MartletConnectors", "MartletEngine", "MartletPlatform", "MartletKafka", "MartletPostgres", "MartletLog"],
        "MartletCLI": ["MartletServer", "MartletPlatform"],
        "Martlet": ["MartletEngine", "MartletConnectors"],
        "MartletTestKit": ["MartletCore", "MartletColumns", "MartletLog", "MartletKafka", "MartletDataflow"],
    ]

    /// Targets that measure or attack the others and ship in nothing: they may import any room.
    static let workshops: Set<String> = ["MartletBench", "MartletFuzz"]

    /// Which room a C shim belongs to.
    static let shims: [String: String] = [
        "CMartletISAL": "MartletCore",
        "CMartletLinux": "MartletCore",
        "CMartletPager": "MartletCore",
        "CMartletRE2": "MartletCore",
        "CMartletSimdjson": "MartletColumns",
        "CMartletVector": "MartletColumns",
        "CMartletEdit": "MartletPlatform",
        "CMartletEvent": "MartletPlatform",
        "CMartletCompression": "MartletLog",
        "CMartletPQ": "MartletConnectors",
    ]

    /// Rooms that touch the outside world. All others are deterministic: time, randomness, threads and files reach them
    /// through the seams `Clock`, `Entropy`, `Disk` and `Network` only.
    static let outside: Set<String> = ["MartletPlatform", "MartletConnectors", "MartletServer", "MartletCLI"]

    /// Rooms that may take memcpy, malloc and mathematics from the C library.
    static let nearMetal: Set<String> = ["MartletCore", "MartletColumns", "MartletState"]

    /// Modules of the toolchain that every room may use.
    static let toolchain: Set<String> = ["Swift", "Synchronization"]

    static func allowedImports(of room: String) -> Set<String> {
        var allowed: Set<String> = []
        var open: [String] = [room, "MartletCore"]
        while let next = open.popLast() {
            for found in mayImport[next, default: []].union(["MartletCore"]) where allowed.insert(found).inserted {
                open.append(found)
            }
        }
        let owners = allowed.union([room])
        return allowed.union(shims.filter { owners.contains($0.value) }.keys).subtracting([room])
    }
}
