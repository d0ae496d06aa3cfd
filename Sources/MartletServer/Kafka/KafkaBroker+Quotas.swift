internal import MartletCore
internal import MartletKafka
internal import MartletLog

/// DescribeClientQuotas and AlterClientQuotas (KIP-546).
extension KafkaBroker {
    private static let entityTypes: Set<String> = ["user", "client-id", "ip"]

    func loadQuotas() {
        for entry in log.entries(.quota) {
            guard let entity = QuotaEntity(key: entry.key), let values = quotaValues(entry.value) else {
                logger.warn("an entry about quotas cannot be read and is passed over", [:])
                continue
            }
            quotas.set(entity, values)
        }
    }

    /// Lines of name, "=" and number.
    private func quotaValues(_ bytes: [UInt8]) -> [String: Double]? {
        var values: [String: Double] = [:]
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            guard let equals = line.firstIndex(of: "="), let number = Double(line[line.index(after: equals)...]) else { return nil }
            values[String(line[..<equals])] = number
        }
        return values
    }

    private func encoded(_ values: [String: Double]) -> [UInt8] {
        Array(values.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)\n" }.joined().utf8)
    }

    func alterClientQuotas(_ request: KafkaRequest) throws(KafkaError) {
        let body: AlterClientQuotasRequest = try request.body()
        var response = AlterClientQuotasResponse()
        var durable: UInt64 = 0
        for entry in body.entries {
            var answer = AlterClientQuotasResponse.EntryData(errorMessage: nil)
            answer.entity = entry.entity.map {
                AlterClientQuotasResponse.EntityData(entityType: $0.entityType, entityName: $0.entityName)
            }
            do throws(KafkaRefusal) {
                durable = max(durable, try alter(entry, validateOnly: body.validateOnly))
            } catch {
                answer.errorCode = error.code.rawValue
                answer.errorMessage = error.text
            }
            response.entries.append(answer)
        }
        answer(request, response, whenDurable: durable)
    }

    private func alter(_ entry: AlterClientQuotasRequest.EntryData, validateOnly: Bool) throws(KafkaRefusal) -> UInt64 {
        let types = entry.entity.map(\.entityType)
        guard !types.isEmpty, Set(types).count == types.count, types.allSatisfy({ KafkaBroker.entityTypes.contains($0) }),
            !types.contains("ip") || types.count == 1
        else {
            throw KafkaRefusal(.invalidRequest, "a quota is for a user, a client-id, both, or an ip")
        }
        guard entry.entity.allSatisfy({ $0.entityName?.isEmpty != true && $0.entityName?.utf8.contains(0) != true }) else {
            throw KafkaRefusal(.invalidRequest, "an entity without a name is the default: it is null, not empty")
        }
        let entity = QuotaEntity(entry.entity.map { QuotaEntity.Part(type: $0.entityType, name: $0.entityName) })
        var values = quotas.limits[entity] ?? [:]
        for operation in entry.ops {
            guard let kind = QuotaKind(rawValue: operation.key), kind.entityTypes.isSuperset(of: types) else {
                throw KafkaRefusal(.invalidRequest, "\(operation.key) is no quota for such an entity")
            }
            if operation.remove {
                values[operation.key] = nil
            } else {
                guard operation.value.isFinite, operation.value > 0 else {
                    throw KafkaRefusal(.invalidRequest, "\(operation.key) must be more than 0")
                }
                values[operation.key] = operation.value
            }
        }
        if validateOnly { return 0 }
        do throws(LogError) {
            let change = EntryChange(.quota, key: entity.key, value: values.isEmpty ? nil : encoded(values))
            let sequence = try log.commit(Commit(entries: [change])).sequence
            quotas.set(entity, values)
            return sequence
        } catch {
            throw KafkaRefusal(error)
        }
    }

    func describeClientQuotas(_ request: KafkaRequest) throws(KafkaError) {
        let body: DescribeClientQuotasRequest = try request.body()
        var response = DescribeClientQuotasResponse(errorMessage: nil)
        let types = body.components.map(\.entityType)
        guard Set(types).count == types.count, types.allSatisfy({ KafkaBroker.entityTypes.contains($0) }),
            body.components.allSatisfy({ (0...2).contains($0.matchType) && ($0.matchType != 0 || $0.match != nil) })
        else {
            response.errorCode = ErrorCode.invalidRequest.rawValue
            response.errorMessage = "each of user, client-id and ip may be asked for once: exactly, by default, or any"
            response.entries = nil
            return request.answer(response)
        }
        let found = quotas.limits.filter { matches($0.key, body) }.sorted { $0.key < $1.key }
        response.entries = found.map { entity, values in
            DescribeClientQuotasResponse.EntryData(
                entity: entity.parts.map { DescribeClientQuotasResponse.EntityData(entityType: $0.type, entityName: $0.name) },
                values: values.sorted { $0.key < $1.key }.map {
                    DescribeClientQuotasResponse.ValueData(key: $0.key, value: $0.value)
                })
        }
        request.answer(response)
    }

    private func matches(_ entity: QuotaEntity, _ body: DescribeClientQuotasRequest) -> Bool {
        if body.strict, entity.parts.count != body.components.count { return false }
        return body.components.allSatisfy { component in
            guard let name = entity.name(of: component.entityType) else { return false }
            switch component.matchType {
            case 0: return name == component.match
            case 1: return name == nil
            default: return true
            }
        }
    }
}
