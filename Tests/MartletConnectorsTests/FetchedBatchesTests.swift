import MartletCore
import Testing

@testable import MartletConnectors
@testable import MartletLog

@Suite("Batches of what was fetched")
struct FetchedBatchesTests {
    /// Batches of three records each from offset 10 on, in two slices.
    private func data(aborted: [AbortedTransaction] = []) throws -> FetchedData {
        var slices: [ByteSlice] = []
        for firsts in [[10, 13], [16]] {
            let sink = ByteSink()
            for first in firsts {
                let builder = RecordBatchBuilder()
                for _ in 0..<3 { builder.append(timestamp: 0, key: nil, value: nil) }
                let one = ByteSink()
                try builder.finish(into: one)
                var bytes = Array(one.bytes)
                withUnsafeBytes(of: Int64(first).bigEndian) { bytes.replaceSubrange(0..<8, with: $0) }
                bytes.withUnsafeBytes { sink.append($0) }
            }
            slices.append(ByteSlice(copying: sink.bytes))
        }
        return FetchedData(
            slices: slices, highWatermark: 19, lastStableOffset: 19, logStartOffset: 0, abortedTransactions: aborted, nextOffset: 19)
    }

    /// The first offsets of the batches of one reading.
    private func reading(_ batches: inout FetchedBatches, from first: Int64, before limit: Int64) throws -> [Int64] {
        var found: [Int64] = []
        try batches.forEach(from: first, before: limit) { (batch) throws(BatchError) in
            found.append(try RecordBatchHeader(reading: batch).baseOffset)
        } failing: { $0 }
        return found
    }

    @Test("are gone through once, whatever the readings' limits are; one that goes on beyond comes again")
    func readings() throws {
        var batches = FetchedBatches(try data(), from: 11)
        #expect(batches.covers(11) && batches.covers(18) && !batches.covers(19) && !batches.covers(10))
        #expect(try reading(&batches, from: 11, before: 13) == [10])
        #expect(try reading(&batches, from: 13, before: 13) == [])
        #expect(try reading(&batches, from: 13, before: 15) == [13])
        #expect(try reading(&batches, from: 15, before: 18) == [13, 16])
        #expect(try reading(&batches, from: 18, before: .max) == [16])
        #expect(try reading(&batches, from: 19, before: .max) == [])
    }

    @Test("what lies before the place that was asked for is passed over")
    func before() throws {
        var batches = FetchedBatches(try data(), from: 14)
        #expect(try reading(&batches, from: 14, before: .max) == [13, 16])
    }

    @Test("one that is cut short is said to be")
    func damaged() throws {
        var damaged = try data()
        damaged.slices[1] = ByteSlice(copying: UnsafeRawBufferPointer(rebasing: damaged.slices[1].bytes.dropLast()))
        var batches = FetchedBatches(damaged, from: 10)
        #expect(throws: BatchError.self) { try reading(&batches, from: 10, before: .max) }
    }
}
