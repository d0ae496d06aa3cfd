// Parsers under random bytes. libFuzzer drives a target through `LLVMFuzzerTestOneInput` (`./dev fuzz TARGET`), the tests
// through a short seeded run of mutations. A target takes any bytes; a trap, an address error or a broken invariant, which
// is a `precondition` with a message here, is a finding.

internal import MartletKafka
internal import MartletSQL

package enum FuzzTarget: String, CaseIterable, Sendable {
    case batch, csv, json, kafka, postgres, sql

    /// Must return for every input, within memory and time in proportion to its length.
    package func run(_ input: UnsafeRawBufferPointer) {
        switch self {
        case .batch: fuzzBatch(input)
        case .csv: fuzzCSV(input)
        case .json: fuzzJSON(input)
        case .kafka: fuzzKafka(input)
        case .postgres: fuzzPostgres(input)
        case .sql: fuzzSQL(input)
        }
    }
}
