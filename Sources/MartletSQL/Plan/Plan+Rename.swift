extension Plan {
    /// The plan with another name for a relation that it reads.
    package func renaming(_ old: String, to new: String) -> Plan {
        switch self {
        case .source(let name, let columns, let fields) where name == old: .source(name: new, columns: columns, fields: fields)
        case .relation(let name, let fields) where name == old: .relation(name: new, fields: fields)
        case .view(let name, let fields) where name == old: .view(name: new, fields: fields)
        default: mapInputs { $0.renaming(old, to: new) }
        }
    }
}
