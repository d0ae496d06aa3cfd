internal import MartletCore
internal import MartletEngine
internal import MartletLog
internal import MartletPlatform

/// Rows that a sink's server refuses, as records of the topic `<sink>_dlq`, which is made with the first: the statement that
/// was refused is the value, what the server said stands in headers. Used by the thread that delivers.
final class RefusedRows {
    private let sink: String
    private let log: Log
    private let partitions: Int32
    private let clock: any Clock

    init(_ sink: String, log: Log, partitions: Int32, clock: any Clock) {
        self.sink = sink
        self.log = log
        self.partitions = partitions
        self.clock = clock
    }

    /// Returns when they are durable.
    func keep(_ refused: [(statement: String, error: SQLError)]) throws(SQLError) {
        guard !refused.isEmpty else { return }
        do throws(LogError) {
            let topic = try log.ensureTopic("\(sink)_dlq", partitions: partitions)
            let writer = TopicWriter(topic, clock: clock)
            let appends = try RefusedRows.appends(refused, of: sink, writer)
            let committed = try log.commit(Commit(appends: appends))
            try log.waitUntilDurable(committed.sequence)
        } catch {
            // The row is still refused when it is tried again.
            throw SQLError(.connectionException, "sink \"\(sink)\": a refused row cannot be kept now: \(error)")
        }
    }

    private static func appends(
        _ refused: [(statement: String, error: SQLError)], of sink: String, _ writer: TopicWriter
    ) throws(LogError) -> [Append] {
        do throws(SQLError) {
            for (statement, error) in refused {
                let headers = [
                    ("__streams.errors.exception", error.state.code), ("__streams.errors.message", error.message),
                    ("martlet.reason", error.state.code), ("martlet.sink", sink),
                ].map { RecordHeader(key: Array($0.0.utf8), value: Array($0.1.utf8)) }
                try writer.add(key: nil, value: Array(statement.utf8), headers: headers)
            }
            return try writer.take()
        } catch {
            throw LogError.refused(index: 0, .invalidRecord(error.message))
        }
    }
}
