internal import Glibc

/// The objects that columns are taken from: the record itself (node 0), and those on the way to nested columns.
final class ObjectTree {
    enum Child {
        case column(Int)
        case node(Int)
    }

    struct Node {
        /// As errors name it; empty for the record.
        var name: String
        var parent: Int
        /// The record: 1.
        var depth: Int
        var names: [[UInt8]] = []
        var children: [Child] = []
        /// Columns anywhere below.
        var columns: [Int] = []
        /// The record in which a value for it was last seen; compare `RowTarget.stamp`.
        var stamp: UInt64 = 0
    }

    var nodes: [Node]

    init(schema: ParseSchema) throws(ParseSchemaError) {
        nodes = [Node(name: "", parent: 0, depth: 1)]
        for (index, column) in schema.columns.enumerated() {
            guard !column.path.isEmpty, column.path.count <= ParseLimits.depthLimit else {
                throw ParseSchemaError(message: "a column's path in the record needs between one and \(ParseLimits.depthLimit) names")
            }
            var at = 0
            for (level, name) in column.path.enumerated() {
                nodes[at].columns.append(index)
                let bytes = Array(name.utf8)
                let known = nodes[at].names.firstIndex(of: bytes).map { nodes[at].children[$0] }
                let isLast = level == column.path.count - 1
                switch known {
                case .node(let node) where !isLast: at = node
                case .none:
                    nodes[at].names.append(bytes)
                    if isLast {
                        nodes[at].children.append(.column(index))
                    } else {
                        nodes[at].children.append(.node(nodes.count))
                        nodes.append(
                            Node(
                                name: column.path[...level].joined(separator: "."), parent: at,
                                depth: nodes[at].depth + 1))
                        at = nodes.count - 1
                    }
                case .some:
                    throw ParseSchemaError(
                        message: "member \"\(column.name)\" of the record is wanted by two columns",
                        hint: "Read it once, and derive the other column in a view.")
                }
            }
        }
    }

    /// What the member `name` of `node` is for; nil: not wanted.
    func child(_ node: Int, _ name: UnsafeBufferPointer<UInt8>) -> Child? {
        let names = nodes[node].names
        for index in names.indices where names[index].count == name.count {
            let isSame = names[index].withUnsafeBufferPointer {
                name.count == 0 || memcmp($0.baseAddress!, name.baseAddress!, name.count) == 0
            }
            if isSame { return nodes[node].children[index] }
        }
        return nil
    }
}
