extension OverloadTable.Builder {
    mutating func addArrays() {
        add(.arrayConcatenate, ["||", "array_cat", "array_concat"], [.commonArray, .commonArray], .commonArray)
        add(.arrayAppend, ["||", "array_append"], [.commonArray, .common], .commonArray)
        add(.arrayPrepend, ["||", "array_prepend"], [.common, .commonArray], .commonArray)
        add(.arrayContains, ["@>"], [.commonArray, .commonArray], .exact(.boolean))
        add(.arrayContains, ["array_contains"], [.commonArray, .commonArray], .exact(.boolean))
        add(.arrayContainedIn, ["<@", "array_contained"], [.commonArray, .commonArray], .exact(.boolean))
        add(.arrayOverlaps, ["&&"], [.commonArray, .commonArray], .exact(.boolean))
        add(.arrayLength, ["array_length"], [.commonArray, .exact(.integer)], .exact(.integer))
        add(.cardinality, ["array_length"], [.commonArray], .exact(.integer))
        add(.arrayLower, ["array_lower"], [.commonArray, .exact(.integer)], .exact(.integer))
        add(.arrayUpper, ["array_upper"], [.commonArray, .exact(.integer)], .exact(.integer))
        add(.arrayDimensionCount, ["array_ndims"], [.commonArray], .exact(.integer))
        add(.arrayDimensions, ["array_dims"], [.commonArray], .exact(.text))
        add(.cardinality, ["cardinality"], [.commonArray], .exact(.integer))
        add(.arrayRemove, ["array_remove"], [.commonArray, .common], .commonArray)
        add(.arrayReplace, ["array_replace"], [.commonArray, .common, .common], .commonArray)
        add(.arrayPosition, ["array_position"], [.commonArray, .common], .exact(.integer))
        add(.arrayPosition, ["array_position"], [.commonArray, .common, .exact(.integer)], .exact(.integer))
        add(.arrayPositions, ["array_positions"], [.commonArray, .common], .exact(.array(.integer)))
        add(.arrayToString, ["array_to_string", "array_join"], [.commonArray, .exact(.text)], .exact(.text), .stable)
        add(.arrayToString, ["array_to_string", "array_join"], [.commonArray, .exact(.text), .exact(.text)], .exact(.text), .stable)
        add(.stringToArray, "string_to_array", taking: [.text, .text], giving: .array(.text))
        add(.stringToArray, "string_to_array", taking: [.text, .text, .text], giving: .array(.text))
        add(.arrayFill, ["array_fill"], [.common, .exact(.array(.integer))], .commonArray)
        add(.arrayFill, ["array_fill"], [.common, .exact(.array(.integer)), .exact(.array(.integer))], .commonArray)
        add(.arraySort, ["array_sort"], [.commonArray], .commonArray)
        add(.arrayDistinct, ["array_distinct"], [.commonArray], .commonArray)
        add(.arrayReverse, ["array_reverse"], [.commonArray], .commonArray)
        add(.arrayFlatten, ["array_flatten"], [.commonArray], .commonArray)
        add(.arrayMin, ["array_min"], [.commonArray], .common)
        add(.arrayMax, ["array_max"], [.commonArray], .common)
        let sums: [(DataType, DataType)] = [
            (.smallint, .bigint), (.integer, .bigint), (.bigint, .plainNumeric), (.plainNumeric, .plainNumeric), (.real, .real),
            (.double, .double), (.interval, .interval),
        ]
        for (element, sum) in sums { add(.arraySum, "array_sum", taking: [.array(element)], giving: sum) }
        add(.trimArray, ["trim_array"], [.commonArray, .exact(.integer)], .commonArray)
    }
}
