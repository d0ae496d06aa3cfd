/// Package.swift as far as the tidy tests need it: each target's name, and its dependencies in this package.
struct Manifest {
    var dependencies: [String: Set<String>] = [:]
    var testTargets: Set<String> = []

    static let current = Manifest(parsing: Repository.text("Package.swift") ?? "")

    /// Reads calls of the forms `room("X", imports: […])`, `tests("X", imports: […])`,
    /// `.executableTarget(name: "X", dependencies: […])` and `.target(name: "X", …)`, one target per call.
    init(parsing text: String) {
        let call = /(room|tests|tool|\.executableTarget|\.target|\.testTarget)\(\s*(?:name:\s*)?"(\w+)"/
        let starts = text.matches(of: call)
        for (index, match) in starts.enumerated() {
            let end = index + 1 < starts.count ? starts[index + 1].range.lowerBound : text.endIndex
            let name = String(match.output.2)
            dependencies[name] = Self.list(in: text[match.range.upperBound..<end])
            if match.output.1 == "tests" || match.output.1 == ".testTarget" { testTargets.insert(name) }
        }
    }

    private static func list(in call: Substring) -> Set<String> {
        guard let match = call.firstMatch(of: /(?:imports|dependencies):\s*\[([^\]]*)\]/) else { return [] }
        return Set(match.output.1.matches(of: /"(\w+)"/).map { String($0.output.1) })
    }

    /// Where a target's sources live.
    func folder(of target: String) -> String { (testTargets.contains(target) ? "Tests/" : "Sources/") + target }

    /// The modules that the target's Swift files import.
    func importedModules(of target: String) -> Set<String> {
        var modules: Set<String> = []
        for path in Repository.files(under: folder(of: target), withExtension: "swift") {
            modules.formUnion(SwiftText.imports(path))
        }
        return modules
    }

    static func isOurs(_ module: String) -> Bool { module.hasPrefix("Martlet") || module.hasPrefix("CMartlet") }
}
