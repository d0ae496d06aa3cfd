internal import Synchronization

/// Runs one phase of a tick on every shard, and returns when all have finished it. Whatever a shard wrote before the
/// return is visible to every shard in the next phase.
package protocol ShardExecutor: AnyObject {
    /// `isShort`: the phase takes no longer, so far as one can tell, than to wake threads for it does.
    func forEachShard(isShort: Bool, _ body: @escaping @Sendable (Int) -> Void)
}

extension ShardExecutor {
    package func forEachShard(_ body: @escaping @Sendable (Int) -> Void) { forEachShard(isShort: false, body) }

    /// Carries out pieces of work that know nothing of each other: whoever is free takes the next.
    package func carryOut(_ pieces: [() -> Void]) {
        guard !pieces.isEmpty else { return }
        let shared = SharedPieces(pieces)
        forEachShard { _ in while let piece = shared.take() { piece() } }
    }
}

private final class SharedPieces: @unchecked Sendable {
    // Sendable: each piece is taken by one thread.
    private let pieces: [() -> Void]
    private let taken = Atomic<Int>(0)

    init(_ pieces: [() -> Void]) { self.pieces = pieces }

    func take() -> (() -> Void)? {
        let at = taken.wrappingAdd(1, ordering: .relaxed).oldValue
        return at < pieces.count ? pieces[at] : nil
    }
}

/// One thread, shard after shard, in a given order: simulation, tests, single-shard runs. Results must not depend on the order.
package final class SequentialExecutor: ShardExecutor {
    private let order: [Int]

    package init(shards: Int) {
        order = Array(0..<shards)
    }

    package init(order: [Int]) {
        self.order = order
    }

    package func forEachShard(isShort: Bool, _ body: @escaping @Sendable (Int) -> Void) {
        for shard in order { body(shard) }
    }
}
