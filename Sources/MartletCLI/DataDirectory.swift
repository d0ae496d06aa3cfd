import MartletCore
import MartletLog
import MartletPlatform
import MartletServer

/// The log of a data directory, opened and driven for the time of a command.
struct DataDirectory {
    var path: String
    /// The command's name, for messages.
    var command: String
    var options: LogOptions
    var log: StructuredLog
    var metrics: MetricsRegistry
    /// Called once, from one of the log's threads, when the log can no longer write.
    var onFailure: @Sendable () -> Void = {}

    struct Opened {
        let log: Log
        let driver: LogDriver
        let surroundings: LogSurroundings
    }

    /// Takes the directory (made if missing), opens the log, runs `body`, writes what is queued and closes. Any failure is
    /// told to the user and becomes exit code 1; a directory that another process has is refused with its pid.
    func withLog(_ body: (Opened) throws -> Int32) -> Int32 {
        do {
            try SystemDisk().makeDirectories(path)
            let lock = try DataDirectoryLock(path)
            return try holding(lock) { () throws in
                let surroundings = LogSurroundings(
                    disk: SystemDisk(), clock: SystemClock(), entropy: SystemEntropy(), logger: log, metrics: metrics)
                let opened = try Log.open(path, surroundings, options)
                let driver = try LogDriver(opened, logger: log) { [onFailure] _ in onFailure() }
                let code: Int32
                do {
                    code = try body(Opened(log: opened, driver: driver, surroundings: surroundings))
                } catch {
                    try? driver.stop()
                    throw error
                }
                try driver.stop()
                return code
            }
        } catch {
            log.error("\(command) could not go on", ["error": .string("\(error)")])
            printError("martlet \(command): \(error)")
            return ExitCode.failure
        }
    }

    /// The directory stays ours until `body` returns.
    private func holding(_ lock: borrowing DataDirectoryLock, _ body: () throws -> Int32) throws -> Int32 { try body() }
}
