internal import Glibc

/// Which target libFuzzer drives: MARTLET_FUZZ names it, since the command line is libFuzzer's own.
private let chosen: FuzzTarget = {
    guard let name = getenv("MARTLET_FUZZ"), let target = FuzzTarget(rawValue: String(cString: name)) else {
        print("there is no such target; there are:", FuzzTarget.allCases.map(\.rawValue).joined(separator: ", "))
        exit(2)
    }
    return target
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ bytes: UnsafeRawPointer?, _ count: Int) -> CInt {
    chosen.run(UnsafeRawBufferPointer(start: count == 0 ? nil : bytes, count: count))
    return 0
}
