/// Figures of single kernels, one JSON line each (`./dev bench kernels`). What whole queries cost is measured by the
/// other benchmarks; this one tells where to look.
internal import MartletCore

let report = Report(arguments: CommandLine.arguments)
benchJSON(report)
benchRows(report)
benchState(report)
