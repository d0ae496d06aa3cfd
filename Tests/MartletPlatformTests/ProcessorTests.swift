import CMartletLinux
import Foundation
import Testing

@Suite("The processor check")
struct ProcessorTests {
    @Test("a processor that has all is not refused")
    func nothingMissing() {
        #expect(String(cString: martlet_missing_cpu_features()) == "")
    }

    #if arch(x86_64)
    /// The shim compiled for a newer processor, with a processor that claims to have nothing.
    @Test("a processor that lacks something is named and refused with 78 before the program starts")
    func refusal() throws {
        let scratch = Scratch()
        let shim = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Sources/CMartletLinux")
        try Data("int main(void) { return 5; }".utf8).write(to: URL(fileURLWithPath: scratch["main.c"]))
        let compiled = try run(
            "clang", "-march=haswell", "-D__builtin_cpu_supports(feature)=0", "-I", shim.path + "/include",
            shim.path + "/shim.c", scratch["main.c"], "-o", scratch["program"])
        try #require(compiled.status == 0, "\(compiled.diagnostics)")
        let refused = try run(scratch["program"])
        #expect(refused.status == 78)
        #expect(refused.diagnostics == """
            martlet: this processor lacks sse4.2, popcnt, pclmul, avx, avx2, bmi, bmi2, fma, f16c, lzcnt, movbe, which this \
            build needs; build it on this machine, or run it on another

            """)
        let baseline = try run(
            "clang", "-D__builtin_cpu_supports(feature)=0", "-I", shim.path + "/include", shim.path + "/shim.c",
            scratch["main.c"], "-o", scratch["program"])
        try #require(baseline.status == 0, "\(baseline.diagnostics)")
        #expect(try run(scratch["program"]).status == 5, "a build for the baseline runs anywhere")
    }
    #endif

    private func run(_ command: String...) throws -> (status: Int32, diagnostics: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        let pipe = Pipe()
        process.standardError = pipe
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: data, as: UTF8.self))
    }
}
