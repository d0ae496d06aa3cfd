/// Words with a meaning in the grammar. Most may still name columns and relations; `isReserved` lists those that may not.
package enum Keyword: String, CaseIterable, Hashable, Sendable {
    case all, alter, and, append, array, `as`, asc, asof, asymmetric, at
    case begin, between, both, by
    case call, `case`, cast, changelog, check, close, collate, comment, commit, connection, constraint, copy, create, cross, cube, cumulate, current
    case current_date, current_time, current_timestamp
    case data, database, day, `default`, deferrable, delete, desc, describe, descriptor, distinct, `do`, drop
    case `else`, emit, encode, end, escape, except, exists, explain, extract
    case `false`, fetch, filter, first, flush, following, `for`, foreign, format, from, full, function
    case generated, grant, group, grouping, groups
    case having, hop, hour
    case `if`, ignore, ilike, `in`, include, index, inner, insert, intersect, interval, into, `is`, isnull
    case join
    case key
    case last, lateral, leading, left, like, limit, localtime, localtimestamp
    case masking, match_recognize, materialized, merge, minute, model, month
    case natural, not, notnull, null, nulls
    case of, offset, on, only, or, order, others, outer, over, overlaps, overlay
    case partition, pipeline, placing, policy, position, preceding, precision, primary
    case range, recursive, references, respect, `return`, returning, revoke, right, role, rollback, rollup, row, rows
    case schema, second, secret, select, session, set, sets, show, similar, sink, some, source, start, subscribe, subscription, substring
    case symmetric, system, system_time
    case table, tablesample, then, ties, time, timestamp, to, trailing, transaction, trim, `true`, truncate, tumble
    case unbounded, union, unique, unknown, update, upsert, user, using
    case values, varying, view
    case watermark, when, `where`, window, with, within, without
    case year
    case zone

    /// Words that cannot name a column, a relation or an alias without quotes, as in PostgreSQL.
    package var isReserved: Bool {
        switch self {
        case .all, .and, .array, .as, .asc, .asymmetric, .both, .case, .cast, .check, .collate, .constraint, .create, .current_date,
            .current_time, .current_timestamp, .default, .deferrable, .desc, .distinct, .do, .else, .end, .except, .false, .fetch, .for,
            .foreign, .from, .grant, .group, .having, .in, .intersect, .into, .lateral, .leading, .limit, .localtime, .localtimestamp,
            .not, .null, .offset, .on, .only, .or, .order, .placing, .primary, .references, .returning, .select, .some, .symmetric,
            .table, .then, .to, .trailing, .true, .union, .unique, .user, .using, .when, .where, .window, .with:
            return true
        default:
            return isReservedOutsideFunctions
        }
    }

    /// Words that may name functions and types only.
    package var isReservedOutsideFunctions: Bool {
        switch self {
        case .cross, .full, .ilike, .inner, .is, .isnull, .join, .left, .like, .natural, .notnull, .outer, .overlaps, .right, .similar,
            .tablesample:
            return true
        default:
            return false
        }
    }
}

/// Finds the keyword of an identifier's bytes without making a String: FNV-1a over the lower-cased bytes into an open-addressing table.
struct KeywordTable: Sendable {
    static let shared = KeywordTable()

    private static let slotCount = 1024
    private let slots: [Keyword?]
    private let spellings: [[UInt8]]
    /// Length of the longest keyword: longer identifiers are never looked up.
    private let lengthMax: Int

    private init() {
        var slots = [Keyword?](repeating: nil, count: Self.slotCount)
        var spellings = [[UInt8]](repeating: [], count: Self.slotCount)
        var lengthMax = 0
        for keyword in Keyword.allCases {
            let spelling = Array(keyword.rawValue.utf8)
            lengthMax = max(lengthMax, spelling.count)
            var slot = Int(spelling.reduce(Self.seed, Self.mix) & UInt32(Self.slotCount - 1))
            while slots[slot] != nil { slot = (slot + 1) & (Self.slotCount - 1) }
            slots[slot] = keyword
            spellings[slot] = spelling
        }
        self.slots = slots
        self.spellings = spellings
        self.lengthMax = lengthMax
    }

    private static let seed: UInt32 = 2_166_136_261
    private static func mix(_ hash: UInt32, _ byte: UInt8) -> UInt32 { (hash ^ UInt32(byte)) &* 16_777_619 }

    func find(_ bytes: UnsafeBufferPointer<UInt8>) -> Keyword? {
        guard bytes.count <= lengthMax else { return nil }
        var hash = Self.seed
        for byte in bytes { hash = Self.mix(hash, lowered(byte)) }
        var slot = Int(hash & UInt32(Self.slotCount - 1))
        while let keyword = slots[slot] {
            let spelling = spellings[slot]
            if spelling.count == bytes.count, zip(spelling, bytes).allSatisfy({ $0 == lowered($1) }) { return keyword }
            slot = (slot + 1) & (Self.slotCount - 1)
        }
        return nil
    }
}

/// ASCII lower case; other bytes unchanged (PostgreSQL folds unquoted identifiers the same way in UTF-8 databases).
@inline(__always)
func lowered(_ byte: UInt8) -> UInt8 { byte &- 65 < 26 ? byte | 0x20 : byte }
