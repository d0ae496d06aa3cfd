/// What is made of an array as a whole: its order, its extremes, its sum. Elements are taken in row-major order.
extension ArrayFunctions {
    static func summarise(
        _ function: ScalarFunction, _ arguments: [Value], _ result: DataType, _ context: EvaluationContext
    ) throws(SQLError) -> Value {
        guard case .array(let array) = arguments.first else { throw Evaluation.wrongArguments(function, arguments) }
        switch function {
        case .arraySort:
            // A stable order, NULL last, as ORDER BY has it.
            return .array(ArrayValue(array.element, sorted(array.values)))
        case .arrayReverse: return .array(ArrayValue(array.element, Array(array.values.reversed())))
        case .arrayFlatten: return .array(ArrayValue(array.element, array.values))
        case .arrayDistinct:
            var seen: Set<Value> = []
            return .array(ArrayValue(array.element, array.values.filter { seen.insert($0).inserted }))
        case .arrayMin: return array.values.lazy.filter { !$0.isNull }.min { Value.compare($0, $1) < 0 } ?? .null
        case .arrayMax: return array.values.lazy.filter { !$0.isNull }.max { Value.compare($0, $1) < 0 } ?? .null
        case .arraySum:
            var total = Value.null
            for value in array.values where !value.isNull {
                let addend = try value.cast(to: result, context: context)
                total = total.isNull ? addend : try Arithmetic.evaluate(.add, [total, addend], context)
            }
            return total
        default: throw Evaluation.wrongArguments(function, arguments)
        }
    }

    private static func sorted(_ values: [Value]) -> [Value] {
        values.filter { !$0.isNull }.sorted { Value.compare($0, $1) < 0 } + values.filter(\.isNull)
    }
}
