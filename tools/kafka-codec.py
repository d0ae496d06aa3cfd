#!/usr/bin/env python3
"""Writes Kafka's messages as Swift: tools/kafka-codec.py SCHEMAS, where SCHEMAS is a folder of Kafka's message schemas
(clients/src/main/resources/common/message in Apache Kafka). The output, Sources/MartletKafka/Generated and
Tests/MartletKafkaTests/CodecRandom.swift, is checked in; a build needs neither Python nor the schemas.

A message becomes a struct with the schema's names, its parts nested in it one level deep. What a version lacks keeps its
default on reading; on writing it is left out where the schema calls it ignorable, and an error otherwise unless it has its
default. The runtime that this code calls is Sources/MartletKafka/Codec.
"""
import json
import pathlib
import re
import subprocess
import sys

# The APIs that Martlet speaks, in the order of their keys. ApiKey.swift says which versions it advertises.
APIS = """Produce Fetch ListOffsets Metadata OffsetCommit OffsetFetch FindCoordinator JoinGroup Heartbeat LeaveGroup SyncGroup
DescribeGroups ListGroups SaslHandshake ApiVersions CreateTopics DeleteTopics DeleteRecords InitProducerId OffsetForLeaderEpoch
AddPartitionsToTxn AddOffsetsToTxn EndTxn TxnOffsetCommit DescribeAcls CreateAcls DeleteAcls DescribeConfigs AlterConfigs
DescribeLogDirs SaslAuthenticate CreatePartitions DeleteGroups IncrementalAlterConfigs OffsetDelete DescribeClientQuotas
AlterClientQuotas DescribeCluster DescribeProducers DescribeTransactions ListTransactions ConsumerGroupHeartbeat
ConsumerGroupDescribe""".split()

# What consumers put into the opaque bytes of the classic group protocol.
DATA = ["ConsumerProtocolSubscription", "ConsumerProtocolAssignment"]

# Versions later than the schemas at hand: the bytes of Produce 12 and TxnOffsetCommit 5 equal those of 11 and 4.
LATER = {
    "ProduceRequest": "0-12", "ProduceResponse": "0-12", "TxnOffsetCommitRequest": "0-5", "TxnOffsetCommitResponse": "0-5",
    "ConsumerGroupDescribeRequest": "0-1", "ConsumerGroupDescribeResponse": "0-1",
}

# Fields later than the schemas at hand, by message and part (KIP-1099).
LATER_FIELDS = {
    ("ConsumerGroupDescribeResponse", "Member"): [
        {"name": "MemberType", "type": "int8", "versions": "1+", "default": "-1", "ignorable": True}],
}

SCALARS = {
    "bool": ("Bool", "bool", 1), "int8": ("Int8", "int8", 1), "int16": ("Int16", "int16", 2), "uint16": ("UInt16", "uint16", 2),
    "int32": ("Int32", "int32", 4), "uint32": ("UInt32", "uint32", 4), "int64": ("Int64", "int64", 8),
    "float64": ("Double", "float64", 8), "uuid": ("TopicID", "uuid", 16),
}
KEYWORDS = {"operator", "protocol", "default", "in", "is", "as", "self", "case", "class", "extension", "func", "import", "init"}
LINE = 132
ENDLESS = 32767


def parse_range(text, outer):
    """The versions that `text` ("none", "3", "3+", "3-5") shares with `outer`, as (first, last), or None."""
    if text is None or text == "none":
        return None
    first, last = text, text
    if text.endswith("+"):
        first, last = text[:-1], ENDLESS
    elif "-" in text:
        first, last = text.split("-")
    first, last = max(int(first), outer[0]), min(int(last), outer[1])
    return (first, last) if first <= last else None


def condition(subject, part, whole):
    """Swift that is true for the versions `part` of those in `whole`; None where that is all of them."""
    if part == whole:
        return None
    if part[1] == whole[1]:
        return f"{subject}.version >= {part[0]}"
    if part[0] == whole[0]:
        return f"{subject}.version <= {part[1]}"
    return f"{subject}.version >= {part[0]} && {subject}.version <= {part[1]}"


class Field:
    def __init__(self, schema, message, outer):
        self.schema_name = schema["name"]
        name = self.schema_name[0].lower() + self.schema_name[1:]
        self.name = f"`{name}`" if name in KEYWORDS else name
        self.message = message
        self.outer = outer
        self.versions = parse_range(schema["versions"], outer)
        self.nullable = self.versions and parse_range(schema.get("nullableVersions"), self.versions)
        self.tagged = self.versions and parse_range(schema.get("taggedVersions"), self.versions)
        self.tag = schema.get("tag")
        self.ignorable = schema.get("ignorable", False)
        self.kind = schema["type"]
        self.is_array = self.kind.startswith("[]")
        self.element = self.kind[2:] if self.is_array else self.kind
        self.default_text = str(schema["default"]).lower() if "default" in schema else None

    @property
    def is_part(self):
        return self.element not in SCALARS and self.element not in ("string", "bytes", "records")

    @property
    def element_type(self):
        if self.element in SCALARS:
            return SCALARS[self.element][0]
        return {"string": "String", "bytes": "[UInt8]", "records": self.records_type}.get(self.element, self.element)

    @property
    def records_type(self):
        return "ByteSlice" if self.message.is_request else "[ByteSlice]"

    @property
    def is_optional(self):
        return self.nullable is not None or self.element == "records"

    @property
    def swift_type(self):
        bare = f"[{self.element_type}]" if self.is_array else self.element_type
        return bare + ("?" if self.is_optional else "")

    @property
    def default(self):
        if self.default_text == "null" or self.is_optional and self.default_text is None and self.element == "records":
            return "nil"
        if self.is_array or self.element == "bytes":
            return "[]"
        if self.element == "string":
            return f'"{self.default_text or ""}"'
        if self.element == "bool":
            return self.default_text or "false"
        if self.element == "uuid":
            return "TopicID.zero"
        if self.element in SCALARS:
            value = int(self.default_text or "0", 0)
            return str(value)
        return f"{self.element}()"

    @property
    def differs(self):
        """Swift that is true where the value is not the default."""
        if self.default in ("[]", '""') and not self.is_optional:
            return f"!{self.name}.isEmpty"
        if self.swift_type == "Bool":
            return self.name if self.default == "false" else f"!{self.name}"
        return f"{self.name} != {self.default}"

    @property
    def call(self):
        if self.is_array:
            return "array"
        if self.element in SCALARS:
            return SCALARS[self.element][1]
        return self.element if self.element in ("string", "bytes", "records") else "part"

    def bytes_min(self, version):
        if not self.versions or not self.versions[0] <= version <= self.versions[1] or self.in_tags(version):
            return 0
        flexible = self.message.is_flexible(version)
        if self.is_array or self.element in ("bytes", "records"):
            return 1 if flexible else 4
        if self.element in SCALARS:
            return SCALARS[self.element][2]
        if self.element == "string":
            return 1 if flexible else 2
        if self.nullable and self.nullable[0] <= version <= self.nullable[1]:
            return 1
        return self.message.parts[self.element].bytes_min(version)

    def in_tags(self, version):
        return self.tagged is not None and self.tagged[0] <= version <= self.tagged[1]

    def read(self, scope):
        """Statements that read the field where it is not in the tags."""
        plain = self.versions
        if self.tagged:
            assert self.tagged == self.versions, self.schema_name
            return []
        call = self.call
        capital = call[0].upper() + call[1:]
        if self.nullable == plain:
            value = f"try reader.nullable{capital}()"
        elif self.nullable:
            check = condition("reader", self.nullable, plain)
            value = f"{check} ? try reader.nullable{capital}() : try reader.{call}()"
        else:
            value = f"try reader.{call}()"
        test = condition("reader", plain, scope)
        line = f"{self.name} = {value}"
        if not test:
            return [line]
        if len(test) + len(line) < LINE - 20:
            return [f"if {test} {{ {line} }}"]
        return [f"if {test} {{", f"    {line}", "}"]

    def write_value(self, scope):
        call = self.call
        capital = call[0].upper() + call[1:]
        attempt = "" if self.element in SCALARS and not self.is_array else "try "
        if self.nullable == scope:
            return [f"{attempt}writer.nullable{capital}({self.name})"]
        required = f'try writer.required({self.name}, "{self.schema_name}")'
        if self.nullable:
            check = condition("writer", self.nullable, scope)
            return [
                f"if {check} {{", f"    {attempt}writer.nullable{capital}({self.name})", "} else {",
                f"    {attempt}writer.{call}({required})", "}"]
        if self.is_optional:
            return [f"{attempt}writer.{call}({required})"]
        return [f"{attempt}writer.{call}({self.name})"]

    def write(self, scope):
        if self.tagged:
            return []
        test = condition("writer", self.versions, scope)
        lines = self.write_value(self.versions)
        if not test:
            return lines
        refused = f'if {self.differs} {{ throw writer.unavailable("{self.schema_name}") }}'
        if len(lines) == 1 and len(test) + len(lines[0]) < LINE - 20:
            out = [f"if {test} {{ {lines[0]} }}"]
            if not self.ignorable:
                out[0] = f"if {test} {{"
                out += ["    " + lines[0], f"}} else {refused}"]
            return out
        out = [f"if {test} {{"] + ["    " + line for line in lines]
        return out + ([f"}} else {refused}"] if not self.ignorable else ["}"])

    def random(self, scope):
        maker = {
            "string": "random.string()", "bytes": "random.bytes()",
            "records": "random.slice()" if self.message.is_request else "random.slices()",
        }.get(self.element, f"random.{SCALARS[self.element][1]}()" if self.element in SCALARS else None)
        maker = maker or f"{self.message.name}.{self.element}(random: &random, version: version)"
        if self.is_array:
            maker = f"random.array {{ {maker.replace('&random', '&$0').replace('random.', '$0.')} }}"
        if self.is_optional:
            if self.nullable == self.versions or self.nullable is None and self.element == "records":
                maker = f"random.chance() ? nil : {maker}" if self.nullable else maker
            else:
                check = condition("random", self.nullable, self.versions).replace("random.version", "version")
                maker = f"random.chance() && {check} ? nil : {maker}"
        test = condition("random", self.versions, scope)
        line = f"{self.name} = {maker}"
        return f"if {test.replace('random.version', 'version')} {{ {line} }}" if test else line


class Part:
    """A message or a struct within one."""

    def __init__(self, name, fields, message, scope):
        self.name, self.message, self.scope = name, message, scope
        fields = fields + LATER_FIELDS.get((message.schema_name, name), [])
        self.fields = [field for field in (Field(schema, message, scope) for schema in fields) if field.versions]

    def bytes_min(self, version):
        tags = 1 if self.message.is_flexible(version) else 0
        return sum(field.bytes_min(version) for field in self.fields) + tags

    def least(self):
        return min(self.bytes_min(version) for version in range(self.scope[0], self.scope[1] + 1))

    def emit(self, indent, head, extra):
        pad = " " * indent
        out = [pad + head]
        line = lambda text="": out.append((pad + "    " + text).rstrip())
        for text in extra:
            line(text)
        for field in self.fields:
            line(f"package var {field.name}: {field.swift_type}" + f" = {field.default}")
        line()
        self.emit_inits(line)
        line()
        self.emit_read(line)
        line()
        self.emit_write(line)
        return out

    def emit_inits(self, line):
        line("package init() {}")
        if not self.fields:
            return
        line()
        parameters = [f"{field.name}: {field.swift_type} = {field.default}" for field in self.fields]
        single = f"package init({', '.join(parameters)}) {{"
        if len(single) <= LINE - 8:
            line(single)
        else:
            line("package init(")
            row = ""
            for index, parameter in enumerate(parameters):
                piece = parameter + ("," if index + 1 < len(parameters) else "")
                if row and len(row) + len(piece) > LINE - 16:
                    line("    " + row)
                    row = ""
                row = f"{row} {piece}" if row else piece
            line("    " + row)
            line(") {")
        for field in self.fields:
            line(f"    self.{field.name} = {field.name}")
        line("}")

    @property
    def tagged(self):
        return sorted((field for field in self.fields if field.tagged), key=lambda field: field.tag)

    def emit_read(self, line):
        flexible = self.message.flexible_within(self.scope)
        line("package init(from reader: inout KafkaReader) throws(KafkaError) {")
        for field in self.fields:
            for text in field.read(self.scope):
                line("    " + text)
        if self.tagged:
            line("    var tags = try reader.tagCount()")
            line("    while tags > 0 {")
            line("        tags &-= 1")
            line("        let tag = try reader.nextTag()")
            line("        switch tag.number {")
            for field in self.tagged:
                test = condition("reader", field.tagged, flexible)
                where = f" where {test}" if test else ""
                capital = field.call[0].upper() + field.call[1:]
                call = f"nullable{capital}" if field.nullable else field.call
                line(f"        case {field.tag}{where}: {field.name} = try reader.{call}()")
            line("        default: try reader.skip(tag)")
            line("        }")
            line("        try reader.finish(tag)")
            line("    }")
        elif flexible:
            line("    try reader.skipTags()")
        line("}")

    def emit_write(self, line):
        flexible = self.message.flexible_within(self.scope)
        line("package func encode(into writer: inout KafkaWriter) throws(KafkaError) {")
        for field in self.fields:
            for text in field.write(self.scope):
                line("    " + text)
        for field in self.tagged:
            # A tagged field that a version lacks is refused like any other.
            test = condition("writer", field.tagged, self.scope)
            if test and not field.ignorable:
                first = field.tagged[0]
                assert field.tagged[1] == self.scope[1]
                line(f'    if writer.version < {first} && {field.differs} {{ throw writer.unavailable("{field.schema_name}") }}')
        if self.tagged:
            line("    guard writer.isFlexible else { return }")
            line("    let tags = writer.openTags()")
            for field in self.tagged:
                test = condition("writer", field.tagged, flexible)
                check = f"{test}, {field.differs}" if test else field.differs
                line(f"    if {check} {{")
                line(f"        let tag = writer.openTag({field.tag}, in: tags)")
                for text in field.write_value(field.tagged):
                    line(f"        {text}")
                line("        writer.close(tag)")
                line("    }")
        elif flexible:
            line("    writer.noTags()")
        line("}")


class Message:
    def __init__(self, schema):
        self.schema_name = self.name = schema["name"]
        self.is_request = schema["type"] == "request"
        self.key = schema.get("apiKey")
        self.versions = parse_range(LATER.get(self.name, schema["validVersions"]), (0, ENDLESS))
        flexible = parse_range(schema.get("flexibleVersions", "none"), self.versions)
        self.flexible_from = flexible[0] if flexible else None
        self.parts = {}
        for common in schema.get("commonStructs", []):
            self.collect(common["name"], common["fields"], parse_range(common["versions"], self.versions))
        self.body = Part(self.name, schema["fields"], self, self.versions)
        self.collect_fields(schema["fields"], self.versions)

    def collect_fields(self, fields, scope):
        for field in fields:
            versions = parse_range(field["versions"], scope)
            if "fields" in field and versions:
                self.collect(field["type"].removeprefix("[]"), field["fields"], versions)

    def collect(self, name, fields, scope):
        assert name not in self.parts, (self.name, name)
        self.parts[name] = Part(name, fields, self, scope)
        self.collect_fields(fields, scope)

    def is_flexible(self, version):
        return self.flexible_from is not None and version >= self.flexible_from

    def flexible_within(self, scope):
        return None if self.flexible_from is None else parse_range(f"{self.flexible_from}+", scope)

    def emit(self):
        first, last = self.versions
        noun = f"version {first}" if first == last else f"versions {first} to {last}"
        flexible = "" if self.flexible_from is None else f", flexible from {self.flexible_from}"
        kind = "KafkaMessage" if self.key is not None else "KafkaData"
        extra = [f"package static var versions: ClosedRange<Int16> {{ {first}...{last} }}"]
        if self.key is not None:
            from_text = "nil" if self.flexible_from is None else str(self.flexible_from)
            extra.append(f"package static var flexibleFrom: Int16? {{ {from_text} }}")
        extra.append(f"package static var encodedBytesMin: Int {{ {self.body.least()} }}")
        extra.append("")
        name = f"API key {self.key}, {noun}{flexible}." if self.key is not None else f"{noun.capitalize()}."
        out = [f"/// {name}"]
        out += self.body.emit(0, f"package struct {self.name}: {kind} {{", extra)
        for part in self.parts.values():
            least = part.least()
            assert least > 0, (self.name, part.name)
            out.append("")
            out += part.emit(4, f"package struct {part.name}: KafkaPart {{", [
                f"package static var encodedBytesMin: Int {{ {least} }}", ""])
            out.append("    }")
        out.append("}")
        return out

    def emit_random(self):
        out = []
        for part in [self.body, *self.parts.values()]:
            name = self.name if part is self.body else f"{self.name}.{part.name}"
            kind = ": RandomPart" if part is self.body else ""
            out.append(f"extension {name}{kind} {{")
            out.append("    init(random: inout RandomValues, version: Int16) {")
            out.append("        self.init()")
            for field in part.fields:
                out.append("        " + field.random(part.scope))
            out += ["    }", "}", ""]
        return out


def load(folder, name):
    text = (folder / f"{name}.json").read_text()
    return Message(json.loads(re.sub(r"(?m)^\s*//.*$", "", text)))


def emit_types(apis):
    lower = lambda name: name[0].lower() + name[1:]
    out = ["extension ApiKey {", "    package var requestType: any KafkaMessage.Type {", "        switch self {"]
    out += [f"        case .{lower(api)}: {api}Request.self" for api in apis]
    out += ["        }", "    }", "", "    package var responseType: any KafkaMessage.Type {", "        switch self {"]
    out += [f"        case .{lower(api)}: {api}Response.self" for api in apis]
    out += ["        }", "    }", "}"]
    return out


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    root = pathlib.Path(__file__).resolve().parent.parent
    target = root / "Sources/MartletKafka/Generated"
    target.mkdir(parents=True, exist_ok=True)
    head = "// Generated by tools/kafka-codec.py from Kafka's message schemas."
    imports = ["", "package import MartletLog", ""]
    random = [head, "", "internal import MartletKafka", "internal import MartletLog", ""]
    for old in target.glob("*.swift"):
        old.unlink()
    for name in APIS + DATA:
        messages = [load(folder, name)] if name in DATA else [load(folder, name + kind) for kind in ("Request", "Response")]
        lines = []
        for message in messages:
            lines += message.emit() + [""]
            random += message.emit_random()
        uses_log = any("ByteSlice" in line or "TopicID" in line for line in lines)
        text = "\n".join([head] + (imports if uses_log else [""]) + lines[:-1]) + "\n"
        (target / f"{name}.swift").write_text(text)
    (target / "ApiKey+Types.swift").write_text("\n".join([head, ""] + emit_types(APIS)) + "\n")
    tests = root / "Tests/MartletKafkaTests"
    tests.mkdir(parents=True, exist_ok=True)
    (tests / "CodecRandom.swift").write_text("\n".join(random[:-1]) + "\n")
    subprocess.run(["swift", "format", "format", "--in-place", "--parallel", "--recursive", target, tests / "CodecRandom.swift"],
                   check=True, cwd=root)


if __name__ == "__main__":
    main()
