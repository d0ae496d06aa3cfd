import MartletConnectors
import MartletCore
import MartletEngine
import MartletPlatform
import MartletState

/// `martlet checkpoint`: what a data directory has of its pipelines' states.
enum CheckpointCommand {
    static let help = """
        Usage: martlet checkpoint list|verify DIR [-o table|json|csv]

        list    the checkpoints in the data directory DIR, newest first: pipeline, tick, when it was taken, size
        verify  the same, with each file wholly read: exit code 1 if one is damaged

        Reads only; a server may be running on the directory. A damaged checkpoint costs a start nothing but time: it takes the
        older one and carries out again what followed.

        Options:
          -o FORMAT   table (default), json or csv
        """

    static func run(_ words: [String]) throws -> Int32 {
        let arguments = try Arguments(words, command: "checkpoint", options: ["output"], short: ["o": "output"])
        guard arguments.positional.count == 2, let action = arguments.positional.first, ["list", "verify"].contains(action) else {
            throw UsageError("takes list or verify, and a data directory")
        }
        guard let format = Listing.Format(rawValue: arguments.value("output") ?? "table") else {
            throw UsageError("-o takes table, json or csv, not \"\(arguments.value("output") ?? "")\"")
        }
        let directory = CheckpointStore.directory(in: arguments.positional[1])
        var listing = Listing("pipeline", "tick", "taken", "bytes", "status", "file")
        var isDamaged = false
        for pipeline in try pipelines(in: directory) {
            let store = CheckpointStore(SystemDisk(), directory: "\(directory)/\(pipeline)")
            for path in try store.files() {
                do throws(StateError) {
                    let found = try store.open(path, isVerified: action == "verify")
                    listing.rows.append([
                        .text(pipeline), .number(Int64(clamping: found.header.tick)),
                        .text(Value.timestamptz(found.header.takenAt).text(in: .utc)), .number(found.bytes),
                        .text(action == "verify" ? "good" : "not verified"), .text(path),
                    ])
                } catch {
                    isDamaged = true
                    listing.rows.append([.text(pipeline), .missing, .missing, .missing, .text("damaged"), .text(path)])
                    printError("martlet checkpoint: \(error)")
                }
            }
        }
        listing.print(format)
        return isDamaged ? ExitCode.failure : ExitCode.done
    }

    private static func pipelines(in directory: String) throws -> [String] {
        let disk = SystemDisk()
        guard try disk.stat(directory) != nil else { return [] }
        return try disk.list(directory).filter { try disk.stat("\(directory)/\($0)")?.kind == .directory }
    }
}
