/// Tells, batch by batch in offset order, which ones a `read_committed` reader sees (KIP-98, "Consumer").
package struct CommittedBatches {
    private var aborted: [AbortedTransaction]
    private var abortedProducers: Set<Int64> = []

    /// - Parameter aborted: as `FetchedData` has them, ascending by first offset.
    package init(aborted: [AbortedTransaction]) { self.aborted = aborted.reversed() }

    /// Whether the batch's records are data of a transaction that was not aborted, or of none.
    package mutating func admits(_ batch: UnsafeRawBufferPointer) throws(BatchError) -> Bool {
        let header = try RecordBatchHeader(reading: batch)
        while let next = aborted.last, next.firstOffset <= header.lastOffset {
            abortedProducers.insert(next.producerID)
            aborted.removeLast()
        }
        if header.isControl {
            if let marker = try ControlMarker(reading: batch), !marker.commits { abortedProducers.remove(header.producerID) }
            return false
        }
        return !(header.isTransactional && abortedProducers.contains(header.producerID))
    }
}
