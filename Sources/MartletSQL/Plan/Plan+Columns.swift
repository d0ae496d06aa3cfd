internal import MartletCore

/// What a stored plan knows of a relation whose columns change.
extension Plan {
    /// The relation's columns, by their places in it, that the plan's rows depend on.
    package func columnsRead(of relation: String) -> Set<Int> {
        // What nobody reads of a source is taken out: seen as one, the relation is left with what is read.
        var read: Set<Int> = []
        Pruning.pruned(asSource(relation)).collectColumns(of: relation, into: &read)
        return read
    }

    /// The plan when the relation has lost a column that it does not read: NULL stands in the column's place.
    package func withoutColumn(_ ordinal: Int, of relation: String) -> Plan {
        guard case .relation(relation, let fields) = self else { return mapInputs { $0.withoutColumn(ordinal, of: relation) } }
        guard ordinal < fields.count else { return self }
        var left = fields
        left.remove(at: ordinal)
        let expressions = fields.indices.map { place -> Expression in
            place == ordinal ? .literal(.null, fields[place].type) : .column(place > ordinal ? place - 1 : place, fields[place].type)
        }
        return .project(.relation(name: relation, fields: left), expressions, fields)
    }

    private func asSource(_ relation: String) -> Plan {
        guard case .relation(relation, let fields) = self else { return mapInputs { $0.asSource(relation) } }
        return .source(name: relation, columns: Array(fields.indices), fields: fields)
    }

    private func collectColumns(of relation: String, into read: inout Set<Int>) {
        if case .source(relation, let columns, _) = self { read.formUnion(columns) }
        for input in inputs { input.collectColumns(of: relation, into: &read) }
    }
}
