package import MartletCore

/// PostgreSQL's object identifiers of types (pg_type.dat), as clients know them by heart.
package enum TypeIdentifier {
    package static let unknown: UInt32 = 705
    package static let record: UInt32 = 2249
    package static let recordArray: UInt32 = 2287

    /// What RowDescription and ParameterDescription say. A type that is still `unknown` is shown as text, as PostgreSQL
    /// resolves it.
    package static func of(_ type: DataType) -> UInt32 {
        switch type {
        case .boolean: 16
        case .bytea: 17
        case .bigint: 20
        case .smallint: 21
        case .integer: 23
        case .text, .unknown: 25
        case .real: 700
        case .double: 701
        case .date: 1082
        case .time: 1083
        case .timestamp: 1114
        case .timestamptz: 1184
        case .interval: 1186
        case .numeric: 1700
        case .uuid: 2950
        case .jsonb: 3802
        case .structure: record
        case .array(let element): array(of: element)
        }
    }

    private static func array(of element: DataType) -> UInt32 {
        switch element {
        case .boolean: 1000
        case .bytea: 1001
        case .bigint: 1016
        case .smallint: 1005
        case .integer: 1007
        case .text, .unknown: 1009
        case .real: 1021
        case .double: 1022
        case .date: 1182
        case .time: 1183
        case .timestamp: 1115
        case .timestamptz: 1185
        case .interval: 1187
        case .numeric: 1231
        case .uuid: 2951
        case .jsonb: 3807
        case .structure: recordArray
        // Arrays of arrays are one type in PostgreSQL, whatever the number of dimensions.
        case .array(let inner): array(of: inner)
        }
    }

    /// The type a client means; nil where it leaves that to us (0, unknown) or names one we do not have.
    package static func type(_ identifier: UInt32) -> DataType? { types[identifier] }

    private static let types: [UInt32: DataType] = {
        var types: [UInt32: DataType] = [:]
        for type in DataType.all {
            types[of(type)] = type
            types[of(.array(type))] = .array(type)
        }
        // varchar, bpchar, name, "char"; json; their arrays. An oid is four bytes, as INT is.
        for text: UInt32 in [1043, 1042, 19, 18] { types[text] = .text }
        for texts: UInt32 in [1015, 1014, 1003, 1002] { types[texts] = .array(.text) }
        types[114] = .jsonb
        types[199] = .array(.jsonb)
        types[26] = .integer
        types[1028] = .array(.integer)
        return types
    }()

    /// pg_type.typlen: bytes of a value, −1 where they differ.
    package static func length(of type: DataType) -> Int16 {
        switch type {
        case .boolean: 1
        case .smallint: 2
        case .integer, .real, .date: 4
        case .bigint, .double, .time, .timestamp, .timestamptz: 8
        case .interval, .uuid: 16
        case .numeric, .text, .bytea, .jsonb, .array, .structure, .unknown: -1
        }
    }

    /// pg_attribute.atttypmod: NUMERIC(p, s) in PostgreSQL's packing; −1 where there is none.
    package static func modifier(of type: DataType) -> Int32 {
        switch type {
        case .numeric(let precision?, let scale): Int32(precision) << 16 | Int32(scale ?? 0) + 4
        case .array(let element): modifier(of: element)
        default: -1
        }
    }
}
