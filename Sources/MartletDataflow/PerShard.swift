/// One slot per shard, each written by its own shard during a phase and read by others in a later one. (An Array would
/// not do: two shards writing its elements race on the array itself.)
package final class PerShard<Element>: @unchecked Sendable {
    // Sendable: slots are distinct memory; phases are ordered by the executor.
    package let count: Int
    private let slots: UnsafeMutablePointer<Element>

    package init(_ count: Int, _ initial: Element) {
        self.count = count
        slots = .allocate(capacity: count)
        slots.initialize(repeating: initial, count: count)
    }

    deinit {
        slots.deinitialize(count: count)
        slots.deallocate()
    }

    package subscript(shard: Int) -> Element {
        get {
            precondition(shard >= 0 && shard < count, "a shard of this pipeline")
            return slots[shard]
        }
        set {
            precondition(shard >= 0 && shard < count, "a shard of this pipeline")
            slots[shard] = newValue
        }
    }
}
