internal import MartletColumns
internal import MartletCore
internal import MartletSQL
internal import Synchronization

/// What readers see: the catalog and the rows as of the last durable tick.
///
/// The lock orders readers, who take snapshots or look up a key, and the thread that makes a tick visible: all of a tick
/// appears at once. Sound to share: everything behind it is touched in `locked` only.
final class VisibleState: @unchecked Sendable {
    struct Content {
        var catalog = DatabaseCatalog()
        var stores: [RelationID: RelationStore] = [:]
        var tick: UInt64 = 0
    }

    private let lock = Mutex(())
    private var content = Content()
    private let catalogVersion = Atomic<UInt64>(0)

    func locked<Result>(_ body: (inout Content) -> Result) -> Result {
        lock.withLock { _ in
            let result = body(&content)
            if content.catalog.version != catalogVersion.load(ordering: .relaxed) {
                catalogVersion.store(content.catalog.version, ordering: .releasing)
            }
            return result
        }
    }

    /// The catalog's, without waiting for the lock.
    var version: UInt64 { catalogVersion.load(ordering: .acquiring) }

    var catalog: DatabaseCatalog { locked { $0.catalog } }
    var tick: UInt64 { locked { $0.tick } }
}

/// Several relations as of one tick.
struct ReadView: Sendable {
    let tick: UInt64
    let catalog: DatabaseCatalog
    private(set) var snapshots: [RelationID: StoreSnapshot]

    init(tick: UInt64, catalog: DatabaseCatalog, snapshots: [RelationID: StoreSnapshot]) {
        self.tick = tick
        self.catalog = catalog
        self.snapshots = snapshots
    }
}
