internal import MartletCore
internal import MartletEngine
internal import MartletPlatform
internal import MartletSQL

/// `GET /v1/openapi.json`: what the HTTP interface says of itself, OpenAPI 3.1. Paths of views, tables and sources are those of
/// the catalog as it is, with their columns, and a line for curl each.
enum OpenAPI {
    static func answer(_ sql: HTTPSQL, _ request: HTTPRequest) -> HTTPResponse {
        do throws(SQLError) {
            let session = try sql.service.open(HTTPSQL.client)
            defer { session.close() }
            return HTTPResponse(text: document(session.relations, host: request.header("Host") ?? "localhost:8080"), type: "application/json")
        } catch {
            return HTTPQuestion.response(error)
        }
    }

    /// - Parameter host: where the client found us, name and port.
    static func document(_ relations: [RelationFacts], host: String) -> String {
        let sink = ByteSink()
        sink.append("{\n  \"openapi\": \"3.1.0\",\n  \"info\": {\"title\": \"Martlet\", \"version\": \"1\"},\n  \"servers\": [{\"url\": ")
        sink.append(jsonString: "http://\(host)")
        sink.append("}],\n  \"paths\": {\n")
        for (number, relation) in relations.enumerated() {
            let path = "/v1/views/\(encoded(relation.name))"
            append(relation, path, id: "\(identifier(relation.name))_\(number)", host: host, to: sink)
        }
        sink.append(text: fixedPaths)
        sink.append("\n  },\n")
        sink.append(text: components)
        sink.append("\n}\n")
        return String(decoding: sink.bytes, as: UTF8.self)
    }

    // MARK: A relation

    private static func append(_ relation: RelationFacts, _ path: String, id: String, host: String, to sink: ByteSink) {
        let example = relation.key.isEmpty ? "limit=10" : "key=" + relation.key.map { encoded(relation.fields[$0].name.uppercased()) }.joined(separator: ",")
        sink.append("    ")
        sink.append(jsonString: path)
        sink.append(": {\"get\": {\"operationId\": ")
        sink.append(jsonString: "read_\(id)")
        sink.append(", \"tags\": [")
        sink.append(jsonString: relation.kind)
        sink.append("], \"summary\": ")
        sink.append(jsonString: "Rows of \(relation.kind) \(relation.name)")
        curl("curl 'http://\(host)\(path)?\(example)'", to: sink)
        sink.append(", \"parameters\": [")
        var parameters = relation.fields.map { field in
            parameter(field.name, "the value that \(field.name) (\(field.type.sqlName)) is to have")
        }
        let names = Set(relation.fields.map(\.name))
        if !relation.key.isEmpty, !names.contains("key") {
            parameters.append(parameter("key", "the key: \(relation.key.map { relation.fields[$0].name }.joined(separator: ","))"))
        }
        // A column of one of these names is asked for by its value.
        for name in ["where", "limit"] where !names.contains(name) { parameters.append("{\"$ref\": \"#/components/parameters/\(name)\"}") }
        sink.append(text: parameters.joined(separator: ", "))
        sink.append("], \"responses\": {\"200\": {\"description\": \"The rows\", \"content\": {\"application/json\": {\"schema\": {")
        sink.append("\"allOf\": [{\"$ref\": \"#/components/schemas/Result\"}], \"properties\": {\"rows\": {\"type\": \"array\", \"items\": ")
        row(relation, to: sink)
        sink.append("}}}}}}, \"default\": {\"$ref\": \"#/components/responses/Error\"}}}},\n")
        if relation.isFollowable { appendChanges(relation, path + "/changes", id: id, host: host, to: sink) }
    }

    private static func parameter(_ name: String, _ description: String) -> String {
        let sink = ByteSink(capacity: 128)
        sink.append("{\"name\": ")
        sink.append(jsonString: name)
        sink.append(", \"in\": \"query\", \"description\": ")
        sink.append(jsonString: description)
        sink.append(", \"schema\": {\"type\": \"string\"}}")
        return String(decoding: sink.bytes, as: UTF8.self)
    }

    private static func appendChanges(_ relation: RelationFacts, _ path: String, id: String, host: String, to sink: ByteSink) {
        sink.append("    ")
        sink.append(jsonString: path)
        sink.append(": {\"get\": {\"operationId\": ")
        sink.append(jsonString: "follow_\(id)")
        sink.append(", \"tags\": [")
        sink.append(jsonString: relation.kind)
        sink.append("], \"summary\": ")
        sink.append(jsonString: "Changes of \(relation.kind) \(relation.name), as server-sent events")
        curl("curl -N 'http://\(host)\(path)'", to: sink)
        sink.append(", \"parameters\": [{\"$ref\": \"#/components/parameters/snapshot\"}, {\"$ref\": \"#/components/parameters/since\"}, ")
        sink.append("{\"$ref\": \"#/components/parameters/progress\"}, {\"$ref\": \"#/components/parameters/lastEvent\"}]")
        sink.append(", \"responses\": {\"200\": {\"$ref\": \"#/components/responses/Changes\"}, ")
        sink.append("\"default\": {\"$ref\": \"#/components/responses/Error\"}}}},\n")
    }

    /// The line for a shell, for people (`description`) and for tools that show it beside the operation.
    private static func curl(_ line: String, to sink: ByteSink) {
        sink.append(", \"description\": ")
        sink.append(jsonString: "    \(line)")
        sink.append(", \"x-codeSamples\": [{\"lang\": \"Shell\", \"label\": \"curl\", \"source\": ")
        sink.append(jsonString: line)
        sink.append("}]")
    }

    private static func row(_ relation: RelationFacts, to sink: ByteSink) {
        sink.append("{\"type\": \"object\", \"properties\": {")
        for (index, field) in relation.fields.enumerated() {
            if index > 0 { sink.append(", ") }
            sink.append(jsonString: field.name)
            sink.append(": ")
            sink.append(text: schema(field.type))
        }
        sink.append("}}")
    }

    /// JSON's form of a type; every column may be NULL.
    static func schema(_ type: DataType) -> String {
        switch type {
        case .boolean: "{\"type\": [\"boolean\", \"null\"]}"
        case .smallint, .integer, .bigint: "{\"type\": [\"integer\", \"null\"]}"
        // NaN and infinities are strings: JSON has no numbers for them.
        case .real, .double, .numeric: "{\"type\": [\"number\", \"string\", \"null\"]}"
        case .text, .time, .interval, .timestamp, .unknown: "{\"type\": [\"string\", \"null\"]}"
        case .bytea: "{\"type\": [\"string\", \"null\"], \"contentEncoding\": \"base64\"}"
        case .date: "{\"type\": [\"string\", \"null\"], \"format\": \"date\"}"
        case .timestamptz: "{\"type\": [\"string\", \"null\"], \"format\": \"date-time\"}"
        case .uuid: "{\"type\": [\"string\", \"null\"], \"format\": \"uuid\"}"
        case .jsonb: "{}"
        case .array: "{\"type\": [\"array\", \"null\"]}"
        case .structure: "{\"type\": [\"object\", \"null\"]}"
        }
    }

    /// As a segment of a path.
    private static func encoded(_ name: String) -> String {
        var text = ""
        for byte in name.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "~"):
                text.unicodeScalars.append(Unicode.Scalar(byte))
            default: text += "%" + Hexadecimal.pair(byte).uppercased()
            }
        }
        return text
    }

    /// As tools that write programs want it.
    private static func identifier(_ name: String) -> String {
        String(name.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
    }

    // MARK: What is always there

    private static let fixedPaths = """
            "/v1/sql": {
              "post": {
                "operationId": "sql",
                "summary": "Carry out SQL statements, all of them in one transaction",
                "requestBody": {
                  "required": true,
                  "content": {
                    "text/plain": {"schema": {"type": "string"}, "example": "SELECT 1"},
                    "application/json": {
                      "schema": {
                        "type": "object",
                        "required": ["sql"],
                        "properties": {"sql": {"type": "string"}, "parameters": {"type": "array"}}
                      },
                      "example": {"sql": "SELECT $1::INT + 1 AS next", "parameters": [1]}
                    }
                  }
                },
                "responses": {
                  "200": {
                    "description": "What each statement gave",
                    "content": {
                      "application/json": {
                        "schema": {
                          "type": "object",
                          "properties": {"results": {"type": "array", "items": {"$ref": "#/components/schemas/Result"}}}
                        }
                      }
                    }
                  },
                  "default": {"$ref": "#/components/responses/Error"}
                }
              }
            },
            "/v1/topics/{topic}": {
              "post": {
                "operationId": "append",
                "summary": "Append a record for each line of JSON; answered when they are durable",
                "parameters": [
                  {"$ref": "#/components/parameters/topic"},
                  {"name": "key", "in": "query", "description": "the member that is the record's key", "schema": {"type": "string"}},
                  {"$ref": "#/components/parameters/partition"},
                  {
                    "name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "minLength": 1, "maxLength": 255},
                    "description": "The request is carried out once; again with the same key it is answered as the first time, for a day"
                  },
                  {"name": "traceparent", "in": "header", "description": "W3C Trace Context, kept in each record's headers", "schema": {"type": "string"}},
                  {"name": "tracestate", "in": "header", "schema": {"type": "string"}}
                ],
                "requestBody": {"required": true, "content": {"application/x-ndjson": {"schema": {"type": "string"}}}},
                "responses": {
                  "200": {
                    "description": "What became of each line",
                    "content": {
                      "application/json": {
                        "schema": {
                          "type": "object",
                          "properties": {
                            "results": {
                              "type": "array",
                              "items": {
                                "type": "object",
                                "properties": {"partition": {"type": "integer"}, "offset": {"type": "integer"}, "error": {"type": "object"}}
                              }
                            },
                            "accepted": {"type": "integer"},
                            "refused": {"type": "integer"}
                          }
                        }
                      }
                    }
                  },
                  "409": {"$ref": "#/components/responses/Error"},
                  "422": {"$ref": "#/components/responses/Error"},
                  "default": {"$ref": "#/components/responses/Error"}
                }
              }
            },
            "/v1/topics/{topic}/records": {
              "get": {
                "operationId": "records",
                "summary": "Records of a topic, oldest first, as a read_committed consumer sees them",
                "parameters": [
                  {"$ref": "#/components/parameters/topic"},
                  {"$ref": "#/components/parameters/partition"},
                  {"name": "offset", "in": "query", "description": "of one partition; negative: counted from its end", "schema": {"type": "integer"}},
                  {"$ref": "#/components/parameters/from"},
                  {"name": "limit", "in": "query", "schema": {"type": "integer", "default": 100, "maximum": 10000}},
                  {"name": "next", "in": "query", "description": "what the page before said", "schema": {"type": "string"}}
                ],
                "responses": {
                  "200": {
                    "description": "The records, and where the next page begins",
                    "content": {
                      "application/json": {
                        "schema": {
                          "type": "object",
                          "properties": {
                            "records": {"type": "array", "items": {"$ref": "#/components/schemas/Record"}},
                            "next": {"type": "string"}
                          }
                        }
                      }
                    }
                  },
                  "default": {"$ref": "#/components/responses/Error"}
                }
              }
            },
            "/v1/topics/{topic}/changes": {
              "get": {
                "operationId": "follow_topic",
                "summary": "Records of a topic as server-sent events, from its end on",
                "parameters": [
                  {"$ref": "#/components/parameters/topic"},
                  {"$ref": "#/components/parameters/partition"},
                  {"$ref": "#/components/parameters/from"},
                  {"$ref": "#/components/parameters/since"},
                  {"$ref": "#/components/parameters/lastEvent"}
                ],
                "responses": {
                  "200": {"$ref": "#/components/responses/Changes"},
                  "default": {"$ref": "#/components/responses/Error"}
                }
              }
            },
            "/v1/openapi.json": {"get": {"operationId": "describe", "summary": "This document", "responses": {"200": {"description": "OpenAPI 3.1"}}}},
            "/healthz": {"get": {"operationId": "health", "summary": "Whether the server works", "responses": {"200": {"description": "It does"}}}},
            "/readyz": {"get": {"operationId": "ready", "summary": "Whether the server takes requests", "responses": {"200": {"description": "It does"}}}},
            "/metrics": {"get": {"operationId": "metrics", "summary": "Prometheus text", "responses": {"200": {"description": "The metrics"}}}}
        """

    private static let components = """
          "components": {
            "parameters": {
              "topic": {"name": "topic", "in": "path", "required": true, "schema": {"type": "string"}},
              "partition": {"name": "partition", "in": "query", "schema": {"type": "integer", "minimum": 0}},
              "from": {
                "name": "from", "in": "query", "description": "earliest, latest, an instant, or milliseconds since 1970",
                "schema": {"type": "string"}
              },
              "limit": {"name": "limit", "in": "query", "schema": {"type": "integer", "default": 1000, "maximum": 1000000}},
              "where": {"name": "where", "in": "query", "description": "a condition of SQL over the columns", "schema": {"type": "string"}},
              "snapshot": {
                "name": "snapshot", "in": "query", "description": "whether the rows that are there come first",
                "schema": {"type": "boolean", "default": true}
              },
              "since": {"name": "since", "in": "query", "description": "go on behind the event with this id", "schema": {"type": "string"}},
              "progress": {
                "name": "progress", "in": "query", "description": "whether every tick is told of, also those that change nothing",
                "schema": {"type": "boolean", "default": false}
              },
              "lastEvent": {
                "name": "Last-Event-ID", "in": "header", "description": "the id of the last event that was received: nothing is missed, nothing comes again",
                "schema": {"type": "string"}
              }
            },
            "schemas": {
              "Result": {
                "type": "object",
                "required": ["tag"],
                "properties": {
                  "columns": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"name": {"type": "string"}, "type": {"type": "string"}}}
                  },
                  "rows": {"type": "array", "items": {"type": "object"}},
                  "tag": {"type": "string"},
                  "notice": {"type": "string"}
                }
              },
              "Record": {
                "type": "object",
                "properties": {
                  "partition": {"type": "integer"},
                  "offset": {"type": "integer"},
                  "timestamp": {"type": ["string", "null"], "format": "date-time"},
                  "key": {"type": ["string", "null"]},
                  "value": {},
                  "headers": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"key": {"type": "string"}, "value": {"type": ["string", "null"]}}}
                  }
                }
              },
              "Error": {
                "type": "object",
                "properties": {
                  "error": {
                    "type": "object",
                    "required": ["sqlstate", "message"],
                    "properties": {
                      "sqlstate": {"type": "string"}, "message": {"type": "string"}, "detail": {"type": "string"},
                      "hint": {"type": "string"}, "position": {"type": "integer"}
                    }
                  }
                }
              }
            },
            "responses": {
              "Changes": {
                "description": "Events without an end",
                "content": {"text/event-stream": {"schema": {"type": "string"}}}
              },
              "Error": {
                "description": "What went wrong",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
              }
            }
          }
        """
}
