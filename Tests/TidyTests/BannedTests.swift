import Testing

/// What a file may not say, and what to say instead.
struct Ban: Sendable, CustomStringConvertible {
    var pattern: String
    var instead: String
    var description: String { pattern }

    func matches(_ line: Substring) -> Bool {
        guard let regex = try? Regex(pattern) else { return true }
        return line.contains(regex)
    }
}

@Suite("Banned words")
struct BannedTests {
    static let outsideWorld = [
        Ban(pattern: #"\bDate\(\)|\bDate\.now\b|\bgettimeofday\(|\bclock_gettime\(|\btime\(nil\)"#, instead: "the seam Clock"),
        Ban(pattern: #"\b(ContinuousClock|SuspendingClock)\b"#, instead: "the seam Clock"),
        Ban(
            pattern: #"\b(U?Int(8|16|32|64|128)?|Double|Float|Bool)\.random\(|SystemRandomNumberGenerator|\.randomElement\(\)|\.shuffled\(\)"#,
            instead: "the seam Entropy and Core's PRNG"),
        Ban(pattern: #"\bTask\.detached\b|\bDispatchQueue\b|\bThread\("#, instead: "threads of MartletPlatform"),
        Ban(
            pattern: #"\b(FileManager|FileHandle|URLSession|ProcessInfo)\b|contentsOfFile:|contentsOf: ?URL|\bfopen\(|\bgetenv\("#,
            instead: "the seams Disk and Network"),
    ]

    @Test("deterministic rooms reach time, chance, threads and files through seams", arguments: outsideWorld)
    func deterministic(ban: Ban) {
        for room in Rooms.mayImport.keys.sorted() where !Rooms.outside.contains(room) {
            expectAbsent(ban, in: Repository.files(under: "Sources/\(room)", withExtension: "swift"))
        }
    }

    // Split, so that this file does not name what it forbids.
    static let everywhere = [
        Ban(pattern: #"\b(TO"# + #"DO|FIX"# + #"ME|XX"# + #"X)\b"#, instead: "an issue, or the thing itself"),
        Ban(pattern: "(?i)not (yet )?imple" + "mented", instead: "a sentence saying what is refused, with its SQLSTATE"),
        Ban(pattern: #"(^|[^\w.])/(work|root|home|Users)/\w"#, instead: "a path relative to the repository, or a placeholder"),
    ]

    @Test("nothing is left undone, no file names one machine", arguments: everywhere)
    func nothingLeftUndone(ban: Ban) {
        for path in Repository.files {
            for (index, line) in Repository.lines(path).enumerated() where ban.matches(line) {
                Issue.record("\(path):\(index + 1): instead of /\(ban.pattern)/ use \(ban.instead)")
            }
        }
    }

    @Test("product code names no temporary folder")
    func temporaryFolders() {
        let ban = Ban(pattern: #""/tmp/"#, instead: "a path given by the user")
        expectAbsent(ban, in: Repository.files(under: "Sources", withExtension: "swift"))
    }

    private func expectAbsent(_ ban: Ban, in paths: [String]) {
        for path in paths {
            for line in SwiftText.code(path) where ban.matches(line.text) {
                Issue.record("\(path):\(line.number): instead of /\(ban.pattern)/ use \(ban.instead)")
            }
        }
    }
}
