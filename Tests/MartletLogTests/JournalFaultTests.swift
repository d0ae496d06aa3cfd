import MartletCore
import MartletLog
import MartletTestKit
import Testing

/// Each call to the disk fails once, in each way: nothing is acknowledged that a later opening does not find.
@Suite("Failing calls under the journal")
struct JournalFaultTests {
    typealias Fixture = JournalFixture

    private static let options: JournalOptions = {
        var options = Fixture.small
        options.bytesMax = 96 << 10
        return options
    }()

    /// What a life acknowledged and what it appended.
    private struct Life {
        var acknowledged: UInt64 = 0
        var appended: UInt64 = 0
        var checkpoint: UInt64 = 0
        var failed = false
    }

    /// Opens, appends, writes, checkpoints, recycles, grows, wraps and closes, until something fails for good.
    private static func live(_ disk: SimulatedDisk) -> Life {
        var life = Life()
        do throws(LogError) {
            let journal = try Fixture.open(disk, options).journal
            for round in 0..<16 {
                if let sequence = journal.add(Fixture.payload(round, count: 900 + round * 40)) { life.appended = sequence }
                _ = journal.add(Fixture.payload(round, count: round)).map { life.appended = $0 }
                do throws(LogError) {
                    try journal.writeAll()
                } catch {
                    guard case .outOfSpace = error else { throw error }
                }
                life.acknowledged = journal.durableSequence
                if round % 4 == 3 {
                    life.checkpoint = life.acknowledged - 1
                    try journal.recycle(through: life.checkpoint)
                    _ = try journal.prepareFile()
                }
            }
            try journal.close()
            life.acknowledged = journal.durableSequence
        } catch {
            life.failed = true
        }
        return life
    }

    private static func payload(_ sequence: UInt64) -> [UInt8] {
        // Two a round while nothing is refused, as in `live`.
        let round = Int(sequence - 1) / 2
        return Fixture.payload(round, count: sequence % 2 == 1 ? 900 + round * 40 : round)
    }

    @Test("nothing is acknowledged after a failure, and what was is found again", arguments: [DiskFault.broken, .outOfSpace, .short])
    func everyCall(fault: DiskFault) throws {
        let healthy = SimulatedDisk(seed: 1)
        let whole = Self.live(healthy)
        #expect(!whole.failed && whole.appended == 32 && whole.acknowledged == 32)
        let calls = healthy.callCount
        #expect(calls > 60)
        var failures = 0
        for call in 1...calls {
            for powerFails in [true, false] {
                let disk = SimulatedDisk(seed: UInt64(call))
                disk.fail(call: call, with: fault)
                let life = Self.live(disk)
                if life.failed { failures += 1 }
                // Twice: what the first opening gives must stay.
                for attempt in 1...2 {
                    if powerFails || attempt == 2 { disk.crash() }
                    let opened = try Fixture.open(disk, Self.options, after: life.checkpoint)
                    let last = opened.recovery.lastSequence
                    #expect(
                        last >= life.acknowledged && last <= life.appended,
                        "call \(call), \(attempt): \(last) of \(life.acknowledged) acknowledged and \(life.appended) appended")
                    for (sequence, bytes) in opened.records where bytes != Self.payload(sequence) {
                        Issue.record("call \(call), \(attempt): record \(sequence) is another")
                    }
                    #expect(opened.records.count == Int(last - life.checkpoint), "call \(call), \(attempt)")
                }
            }
        }
        if fault == .broken { #expect(failures > 100) }
    }
}
