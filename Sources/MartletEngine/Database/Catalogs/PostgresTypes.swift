internal import MartletCore

/// The rows of pg_type: PostgreSQL's numbers and names of the types that are here.
struct PostgresType: Sendable {
    var oid: Int32
    var name: String
    /// What it is here; nil: only its name is known, as of pseudo-types.
    var type: DataType?
    /// pg_type.typcategory.
    var category: String
    /// Bytes of a value; −1: they differ.
    var length: Int16
    var element: Int32 = 0
    var array: Int32 = 0

    private static let scalars: [PostgresType] = [
        PostgresType(oid: 16, name: "bool", type: .boolean, category: "B", length: 1, array: 1000),
        PostgresType(oid: 17, name: "bytea", type: .bytea, category: "U", length: -1, array: 1001),
        PostgresType(oid: 18, name: "char", type: nil, category: "Z", length: 1, array: 1002),
        PostgresType(oid: 19, name: "name", type: nil, category: "S", length: 64, array: 1003),
        PostgresType(oid: 20, name: "int8", type: .bigint, category: "N", length: 8, array: 1016),
        PostgresType(oid: 21, name: "int2", type: .smallint, category: "N", length: 2, array: 1005),
        PostgresType(oid: 23, name: "int4", type: .integer, category: "N", length: 4, array: 1007),
        PostgresType(oid: 24, name: "regproc", type: nil, category: "N", length: 4, array: 1008),
        PostgresType(oid: 25, name: "text", type: .text, category: "S", length: -1, array: 1009),
        PostgresType(oid: 26, name: "oid", type: nil, category: "N", length: 4, array: 1028),
        PostgresType(oid: 114, name: "json", type: nil, category: "U", length: -1, array: 199),
        PostgresType(oid: 700, name: "float4", type: .real, category: "N", length: 4, array: 1021),
        PostgresType(oid: 701, name: "float8", type: .double, category: "N", length: 8, array: 1022),
        PostgresType(oid: 1042, name: "bpchar", type: nil, category: "S", length: -1, array: 1014),
        PostgresType(oid: 1043, name: "varchar", type: nil, category: "S", length: -1, array: 1015),
        PostgresType(oid: 1082, name: "date", type: .date, category: "D", length: 4, array: 1182),
        PostgresType(oid: 1083, name: "time", type: .time, category: "D", length: 8, array: 1183),
        PostgresType(oid: 1114, name: "timestamp", type: .timestamp, category: "D", length: 8, array: 1115),
        PostgresType(oid: 1184, name: "timestamptz", type: .timestamptz, category: "D", length: 8, array: 1185),
        PostgresType(oid: 1186, name: "interval", type: .interval, category: "T", length: 16, array: 1187),
        PostgresType(oid: 1700, name: "numeric", type: .plainNumeric, category: "N", length: -1, array: 1231),
        PostgresType(oid: 2205, name: "regclass", type: nil, category: "N", length: 4, array: 2210),
        PostgresType(oid: 2206, name: "regtype", type: nil, category: "N", length: 4, array: 2211),
        PostgresType(oid: 2249, name: "record", type: nil, category: "P", length: -1, array: 2287),
        PostgresType(oid: 2950, name: "uuid", type: .uuid, category: "U", length: 16, array: 2951),
        PostgresType(oid: 3802, name: "jsonb", type: .jsonb, category: "U", length: -1, array: 3807),
    ]

    /// Scalars, then their arrays.
    static let all: [PostgresType] =
        scalars
        + scalars.map { scalar in
            PostgresType(
                oid: scalar.array, name: "_" + scalar.name, type: scalar.type.map { .array($0) }, category: "A", length: -1,
                element: scalar.oid)
        }

    /// The number of a type; text's where it has none.
    static func oid(of type: DataType) -> Int32 {
        switch type {
        case .structure: return 2249
        case .array(.structure): return 2287
        case .array(.array(let inner)): return oid(of: .array(inner))
        default: break
        }
        let bare = type.withoutModifiers
        return all.first { $0.type == bare }?.oid ?? 25
    }

    /// pg_attribute.atttypmod: precision and scale of NUMERIC, else −1.
    static func modifier(of type: DataType) -> Int32 {
        guard case .numeric(let precision?, let scale) = type else { return -1 }
        return Int32(precision) << 16 | Int32(scale ?? 0) + 4
    }
}
