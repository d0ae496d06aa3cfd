import MartletCore
import MartletPlatform

extension Arguments {
    /// What `--memory-limit`, or else `fallback`, says: bytes. nil: no limit.
    func memoryLimit(or fallback: String? = nil) throws(UsageError) -> Int64? {
        guard let text = value("memory-limit") ?? fallback, text != "none", text != "0" else { return nil }
        guard let bytes = Arguments.bytes(text), bytes >= MemoryLimit.limitMin else {
            throw UsageError(
                "the memory limit is a size of at least \(MemoryLimit.limitMin >> 20)MB, such as 512MB or 2GB, not \"\(text)\"",
                command: command)
        }
        return bytes
    }

    /// A whole number with a unit (B, kB, MB, GB, TB; powers of 1024, as PostgreSQL has them); nil where it is no size.
    private static func bytes(_ text: String) -> Int64? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let units: [String: Int64] = ["": 0, "B": 0, "KB": 10, "MB": 20, "GB": 30, "TB": 40, "K": 10, "M": 20, "G": 30, "T": 40]
        let unit = text.dropFirst(digits.count).filter { $0 != " " && $0 != "i" }.uppercased()
        guard let number = Int64(digits), let shift = units[unit], number <= Int64.max >> shift else { return nil }
        return number << shift
    }
}
