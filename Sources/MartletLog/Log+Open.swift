internal import MartletCore
internal import Synchronization

extension Log {
    /// Opens the log in `directory`, which exists, or makes one there: reads the newest metadata snapshot, trusts the
    /// segments as far as it says, and rebuilds the rest from the journal. Each step is logged. May take seconds.
    package static func open(
        _ directory: String, _ surroundings: LogSurroundings, _ options: LogOptions = LogOptions()
    ) throws(LogError) -> Log {
        let before = surroundings.clock.monotonicNanos()
        var recovery = Recovery(directory, surroundings, options)
        try recovery.readSnapshot()
        let after = recovery.snapshot?.sequence ?? 0
        let (journal, found) = try Journal.open(
            directory: directory + "/journal", disk: surroundings.disk, clock: surroundings.clock, entropy: surroundings.entropy,
            options: options.journalOptions, after: after
        ) { (sequence, payload) throws(LogError) in try recovery.replay(sequence, payload) }
        surroundings.logger.info(
            "recovery: journal read",
            [
                "commits": LogValue(found.replayedRecords), "last": LogValue(found.lastSequence), "groups": LogValue(found.groups),
                "torn": .bool(found.foundTornGroup), "unfinishedChains": LogValue(found.unfinishedChains),
            ])
        if let snapshot = recovery.snapshot, snapshot.identity != journal.identity {
            throw .corrupt(LogDamage(place: directory, detail: "the metadata snapshot is of another journal"))
        }
        try recovery.openStores()
        try recovery.findOrphans()
        let log = Log(directory: directory, surroundings, options, journal: journal, recovered: recovery, after: after)
        log.registerFigures()
        let nanos = surroundings.clock.monotonicNanos() - before
        log.figures.recoveryNanos.set(nanos)
        surroundings.logger.info(
            "recovery: done", ["millis": LogValue(nanos / 1_000_000), "sequence": LogValue(journal.durableSequence)])
        return log
    }

    private convenience init(
        directory: String, _ surroundings: LogSurroundings, _ options: LogOptions, journal: Journal, recovered: consuming Recovery,
        after: UInt64
    ) {
        recovered.state.publishedSequence = journal.durableSequence
        recovered.state.nextProducerID = recovered.state.reservedProducerID
        var flusher = Flusher()
        flusher.newestSequence = after
        flusher.previousSequence = after
        flusher.snapshotFiles = recovered.snapshotFiles
        flusher.checkpointNanos = surroundings.clock.monotonicNanos()
        self.init(
            directory: directory, surroundings, options, journal: journal, files: recovered.files, state: recovered.state,
            flusher: flusher)
    }
}
