internal import MartletCore

/// Waiting for room in the journal, for those who cannot go on without: a start, a definition. Ticks, producers and
/// coordinators repeat what was refused by themselves.
extension Log {
    /// Repeats `body` until the journal takes what it appends, and answers what it answers. What is refused for any other
    /// reason is thrown, and so is the log's failure. Says that it waits, once. Blocks: not for the log's own threads, nor for a
    /// loop.
    ///
    /// - Parameter purpose: what it is for, in the words of whoever reads the log.
    package func whenThereIsRoom<Result>(
        for purpose: String, _ body: () throws(LogError) -> Result
    ) throws(LogError) -> Result {
        var hasTold = false
        while true {
            do throws(LogError) {
                return try body()
            } catch {
                guard error.isRetriable else { throw error }
                if !hasTold { logger.warn("the journal is full, and something waits until it has room", ["for": .string(purpose), "why": "\(error)"]) }
                hasTold = true
            }
            surroundings.clock.sleep(nanos: Log.roomNanos)
        }
    }

    /// Look again after this: a flusher at work makes room within milliseconds.
    private static let roomNanos: Int64 = 2_000_000
}
