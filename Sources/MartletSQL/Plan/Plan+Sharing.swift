/// What several readers of one plan may have in common.
extension Plan {
    /// The same tree without names of columns: what tells plans apart that do different things.
    package var unnamed: Plan {
        func bare(_ fields: [Field]) -> [Field] { fields.map { Field(name: "", type: $0.type) } }
        let plan = mapInputs(\.unnamed)
        return switch plan {
        case .source(let name, let columns, let fields): .source(name: name, columns: columns, fields: bare(fields))
        case .relation(let name, let fields): .relation(name: name, fields: bare(fields))
        case .view(let name, let fields): .view(name: name, fields: bare(fields))
        case .project(let input, let expressions, let fields): .project(input, expressions, bare(fields))
        case .window(let input, let time, let hop, let fields): .window(input, time: time, hop, fields: bare(fields))
        case .aggregate(let input, let keys, let calls, let window, let fields):
            .aggregate(input, keys: keys, calls: calls, window: window, fields: bare(fields))
        case .over(let input, let partition, let order, let calls, let limit, let fields):
            .over(input, partition: partition, order: order, calls: calls, limit: limit, fields: bare(fields))
        case .session(let input, let time, let session, let fields): .session(input, time: time, session, fields: bare(fields))
        case .join(let left, let right, let type, let condition, let fields):
            .join(left, right, type, condition: condition, fields: bare(fields))
        case .unnested(let input, let lists, let isOuter, let hasOrdinality, let fields):
            .unnested(input, lists: lists, isOuter: isOuter, hasOrdinality: hasOrdinality, fields: bare(fields))
        case .lookup(let left, let right, let lookup, let condition, let fields):
            .lookup(left, right, lookup, condition: condition, fields: bare(fields))
        case .changelog(let input, let key, let fields): .changelog(input, key: key, fields: bare(fields))
        case .stamped(let input, let fields): .stamped(input, fields: bare(fields))
        case .unionAll(let inputs, let fields): .unionAll(inputs, fields: bare(fields))
        case .values(let rows, let fields): .values(rows, fields: bare(fields))
        case .recursive(let recursion, let fields): .recursive(recursion, fields: bare(fields))
        case .filter, .temporal, .repeated, .emitOnWindowClose: plan
        }
    }

    /// Rows that are there from the beginning and never change.
    package var isConstant: Bool {
        switch self {
        case .values: true
        case .filter(let input, _), .project(let input, _, _): input.isConstant
        case .unionAll(let inputs, _): inputs.allSatisfy(\.isConstant)
        case .source, .relation, .view, .recursive, .window, .session, .aggregate, .over, .join, .temporal, .repeated, .unnested, .lookup, .changelog,
            .stamped, .emitOnWindowClose:
            false
        }
    }
}
