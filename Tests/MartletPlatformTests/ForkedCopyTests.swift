import CMartletPager
import MartletCore
import Testing

@testable import MartletPlatform

/// A copy of the process: its memory, its message, its end.
@Suite("A copy of the process", .serialized)
struct ForkedCopyTests {
    private func file() throws -> SystemFile { try SystemDisk().openFile("/dev/null", .update) }

    @Test("works on memory as it was, and says what came of it")
    func message() throws {
        let shared = UnsafeMutablePointer<UInt8>.allocate(capacity: 1)
        defer { shared.deallocate() }
        shared.pointee = 7
        let copy = try ForkedCopy(keeping: try file()) { channel in
            for _ in 0..<100 { channel.progress() }
            // Long enough for the parent's write below.
            SystemClock().sleep(nanos: 50_000_000)
            shared.pointee += 1
            return [shared.pointee, 0, 9]
        }
        shared.pointee = 100
        #expect(copy.wait(patienceMillis: 10_000) == [8, 0, 9])
        #expect(shared.pointee == 100)
    }

    @Test("is ended when nothing is heard of it, or nobody wants it")
    func patience() throws {
        let hanging = try ForkedCopy(keeping: try file()) { _ in
            SystemClock().sleep(nanos: 60_000_000_000)
            return [1]
        }
        #expect(hanging.wait(patienceMillis: 100) == nil)
        let unwanted = try ForkedCopy(keeping: try file()) { _ in
            SystemClock().sleep(nanos: 60_000_000_000)
            return [1]
        }
        unwanted.cancel()
        #expect(unwanted.wait(patienceMillis: 10_000) == nil)
    }

    @Test("has no file open but the one that is kept for it")
    func descriptors() throws {
        let disk = SystemDisk()
        let other = try disk.openFile("/dev/null", .read)
        let kept = try file()
        let copy = try ForkedCopy(keeping: kept) { _ in
            // Its own listing is open while it is listed, beside the file, the way to the parent, and what the pager needs.
            let names = (try? disk.list("/proc/self/fd")) ?? []
            return [UInt8(truncatingIfNeeded: names.count), names.contains("\(kept.number)") ? 1 : 0]
        }
        #expect(copy.wait(patienceMillis: 10_000) == [martlet_pager_descriptor() < 0 ? 3 : 5, 1])
        withExtendedLifetime(other) {}
    }

    @Test("huge pages are gathered without a change to what is there")
    func hugePages() {
        let words = 2 << 20
        let memory = UnsafeMutablePointer<Int>.allocate(capacity: words)
        defer { memory.deallocate() }
        for at in 0..<words { memory[at] = at &* 31 }
        HugePages.gather()
        #expect((0..<words).allSatisfy { memory[$0] == $0 &* 31 })
    }
}
