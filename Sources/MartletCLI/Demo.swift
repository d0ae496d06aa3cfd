/// `martlet demo`.
enum Demo {
    static let help = "Usage: martlet demo [fraud|cart|iot]"
    static func run(_ words: [String]) throws -> Int32 { ExitCode.done }
}
