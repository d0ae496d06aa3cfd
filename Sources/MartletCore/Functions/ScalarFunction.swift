/// The identity of every scalar operation of SQL: functions and operators alike.
///
/// One truth: `evaluate` here defines the result of each. The binder folds constants with it; the column kernels fall
/// back to it and are tested against it. A case names the operation, not the types: `add` adds integers, decimals, an
/// interval to a timestamp; which combinations exist is said by `overloads(named:)`.
///
/// Not here because they are no functions of their arguments: CASE, casts, `now()` and the other clocks, aggregates.
package enum ScalarFunction: String, CaseIterable, Sendable {
    // Arithmetic.
    case add, subtract, multiply, divide, modulo, negate, identity
    case bitAnd, bitOr, bitXor, bitNot, shiftLeft, shiftRight

    // Comparison. Total orders as PostgreSQL has them: NaN equals itself and is above everything.
    case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual
    case isDistinctFrom, isNotDistinctFrom

    // Logic with NULL as unknown; `and`, `or` and `coalesce` are lazy, see `isLazy`.
    case and, or, not
    case isNull, isNotNull, isTrue, isNotTrue, isFalse, isNotFalse
    case coalesce, nullif, greatest, least

    // Mathematics.
    case abs, ceil, floor, round, trunc, sign, div, gcd, lcm
    case power, sqrt, cbrt, exp, ln, log, log10
    case pi, degrees, radians, sin, cos, tan, cot, asin, acos, atan, atan2, sinh, cosh, tanh
    case numericScale, minScale, trimScale, widthBucket, factorial

    // Text.
    case concatenate, like, notLike, ilike, notIlike
    case length, octetLength, bitLength
    case lower, upper, initcap
    case substring, trim, trimLeft, trimRight, replace, position
    case left, right, padLeft, padRight, splitPart, startsWith, reverse, `repeat`
    case concat, concatWithSeparator
    case md5, sha256, ascii, chr, translate, overlay, toHex, quoteIdent, quoteLiteral, parseIdent
    case encode, decode, getByte, convertFrom, convertTo

    // Date and time.
    case dateTrunc, datePart, extract, dateBin, age
    case toTimestamp, toTimestampFormat, toDate, toChar
    case makeDate, makeTime, makeTimestamp, makeTimestamptz, makeInterval
    case timezone, justifyDays, justifyHours, justifyInterval, isFinite, overlaps

    // JSON.
    case jsonField, jsonFieldText, jsonPath, jsonPathText, jsonExtractPath, jsonExtractPathText
    case jsonTypeof, jsonArrayLength, jsonContains, jsonContainedIn, jsonExists
    case jsonConcatenate, jsonDelete, toJsonb
    case jsonBuildObject, jsonBuildArray, jsonStripNulls, jsonPretty

    case jsonExistsAny, jsonExistsAll, jsonDeletePath, jsonDeleteKeys, jsonSet, jsonInsert, jsonObject, jsonSetLax
    case jsonPathExists, jsonPathMatch, jsonPathQueryFirst, jsonPathQueryArray, jsonPathExistsSilently, jsonPathMatchSilently
    /// Whether a text is a document of some kind; documents as composite values.
    case isJSON, jsonRecord, jsonRecords

    // Regular expressions.
    case matches, matchesAnyCase, notMatches, notMatchesAnyCase, similar, notSimilar, substringPattern
    case regexpReplace, regexpMatch, regexpLike, regexpCount, regexpInstr, regexpSubstring, regexpSplitToArray, regexpMatches

    // What takes any type, and what few use.
    case format, numNulls, numNonNulls, quoteNullable, quoteAnyLiteral, typeOf, toNumber, widthBucketArray
    case sha1, sha224, sha384, sha512, crc32, crc32c, setByte, getBit, setBit, bitCount, sizePretty
    case sind, cosd, tand, cotd, asind, acosd, atand, atan2d, asinh, acosh, atanh

    // Arrays and composite values.
    case makeRow, field, makeArray, arrayGet, arraySlice
    case arrayConcatenate, arrayAppend, arrayPrepend, arrayContains, arrayContainedIn, arrayOverlaps
    case arrayLength, arrayDimensionCount, arrayDimensions, arrayLower, arrayUpper, cardinality
    case arrayRemove, arrayReplace, arrayPosition, arrayPositions, arrayToString, stringToArray, arrayFill, trimArray
    case arraySort, arrayMin, arrayMax, arraySum, arrayDistinct, arrayReverse, arrayFlatten
    /// `operand operator ANY (array)`: the operator's spelling, the operand, the array.
    case quantifiedAny, quantifiedAll

    // Sets of rows, as arrays.
    case generateSeries, generateSubscripts, jsonElements, jsonElementsText, jsonObjectKeys, jsonObjectValues, jsonObjectValuesText
    /// Whether there is a row of so many; 21000 for more than one.
    case oneRow
    /// Asks `EvaluationContext.catalog`; the first argument names the function.
    case catalog
    /// The same, but anew for each row: its answers differ from call to call (`random()`), or it does something (`nextval`).
    /// Never folded and never copied.
    case volatile

    /// True where later arguments must not be evaluated once an earlier one decides (a division by zero behind
    /// `false AND …` is no error). `evaluate` gets them all evaluated and gives the right answer all the same.
    package var isLazy: Bool {
        switch self {
        case .and, .or, .coalesce: true
        default: false
        }
    }

    /// The value of the function for `arguments`, whose types are exactly those of the resolved call; `result` is the
    /// call's result type. Strict functions answer NULL for a NULL argument. Throws what PostgreSQL reports.
    package func evaluate(
        _ arguments: [Value], result: DataType, context: EvaluationContext
    ) throws(SQLError) -> Value {
        if isStrict {
            for argument in arguments where argument.isNull { return .null }
        }
        switch self {
        case .add, .subtract, .multiply, .divide, .modulo, .negate, .identity,
            .bitAnd, .bitOr, .bitXor, .bitNot, .shiftLeft, .shiftRight:
            return try Arithmetic.evaluate(self, arguments, context)
        case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual, .isDistinctFrom, .isNotDistinctFrom,
            .and, .or, .not, .isNull, .isNotNull, .isTrue, .isNotTrue, .isFalse, .isNotFalse,
            .coalesce, .nullif, .greatest, .least:
            return try Logic.evaluate(self, arguments)
        case .abs, .ceil, .floor, .round, .trunc, .sign, .div, .gcd, .lcm, .power, .sqrt, .cbrt, .exp, .ln, .log,
            .log10, .pi, .degrees, .radians, .sin, .cos, .tan, .cot, .asin, .acos, .atan, .atan2, .sinh, .cosh, .tanh,
            .numericScale, .minScale, .trimScale, .widthBucket, .factorial:
            return try Mathematics.evaluate(self, arguments)
        case .concatenate, .like, .notLike, .ilike, .notIlike, .length, .octetLength, .bitLength, .lower, .upper,
            .initcap, .substring, .trim, .trimLeft, .trimRight, .replace, .position, .left, .right, .padLeft, .padRight,
            .splitPart, .startsWith, .reverse, .repeat, .concat, .concatWithSeparator, .md5, .sha256, .ascii, .chr,
            .translate, .overlay, .toHex, .quoteIdent, .quoteLiteral, .parseIdent, .encode, .decode, .getByte, .convertFrom,
            .convertTo:
            return try Strings.evaluate(self, arguments, context)
        case .dateTrunc, .datePart, .extract, .dateBin, .age, .toTimestamp, .toTimestampFormat, .toDate, .toChar,
            .makeDate, .makeTime, .makeTimestamp, .makeTimestamptz, .makeInterval, .timezone, .justifyDays,
            .justifyHours, .justifyInterval, .isFinite, .overlaps:
            return try DatesAndTimes.evaluate(self, arguments, context)
        case .jsonField, .jsonFieldText, .jsonPath, .jsonPathText, .jsonExtractPath, .jsonExtractPathText, .jsonTypeof,
            .jsonArrayLength, .jsonContains, .jsonContainedIn, .jsonExists, .jsonConcatenate, .jsonDelete, .toJsonb, .jsonBuildObject, .jsonBuildArray,
            .jsonStripNulls, .jsonPretty:
            return try Documents.evaluate(self, arguments, context)
        case .jsonExistsAny, .jsonExistsAll, .jsonDeletePath, .jsonDeleteKeys, .jsonSet, .jsonInsert, .jsonObject, .jsonSetLax,
            .jsonPathExists, .jsonPathMatch, .jsonPathQueryFirst, .jsonPathQueryArray, .jsonPathExistsSilently,
            .jsonPathMatchSilently:
            return try DocumentChanges.evaluate(self, arguments)
        case .isJSON, .jsonRecord, .jsonRecords: return try Records.evaluate(self, arguments, result, context)
        case .matches, .matchesAnyCase, .notMatches, .notMatchesAnyCase, .similar, .notSimilar, .substringPattern,
            .regexpReplace, .regexpMatch, .regexpLike, .regexpCount, .regexpInstr, .regexpSubstring, .regexpSplitToArray,
            .regexpMatches:
            return try RegexFunctions.evaluate(self, arguments, context)
        case .format, .numNulls, .numNonNulls, .quoteNullable, .quoteAnyLiteral, .typeOf, .toNumber, .widthBucketArray, .sizePretty, .sha1,
            .sha224, .sha384, .sha512, .crc32, .crc32c, .setByte, .getBit, .setBit, .bitCount, .sind, .cosd, .tand, .cotd, .asind, .acosd, .atand, .atan2d, .asinh, .acosh,
            .atanh:
            return try Everyday.evaluate(self, arguments, context)
        case .makeRow, .field, .makeArray, .arrayGet, .arraySlice, .arrayConcatenate, .arrayAppend, .arrayPrepend,
            .arrayContains, .arrayContainedIn, .arrayOverlaps, .arrayLength, .arrayDimensionCount, .arrayDimensions,
            .arrayLower, .arrayUpper, .cardinality, .arrayRemove, .arrayReplace, .arrayPosition, .arrayPositions,
            .arrayToString, .stringToArray, .arrayFill, .trimArray, .quantifiedAny, .quantifiedAll:
            return try ArrayFunctions.evaluate(self, arguments, result, context)
        case .arraySort, .arrayMin, .arrayMax, .arraySum, .arrayDistinct, .arrayReverse, .arrayFlatten:
            return try ArrayFunctions.summarise(self, arguments, result, context)
        case .generateSeries, .generateSubscripts, .jsonElements, .jsonElementsText, .jsonObjectKeys, .jsonObjectValues,
            .jsonObjectValuesText, .oneRow:
            return try SetFunctions.evaluate(self, arguments, result, context)
        case .catalog: return try CatalogCalls.evaluate(arguments, context)
        case .volatile: return try CatalogCalls.evaluateVolatile(arguments, context)
        }
    }

    /// NULL in, NULL out. The same for all overloads of a function.
    package var isStrict: Bool {
        switch self {
        case .and, .or, .isNull, .isNotNull, .isTrue, .isNotTrue, .isFalse, .isNotFalse, .isDistinctFrom,
            .isNotDistinctFrom, .coalesce, .nullif, .greatest, .least, .concat, .concatWithSeparator, .quoteLiteral,
            .overlaps, .jsonBuildObject, .jsonBuildArray, .makeRow, .makeArray, .arrayConcatenate, .arrayAppend, .arrayPrepend,
            .arrayRemove, .arrayReplace, .arrayPosition, .arrayPositions, .arrayToString, .stringToArray, .arrayFill,
            .quantifiedAny, .quantifiedAll, .catalog, .volatile, .format, .numNulls, .numNonNulls, .quoteNullable, .typeOf, .jsonSetLax,
            .jsonRecord, .jsonRecords:
            self == .quoteLiteral
        default: true
        }
    }
}
