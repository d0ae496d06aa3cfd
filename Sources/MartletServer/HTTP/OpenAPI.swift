/// What the HTTP interface says of itself, OpenAPI 3.1.
enum OpenAPI {
    static let document = """
        {
          "openapi": "3.1.0",
          "info": {"title": "Martlet", "version": "1"},
          "paths": {
            "/v1/sql": {
              "post": {
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
            "/v1/views/{name}": {
              "get": {
                "summary": "Rows of a view, a table or a source; any other parameter names a column and the value it is to have",
                "parameters": [
                  {"name": "name", "in": "path", "required": true, "schema": {"type": "string"}},
                  {"name": "limit", "in": "query", "schema": {"type": "integer", "default": 1000, "maximum": 1000000}},
                  {
                    "name": "filter", "in": "query", "style": "form", "explode": true,
                    "schema": {"type": "object", "additionalProperties": {"type": "string"}}
                  }
                ],
                "responses": {
                  "200": {
                    "description": "The rows",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Result"}}}
                  },
                  "default": {"$ref": "#/components/responses/Error"}
                }
              }
            },
            "/v1/topics/{name}": {
              "post": {
                "summary": "Append a record for each line of JSON; answered when they are durable",
                "parameters": [
                  {"name": "name", "in": "path", "required": true, "schema": {"type": "string"}},
                  {"name": "key", "in": "query", "description": "the member that is the record's key", "schema": {"type": "string"}},
                  {"name": "partition", "in": "query", "schema": {"type": "integer"}}
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
                  "default": {"$ref": "#/components/responses/Error"}
                }
              }
            },
            "/healthz": {"get": {"summary": "Whether the server works", "responses": {"200": {"description": "It does"}}}},
            "/readyz": {"get": {"summary": "Whether the server takes requests", "responses": {"200": {"description": "It does"}}}},
            "/metrics": {"get": {"summary": "Prometheus text", "responses": {"200": {"description": "The metrics"}}}}
          },
          "components": {
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
              "Error": {
                "description": "What went wrong",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
              }
            }
          }
        }

        """
}
