import Glibc

/// Exit codes that users and scripts rely on.
enum ExitCode {
    static let done: Int32 = 0
    static let failure: Int32 = 1
    static let usage: Int32 = 2
    static let configuration: Int32 = 78
}

exit(CommandLineTool.run(Array(CommandLine.arguments.dropFirst())))
