package import MartletSQL

/// Which parts of a pipeline's plans occur more than once: in several views and sinks, or several times in one. Such a part
/// runs once, for all of them.
package struct SharedPlans {
    /// A part and how it is to speak.
    struct Part: Hashable {
        var plan: Plan
        var onClose: Bool
    }

    /// How often each view has the part, by the views' ordinals.
    private(set) var uses: [Part: [Int: Int]] = [:]
    private var nodes = 0

    /// Nodes of all plans beyond which parts are not compared: the time for that grows with their height as well.
    private static let nodesMax = 2_000

    init() {}

    init(_ plans: [Plan]) {
        for (view, plan) in plans.enumerated() { note(plan.unnamed, onClose: false, view) }
        if nodes > SharedPlans.nodesMax { uses = [:] }
        uses = uses.filter { $0.value.values.reduce(0, +) > 1 }
    }

    private mutating func note(_ plan: Plan, onClose: Bool, _ view: Int) {
        nodes += 1
        guard nodes <= SharedPlans.nodesMax else { return }
        if case .emitOnWindowClose(let input) = plan { return note(input, onClose: true, view) }
        uses[Part(plan: plan, onClose: onClose), default: [:]][view, default: 0] += 1
        for input in plan.inputs { note(input, onClose: onClose, view) }
    }

    /// The largest parts that several of `objects` have in common, a line each: what stands once in the graph of a pipeline.
    package static func described(_ objects: [(name: String, plan: Plan)]) -> [String] {
        let shared = SharedPlans(objects.map(\.plan))
        var lines: [String] = []
        var told: Set<Part> = []
        func visit(_ plan: Plan, onClose: Bool, inside: [Int]) {
            if case .emitOnWindowClose(let input) = plan { return visit(input, onClose: true, inside: inside) }
            let part = Part(plan: plan.unnamed, onClose: onClose)
            let readers = shared.readers(part, areCounted: !plan.givesSourceRows) ?? []
            if readers.count > 1, readers != inside, told.insert(part).inserted {
                let names = readers.map { objects[$0].name }
                lines.append("for \(names.dropLast().joined(separator: ", ")) and \(names.last ?? ""): \(plan.title)")
            }
            for input in plan.inputs { visit(input, onClose: onClose, inside: readers) }
        }
        for object in objects { visit(object.plan, onClose: false, inside: []) }
        return lines
    }

    /// The views that may read one instance of the part: several, or one that reads it several times. Rows that a view has
    /// yet to count can be given to it once only.
    func readers(_ part: Part, areCounted: Bool) -> [Int]? {
        guard let uses = uses[part], areCounted || uses.values.allSatisfy({ $0 == 1 }) else { return nil }
        return uses.keys.sorted()
    }
}

extension Plan {
    /// The rows may still be a source's own, which each view counts.
    var givesSourceRows: Bool {
        switch self {
        case .source, .relation, .view: true
        case .filter(let input, _), .project(let input, _, _), .stamped(let input, _), .emitOnWindowClose(let input): input.givesSourceRows
        case .unionAll(let inputs, _): inputs.contains(where: \.givesSourceRows)
        case .window, .aggregate, .over, .session, .join, .temporal, .repeated, .unnested, .lookup, .changelog, .values, .recursive: false
        }
    }
}
