"""Collectors of traces: a real Zipkin server, and one for OTLP that is strict about what it takes."""

import base64
import json
import os
import re
import subprocess

import requests
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from kit.maven import fetch
from kit.ports import free_port
from kit.receiver import Receiver
from kit.server import ROOT, wait_until

START_SECONDS = 180  # a Java program on a busy machine
EXPORT_SECONDS = 120


class Zipkin:
    """With its memory as storage."""

    def __init__(self, folder):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        jar = fetch(ROOT / "tests" / "e2e" / "zipkin.jars")[0]
        self.log = open(folder / "zipkin.log", "wb")
        self.process = subprocess.Popen(
            ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-jar", jar],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT, cwd=folder,
            env={"PATH": os.environ["PATH"], "QUERY_PORT": str(self.port), "STORAGE_TYPE": "mem",
                 "SELF_TRACING_ENABLED": "false"},
        )
        wait_until(self.is_up, START_SECONDS, "Zipkin")

    def is_up(self):
        assert self.process.poll() is None, "Zipkin ended"
        try:
            return requests.get(self.url + "/health", timeout=60).status_code == 200
        except requests.ConnectionError:
            return False

    def trace(self, trace_id, spans=1):
        """The spans of a trace, once that many are there."""
        def found():
            answer = requests.get(f"{self.url}/api/v2/trace/{trace_id}", timeout=60)
            return answer.status_code == 200 and len(answer.json()) >= spans and answer.json()

        return wait_until(found, EXPORT_SECONDS, f"trace {trace_id}")

    def find(self, **tags):
        query = " and ".join(f"{name}={value}" for name, value in tags.items())
        return requests.get(
            self.url + "/api/v2/traces", params={"annotationQuery": query}, timeout=60).json()

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


# ---- OTLP ----------------------------------------------------------------------------------

SPAN_MEMBERS = {
    "traceId", "spanId", "parentSpanId", "traceState", "flags", "name", "kind",
    "startTimeUnixNano", "endTimeUnixNano", "attributes", "links", "status",
}


def check_id(text, size):
    assert re.fullmatch(f"[0-9a-f]{{{size}}}", text) and int(text, 16) != 0, text


def as_protobuf_has_it(message):
    """OTLP writes ids in hex where the JSON mapping of protocol buffers wants base64; all else is
    as that mapping has it."""
    if isinstance(message, list):
        return [as_protobuf_has_it(item) for item in message]
    if isinstance(message, dict):
        return {
            name: base64.b64encode(bytes.fromhex(value)).decode()
            if name in ("traceId", "spanId", "parentSpanId") else as_protobuf_has_it(value)
            for name, value in message.items()
        }
    return message


def check_attributes(attributes):
    names = [attribute["key"] for attribute in attributes]
    assert all(set(attribute) == {"key", "value"} for attribute in attributes)
    for attribute in attributes:
        [(kind, value)] = attribute["value"].items()
        assert kind in ("stringValue", "intValue"), kind
        assert isinstance(value, str), attribute  # 64-bit integers are texts
        assert kind != "intValue" or re.fullmatch(r"-?\d+", value)
    assert len(set(names)) == len(names), names


def check_span(span):
    assert set(span) <= SPAN_MEMBERS, set(span) - SPAN_MEMBERS
    check_id(span["traceId"], 32)
    check_id(span["spanId"], 16)
    if "parentSpanId" in span:
        check_id(span["parentSpanId"], 16)
    assert isinstance(span["kind"], int) and 1 <= span["kind"] <= 5
    for name in ("startTimeUnixNano", "endTimeUnixNano"):
        assert isinstance(span[name], str) and re.fullmatch(r"\d{19}", span[name]), span[name]
    assert int(span["endTimeUnixNano"]) >= int(span["startTimeUnixNano"])
    assert span["name"]
    check_attributes(span["attributes"])


def check_otlp(body):
    """One ExportTraceServiceRequest, by opentelemetry-proto and by the specification's own words.
    Answers its spans and the resource's attributes."""
    message = json.loads(body)
    json_format.ParseDict(
        as_protobuf_has_it(message), trace_service_pb2.ExportTraceServiceRequest())
    assert set(message) == {"resourceSpans"}
    spans, resource = [], {}
    for of_resource in message["resourceSpans"]:
        attributes = of_resource["resource"]["attributes"]
        check_attributes(attributes)
        resource = {one["key"]: one["value"]["stringValue"] for one in attributes}
        for of_scope in of_resource["scopeSpans"]:
            assert of_scope["scope"]["name"] == "tael"
            spans += of_scope["spans"]
    for span in spans:
        check_span(span)
    return spans, resource


class Collector(Receiver):
    """An OpenTelemetry collector as far as OTLP over HTTP goes. What is wrong with a request is in
    `problems`; `status` is what it answers, `failures` how many are refused before."""

    def __init__(self):
        self.spans = []
        self.resource = {}
        self.problems = []
        self.status = 200
        self.failures = 0
        self.headers = {}
        super().__init__(self.take)

    def take(self, received):
        if self.failures > 0:
            self.failures -= 1
            return 503, b"", {"Retry-After": "0"}
        if self.status == 200:
            try:
                assert received.path == "/v1/traces", received.path
                assert received.headers["Content-Type"] == "application/json"
                spans, self.resource = check_otlp(received.body)
                self.spans += spans
            except Exception as error:  # whatever it is, the test tells
                self.problems.append(repr(error))
        return self.status, b"{}", {"Content-Type": "application/json", **self.headers}

    def trace(self, trace_id, spans=1):
        def found():
            mine = [span for span in self.spans if span["traceId"] == trace_id]
            return len(mine) >= spans and mine

        return wait_until(found, EXPORT_SECONDS, f"trace {trace_id}")


# ---- looking at a trace --------------------------------------------------------------------


def children(spans, parent):
    return [span for span in spans if span.get("parentId") == parent["id"]]


def root_of(spans):
    ids = {span["id"] for span in spans}
    [root] = [span for span in spans if span.get("parentId") not in ids]
    return root


def named(spans, name):
    return [span for span in spans if span["name"] == name]


def end_of(span):
    return span["timestamp"] + span["duration"]


def check_tree(spans, slack_us=2):
    """Every span lies within its parent, but for what rounding to microseconds does."""
    by_id = {span["id"]: span for span in spans}
    assert len(by_id) == len(spans)
    for span in spans:
        parent = by_id.get(span.get("parentId"))
        if parent is not None:
            assert span["timestamp"] >= parent["timestamp"], (span["name"], parent["name"])
            assert end_of(span) <= end_of(parent) + slack_us, (span["name"], parent["name"])
