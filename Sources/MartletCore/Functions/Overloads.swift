extension ScalarFunction {
    /// Every way to call the function or operator spelt `name` (lower case), in a fixed order; empty if there is none.
    ///
    /// Operators are found by their spelling ("+", "||", "->>", "~~" for LIKE) and the constructs of the grammar by the
    /// function PostgreSQL maps them to: EXTRACT is "extract", POSITION(a IN b) is "position" with (string, substring)
    /// order of `strpos`, TRIM is "btrim", AT TIME ZONE is "timezone", `is distinct from` and the like by their words.
    package static func overloads(named name: String) -> [Signature] { OverloadTable.all[name] ?? [] }

    /// All names, sorted: what "did you mean" chooses from.
    package static var names: [String] { OverloadTable.names }
}

/// The table behind `ScalarFunction.overloads`, built once.
enum OverloadTable {
    static let all: [String: [Signature]] = {
        var builder = Builder()
        builder.addArithmetic()
        builder.addComparisons()
        builder.addMathematics()
        builder.addText()
        builder.addTime()
        builder.addJSON()
        builder.addArrays()
        builder.addDocumentChanges()
        builder.addDocumentNames()
        builder.addRegularExpressions()
        builder.addEveryday()
        builder.addSets()
        builder.addCatalog()
        return builder.table
    }()

    static let names: [String] = all.keys.sorted()

    struct Builder {
        var table: [String: [Signature]] = [:]

        mutating func add(
            _ function: ScalarFunction, _ names: [String], _ parameters: [Signature.Parameter],
            _ result: Signature.Result, variadic: Bool = false, _ volatility: Signature.Volatility = .immutable
        ) {
            for name in names {
                table[name, default: []].append(
                    Signature(
                        function: function, name: name, parameters: parameters, isVariadic: variadic, result: result,
                        isStrict: function.isStrict, volatility: volatility))
            }
        }

        mutating func add(
            _ function: ScalarFunction, _ names: String..., taking types: [DataType], giving result: DataType,
            _ volatility: Signature.Volatility = .immutable
        ) {
            add(function, names, types.map { .exact($0) }, .exact(result), volatility)
        }
    }
}

private let numeric = DataType.plainNumeric
private let numbers: [DataType] = [.smallint, .integer, .bigint, .plainNumeric, .real, .double]
private let integers: [DataType] = [.smallint, .integer, .bigint]

extension OverloadTable.Builder {
    fileprivate mutating func addArithmetic() {
        let symbols: [(ScalarFunction, String)] = [(.add, "+"), (.subtract, "-"), (.multiply, "*"), (.divide, "/")]
        for (function, symbol) in symbols {
            for type in numbers { add(function, symbol, taking: [type, type], giving: type) }
            add(function, symbol, taking: [.real, .double], giving: .double)
            add(function, symbol, taking: [.double, .real], giving: .double)
        }
        for name in ["%", "mod"] {
            for type in integers + [numeric] { add(.modulo, name, taking: [type, type], giving: type) }
        }
        for type in numbers + [.interval] { add(.negate, "-", taking: [type], giving: type) }
        for type in numbers { add(.identity, "+", taking: [type], giving: type) }
        for type in integers {
            add(.bitAnd, "&", taking: [type, type], giving: type)
            add(.bitOr, "|", taking: [type, type], giving: type)
            add(.bitXor, "#", taking: [type, type], giving: type)
            add(.bitNot, "~", taking: [type], giving: type)
            add(.shiftLeft, "<<", taking: [type, .integer], giving: type)
            add(.shiftRight, ">>", taking: [type, .integer], giving: type)
        }

        // Time arithmetic.
        add(.add, "+", taking: [.date, .integer], giving: .date)
        add(.add, "+", taking: [.integer, .date], giving: .date)
        add(.add, "+", taking: [.date, .interval], giving: .timestamp)
        add(.add, "+", taking: [.interval, .date], giving: .timestamp)
        add(.add, "+", taking: [.date, .time], giving: .timestamp)
        add(.add, "+", taking: [.time, .date], giving: .timestamp)
        add(.add, "+", taking: [.time, .interval], giving: .time)
        add(.add, "+", taking: [.interval, .time], giving: .time)
        add(.add, "+", taking: [.timestamp, .interval], giving: .timestamp)
        add(.add, "+", taking: [.interval, .timestamp], giving: .timestamp)
        add(.add, "+", taking: [.timestamptz, .interval], giving: .timestamptz, .stable)
        add(.add, "+", taking: [.interval, .timestamptz], giving: .timestamptz, .stable)
        add(.add, "+", taking: [.interval, .interval], giving: .interval)
        add(.subtract, "-", taking: [.date, .integer], giving: .date)
        add(.subtract, "-", taking: [.date, .date], giving: .integer)
        add(.subtract, "-", taking: [.date, .interval], giving: .timestamp)
        add(.subtract, "-", taking: [.time, .time], giving: .interval)
        add(.subtract, "-", taking: [.time, .interval], giving: .time)
        add(.subtract, "-", taking: [.timestamp, .timestamp], giving: .interval)
        add(.subtract, "-", taking: [.timestamptz, .timestamptz], giving: .interval)
        add(.subtract, "-", taking: [.timestamp, .interval], giving: .timestamp)
        add(.subtract, "-", taking: [.timestamptz, .interval], giving: .timestamptz, .stable)
        add(.subtract, "-", taking: [.interval, .interval], giving: .interval)
        add(.multiply, "*", taking: [.interval, .double], giving: .interval)
        add(.multiply, "*", taking: [.double, .interval], giving: .interval)
        add(.divide, "/", taking: [.interval, .double], giving: .interval)
    }

    fileprivate mutating func addComparisons() {
        let symbols: [(ScalarFunction, [String])] = [
            (.equal, ["="]), (.notEqual, ["<>", "!="]), (.less, ["<"]), (.lessOrEqual, ["<="]), (.greater, [">"]),
            (.greaterOrEqual, [">="]),
            (.isDistinctFrom, ["is distinct from"]), (.isNotDistinctFrom, ["is not distinct from"]),
        ]
        for (function, names) in symbols {
            for type in DataType.all {
                add(function, names, [.exact(type), .exact(type)], .exact(.boolean))
            }
            add(function, names, [.commonArray, .commonArray], .exact(.boolean))
            add(function, names, [.record, .record], .exact(.boolean))
            add(function, names, [.exact(.real), .exact(.double)], .exact(.boolean))
            add(function, names, [.exact(.double), .exact(.real)], .exact(.boolean))
            // Reading the timestamp as local time depends on the session's zone; the cast carries that.
        }
        add(.and, "and", taking: [.boolean, .boolean], giving: .boolean)
        add(.or, "or", taking: [.boolean, .boolean], giving: .boolean)
        add(.not, "not", taking: [.boolean], giving: .boolean)
        add(.isNull, ["is null"], [.any], .exact(.boolean))
        add(.isNotNull, ["is not null"], [.any], .exact(.boolean))
        add(.isTrue, "is true", taking: [.boolean], giving: .boolean)
        add(.isNotTrue, "is not true", taking: [.boolean], giving: .boolean)
        add(.isFalse, "is false", taking: [.boolean], giving: .boolean)
        add(.isNotFalse, "is not false", taking: [.boolean], giving: .boolean)
        add(.isNull, "is unknown", taking: [.boolean], giving: .boolean)
        add(.isNotNull, "is not unknown", taking: [.boolean], giving: .boolean)
        add(.coalesce, ["coalesce"], [.common], .common, variadic: true)
        add(.greatest, ["greatest"], [.common], .common, variadic: true)
        add(.least, ["least"], [.common], .common, variadic: true)
        add(.nullif, ["nullif"], [.common, .common], .common)
    }

    fileprivate mutating func addMathematics() {
        for type in numbers { add(.abs, "abs", "@", taking: [type], giving: type) }
        for type in [DataType.double, numeric] {
            add(.ceil, "ceil", "ceiling", taking: [type], giving: type)
            add(.floor, "floor", taking: [type], giving: type)
            add(.round, "round", taking: [type], giving: type)
            add(.trunc, "trunc", taking: [type], giving: type)
            add(.sign, "sign", taking: [type], giving: type)
            add(.power, "power", "pow", "^", taking: [type, type], giving: type)
            add(.sqrt, "sqrt", taking: [type], giving: type)
            add(.exp, "exp", taking: [type], giving: type)
            add(.ln, "ln", taking: [type], giving: type)
            add(.log10, "log", "log10", taking: [type], giving: type)
        }
        add(.sqrt, "|/", taking: [.double], giving: .double)
        add(.cbrt, "cbrt", "||/", taking: [.double], giving: .double)
        add(.log, "log", taking: [numeric, numeric], giving: numeric)
        add(.round, "round", taking: [numeric, .integer], giving: numeric)
        add(.trunc, "trunc", taking: [numeric, .integer], giving: numeric)
        add(.div, "div", taking: [numeric, numeric], giving: numeric)
        for type in [DataType.integer, .bigint, numeric] {
            add(.gcd, "gcd", taking: [type, type], giving: type)
            add(.lcm, "lcm", taking: [type, type], giving: type)
        }
        add(.pi, "pi", taking: [], giving: .double)
        let singles: [(ScalarFunction, String)] = [
            (.degrees, "degrees"), (.radians, "radians"), (.sin, "sin"), (.cos, "cos"), (.tan, "tan"), (.cot, "cot"),
            (.asin, "asin"), (.acos, "acos"), (.atan, "atan"), (.sinh, "sinh"), (.cosh, "cosh"), (.tanh, "tanh"),
        ]
        for (function, name) in singles { add(function, name, taking: [.double], giving: .double) }
        add(.atan2, "atan2", taking: [.double, .double], giving: .double)
        add(.numericScale, "scale", taking: [numeric], giving: .integer)
        add(.minScale, "min_scale", taking: [numeric], giving: .integer)
        add(.trimScale, "trim_scale", taking: [numeric], giving: numeric)
        add(.widthBucket, "width_bucket", taking: [.double, .double, .double, .integer], giving: .integer)
        add(.widthBucket, "width_bucket", taking: [numeric, numeric, numeric, .integer], giving: .integer)
        add(.factorial, "factorial", taking: [.bigint], giving: numeric)
    }

    fileprivate mutating func addText() {
        add(.concatenate, "||", taking: [.text, .text], giving: .text)
        add(.concatenate, ["||"], [.exact(.text), .nonArray], .exact(.text), .stable)
        add(.concatenate, ["||"], [.nonArray, .exact(.text)], .exact(.text), .stable)
        add(.concatenate, "||", taking: [.bytea, .bytea], giving: .bytea)
        let patterns: [(ScalarFunction, String, String)] = [
            (.like, "~~", "like"), (.notLike, "!~~", "not like"), (.ilike, "~~*", "ilike"),
            (.notIlike, "!~~*", "not ilike"),
        ]
        for (function, symbol, words) in patterns {
            add(function, symbol, words, taking: [.text, .text], giving: .boolean)
            // With the ESCAPE character.
            add(function, words, taking: [.text, .text, .text], giving: .boolean)
        }
        add(.length, "length", "char_length", "character_length", taking: [.text], giving: .integer)
        add(.octetLength, "length", "octet_length", taking: [.bytea], giving: .integer)
        add(.octetLength, "octet_length", taking: [.text], giving: .integer)
        add(.bitLength, "bit_length", taking: [.text], giving: .integer)
        add(.bitLength, "bit_length", taking: [.bytea], giving: .integer)
        add(.lower, "lower", taking: [.text], giving: .text)
        add(.upper, "upper", taking: [.text], giving: .text)
        add(.initcap, "initcap", taking: [.text], giving: .text)
        for type in [DataType.text, .bytea] {
            add(.substring, "substring", "substr", taking: [type, .integer], giving: type)
            add(.substring, "substring", "substr", taking: [type, .integer, .integer], giving: type)
            add(.trim, "btrim", taking: [type, type], giving: type)
            add(.trimLeft, "ltrim", taking: [type, type], giving: type)
            add(.trimRight, "rtrim", taking: [type, type], giving: type)
            add(.position, "position", taking: [type, type], giving: .integer)
            add(.overlay, "overlay", taking: [type, type, .integer], giving: type)
            add(.overlay, "overlay", taking: [type, type, .integer, .integer], giving: type)
        }
        add(.trim, "btrim", taking: [.text], giving: .text)
        add(.trimLeft, "ltrim", taking: [.text], giving: .text)
        add(.trimRight, "rtrim", taking: [.text], giving: .text)
        add(.position, "strpos", taking: [.text, .text], giving: .integer)
        add(.replace, "replace", taking: [.text, .text, .text], giving: .text)
        add(.left, "left", taking: [.text, .integer], giving: .text)
        add(.right, "right", taking: [.text, .integer], giving: .text)
        add(.padLeft, "lpad", taking: [.text, .integer], giving: .text)
        add(.padLeft, "lpad", taking: [.text, .integer, .text], giving: .text)
        add(.padRight, "rpad", taking: [.text, .integer], giving: .text)
        add(.padRight, "rpad", taking: [.text, .integer, .text], giving: .text)
        add(.splitPart, "split_part", taking: [.text, .text, .integer], giving: .text)
        add(.startsWith, "starts_with", "^@", taking: [.text, .text], giving: .boolean)
        add(.reverse, "reverse", taking: [.text], giving: .text)
        add(.repeat, "repeat", taking: [.text, .integer], giving: .text)
        add(.concat, ["concat"], [.any], .exact(.text), variadic: true, .stable)
        add(.concatWithSeparator, ["concat_ws"], [.exact(.text), .any], .exact(.text), variadic: true, .stable)
        add(.md5, "md5", taking: [.text], giving: .text)
        add(.md5, "md5", taking: [.bytea], giving: .text)
        add(.sha256, "sha256", taking: [.bytea], giving: .bytea)
        add(.ascii, "ascii", taking: [.text], giving: .integer)
        add(.chr, "chr", taking: [.integer], giving: .text)
        add(.translate, "translate", taking: [.text, .text, .text], giving: .text)
        add(.toHex, "to_hex", taking: [.integer], giving: .text)
        add(.toHex, "to_hex", taking: [.bigint], giving: .text)
        add(.quoteIdent, "quote_ident", taking: [.text], giving: .text)
        add(.parseIdent, "parse_ident", taking: [.text], giving: .array(.text))
        add(.parseIdent, "parse_ident", taking: [.text, .boolean], giving: .array(.text))
        add(.quoteLiteral, "quote_literal", taking: [.text], giving: .text)
        add(.encode, "encode", taking: [.bytea, .text], giving: .text)
        add(.decode, "decode", taking: [.text, .text], giving: .bytea)
        add(.getByte, "get_byte", taking: [.bytea, .integer], giving: .integer)
        add(.convertFrom, "convert_from", taking: [.bytea, .text], giving: .text)
        add(.convertTo, "convert_to", taking: [.text, .text], giving: .bytea)
    }

    fileprivate mutating func addTime() {
        add(.dateTrunc, "date_trunc", taking: [.text, .timestamp], giving: .timestamp)
        add(.dateTrunc, "date_trunc", taking: [.text, .timestamptz], giving: .timestamptz, .stable)
        add(.dateTrunc, "date_trunc", taking: [.text, .timestamptz, .text], giving: .timestamptz, .stable)
        add(.dateTrunc, "date_trunc", taking: [.text, .interval], giving: .interval)
        let parts: [(ScalarFunction, String, DataType)] = [
            (.datePart, "date_part", .double), (.extract, "extract", numeric),
        ]
        for (function, name, result) in parts {
            for type in [DataType.date, .time, .timestamp, .interval] {
                add(function, name, taking: [.text, type], giving: result)
            }
            add(function, name, taking: [.text, .timestamptz], giving: result, .stable)
        }
        add(.dateBin, "date_bin", taking: [.interval, .timestamp, .timestamp], giving: .timestamp)
        add(.dateBin, "date_bin", taking: [.interval, .timestamptz, .timestamptz], giving: .timestamptz)
        add(.age, "age", taking: [.timestamp, .timestamp], giving: .interval)
        add(.age, "age", taking: [.timestamptz, .timestamptz], giving: .interval, .stable)
        add(.toTimestamp, "to_timestamp", taking: [.double], giving: .timestamptz)
        add(.toTimestampFormat, "to_timestamp", taking: [.text, .text], giving: .timestamptz, .stable)
        add(.toDate, "to_date", taking: [.text, .text], giving: .date, .stable)
        for type in [DataType.timestamp, .timestamptz, .interval, numeric, .integer, .bigint, .real, .double] {
            add(.toChar, "to_char", taking: [type, .text], giving: .text, .stable)
        }
        add(.makeDate, "make_date", taking: [.integer, .integer, .integer], giving: .date)
        add(.makeTime, "make_time", taking: [.integer, .integer, .double], giving: .time)
        let parts6: [DataType] = [.integer, .integer, .integer, .integer, .integer, .double]
        add(.makeTimestamp, "make_timestamp", taking: parts6, giving: .timestamp)
        add(.makeTimestamptz, "make_timestamptz", taking: parts6, giving: .timestamptz, .stable)
        add(.makeTimestamptz, "make_timestamptz", taking: parts6 + [.text], giving: .timestamptz, .stable)
        // make_interval(years, months, weeks, days, hours, mins, secs): any number of leading arguments.
        let parts7: [DataType] = [.integer, .integer, .integer, .integer, .integer, .integer, .double]
        for count in 0...7 { add(.makeInterval, "make_interval", taking: Array(parts7[..<count]), giving: .interval) }
        for first in [DataType.text, .interval] {
            add(.timezone, "timezone", taking: [first, .timestamp], giving: .timestamptz)
            add(.timezone, "timezone", taking: [first, .timestamptz], giving: .timestamp)
        }
        add(.justifyDays, "justify_days", taking: [.interval], giving: .interval)
        add(.justifyHours, "justify_hours", taking: [.interval], giving: .interval)
        add(.justifyInterval, "justify_interval", taking: [.interval], giving: .interval)
        for type in [DataType.date, .timestamp, .timestamptz, .interval] {
            add(.isFinite, "isfinite", taking: [type], giving: .boolean)
        }
        for type in [DataType.timestamp, .timestamptz, .time] {
            add(.overlaps, "overlaps", taking: [type, type, type, type], giving: .boolean)
        }
        add(.overlaps, "overlaps", taking: [.timestamp, .interval, .timestamp, .interval], giving: .boolean)
        add(.overlaps, "overlaps", taking: [.timestamptz, .interval, .timestamptz, .interval], giving: .boolean, .stable)
    }

    fileprivate mutating func addJSON() {
        add(.jsonField, "->", taking: [.jsonb, .text], giving: .jsonb)
        add(.jsonField, "->", taking: [.jsonb, .integer], giving: .jsonb)
        add(.jsonFieldText, "->>", taking: [.jsonb, .text], giving: .text)
        add(.jsonFieldText, "->>", taking: [.jsonb, .integer], giving: .text)
        add(.jsonPath, "#>", taking: [.jsonb, .array(.text)], giving: .jsonb)
        add(.jsonPathText, "#>>", taking: [.jsonb, .array(.text)], giving: .text)
        add(
            .jsonExtractPath, ["jsonb_extract_path", "json_extract_path"], [.exact(.jsonb), .exact(.text)], .exact(.jsonb),
            variadic: true)
        add(
            .jsonExtractPathText, ["jsonb_extract_path_text", "json_extract_path_text"], [.exact(.jsonb), .exact(.text)],
            .exact(.text), variadic: true)
        add(.jsonTypeof, "jsonb_typeof", "json_typeof", taking: [.jsonb], giving: .text)
        add(.jsonArrayLength, "jsonb_array_length", "json_array_length", taking: [.jsonb], giving: .integer)
        add(.jsonContains, "@>", taking: [.jsonb, .jsonb], giving: .boolean)
        add(.jsonContainedIn, "<@", taking: [.jsonb, .jsonb], giving: .boolean)
        add(.jsonExists, "?", taking: [.jsonb, .text], giving: .boolean)
        add(.jsonConcatenate, "||", taking: [.jsonb, .jsonb], giving: .jsonb)
        add(.jsonDelete, "-", taking: [.jsonb, .text], giving: .jsonb)
        add(.jsonDelete, "-", taking: [.jsonb, .integer], giving: .jsonb)
        add(.toJsonb, ["to_jsonb", "to_json"], [.any], .exact(.jsonb), .stable)
        let builders: [(ScalarFunction, [String])] = [
            (.jsonBuildObject, ["jsonb_build_object", "json_build_object"]),
            (.jsonBuildArray, ["jsonb_build_array", "json_build_array"]),
        ]
        for (function, names) in builders {
            add(function, names, [], .exact(.jsonb), .stable)
            add(function, names, [.any], .exact(.jsonb), variadic: true, .stable)
        }
        add(.jsonStripNulls, "jsonb_strip_nulls", "json_strip_nulls", taking: [.jsonb], giving: .jsonb)
        add(.jsonPretty, "jsonb_pretty", taking: [.jsonb], giving: .text)
    }
}
