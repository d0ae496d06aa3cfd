#if canImport(Glibc)
internal import Glibc
#endif

/// How far the calling thread's stack reaches, for code whose recursion follows its input (parsers, binders).
///
/// A thread that recursed past its stack would be killed; asking `hasRoom` at each level turns that into an error. Made at the
/// entry, on the thread that recurses, near the top of its stack: it counts down from there by the size that threads get
/// (`ulimit -s`; 2 MiB where that is unlimited, as glibc does), less a reserve for what lies above and below. A thread created
/// with a smaller stack of its own must not run such code.
package struct StackGuard: Sendable {
    /// Below this address there is only the reserve.
    private let floor: UInt

    /// `reserve`: bytes left for the callers above and for what is called at the deepest level.
    @inline(never)
    package init(reserve: UInt = 384 << 10) {
        var usable: UInt = 2 << 20
        #if canImport(Glibc)
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_STACK.rawValue), &limit) == 0, limit.rlim_cur < 1 << 40 {
            usable = Swift.min(UInt(limit.rlim_cur), 64 << 20)
        }
        #endif
        let here = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 1) { UInt(bitPattern: $0.baseAddress) }
        floor = here &- (usable &- Swift.min(reserve, usable / 2))
    }

    /// False where another level of recursion could run into the end of the stack.
    @inline(__always)
    package var hasRoom: Bool {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 1) { UInt(bitPattern: $0.baseAddress) } > floor
    }
}
