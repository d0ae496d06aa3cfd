internal import MartletCore

/// Points in time: shifting by days and microseconds, differences, date_trunc and extract. Infinities, results out of
/// range, months and zones other than UTC go to the scalar definition.
extension Kernels {
    static func time(_ call: Call, _ constants: [Column?]) -> Kernel? {
        switch (call.function, call.types) {
        case (.add, [.timestamp, .interval]), (.add, [.timestamptz, .interval]):
            return shift(call, constants[1], at: 0, isBackwards: false)
        case (.add, [.interval, .timestamp]), (.add, [.interval, .timestamptz]):
            return shift(call, constants[0], at: 1, isBackwards: false)
        case (.subtract, [.timestamp, .interval]), (.subtract, [.timestamptz, .interval]):
            return shift(call, constants[1], at: 0, isBackwards: true)
        case (.subtract, [.timestamp, .timestamp]), (.subtract, [.timestamptz, .timestamptz]): return difference
        case (.dateTrunc, [.text, .timestamp]), (.dateTrunc, [.text, .timestamptz]):
            guard let unit = constants[0], unit.validity == nil else { return nil }
            return truncation(unit.views[0].string, isZoned: call.types[1] == .timestamptz)
        case (.extract, [.text, .timestamp]), (.extract, [.text, .timestamptz]),
            (.datePart, [.text, .timestamp]), (.datePart, [.text, .timestamptz]):
            guard let field = constants[0], field.validity == nil else { return nil }
            return extraction(
                field.views[0].string, isZoned: call.types[1] == .timestamptz, isDouble: call.function == .datePart)
        default: return nil
        }
    }

    @inline(__always)
    private static func isOrdinary(_ micros: Int64) -> Bool {
        micros >= Calendar.timestampMin && micros < Int64.max
    }

    // MARK: - Sums and differences

    private static func shift(_ call: Call, _ constant: Column?, at index: Int, isBackwards: Bool) -> Kernel? {
        guard let constant, constant.validity == nil else { return nil }
        let interval = constant.intervals[0]
        let days = Int128(interval.days) * Int128(Calendar.microsPerDay)
        let total = (days + Int128(interval.micros)) * (isBackwards ? -1 : 1)
        guard interval.months == 0, let micros = Int64(exactly: total) else { return nil }
        let needsUTC = interval.days != 0 && call.types[index] == .timestamptz
        return { call, arguments, frame in
            if needsUTC, !frame.context.zone.isUTC { return call.evaluateRows(arguments, frame) }
            return unary(call, arguments, frame, Int64.self, Int64.self, at: index) {
                $0 &+ micros
            } isSuspect: { value, sum in
                let isOver = (value ^ sum) & (micros ^ sum) < 0
                return isOver || !isOrdinary(value) || !isOrdinary(sum)
            }
        }
    }

    /// Days and microseconds, both of the difference's sign.
    private static var difference: Kernel {
        { call, arguments, frame in
            let result = Column(call.result, capacity: frame.count)
            result.count = frame.count
            let (first, second) = (arguments[0], arguments[1])
            for row in 0..<frame.count {
                let a = first.column.int64s[first.row(row)]
                let b = second.column.int64s[second.row(row)]
                let (micros, isOver) = a.subtractingReportingOverflow(b)
                if isOver || !isOrdinary(a) || !isOrdinary(b) {
                    if first.isNull(row) || second.isNull(row) {
                        result.setNull(row)
                    } else {
                        call.settle(row, arguments, frame, into: result)
                    }
                    continue
                }
                let (days, rest) = micros.quotientAndRemainder(dividingBy: Calendar.microsPerDay)
                result.intervals[row] = Interval(days: Int32(truncatingIfNeeded: days), micros: rest)
            }
            result.finishStrict(arguments)
            return result
        }
    }

    // MARK: - Truncation

    private static func truncation(_ unit: String, isZoned: Bool) -> Kernel? {
        let size: Int64
        var origin: Int64 = 0
        switch unit {
        case "microseconds": size = 1
        case "milliseconds": size = 1_000
        case "second": size = Calendar.microsPerSecond
        case "minute": size = Calendar.microsPerMinute
        case "hour": size = Calendar.microsPerHour
        case "day": size = Calendar.microsPerDay
        case "week":
            size = 7 * Calendar.microsPerDay
            // 1970-01-05 was a Monday.
            origin = 4 * Calendar.microsPerDay
        case "month": return calendarTruncation(monthsPerUnit: 1, isZoned: isZoned)
        case "quarter": return calendarTruncation(monthsPerUnit: 3, isZoned: isZoned)
        case "year": return calendarTruncation(monthsPerUnit: 12, isZoned: isZoned)
        default: return nil
        }
        let needsUTC = isZoned && size > Calendar.microsPerSecond
        guard let magic = DivisionByConstant(size) else { return nil }
        return { call, arguments, frame in
            if needsUTC, !frame.context.zone.isUTC { return call.evaluateRows(arguments, frame) }
            return unary(call, arguments, frame, Int64.self, Int64.self, at: 1) { micros in
                let shifted = micros &- origin
                let remainder = shifted &- magic.quotient(shifted) &* size
                // Towards minus infinity.
                return micros &- remainder &- (size & (remainder &>> 63))
            } isSuspect: { micros, truncated in
                !isOrdinary(micros) || !isOrdinary(truncated)
            }
        }
    }

    private static func calendarTruncation(monthsPerUnit: Int, isZoned: Bool) -> Kernel {
        { call, arguments, frame in
            if isZoned, !frame.context.zone.isUTC { return call.evaluateRows(arguments, frame) }
            return unary(call, arguments, frame, Int64.self, Int64.self, at: 1) { micros in
                let day = Calendar.day(Int(Calendar.floorDivide(micros, Calendar.microsPerDay).quotient))
                let month = (day.month - 1) / monthsPerUnit * monthsPerUnit + 1
                return Int64(Calendar.days(year: day.year, month: month, day: 1)) &* Calendar.microsPerDay
            } isSuspect: { micros, truncated in
                // Eras before Christ count differently for some units.
                micros < -60_000_000_000_000_000 || !isOrdinary(micros) || !isOrdinary(truncated)
            }
        }
    }

    // MARK: - Fields

    /// A field as an integer, or one with six decimal places.
    private static func extraction(_ field: String, isZoned: Bool, isDouble: Bool) -> Kernel? {
        switch field {
        case "epoch": return part(isDouble, scale: 6, needsUTC: false) { $0 }
        case "second":
            return part(isDouble, scale: 6, needsUTC: false) {
                Calendar.floorDivide($0, Calendar.microsPerMinute).remainder
            }
        case "minute":
            return part(isDouble, scale: 0, needsUTC: isZoned) {
                Calendar.floorDivide($0, Calendar.microsPerHour).remainder / Calendar.microsPerMinute
            }
        case "hour":
            return part(isDouble, scale: 0, needsUTC: isZoned) {
                Calendar.floorDivide($0, Calendar.microsPerDay).remainder / Calendar.microsPerHour
            }
        case "day": return part(isDouble, scale: 0, needsUTC: isZoned) { Int64(date($0).day) }
        case "month": return part(isDouble, scale: 0, needsUTC: isZoned) { Int64(date($0).month) }
        case "year": return part(isDouble, scale: 0, needsUTC: isZoned) { Int64(date($0).year) }
        case "dow":
            // 1970-01-01 was a Thursday.
            return part(isDouble, scale: 0, needsUTC: isZoned) { Calendar.floorDivide(days($0) + 4, 7).remainder }
        case "isodow":
            return part(isDouble, scale: 0, needsUTC: isZoned) { Calendar.floorDivide(days($0) + 3, 7).remainder + 1 }
        default: return nil
        }
    }

    private static func days(_ micros: Int64) -> Int64 { Calendar.floorDivide(micros, Calendar.microsPerDay).quotient }
    private static func date(_ micros: Int64) -> Calendar.Day { Calendar.day(Int(days(micros))) }

    /// Below this (about the year 68) fields go to the scalar definition: years before Christ count from -1.
    private static let plainMin: Int64 = -60_000_000_000_000_000

    private static func part(
        _ isDouble: Bool, scale: UInt8, needsUTC: Bool, _ field: @escaping (Int64) -> Int64
    ) -> Kernel {
        { call, arguments, frame in
            if needsUTC, !frame.context.zone.isUTC { return call.evaluateRows(arguments, frame) }
            let isSuspect = { (micros: Int64) in micros < plainMin || micros == Int64.max }
            if isDouble {
                return unary(call, arguments, frame, Int64.self, Double.self, at: 1) {
                    let value = Double(field($0))
                    return scale == 0 ? value : value / 1_000_000
                } isSuspect: { micros, _ in
                    isSuspect(micros)
                }
            }
            let scales = UInt8(scale)
            let result = unary(call, arguments, frame, Int64.self, Int128.self, at: 1) {
                Int128(field($0))
            } isSuspect: { _, _ in
                false
            }
            result.scales?.update(repeating: scales, count: frame.count)
            result.zeroNulls()
            let micros = arguments[1].column.int64s
            for row in 0..<frame.count where isSuspect(micros[row]) && !result.isNull(row) {
                call.settle(row, arguments, frame, into: result)
            }
            return result
        }
    }
}
