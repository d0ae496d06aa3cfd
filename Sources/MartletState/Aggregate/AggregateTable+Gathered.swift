internal import CMartletVector
internal import MartletColumns

/// The objects of groups whose calls gather values.
extension AggregateTable {
    /// Rows that are asked for before the first of them is needed.
    private static let passRows = 64

    func gather(_ shape: GatherShape, _ accumulator: Accumulator, _ input: AccumulatorInput, _ argument: Column) {
        var grown = 0
        var start = 0
        while start < input.count {
            let pass = start..<min(start &+ AggregateTable.passRows, input.count)
            grown += shape.kind == .words
                ? gatherWords(shape, accumulator, input, pass, argument) : gather(shape, accumulator, input, pass, argument)
            start = pass.upperBound
        }
        objectBytes += grown
    }

    private func gather(
        _ shape: GatherShape, _ accumulator: Accumulator, _ input: AccumulatorInput, _ pass: Range<Int>, _ argument: Column
    ) -> Int {
        var grown = 0
        for at in pass {
            // The row keeps it.
            object(shape, accumulator.words(input.targets[at]))._withUnsafeGuaranteedRef { object in
                let held = object.bytes
                object.add(argument, input.row(at), weight: input.weights?[at] ?? 1)
                grown += object.bytes - held
            }
        }
        return grown
    }

    /// Each group's set lies somewhere else: three passes, so that the misses of many rows overlap.
    private func gatherWords(
        _ shape: GatherShape, _ accumulator: Accumulator, _ input: AccumulatorInput, _ pass: Range<Int>, _ argument: Column
    ) -> Int {
        for at in pass {
            let object = object(shape, accumulator.words(input.targets[at])).toOpaque()
            martlet_prefetch(object)
            martlet_prefetch(object + 64)
        }
        func set(_ at: Int) -> Unmanaged<GatheredWords> {
            Unmanaged.fromOpaque(object(shape, accumulator.words(input.targets[at])).toOpaque())
        }
        for at in pass { set(at)._withUnsafeGuaranteedRef { $0.prefetch(WordImage.word(argument, input.row(at))) } }
        var grown = 0
        for at in pass {
            set(at)._withUnsafeGuaranteedRef { set in
                let held = set.bytes
                set.add(argument, input.row(at), weight: input.weights?[at] ?? 1)
                grown += set.bytes - held
            }
        }
        return grown
    }

    /// The object that a row's word refers to, made if there is none; the row keeps it.
    @inline(__always)
    private func object(_ shape: GatherShape, _ words: UnsafeMutablePointer<UInt64>) -> Unmanaged<Gathered> {
        guard let known = UnsafeRawPointer(bitPattern: UInt(words[0])) else { return .passUnretained(gathered(shape, words)) }
        return .fromOpaque(known)
    }

    /// The object of a group's call, made if there is none.
    func gathered(_ shape: GatherShape, _ words: UnsafeMutablePointer<UInt64>) -> Gathered {
        if let known = Gathered.at(words) { return known }
        let made = shape.make()
        words[0] = UInt64(UInt(bitPattern: Unmanaged.passRetained(made).toOpaque()))
        objectBytes += made.bytes
        return made
    }

    /// Lets go of the objects of a row, whose words then name none.
    func releaseObjects(of row: UnsafeMutableRawPointer) {
        guard layout.ownsObjects else { return }
        for accumulator in layout.accumulators {
            guard case .gathered = accumulator.kind else { continue }
            let words = accumulator.words(row)
            guard let object = UnsafeRawPointer(bitPattern: UInt(words[0])) else { continue }
            let reference = Unmanaged<Gathered>.fromOpaque(object)
            objectBytes -= reference.takeUnretainedValue().bytes
            reference.release()
            words[0] = 0
        }
    }

    func releaseObjects() {
        guard layout.ownsObjects else { return }
        for id in 0..<rows.count { releaseObjects(of: rows[id]) }
    }
}
