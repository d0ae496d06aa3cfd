import MartletCore
import MartletEngine
import MartletPlatform
import MartletSQL

/// SQL files, bound.
struct LoadedScript {
    var inputs: [Script.Input]
    var statements: [BoundStatement]
    /// With what the files define.
    var catalog: SQLCatalog

    /// What whoever runs it is warned of, by what defines it: state without bound.
    var warnings: [(name: String, text: String)] {
        statements.flatMap { statement in statement.warnings(in: catalog).map { (statement.definedName ?? "query", $0) } }
    }

    /// Says each warning in the log, where whoever reads JSON lines finds nothing else.
    func warn(in log: StructuredLog) {
        for warning in warnings { log.warn("state without bound", ["name": .string(warning.name), "warning": .string(warning.text)]) }
    }

    /// An error found when the objects were opened: with its place, where only one file can be meant.
    func render(_ error: SQLError) -> String {
        guard inputs.count == 1 else { return CommandLineTool.rendered(error) }
        var text = error.render(source: inputs[0].name, text: inputs[0].text)
        if text.hasSuffix("\n") { text.removeLast() }
        return text
    }
}

enum ScriptLoader {
    static let textBytesMax = 16 << 20

    /// The files' statements; nil after an error was printed. A file that cannot be read is a failure of the command.
    static func load(_ paths: [String], variables: [String: String], command: String) throws -> LoadedScript? {
        var inputs: [Script.Input] = []
        for path in paths {
            let text = try read(path)
            do throws(SQLError) {
                inputs.append(Script.Input(name: path, text: try Substitution.applied(to: text, variables: variables)))
            } catch {
                printError(trimmed(error.render(source: path, text: text)))
                return nil
            }
        }
        var catalog = SQLCatalog()
        do throws(Script.Failure) {
            let statements = try Script.bind(inputs, into: &catalog, context: TimeZoneFiles.context)
            for case .skipped(let notice) in statements { printError("NOTICE:  \(notice)") }
            for case .set(let set) in statements { if let notice = set.notice { printError("NOTICE:  \(notice)") } }
            return LoadedScript(inputs: inputs, statements: statements, catalog: catalog)
        } catch {
            printError(trimmed(error.description))
            return nil
        }
    }

    private static func trimmed(_ text: String) -> String {
        text.hasSuffix("\n") ? String(text.dropLast()) : text
    }

    /// UTF-8 text of a file, or of standard input (`-`).
    static func read(_ path: String) throws -> String {
        let file = path == "-" ? SystemFile.standardInput : try SystemDisk().openFile(path, .read)
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = try chunk.withUnsafeMutableBytes { try file.read(into: $0, at: Int64(bytes.count)) }
            if count == 0 { break }
            bytes += chunk[..<count]
            if bytes.count > textBytesMax {
                throw SQLError(
                    .programLimitExceeded, "\(path): the SQL text has more than \(textBytesMax) bytes")
            }
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw SQLError(.characterNotInRepertoire, "\(path): the SQL text is not valid UTF-8")
        }
        return text
    }
}
