import Testing

import MartletCore

@Suite("Values at their edges")
struct ValueTests {
    /// Whatever a stream carries, a function answers or throws: a trap would be a way to stop the process. The answer
    /// has the type its signature says.
    @Test("no function traps, each answers in its type", arguments: [1, 2, 3])
    func everySignature(seed: UInt64) throws {
        var values = RandomValues(seed: seed)
        let contexts = ["UTC", "Europe/Berlin"].compactMap { PostgresContexts.context(zone: $0) }
        var answered = 0
        for _ in 0..<10 {
            for name in ScalarFunction.names {
                for signature in ScalarFunction.overloads(named: name) {
                    answered += try evaluate(signature, &values, contexts) ? 1 : 0
                }
            }
        }
        #expect(answered > 3000)
    }

    private func evaluate(
        _ signature: Signature, _ values: inout RandomValues, _ contexts: [EvaluationContext]
    ) throws -> Bool {
        var parameters = signature.parameters
        if signature.isVariadic, let last = parameters.last { parameters += Array(repeating: last, count: Int(values.below(3))) }
        let common = values.pick(DataType.all)
        var arguments = parameters.map { parameter in
            switch parameter {
            case .exact(let type): values.value(type)
            case .any: values.value(values.pick(DataType.all))
            case .common: values.value(common)
            case .commonArray: values.value(.array(common))
            case .nonArray: values.value(values.pick(DataType.all))
            case .record: values.value(.record([.integer, .text, .plainNumeric]))
            }
        }
        // Lengths up to the limit are allowed; the test need not build them.
        if ["repeat", "lpad", "rpad"].contains(signature.name), case .integer(let count) = arguments[1] {
            arguments[1] = .integer(count % 1000)
        }
        let result: DataType =
            switch signature.result {
            case .exact(let type): type
            case .common: common
            case .commonArray: .array(common)
            }
        let context = values.pick(contexts)
        guard let value = try? signature.function.evaluate(arguments, result: result, context: context) else { return false }
        #expect(value.isNull || value.type == result, "\(signature.name) \(arguments)")
        if signature.isStrict, arguments.contains(where: \.isNull) { #expect(value.isNull, "\(signature.name)") }
        return !value.text(in: context.zone).isEmpty
    }

    static let nested: [DataType] = DataType.all.map { .array($0) } + [
        .record([.text, .integer, .interval]), .array(.record([.array(.text), .timestamptz])), .record([.array(.plainNumeric), .record([.double])]),
    ]

    @Test("every value has the same bytes again", arguments: DataType.all + nested)
    func bytes(type: DataType) {
        var values = RandomValues(seed: 8)
        for _ in 0..<300 {
            let value = values.value(type)
            if value.isNull { continue }
            let bytes = ValueCodec.encode(value)
            let again = ValueCodec.decode(bytes, as: type)
            #expect(again == value && again?.text == value.text)
            #expect(ValueCodec.decode(Array(bytes.dropLast()), as: type) == nil, "a value cut off")
            let canonical = ValueCodec.canonical(value)
            #expect(ValueCodec.encode(canonical) == ValueCodec.encode(ValueCodec.canonical(canonical)))
        }
    }

    @Test("every value reads back from its text", arguments: DataType.all + nested)
    func roundTrip(type: DataType) throws {
        var values = RandomValues(seed: 7)
        for _ in 0..<300 {
            let value = values.value(type)
            // Neither text nor jsonb of a user holds a NUL.
            if value.isNull || value.text.utf8.contains(0) || value.text.contains("\\u0000") { continue }
            let again = try Value.text(value.text).cast(to: type)
            #expect(again == value, "\(value)")
            #expect(Set([again]).contains(value), "equal values hash alike")
            #expect(Value.compare(again, value) == 0)
        }
    }

    @Test("damaged texts are refused, never trapped on", arguments: DataType.all)
    func damaged(type: DataType) {
        var values = RandomValues(seed: 11)
        for _ in 0..<2000 {
            let text = values.text()
            guard let value = try? Value.text(text).cast(to: type), !value.isNull else { continue }
            #expect((try? Value.text(value.text).cast(to: type)) == value, "\(text)")
        }
    }

    @Test("every pair of types either casts or says that it does not")
    func casts() {
        var values = RandomValues(seed: 13)
        for source in DataType.all {
            for target in DataType.all where !Cast.isAllowed(from: source, to: target, context: .explicit) {
                var value = values.value(source)
                while value.isNull { value = values.value(source) }
                do throws(SQLError) {
                    _ = try value.cast(to: target)
                    Issue.record("\(source) to \(target) is not allowed but works")
                } catch {
                    #expect(error.state == .cannotCoerce)
                }
            }
        }
    }

    @Test("nesting beyond the limit is an error, not a stack overflow")
    func depth() throws {
        let deepest = String(repeating: "[", count: JSONNode.depthMax) + String(repeating: "]", count: JSONNode.depthMax)
        #expect(try JSONDocument.canonical(deepest) == deepest)
        #expect(throws: SQLError.self) { try JSONDocument.canonical("[" + deepest + "]") }
        #expect(throws: SQLError.self) { try JSONDocument.canonical(String(repeating: "[", count: 1_000_000)) }
        #expect(throws: SQLError.self) { try JSONDocument.canonical(String(repeating: "{\"a\":", count: 1_000_000)) }
    }

    @Test("names of types", arguments: DataType.all)
    func names(type: DataType) { #expect(DataType(sqlName: type.sqlName) == type) }

    @Test("aliases of types")
    func aliases() {
        #expect(DataType(sqlName: "INT8") == .bigint)
        #expect(DataType(sqlName: "Character  Varying", modifiers: [20]) == .text)
        #expect(DataType(sqlName: "decimal(10, 2)") == .numeric(precision: 10, scale: 2))
        #expect(DataType(sqlName: "timestamp(3) with time zone") == .timestamptz)
        #expect(DataType(sqlName: "float(24)") == .real)
        #expect(DataType(sqlName: "numeric(0)") == nil)
        #expect(DataType(sqlName: "numeric(5,6)") == nil)
        #expect(DataType(sqlName: "nosuch") == nil)
        #expect(DataType.numeric(precision: 5, scale: nil).sqlName == "numeric(5,0)")
    }

    @Test("the common type of branches")
    func common() {
        #expect(DataType.common([.integer, .unknown, .bigint]) == .bigint)
        #expect(DataType.common([.unknown, .unknown]) == .text)
        #expect(DataType.common([.date, .timestamptz, .timestamp]) == .timestamptz)
        #expect(DataType.common([.integer, .text]) == nil)
        #expect(DataType.common([.plainNumeric, .real]) == .real)
    }
}
