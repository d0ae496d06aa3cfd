#include "CMartletSimdjson.h"
#include <charconv>
#include <simdjson.h>
#include <string_view>

bool martlet_utf8_is_valid(const void *bytes, size_t length) {
    return simdjson::validate_utf8(static_cast<const char *>(bytes), length);
}

template <typename Number>
static bool parse_number(const void *bytes, size_t length, Number *value) {
    const char *first = static_cast<const char *>(bytes);
    const char *last = first + length;
    auto result = std::from_chars(first, last, *value);
    return result.ec == std::errc() && result.ptr == last;
}

bool martlet_parse_double(const void *bytes, size_t length, double *value) { return parse_number(bytes, length, value); }
bool martlet_parse_float(const void *bytes, size_t length, float *value) { return parse_number(bytes, length, value); }

struct martlet_json_parser {
    simdjson::dom::parser dom;
    size_t depth_max;
};

martlet_json_parser *martlet_json_parser_create(size_t depth_max) {
    auto *parser = new martlet_json_parser;
    parser->depth_max = depth_max;
    return parser;
}

void martlet_json_parser_destroy(martlet_json_parser *parser) { delete parser; }

martlet_json_verdict martlet_json_check(martlet_json_parser *parser, const void *bytes, size_t length) {
    if (length > parser->dom.capacity()) {
        if (parser->dom.allocate(length < 4096 ? 4096 : length, parser->depth_max)) return MARTLET_JSON_INVALID;
    }
    simdjson::dom::element root;
    auto error = parser->dom.parse(static_cast<const char *>(bytes), length, false).get(root);
    if (error == simdjson::DEPTH_ERROR) return MARTLET_JSON_TOO_DEEP;
    if (error == simdjson::NUMBER_ERROR) return MARTLET_JSON_NUMBER;
    if (error) return MARTLET_JSON_INVALID;
    return root.is_object() ? MARTLET_JSON_OBJECT : MARTLET_JSON_OTHER;
}

uint64_t martlet_json_peer_dom(martlet_json_parser *parser, const void *bytes, size_t length,
    const char *const *names, size_t count, size_t *lines) {
    uint64_t sum = 0;
    *lines = 0;
    simdjson::dom::document_stream stream;
    if (parser->dom.parse_many(static_cast<const char *>(bytes), length, 1 << 20).get(stream)) return 0;
    for (auto document : stream) {
        simdjson::dom::object object;
        if (document.get(object)) return 0;
        for (size_t i = 0; i < count; i++) {
            simdjson::dom::element value;
            if (object.at_key(names[i]).get(value)) continue;
            int64_t integer;
            std::string_view text;
            if (!value.get(integer)) sum += (uint64_t)integer;
            else if (!value.get(text)) sum += text.size();
        }
        *lines += 1;
    }
    return sum;
}

uint64_t martlet_json_peer_ondemand(const void *bytes, size_t length,
    const char *const *names, size_t count, size_t *lines) {
    uint64_t sum = 0;
    *lines = 0;
    simdjson::ondemand::parser parser;
    simdjson::ondemand::document_stream stream;
    if (parser.iterate_many(static_cast<const char *>(bytes), length, 1 << 20).get(stream)) return 0;
    for (auto document : stream) {
        simdjson::ondemand::object object;
        if (document.get_object().get(object)) return 0;
        for (size_t i = 0; i < count; i++) {
            simdjson::ondemand::value value;
            if (object.find_field_unordered(names[i]).get(value)) continue;
            int64_t integer;
            std::string_view text;
            if (!value.get_int64().get(integer)) sum += (uint64_t)integer;
            else if (!value.get_string().get(text)) sum += text.size();
        }
        *lines += 1;
    }
    return sum;
}
