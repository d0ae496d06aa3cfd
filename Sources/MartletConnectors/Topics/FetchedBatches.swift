internal import MartletLog

/// The batches of what was fetched, gone through in order, by as many readings as it takes. One thread.
struct FetchedBatches {
    let data: FetchedData
    private let start: Int64
    private var committed: CommittedBatches
    /// Where the next batch begins: the slice, and the place in it.
    private var slice = 0
    private var place = 0

    /// `data` as it was fetched for offset `start`.
    init(_ data: FetchedData, from start: Int64) {
        self.data = data
        self.start = start
        committed = CommittedBatches(aborted: data.abortedTransactions)
    }

    /// Whether it has what comes at the offset, the latest that was asked for or a later one.
    func covers(_ offset: Int64) -> Bool { offset >= start && offset < data.nextOffset }

    /// Calls `body` with the batches that a `read_committed` reader sees and that have records from `first` on and before
    /// `limit`. One that goes on beyond comes again in the next reading.
    mutating func forEach<Failure: Error>(
        from first: Int64, before limit: Int64, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Void,
        failing: (BatchError) -> Failure
    ) throws(Failure) {
        while slice < data.slices.count {
            let bytes = data.slices[slice].bytes
            guard place < bytes.count else {
                (slice, place) = (slice + 1, 0)
                continue
            }
            let found: (batch: UnsafeRawBufferPointer, header: RecordBatchHeader)
            var after = committed
            let isSeen: Bool
            do throws(BatchError) {
                found = try batch(of: UnsafeRawBufferPointer(rebasing: bytes[place...]))
                guard found.header.baseOffset < limit else { return }
                isSeen = try after.admits(found.batch)
            } catch {
                throw failing(error)
            }
            if isSeen, found.header.lastOffset >= first { try body(found.batch) }
            guard found.header.nextOffset <= limit else { return }
            committed = after
            place += found.batch.count
        }
    }

    private func batch(of bytes: UnsafeRawBufferPointer) throws(BatchError) -> (UnsafeRawBufferPointer, RecordBatchHeader) {
        let header = try RecordBatchHeader(reading: bytes)
        guard header.byteCount <= bytes.count else {
            throw .corrupt("a batch of \(header.byteCount) bytes, of which \(bytes.count) are there")
        }
        return (UnsafeRawBufferPointer(rebasing: bytes[..<header.byteCount]), header)
    }
}
