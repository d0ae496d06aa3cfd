/// State of a running query, in memory: rows found by their key, and aggregates on top of them.
///
/// - `KeyedRows`: rows of one size in chunks that never move (`RowStore`), found through `GroupIndex`, their keys laid
///   out by `KeyLayout`. No object, reference count or existential per row.
/// - `AggregateTable`: running counts, sums, averages and extremes by key; partial tables merge exactly, so that results
///   depend neither on batches nor on shards; changes since the last tick come out as −old +new.
/// - `KeyIndex`: key → 0, 1, 2 …, for operators that keep their own state in arrays.
///
/// Invariants: rows are read in the order in which their keys came, never in the order of hashes or addresses; one
/// thread writes a table at a time, and while nobody writes, any may read it.
