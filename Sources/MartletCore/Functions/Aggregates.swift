/// The identity of every aggregate function; the raw value is its SQL name.
///
/// What each makes of its rows is said in MartletState; none depends on the order in which rows come, unless the call has
/// an ORDER BY (of its own, or WITHIN GROUP).
package enum AggregateFunction: String, Hashable, Sendable, CaseIterable {
    /// count(*).
    case countAll
    case count, sum, avg, min, max
    case boolAnd = "bool_and"
    case boolOr = "bool_or"
    case bitAnd = "bit_and"
    case bitOr = "bit_or"
    case bitXor = "bit_xor"
    case varPop = "var_pop"
    case varSamp = "var_samp"
    case stddevPop = "stddev_pop"
    case stddevSamp = "stddev_samp"
    case covarPop = "covar_pop"
    case covarSamp = "covar_samp"
    case corr
    case regrCount = "regr_count"
    case regrAverageX = "regr_avgx"
    case regrAverageY = "regr_avgy"
    case regrSumXX = "regr_sxx"
    case regrSumYY = "regr_syy"
    case regrSumXY = "regr_sxy"
    case regrSlope = "regr_slope"
    case regrIntercept = "regr_intercept"
    case regrR2 = "regr_r2"
    case stringAgg = "string_agg"
    case arrayAgg = "array_agg"
    case jsonbAgg = "jsonb_agg"
    case jsonbObjectAgg = "jsonb_object_agg"
    case firstValue = "first_value"
    case lastValue = "last_value"
    case anyValue = "any_value"
    case argMin = "arg_min"
    case argMax = "arg_max"
    case mode
    case percentileCont = "percentile_cont"
    case percentileDisc = "percentile_disc"
    case approxCountDistinct = "approx_count_distinct"
    case approxPercentile = "approx_percentile"
}

/// What a call of an aggregate function says besides its argument and its filter.
package struct AggregateOptions: Hashable, Sendable {
    package var isDistinct = false
    /// How many arguments are packed into the one argument, a structure, before the keys of ORDER BY; 0: the argument is
    /// what it is, and `order`, if any, orders by it.
    package var packed = 0
    package var order: [AggregateOrder] = []
    /// Arguments that are constants and no columns: fractions of percentiles, an error bound.
    package var constants: [Value] = []

    package init() {}
}

package struct AggregateOrder: Hashable, Sendable {
    package var isDescending: Bool
    package var nullsFirst: Bool

    package init(isDescending: Bool = false, nullsFirst: Bool = false) {
        self.isDescending = isDescending
        self.nullsFirst = nullsFirst
    }

    /// Negative: `left` comes first.
    package func compare(_ left: Value, _ right: Value) -> Int {
        if left.isNull || right.isNull {
            let order = (left.isNull ? 1 : 0) - (right.isNull ? 1 : 0)
            return nullsFirst ? -order : order
        }
        let order = Value.compare(left, right)
        return isDescending ? -order : order
    }
}

extension AggregateFunction {
    /// A call after resolution: the caller casts each argument to `arguments[i]`.
    package struct Resolved: Hashable, Sendable {
        package let function: AggregateFunction
        package let arguments: [DataType]
        package let result: DataType
    }

    /// Every name an aggregate has, with its kin in other engines: every, variance, stddev, json_agg, min_by …
    package static let names: [String: AggregateFunction] = {
        var names: [String: AggregateFunction] = [
            "every": .boolAnd, "variance": .varSamp, "stddev": .stddevSamp, "json_agg": .jsonbAgg,
            "json_object_agg": .jsonbObjectAgg, "min_by": .argMin, "max_by": .argMax,
        ]
        for function in allCases where function != .countAll { names[function.rawValue] = function }
        return names
    }()

    /// WITHIN GROUP (ORDER BY …) takes the place of the argument.
    package var isOrderedSet: Bool {
        switch self {
        case .mode, .percentileCont, .percentileDisc, .approxPercentile: true
        default: false
        }
    }

    /// DISTINCT changes nothing.
    package var ignoresDistinct: Bool {
        switch self {
        case .min, .max, .boolAnd, .boolOr, .bitAnd, .bitOr, .anyValue, .argMin, .argMax, .approxCountDistinct, .firstValue, .lastValue: true
        default: false
        }
    }

    /// Rows whose (only) argument is NULL do not count.
    package var skipsNulls: Bool {
        switch self {
        case .arrayAgg, .jsonbAgg, .jsonbObjectAgg, .firstValue, .lastValue, .argMin, .argMax: false
        default: true
        }
    }

    /// PostgreSQL's choice for the argument types (`unknown`: an untyped literal); nil where there is no such function.
    /// For an ordered-set function they are the types in ORDER BY.
    package static func resolve(_ name: String, _ types: [DataType]) -> Resolved? {
        guard let function = names[name] else { return nil }
        func made(_ arguments: [DataType], _ result: DataType) -> Resolved {
            Resolved(function: function, arguments: arguments, result: result)
        }
        /// The argument as the first of `wanted` that it converts to without being asked.
        func implicit(_ wanted: [DataType], at place: Int = 0) -> DataType? {
            let type = types[place].withoutModifiers
            if wanted.contains(type) { return type }
            return wanted.first { Cast.isAllowed(from: type, to: $0, context: .implicit) }
        }
        func known(_ type: DataType) -> DataType { type == .unknown ? .text : type.withoutModifiers }
        if types.count == 2 {
            switch function {
            case .stringAgg:
                if types[0] == .bytea || types[1] == .bytea {
                    guard implicit([.bytea]) != nil, implicit([.bytea], at: 1) != nil else { return nil }
                    return made([.bytea, .bytea], .bytea)
                }
                guard implicit([.text]) != nil, implicit([.text], at: 1) != nil else { return nil }
                return made([.text, .text], .text)
            case .jsonbObjectAgg: return made([known(types[0]), known(types[1])], .jsonb)
            case .argMin, .argMax: return made([known(types[0]), known(types[1])], known(types[0]))
            case .covarPop, .covarSamp, .corr, .regrAverageX, .regrAverageY, .regrSumXX, .regrSumYY, .regrSumXY, .regrSlope,
                .regrIntercept, .regrR2, .regrCount:
                guard implicit([.double]) != nil, implicit([.double], at: 1) != nil else { return nil }
                return made([.double, .double], function == .regrCount ? .bigint : .double)
            default: return nil
            }
        }
        guard types.count == 1 else { return nil }
        let type = known(types[0])
        switch function {
        case .countAll, .covarPop, .covarSamp, .corr, .regrAverageX, .regrAverageY, .regrSumXX, .regrSumYY, .regrSumXY,
            .regrSlope, .regrIntercept, .regrR2, .regrCount, .stringAgg, .jsonbObjectAgg, .argMin, .argMax:
            return nil
        case .count, .approxCountDistinct: return made([type], .bigint)
        case .sum, .avg:
            guard types[0] != .unknown, let result = sumType(type, isAverage: function == .avg) else { return nil }
            return made([type], result)
        case .min, .max: return isOrdered(type) ? made([type], type) : nil
        case .boolAnd, .boolOr: return implicit([.boolean]).map { made([$0], .boolean) }
        case .bitAnd, .bitOr, .bitXor: return type.isInteger ? made([type], type) : nil
        case .varPop, .varSamp, .stddevPop, .stddevSamp:
            switch type {
            case .smallint, .integer, .bigint, .numeric: return made([type], .plainNumeric)
            case .real, .double: return made([type], .double)
            default: return nil
            }
        case .arrayAgg: return made([type], type.element == nil ? .array(type) : type)
        case .jsonbAgg: return made([type], .jsonb)
        case .firstValue, .lastValue, .anyValue, .mode, .percentileDisc: return made([type], type)
        case .percentileCont:
            if type == .interval { return made([type], type) }
            return implicit([.double]).map { made([$0], .double) }
        case .approxPercentile: return implicit([.double]).map { made([$0], .double) }
        }
    }

    private static func sumType(_ type: DataType, isAverage: Bool) -> DataType? {
        switch type {
        case .smallint, .integer: isAverage ? .plainNumeric : .bigint
        case .bigint, .numeric: .plainNumeric
        case .real: isAverage ? .double : .real
        case .double: .double
        case .interval: .interval
        case .boolean, .text, .bytea, .date, .time, .timestamp, .timestamptz, .jsonb, .uuid, .array, .structure, .unknown: nil
        }
    }

    /// The types for which there are min and max: PostgreSQL 15's, and bytea and uuid, which later versions have.
    private static func isOrdered(_ type: DataType) -> Bool {
        switch type {
        case .smallint, .integer, .bigint, .numeric, .real, .double, .text, .bytea, .date, .time, .timestamp, .timestamptz,
            .interval, .uuid, .array, .structure:
            true
        case .boolean, .jsonb, .unknown: false
        }
    }
}
