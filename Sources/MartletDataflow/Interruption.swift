extension Array {
    /// Sorts, unless the tick is not to be finished: then the elements are left in any order.
    mutating func sort(in context: ShardContext, by precedes: (Element, Element) -> Bool) {
        var compared = 0
        // The error only carries the decision out of the comparison.
        try? sort { (left, right) throws in
            compared &+= 1
            if compared & 4095 == 0, context.isStopped { throw Interruption() }
            return precedes(left, right)
        }
    }
}

private struct Interruption: Error {}
