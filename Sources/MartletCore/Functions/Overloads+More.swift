extension OverloadTable.Builder {
    mutating func addDocumentChanges() {
        let keys = DataType.array(.text)
        add(.jsonExistsAny, "?|", "jsonb_exists_any", taking: [.jsonb, keys], giving: .boolean)
        add(.jsonExistsAll, "?&", "jsonb_exists_all", taking: [.jsonb, keys], giving: .boolean)
        add(.jsonDeletePath, "#-", "jsonb_delete_path", taking: [.jsonb, keys], giving: .jsonb)
        add(.jsonDeleteKeys, "-", taking: [.jsonb, keys], giving: .jsonb)
        add(.jsonSet, "jsonb_set", taking: [.jsonb, keys, .jsonb], giving: .jsonb)
        add(.jsonSet, "jsonb_set", taking: [.jsonb, keys, .jsonb, .boolean], giving: .jsonb)
        add(.jsonSetLax, "jsonb_set_lax", taking: [.jsonb, keys, .jsonb], giving: .jsonb)
        add(.jsonSetLax, "jsonb_set_lax", taking: [.jsonb, keys, .jsonb, .boolean], giving: .jsonb)
        add(.jsonSetLax, "jsonb_set_lax", taking: [.jsonb, keys, .jsonb, .boolean, .text], giving: .jsonb)
        add(.jsonInsert, "jsonb_insert", taking: [.jsonb, keys, .jsonb], giving: .jsonb)
        add(.jsonInsert, "jsonb_insert", taking: [.jsonb, keys, .jsonb, .boolean], giving: .jsonb)
        add(.jsonObject, "jsonb_object", "json_object", taking: [keys], giving: .jsonb)
        add(.jsonObject, "jsonb_object", "json_object", taking: [keys, keys], giving: .jsonb)
        let paths: [(ScalarFunction, String, DataType)] = [
            (.jsonPathExists, "jsonb_path_exists", .boolean), (.jsonPathMatch, "jsonb_path_match", .boolean),
            (.jsonPathQueryFirst, "jsonb_path_query_first", .jsonb), (.jsonPathQueryArray, "jsonb_path_query_array", .jsonb),
        ]
        for (function, name, result) in paths {
            add(function, name, taking: [.jsonb, .text], giving: result)
            add(function, name, taking: [.jsonb, .text, .jsonb], giving: result)
            add(function, name, taking: [.jsonb, .text, .jsonb, .boolean], giving: result)
        }
        add(.jsonPathExistsSilently, "@?", taking: [.jsonb, .text], giving: .boolean)
        add(.jsonPathMatchSilently, "@@", taking: [.jsonb, .text], giving: .boolean)
        add(.toJsonb, ["row_to_json"], [.record], .exact(.jsonb), .stable)
        add(.toJsonb, ["array_to_json"], [.commonArray], .exact(.jsonb), .stable)
    }

    /// What operators do, by the names that their functions have.
    mutating func addDocumentNames() {
        for prefix in ["jsonb", "json"] {
            add(.jsonField, prefix + "_object_field", taking: [.jsonb, .text], giving: .jsonb)
            add(.jsonField, prefix + "_array_element", taking: [.jsonb, .integer], giving: .jsonb)
            add(.jsonFieldText, prefix + "_object_field_text", taking: [.jsonb, .text], giving: .text)
            add(.jsonFieldText, prefix + "_array_element_text", taking: [.jsonb, .integer], giving: .text)
        }
        add(.jsonContains, "jsonb_contains", taking: [.jsonb, .jsonb], giving: .boolean)
        add(.jsonContainedIn, "jsonb_contained", taking: [.jsonb, .jsonb], giving: .boolean)
        add(.jsonConcatenate, "jsonb_concat", taking: [.jsonb, .jsonb], giving: .jsonb)
        add(.jsonExists, "jsonb_exists", taking: [.jsonb, .text], giving: .boolean)
        add(.jsonDelete, "jsonb_delete", taking: [.jsonb, .text], giving: .jsonb)
        add(.jsonDelete, "jsonb_delete", taking: [.jsonb, .integer], giving: .jsonb)
        add(.jsonDeleteKeys, "jsonb_delete", taking: [.jsonb, .array(.text)], giving: .jsonb)
        add(.isJSON, "is json", taking: [.text, .text], giving: .boolean)
        add(.isJSON, "is json", taking: [.jsonb, .text], giving: .boolean)
    }

    mutating func addRegularExpressions() {
        let tests: [(ScalarFunction, String)] = [
            (.matches, "~"), (.matchesAnyCase, "~*"), (.notMatches, "!~"), (.notMatchesAnyCase, "!~*"),
        ]
        for (function, symbol) in tests { add(function, symbol, taking: [.text, .text], giving: .boolean) }
        for (function, words) in [(ScalarFunction.similar, "similar to"), (.notSimilar, "not similar to")] {
            add(function, words, taking: [.text, .text], giving: .boolean)
            add(function, words, taking: [.text, .text, .text], giving: .boolean)
        }
        add(.substringPattern, "substring", taking: [.text, .text], giving: .text)
        let three: [DataType] = [.text, .text, .text]
        add(.regexpReplace, "regexp_replace", taking: three, giving: .text)
        add(.regexpReplace, "regexp_replace", taking: three + [.text], giving: .text)
        add(.regexpReplace, "regexp_replace", taking: three + [.integer], giving: .text)
        add(.regexpReplace, "regexp_replace", taking: three + [.integer, .integer], giving: .text)
        add(.regexpReplace, "regexp_replace", taking: three + [.integer, .integer, .text], giving: .text)
        let flagged: [(ScalarFunction, String, DataType)] = [
            (.regexpMatch, "regexp_match", .array(.text)), (.regexpLike, "regexp_like", .boolean),
            (.regexpSplitToArray, "regexp_split_to_array", .array(.text)),
        ]
        for (function, name, result) in flagged {
            add(function, name, taking: [.text, .text], giving: result)
            add(function, name, taking: three, giving: result)
        }
        add(.regexpCount, "regexp_count", taking: [.text, .text], giving: .integer)
        add(.regexpCount, "regexp_count", taking: [.text, .text, .integer], giving: .integer)
        add(.regexpCount, "regexp_count", taking: [.text, .text, .integer, .text], giving: .integer)
        let positions: [DataType] = [.text, .text, .integer, .integer]
        for count in 2...4 {
            add(.regexpInstr, "regexp_instr", taking: Array(positions[..<count]), giving: .integer)
            add(.regexpSubstring, "regexp_substr", taking: Array(positions[..<count]), giving: .text)
        }
        add(.regexpInstr, "regexp_instr", taking: positions + [.integer], giving: .integer)
        add(.regexpInstr, "regexp_instr", taking: positions + [.integer, .text], giving: .integer)
        add(.regexpInstr, "regexp_instr", taking: positions + [.integer, .text, .integer], giving: .integer)
        add(.regexpSubstring, "regexp_substr", taking: positions + [.text], giving: .text)
        add(.regexpSubstring, "regexp_substr", taking: positions + [.text, .integer], giving: .text)
    }

    mutating func addEveryday() {
        add(.format, ["format"], [.exact(.text)], .exact(.text), .stable)
        add(.format, ["format"], [.exact(.text), .any], .exact(.text), variadic: true, .stable)
        add(.numNulls, ["num_nulls"], [.any], .exact(.integer), variadic: true)
        add(.numNonNulls, ["num_nonnulls"], [.any], .exact(.integer), variadic: true)
        add(.quoteNullable, ["quote_nullable"], [.any], .exact(.text), .stable)
        add(.quoteAnyLiteral, ["quote_literal"], [.any], .exact(.text), .stable)
        add(.typeOf, ["pg_typeof"], [.any], .exact(.text))
        add(.toNumber, "to_number", taking: [.text, .text], giving: .plainNumeric)
        add(.widthBucketArray, ["width_bucket"], [.common, .commonArray], .exact(.integer))
        let digests: [(ScalarFunction, String)] = [(.sha1, "sha1"), (.sha224, "sha224"), (.sha384, "sha384"), (.sha512, "sha512")]
        for (function, name) in digests { add(function, name, taking: [.bytea], giving: .bytea) }
        add(.sizePretty, "pg_size_pretty", taking: [.bigint], giving: .text)
        add(.sizePretty, "pg_size_pretty", taking: [.plainNumeric], giving: .text)
        add(.crc32, "crc32", taking: [.bytea], giving: .bigint)
        add(.crc32c, "crc32c", taking: [.bytea], giving: .bigint)
        add(.setByte, "set_byte", taking: [.bytea, .integer, .integer], giving: .bytea)
        add(.getBit, "get_bit", taking: [.bytea, .bigint], giving: .integer)
        add(.setBit, "set_bit", taking: [.bytea, .bigint, .integer], giving: .bytea)
        add(.bitCount, "bit_count", taking: [.bytea], giving: .bigint)
        let singles: [(ScalarFunction, String)] = [
            (.sind, "sind"), (.cosd, "cosd"), (.tand, "tand"), (.cotd, "cotd"), (.asind, "asind"), (.acosd, "acosd"),
            (.atand, "atand"), (.asinh, "asinh"), (.acosh, "acosh"), (.atanh, "atanh"),
        ]
        for (function, name) in singles { add(function, name, taking: [.double], giving: .double) }
        add(.atan2d, "atan2d", taking: [.double, .double], giving: .double)
    }
}
