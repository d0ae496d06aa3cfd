import Foundation
import MartletCore
import MartletLog
import Testing

@testable import MartletKafka

/// A message or a part of one with values by chance in every field that `version` has. CodecRandom.swift conforms them all.
protocol RandomPart: KafkaPart {
    init(random: inout RandomValues, version: Int16)
}

/// Values for fields, repeatable by seed: small and large, empty and not.
struct RandomValues {
    private var generator: Xoshiro256

    init(seed: UInt64) { generator = Xoshiro256(seed: seed) }

    mutating func below(_ bound: Int) -> Int { generator.below(bound) }
    mutating func chance() -> Bool { below(4) == 0 }
    mutating func bool() -> Bool { below(2) == 0 }
    mutating func int8() -> Int8 { number() }
    mutating func int16() -> Int16 { number() }
    mutating func uint16() -> UInt16 { number() }
    mutating func int32() -> Int32 { number() }
    mutating func uint32() -> UInt32 { number() }
    mutating func int64() -> Int64 { number() }
    mutating func float64() -> Double { Double(int64()) / 64 }
    mutating func uuid() -> TopicID { TopicID(high: generator.next(), low: generator.next()) }

    private mutating func number<Number: FixedWidthInteger>() -> Number {
        switch below(6) {
        case 0: 0
        case 1: Number.max
        case 2: Number.min
        case 3: Number(truncatingIfNeeded: below(300) - 150)
        default: Number(truncatingIfNeeded: generator.next())
        }
    }

    mutating func string() -> String {
        let alphabet = ["a", "b", "-", ".", "é", "€", "😀", "\u{0}"]
        return (0..<size()).map { _ in alphabet[below(alphabet.count)] }.joined()
    }

    mutating func bytes() -> [UInt8] { (0..<size()).map { _ in UInt8(truncatingIfNeeded: generator.next()) } }

    mutating func slice() -> ByteSlice { bytes().slice }

    mutating func slices() -> [ByteSlice] { bool() ? [] : [(bytes() + [7]).slice] }

    mutating func array<Element>(_ make: (inout RandomValues) -> Element) -> [Element] {
        (0..<below(3)).map { _ in make(&self) }
    }

    /// Mostly short, now and then with a length of two bytes.
    private mutating func size() -> Int { below(12) == 0 ? 127 + below(3) : below(5) }
}

extension [UInt8] {
    var slice: ByteSlice { withUnsafeBytes { ByteSlice(copying: $0) } }
}

/// Every message of every API.
let everyMessage: [any KafkaMessage.Type] = ApiKey.allCases.flatMap { [$0.requestType, $0.responseType] }

/// The lines of a file of Golden that are no comments, as words.
func goldenLines(_ name: String) throws -> [[String]] {
    let path = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden/\(name)")
    return try String(contentsOf: path, encoding: .utf8).split(separator: "\n").filter { !$0.hasPrefix("#") }.map {
        $0.split(separator: " ").map(String.init)
    }
}

/// A message's bytes as kio encodes them, for each of `versions`.
struct CodecVector: CustomTestStringConvertible {
    let name: String
    let versions: ClosedRange<Int16>
    let bytes: [UInt8]
    var testDescription: String { "\(name) \(versions)" }

    static let all: [CodecVector] = try! goldenLines("codec-vectors.txt").map { words in
        let versions = words[1].split(separator: "-").map { Int16($0)! }
        let content = words[2] == "-" ? "" : words[2]
        return CodecVector(name: words[0], versions: versions[0]...versions[1], bytes: MartletKafkaTests.bytes(hex: content))
    }
}

func bytes(hex: String) -> [UInt8] {
    let digits = hex.filter { !$0.isWhitespace }.map { UInt8($0.hexDigitValue!) }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}
