internal import MartletCore
internal import MartletLog

/// How groups are kept: a classic group as one entry, a consumer group as one for itself and one for each member, so that
/// a heartbeat that moves one member writes one member. docs/formats/coordinators.md.
extension Group {
    static let valueVersion: UInt8 = 1

    static func key(_ id: String) -> [UInt8] {
        var writer = EntryWriter()
        writer.byte(0)
        writer.text(id)
        return writer.bytes
    }

    static func memberKey(_ id: String, _ memberID: String) -> [UInt8] {
        var writer = EntryWriter()
        writer.byte(1)
        writer.text(id)
        writer.text(memberID)
        return writer.bytes
    }

    func encoded() -> [UInt8] {
        var writer = EntryWriter()
        writer.byte(Group.valueVersion)
        switch kind {
        case .classic(let classic):
            writer.byte(0)
            classic.write(to: &writer)
        case .consumer(let consumer):
            writer.byte(1)
            writer.number(consumer.epoch)
            writer.number(consumer.assignmentEpoch)
            writer.text(consumer.assignor.rawValue)
            writer.number(consumer.topicsHash)
            writer.number(consumer.emptySinceMillis)
        }
        return writer.bytes
    }
}

extension ClassicGroup {
    fileprivate func write(to writer: inout EntryWriter) {
        // What is kept is the generation: members that were asked to join again are found in it, as they were.
        writer.byte(state == .empty ? 0 : state == .stable ? 2 : 1)
        writer.number(generation)
        writer.optionalText(protocolType)
        writer.optionalText(protocolName)
        writer.optionalText(leaderID)
        writer.number(sinceMillis)
        writer.list(membersInOrder) { writer, member in
            writer.text(member.id)
            writer.optionalText(member.instanceID)
            writer.text(member.client.clientID)
            writer.text(member.client.host)
            writer.number(member.sessionTimeoutMillis)
            writer.number(member.rebalanceTimeoutMillis)
            writer.list(member.protocols) { writer, offered in
                writer.text(offered.name)
                writer.run(offered.metadata)
            }
            writer.run(member.assignment)
        }
    }

    fileprivate static func read(_ reader: inout EntryReader) throws(ByteError) -> ClassicGroup {
        let group = ClassicGroup()
        let state = try reader.byte()
        group.state = state == 0 ? .empty : state == 2 ? .stable : .completing
        group.generation = try reader.number()
        group.protocolType = try reader.optionalText()
        group.protocolName = try reader.optionalText()
        let leaderID = try reader.optionalText()
        group.sinceMillis = try reader.number()
        let members = try reader.list { reader throws(ByteError) in
            let id = try reader.text()
            let instanceID = try reader.optionalText()
            let client = ClientFacts(clientID: try reader.text(), host: try reader.text())
            let sessionTimeoutMillis: Int32 = try reader.number()
            let rebalanceTimeoutMillis: Int32 = try reader.number()
            let protocols = try reader.list { reader throws(ByteError) in
                GroupProtocol(name: try reader.text(), metadata: try reader.run())
            }
            let member = ClassicMember(
                id: id, instanceID: instanceID, client: client, sessionTimeoutMillis: sessionTimeoutMillis,
                rebalanceTimeoutMillis: rebalanceTimeoutMillis, protocols: protocols, order: 0)
            member.assignment = try reader.run()
            return member
        }
        for member in members {
            member.order = group.takeOrder()
            group.add(member)
        }
        group.leaderID = leaderID
        return group
    }
}

extension ConsumerMember {
    fileprivate func encoded() -> [UInt8] {
        var writer = EntryWriter()
        writer.byte(Group.valueVersion)
        writer.optionalText(instanceID)
        writer.optionalText(rackID)
        writer.text(client.clientID)
        writer.text(client.host)
        writer.number(rebalanceTimeoutMillis)
        writer.list(subscribedTopics) { $0.text($1) }
        writer.optionalText(pattern?.text)
        writer.optionalText(assignor)
        writer.number(epoch)
        writer.number(previousEpoch)
        writer.byte(state.rawValue)
        for partitions in [assigned, pendingRevocation, target] {
            writer.list(partitions.sorted()) { $0.partition($1) }
        }
        return writer.bytes
    }

    fileprivate static func read(_ reader: inout EntryReader, id: String) throws(ByteError) -> ConsumerMember {
        let instanceID = try reader.optionalText()
        let rackID = try reader.optionalText()
        let client = ClientFacts(clientID: try reader.text(), host: try reader.text())
        let member = ConsumerMember(id: id, client: client, rebalanceTimeoutMillis: try reader.number())
        member.instanceID = instanceID
        member.rackID = rackID
        member.subscribedTopics = try reader.list { reader throws(ByteError) in try reader.text() }
        // It was accepted once; a program that no longer reads it sees no pattern rather than no group.
        member.pattern = (try reader.optionalText()).flatMap { try? TopicPattern($0, bytesMax: .max) }
        member.assignor = try reader.optionalText()
        member.epoch = try reader.number()
        member.previousEpoch = try reader.number()
        member.state = State(rawValue: try reader.byte()) ?? .stable
        member.assigned = Set(try reader.list { reader throws(ByteError) in try reader.partition() })
        member.pendingRevocation = Set(try reader.list { reader throws(ByteError) in try reader.partition() })
        member.target = Set(try reader.list { reader throws(ByteError) in try reader.partition() })
        return member
    }
}

extension GroupCoordinator {
    /// Commits what changed in a consumer group since the last time.
    func commitChanges(of group: Group, _ consumer: ConsumerGroup) {
        var changes: [EntryChange] = []
        if consumer.isChanged { changes.append(saved(group)) }
        for id in consumer.removedMembers.sorted() {
            changes.append(EntryChange(.group, key: Group.memberKey(group.id, id), value: nil))
        }
        for id in consumer.changedMembers.sorted() {
            guard let member = consumer.members[id] else { continue }
            changes.append(EntryChange(.group, key: Group.memberKey(group.id, id), value: member.encoded()))
        }
        consumer.isChanged = false
        consumer.changedMembers = []
        consumer.removedMembers = []
        outbox.commit(changes)
    }

    /// Takes an empty group out of memory; what has to be taken out of the log.
    func forgetGroup(_ group: Group) -> [EntryChange] {
        groups[group.id] = nil
        return [EntryChange(.group, key: Group.key(group.id), value: nil)]
    }

    /// Groups come before their members: keys are in order.
    func loadGroupEntry(key: [UInt8], value: [UInt8]) throws(CoordinatorLoadError) {
        let (id, memberID) = try readKey(.group, key) { reader throws(ByteError) in
            let isMember = try reader.byte() == 1
            return (try reader.text(), isMember ? try reader.text() : nil)
        }
        guard let memberID else {
            let kind = try readEntry(.group, key: key, value: value, version: Group.valueVersion) { reader throws(ByteError) in
                if try reader.byte() == 0 { return Group.Kind.classic(try ClassicGroup.read(&reader)) }
                let consumer = ConsumerGroup()
                consumer.epoch = try reader.number()
                consumer.assignmentEpoch = try reader.number()
                consumer.assignor = Assignor(rawValue: try reader.text()) ?? .uniform
                consumer.topicsHash = try reader.number()
                consumer.emptySinceMillis = try reader.number()
                return .consumer(consumer)
            }
            groups[id] = Group(id: id, kind: kind)
            return
        }
        guard let group = groups[id], case .consumer(let consumer) = group.kind else { return }
        let member = try readEntry(.group, key: key, value: value, version: Group.valueVersion) { reader throws(ByteError) in
            try ConsumerMember.read(&reader, id: memberID)
        }
        consumer.add(member)
        consumer.changedMembers = []
    }
}
