import Foundation
import Testing

/// What a file may not say, and what to say instead.
struct Ban: Sendable, CustomStringConvertible {
    var pattern: String
    var instead: String
    var description: String { pattern }

    /// The lines that say it, found in one pass over the text. Whoever must name a banned thing in a comment, rewords it.
    func lines(in text: String) throws -> [Int] {
        let expression = try NSRegularExpression(pattern: pattern, options: .anchorsMatchLines)
        let whole = text as NSString
        return expression.matches(in: text, range: NSRange(location: 0, length: whole.length)).map { match in
            whole.substring(to: match.range.location).count { $0 == "\n" } + 1
        }
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
    func deterministic(ban: Ban) throws {
        for room in Rooms.mayImport.keys.sorted() where !Rooms.outside.contains(room) {
            try expectAbsent(ban, in: Repository.files(under: "Sources/\(room)", withExtension: "swift"))
        }
    }

    // Split, so that this file does not name what it forbids.
    static let everywhere = [
        Ban(pattern: #"\b(TO"# + #"DO|FIX"# + #"ME|XX"# + #"X)\b"#, instead: "an issue, or the thing itself"),
        Ban(pattern: "(?i)not (yet )?imple" + "mented", instead: "a sentence saying what is refused, with its SQLSTATE"),
        Ban(pattern: #"(?:^|[^\w.])/(?:work|root|home|Users)/\w"#, instead: "a path relative to the repository, or a placeholder"),
    ]

    @Test("nothing is left undone, no file names one machine", arguments: everywhere)
    func nothingLeftUndone(ban: Ban) throws {
        try expectAbsent(ban, in: Repository.files)
    }

    @Test("product code names no temporary folder")
    func temporaryFolders() throws {
        let ban = Ban(pattern: #""/tmp/"#, instead: "a path given by the user")
        try expectAbsent(ban, in: Repository.files(under: "Sources", withExtension: "swift"))
    }

    private func expectAbsent(_ ban: Ban, in paths: [String]) throws {
        for path in paths {
            for line in try ban.lines(in: Repository.text(path) ?? "") {
                Issue.record("\(path):\(line): instead of /\(ban.pattern)/ use \(ban.instead)")
            }
        }
    }
}
