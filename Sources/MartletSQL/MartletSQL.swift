// Text → syntax tree → bound, typed plan → optimised plan. Pure: no files, no clock, never a row.
//
// `Script` is the door: it parses texts, binds each statement against a `SQLCatalog` in which the earlier ones stand, and
// hands out `BoundStatement`s. On the way: `Parser` (Syntax/, Parser/), `Binder` (Bind/), `Optimiser` (Optimise/), `Plan` (Plan/).
// Everything is total: any input gives a result or an `SQLError` with a position, never a trap; see `SQLLimits`.
