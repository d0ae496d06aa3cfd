internal import Synchronization

/// What `now()` means in the current tick: microseconds since 1970; never goes back. Set by the driver between phases, read by
/// any shard.
package final class TickClock: Sendable {
    private let micros = Atomic<Int64>(.min)

    package init() {}

    package var now: Int64 { micros.load(ordering: .relaxed) }

    func advance(to instant: Int64) {
        if instant > now { micros.store(instant, ordering: .relaxed) }
    }
}

/// A node of a graph, by position. Nodes are added after their inputs, so positions are in topological order.
package struct NodeID: Hashable, Sendable {
    package let index: Int
}

/// What a graph is made of: which operator stands where, described once and instantiated per shard.
package struct Graph {
    package struct Node {
        package var name: String
        package var kind: Kind
        package var inputs: [NodeID]
        /// Ticks run in stages; an exchange ends one. Operators of stage n see only rows that crossed n exchanges.
        package var stage: Int
        /// Consumers and the input they know this node by.
        package var consumers: [(node: NodeID, input: Int)] = []
        /// What the watermark loses on its way through the operator: rows may leave this much behind its input's watermark.
        package var watermarkDelay: Int64 = 0
        /// The view or sink for which it was made; nil: for all.
        package var view: Int?
        /// What it computes, for people; made when somebody asks.
        package var detail: String { details?() ?? "" }
        fileprivate var details: (() -> String)?
    }

    package enum Kind {
        /// Fed by partitions; ordinal of the source.
        case source(Int)
        /// Fed by the driver: late rows, dead letters, a table's or another circuit's changes; ordinal of the relation.
        case relation(Int)
        /// Moves rows to the shard that owns their keys (columns of the batch); no keys: to shard 0.
        case exchange(keys: [Int])
        case operation(OperatorFactory)
    }

    package let clock = TickClock()
    package private(set) var nodes: [Node] = []
    package private(set) var sources: [NodeID] = []
    package private(set) var relations: [NodeID] = []
    /// By relation: whether its watermark and its end are the driver's to set. The others end when the sources have.
    package private(set) var isDriven: [Bool] = []
    /// Names of views and sinks, by the ordinals that counters use.
    package private(set) var views: [String] = []

    package init() {}

    package var stages: Int { (nodes.map(\.stage).max() ?? 0) + 1 }

    /// Views that share operators: what happens there happens to each of them. Their ordinals follow those of the views.
    package private(set) var groups: [[Int]] = []

    package mutating func addView(_ name: String) -> Int {
        precondition(groups.isEmpty, "views come before groups of them")
        views.append(name)
        return views.count - 1
    }

    /// What operators say they work for, where several views read them; `members` are views, ascending.
    package mutating func addGroup(_ members: [Int]) -> Int {
        if members.count == 1 { return members[0] }
        if let known = groups.firstIndex(of: members) { return views.count + known }
        groups.append(members)
        return views.count + groups.count - 1
    }

    /// The views that an ordinal stands for.
    package func members(_ ordinal: Int) -> [Int] { ordinal < views.count ? [ordinal] : groups[ordinal - views.count] }

    package mutating func addSource(_ name: String) -> NodeID {
        let id = append(Node(name: name, kind: .source(sources.count), inputs: [], stage: 0))
        sources.append(id)
        return id
    }

    /// - Parameter isDriven: its rows may be taken back, and `Circuit.setWatermark` says how far it is; without, it is at its
    ///   end when the sources are and brings nothing more.
    package mutating func addRelation(_ name: String, isDriven: Bool = false) -> NodeID {
        let id = append(Node(name: name, kind: .relation(relations.count), inputs: [], stage: 0))
        relations.append(id)
        self.isDriven.append(isDriven)
        return id
    }

    /// Rows of `input`, each at the shard that owns its keys; begins a new stage.
    package mutating func addExchange(_ input: NodeID, keys: [Int]) -> NodeID {
        append(Node(name: "exchange", kind: .exchange(keys: keys), inputs: [input], stage: nodes[input.index].stage))
    }

    /// An operator over `inputs`. `startsStage`: it must run after every shard has finished its inputs' stage.
    package mutating func addOperator(
        _ name: String, inputs: [NodeID], watermarkDelay: Int64 = 0, startsStage: Bool = false,
        make: @escaping OperatorFactory
    ) -> NodeID {
        let stage = inputs.map { stageAfter($0) }.max() ?? 0
        var node = Node(name: name, kind: .operation(make), inputs: inputs, stage: stage + (startsStage ? 1 : 0))
        node.watermarkDelay = watermarkDelay
        return append(node)
    }

    /// Says of the nodes from position `first` on that have not been described yet what they are for; those that several views
    /// share are shown with the first of them.
    package mutating func describe(from first: Int, view: Int, detail: @autoclosure @escaping () -> String) {
        for position in first..<nodes.count where nodes[position].view == nil {
            nodes[position].view = members(view).first
            nodes[position].details = detail
        }
    }

    private func stageAfter(_ id: NodeID) -> Int {
        if case .exchange = nodes[id.index].kind { return nodes[id.index].stage + 1 }
        return nodes[id.index].stage
    }

    private mutating func append(_ node: Node) -> NodeID {
        let id = NodeID(index: nodes.count)
        nodes.append(node)
        for (input, from) in node.inputs.enumerated() {
            nodes[from.index].consumers.append((id, input))
        }
        return id
    }
}
