import Foundation

import MartletCore

/// One expression with PostgreSQL's answer; the format is described in tools/postgres-cases.py.
struct PostgresCase: Hashable {
    enum Kind: String { case function = "fn", infix = "op", postfix = "post", cast }

    struct Argument: Hashable {
        var type: DataType
        /// Nil is NULL.
        var text: String?
    }

    var kind: Kind
    var name: String
    var answer: String
    var arguments: [Argument]
    var zone: String
    /// Kind, name and arguments: what the list of differences names a case by.
    var key: String

    init?(line: Substring, zone: String) {
        let columns = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
        guard columns.count >= 3, let kind = Kind(rawValue: columns[0]) else { return nil }
        self.kind = kind
        name = columns[1]
        answer = columns[2]
        self.zone = zone
        key = ([zone] + columns[..<2] + columns[3...]).joined(separator: "\t")
        arguments = []
        for column in columns[3...] {
            guard let colon = column.firstIndex(of: ":"), let type = DataType(sqlName: String(column[..<colon])) else { return nil }
            let text = String(column[column.index(after: colon)...])
            arguments.append(Argument(type: type, text: text == "\\N" ? nil : PostgresCase.unescaped(text)))
        }
    }

    static func unescaped(_ text: String) -> String {
        var output: [UInt8] = []
        var isEscaped = false
        for byte in text.utf8 {
            if isEscaped {
                output.append(byte == UInt8(ascii: "t") ? 0x09 : byte == UInt8(ascii: "n") ? 0x0A : byte)
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else {
                output.append(byte)
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\t", with: "\\t").replacing("\n", with: "\\n")
    }

    static func read(_ text: String) -> [PostgresCase] {
        var zone = "UTC"
        var cases: [PostgresCase] = []
        for line in text.split(separator: "\n") {
            if line.hasPrefix("# zone ") { zone = String(line.dropFirst(7)) } else if let one = PostgresCase(line: line, zone: zone) { cases.append(one) }
        }
        return cases
    }

    // MARK: - Our answer

    /// In the form of `answer`.
    func evaluate(in context: EvaluationContext) -> String {
        do throws(SQLError) {
            let (value, type) = try result(context)
            let text = value.isNull ? "\\N" : PostgresCase.escaped(value.text(in: context.zone))
            return "\(type.withoutModifiers.sqlName)|\(text)"
        } catch {
            return "!\(error.state.code) \(PostgresCase.escaped(error.message))"
        }
    }

    private func result(_ context: EvaluationContext) throws(SQLError) -> (Value, DataType) {
        var values: [Value] = []
        for argument in arguments {
            guard let text = argument.text else {
                values.append(.null)
                continue
            }
            values.append(
                argument.type == .unknown
                    ? .text(text) : try Value.text(text).cast(to: argument.type, explicit: true, context: context))
        }
        if kind == .cast {
            guard let target = DataType(sqlName: name) else { throw SQLError(.undefinedObject, "type \"\(name)\" does not exist") }
            guard Cast.isAllowed(from: arguments[0].type, to: target, context: .explicit) else {
                throw SQLError(
                    .cannotCoerce, "cannot cast type \(arguments[0].type.sqlName) to \(target.withoutModifiers.sqlName)")
            }
            return (try values[0].cast(to: target, explicit: true, context: context), target)
        }
        let call = try ScalarFunction.resolve(named: name, arguments: arguments.map(\.type), isOperator: kind == .infix)
        var operands: [Value] = []
        for (value, type) in zip(values, call.arguments) {
            operands.append(try value.cast(to: type, explicit: false, context: context))
        }
        return (try call.function.evaluate(operands, result: call.result, context: context), call.result)
    }
}

/// Contexts by zone, the zones read from the system's database.
enum PostgresContexts {
    static func context(zone name: String) -> EvaluationContext? {
        let zones: @Sendable (String) -> MartletCore.TimeZone? = { name in
            guard !name.contains(".."), let data = FileManager.default.contents(atPath: "/usr/share/zoneinfo/" + name) else { return nil }
            return MartletCore.TimeZone(name: name, tzif: Array(data))
        }
        var context = EvaluationContext(zones: zones)
        guard let zone = context.zone(named: name) else { return nil }
        context.zone = zone
        return context
    }
}
