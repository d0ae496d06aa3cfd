internal import MartletCore

/// `to_char` of points in time by a constant template. Rows that are close in time mostly look the same, and their text is
/// remembered.
extension Kernels {
    static func timeText(_ call: Call, _ constants: [Column?]) -> Kernel? {
        guard call.function == .toChar, call.types == [.timestamp, .text] || call.types == [.timestamptz, .text],
            let format = constants[1], format.validity == nil, let template = TimeTemplate(format.views[0].string)
        else { return nil }
        let isZoned = call.types[0] == .timestamptz
        let memory = TimeTexts(template)
        return { call, arguments, frame in
            let zone = frame.context.zone
            let result = Column(call.result, capacity: frame.count)
            result.count = frame.count
            let times = arguments[0].column
            for row in 0..<frame.count {
                let micros = times.int64s[row]
                if times.isNull(row) || frame.hasFailed(row) {
                    result.setNull(row)
                } else if micros < Calendar.timestampMin || micros == .max {
                    call.settle(row, arguments, frame, into: result)
                } else if !isZoned || zone.isUTC {
                    memory.put(micros, isZoned ? (zone.abbreviation(at: micros), 0) : nil, result, row)
                } else if let local = zone.local(instant: micros) {
                    var text = template.text(local: local, zone: (zone.abbreviation(at: micros), zone.offset(at: micros)))
                    result.views[row] = text.withUTF8 { result.store($0) }
                } else {
                    call.settle(row, arguments, frame, into: result)
                }
            }
            return result
        }
    }
}

/// The texts of the last spans of time, each at the place that its number says.
private final class TimeTexts {
    private let template: TimeTemplate
    private var spans = [Int64](repeating: .min, count: places)
    private var texts = [[UInt8]](repeating: [], count: places)

    /// Disorder makes a stream go to and fro between neighbouring spans.
    private static let places = 16

    init(_ template: TimeTemplate) { self.template = template }

    func put(_ local: Int64, _ zone: (abbreviation: String, offset: Int32)?, _ column: Column, _ row: Int) {
        let span = Calendar.floorDivide(local, template.span).quotient
        let place = Int(truncatingIfNeeded: span) & (TimeTexts.places - 1)
        if spans[place] != span {
            spans[place] = span
            texts[place] = Array(template.text(local: local, zone: zone).utf8)
        }
        column.views[row] = texts[place].withUnsafeBufferPointer { column.store($0) }
    }
}
