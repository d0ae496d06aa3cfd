package import MartletCore

/// Lines that are made from their number alone, in any order and on any thread.
package protocol NumberedLines: Sendable {
    /// How many there are of a stream; `nil` without an end.
    func count(of stream: Int) -> UInt64?
    /// Appends `count` of them, the ordinals `first`, `first + step` …, each with its newline. Returns the number of lines: an event
    /// may have two. Does not look at the end.
    @discardableResult
    func write(_ stream: Int, from first: UInt64, by step: UInt64, count: Int, into sink: ByteSink) -> Int
}

/// Made-up input. Event `n` has the same bytes whoever asks, in whatever order, on whatever thread: everything follows
/// from the options and `n`.
///
/// An event belongs to one of `streams`. Within its stream it has an ordinal (from 0, in order of event numbers); readers
/// and files share a stream by ordinal, `ordinal % files`, and so all have an equal part of it.
package protocol EventGenerator: NumberedLines {
    var options: GeneratorOptions { get }
    /// Names of the streams; never empty.
    var streams: [String] { get }
    /// The event number of an ordinal. O(1).
    func event(_ ordinal: UInt64, of stream: Int) -> UInt64
    /// What befalls the event, and its time in microseconds since 1970 (which a damaged line may not show).
    func fate(of event: UInt64) -> (fate: EventFate, time: Int64)
}

/// What a kind of input says itself; `EventGenerator` follows from it.
protocol LineGenerator: EventGenerator {
    var timing: EventTiming { get }
    /// Part of something that the examples are to find, and so never late, damaged or repeated.
    func isPlanted(_ event: UInt64) -> Bool
    /// Writes the event's JSON object without a newline, shorter than `LineWriter.lineBytesMax` by 32.
    func line(_ event: UInt64, of stream: Int, at milliseconds: Int64, into line: inout LineWriter)
}

extension LineGenerator {
    package func fate(of event: UInt64) -> (fate: EventFate, time: Int64) {
        let drawn = timing.draw(event, isPlanted: isPlanted(event))
        return (drawn.fate, drawn.milliseconds &* 1000)
    }

    @inline(__always)
    func writeLines(_ stream: Int, from first: UInt64, by step: UInt64, count: Int, into sink: ByteSink) -> Int {
        var lines = 0
        var ordinal = first
        for _ in 0..<count {
            let number = event(ordinal, of: stream)
            ordinal &+= step
            let (fate, milliseconds) = timing.draw(number, isPlanted: isPlanted(number))
            let start = sink.reserve(2 * LineWriter.lineBytesMax)
            var writer = LineWriter(start)
            line(number, of: stream, at: milliseconds, into: &writer)
            if let damage = fate.damage {
                var random = SplitMix64.stream(timing.seed ^ 0xDA3A_6E00, number)
                writer.damage(damage, &random)
            }
            writer.byte(UInt8(ascii: "\n"))
            lines &+= 1
            var size = writer.count
            if fate.isRepeated {
                (start + size).update(from: start, count: size)
                size &*= 2
                lines &+= 1
            }
            sink.commit(size)
        }
        return lines
    }
}

package enum Generators {
    package static func make(_ options: GeneratorOptions) throws(GeneratorError) -> any EventGenerator {
        try options.validate()
        return switch options.kind {
        case .nexmark: NexmarkGenerator(options)
        case .fraud: FraudGenerator(options)
        case .cart: CartGenerator(options)
        case .iot: IotGenerator(options)
        }
    }
}
