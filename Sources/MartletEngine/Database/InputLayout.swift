internal import MartletColumns
internal import MartletCore

/// The columns of a relation as a running unit's plans know them, from when the unit was made: the relation may have got
/// columns since, and lost some that the plans do not read.
struct InputLayout {
    private let types: [DataType]
    /// Where each column stands by now; nil: it was dropped.
    private var places: [Int?]
    private var hasLost = false

    init(_ types: [DataType]) {
        self.types = types
        places = Array(types.indices)
    }

    mutating func drop(_ ordinal: Int) {
        for at in places.indices {
            guard let place = places[at] else { continue }
            places[at] = place == ordinal ? nil : place > ordinal ? place - 1 : place
        }
        hasLost = true
    }

    /// Which of the known columns stands at a place; nil: one that came later.
    func column(at place: Int) -> Int? { places.firstIndex(of: place) }

    /// Rows of the relation with the columns that are known; NULL stands for lost ones.
    func known(of batch: Batch) -> Batch {
        guard hasLost || batch.columns.count > types.count else { return batch }
        var known = batch
        known.columns = zip(places, types).map { place, type in
            place.map { batch.columns[$0] } ?? Column.constant(.null, type: type, count: batch.count)
        }
        return known
    }
}
