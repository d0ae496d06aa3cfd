/// How large a journal's parts may be. All sizes are bytes.
package struct JournalOptions: Sendable, Equatable {
    /// One file of the ring; a multiple of 4 KiB.
    package var fileBytes: Int
    /// The ring has at least this when it is created, and never less than two files.
    package var bytesMin: Int
    /// The ring grows no further than this (but for one file that an opening may need when everything is in use).
    package var bytesMax: Int
    /// A group on disk, and the memory of one being filled; a multiple of 4 KiB, at most `fileBytes`. A record that does
    /// not fit is cut into a chain of parts.
    package var groupBytesMax: Int
    /// No record is accepted while more than this waits to be written, so the memory that waits is bounded by this and one
    /// record.
    package var queuedBytesMax: Int
    /// One record, or one chain: what recovery may have to put together in memory.
    package var recordBytesMax: Int
    /// A journal that was silent for this long records its last sync in a seal.
    package var sealAfterIdleNanos: Int64
    /// A new file's zeros are written and synced in pieces of this size, so that no single sync delays the journal's for long.
    package var zeroPieceBytes: Int
    /// After ENOSPC the ring does not try to grow again before this has passed.
    package var growthRetryNanos: Int64

    package init(
        fileBytes: Int = 64 << 20, bytesMin: Int = 128 << 20, bytesMax: Int = 4 << 30, groupBytesMax: Int = 4 << 20,
        queuedBytesMax: Int = 64 << 20, recordBytesMax: Int = 1 << 30, sealAfterIdleNanos: Int64 = 10_000_000,
        zeroPieceBytes: Int = 1 << 20, growthRetryNanos: Int64 = 1_000_000_000
    ) {
        self.fileBytes = fileBytes
        self.bytesMin = bytesMin
        self.bytesMax = bytesMax
        self.groupBytesMax = groupBytesMax
        self.queuedBytesMax = queuedBytesMax
        self.recordBytesMax = recordBytesMax
        self.sealAfterIdleNanos = sealAfterIdleNanos
        self.zeroPieceBytes = zeroPieceBytes
        self.growthRetryNanos = growthRetryNanos
    }

    /// Traps on sizes that cannot work: they come from the program, which checks the user's before.
    func check() {
        let block = JournalFormat.blockBytes
        precondition(groupBytesMax >= 2 * block && groupBytesMax % block == 0, "a group is some blocks of 4 KiB")
        precondition(fileBytes >= groupBytesMax && fileBytes % block == 0, "a ring's file holds at least one group")
        precondition(bytesMax >= 2 * fileBytes, "a ring has at least two files")
        precondition(zeroPieceBytes >= block && queuedBytesMax > 0, "the journal's limits are positive")
        precondition(recordBytesMax > 0 && recordBytesMax <= 1 << 30, "a record has at most 1 GiB")
    }
}

/// What an opening found.
package struct JournalRecovery: Sendable, Equatable {
    /// There was no journal, and now there is one.
    package var isNew = false
    /// The last sequence that is durable: the last record found, or the checkpoint where that is further.
    package var lastSequence: UInt64 = 0
    /// Records handed to `replay`.
    package var replayedRecords = 0
    /// Valid groups read, seals among them.
    package var groups = 0
    /// Behind the last valid group there were the remains of one that was being written: never acknowledged, dropped.
    package var foundTornGroup = false
    /// Chains whose end was never written: dropped.
    package var unfinishedChains = 0
    /// Files of the ring, used and free.
    package var files = 0

    package init() {}
}
