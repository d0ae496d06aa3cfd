internal import MartletColumns
internal import MartletCore
internal import MartletSQL

/// A plan that looks at one relation's rows one by one: filters and projections over it.
struct RelationScan {
    enum Step {
        case filter(Expression)
        case project([Expression])
    }

    private(set) var name: String
    /// From the relation upwards.
    private(set) var steps: [Step] = []
    /// Columns of the relation.
    private(set) var width: Int

    init?(_ plan: Plan) {
        switch plan {
        case .relation(let name, let fields), .view(let name, let fields):
            self.name = name
            width = fields.count
        case .filter(let input, let predicate):
            guard let below = RelationScan(input) else { return nil }
            self = below
            steps.append(.filter(predicate))
        case .project(let input, let expressions, _):
            guard let below = RelationScan(input) else { return nil }
            self = below
            steps.append(.project(expressions))
        default: return nil
        }
    }

    /// The constants that the first filter demands of the columns `key`, all of them; nil: it does not. Of values that are
    /// NULL or of another type nothing is known.
    func lookup(_ key: [Int]) -> [Value]? {
        guard !key.isEmpty, case .filter(let predicate)? = steps.first else { return nil }
        let terms: [Expression]
        if case .and(let operands) = predicate { terms = operands } else { terms = [predicate] }
        var found: [Int: Value] = [:]
        for term in terms {
            guard case .call(.equal, let sides, _) = term, sides.count == 2 else { continue }
            for (left, right) in [(sides[0], sides[1]), (sides[1], sides[0])] {
                if case .column(let column, let type) = left, case .literal(let value, let other) = right, !value.isNull,
                    type.withoutModifiers == other.withoutModifiers
                {
                    found[column] = value
                }
            }
        }
        var values: [Value] = []
        for column in key {
            guard let value = found[column] else { return nil }
            values.append(value)
        }
        return values
    }
}

/// A scan's expressions, compiled. One thread.
final class ScanEvaluator {
    private enum Step {
        case filter(ExpressionEvaluator)
        case project([ExpressionEvaluator])
    }

    private var steps: [Step] = []

    init(_ scan: RelationScan, context: EvaluationContext) throws(SQLError) {
        for step in scan.steps {
            switch step {
            case .filter(let predicate): steps.append(.filter(try ExpressionEvaluator(predicate, context: context)))
            case .project(let expressions):
                var compiled: [ExpressionEvaluator] = []
                for expression in expressions { compiled.append(try ExpressionEvaluator(expression, context: context)) }
                steps.append(.project(compiled))
            }
        }
    }

    /// Of a row that cannot be computed the query fails.
    func evaluate(_ given: Batch) throws(SQLError) -> Batch {
        var batch = given
        for step in steps {
            if batch.count == 0 { break }
            let errors = RowErrors()
            switch step {
            case .filter(let predicate):
                let selection = predicate.select(batch, errors: errors)
                if selection.count < batch.count { batch = batch.gather(selection) }
            case .project(let expressions):
                let columns = expressions.map { $0.evaluate(batch, errors: errors) }
                batch = Batch(count: batch.count, columns: columns)
            }
            if let entry = errors.sorted.first { throw entry.error }
        }
        return batch
    }
}
