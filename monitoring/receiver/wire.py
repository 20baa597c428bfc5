"""Reads and writes Prometheus' remote write 1.0: snappy around protobuf, with bounds checked before unpacking.

Source: the messages of prometheus/prompb (remote.proto, types.proto). Exemplars, histograms and metadata are skipped and
not sent on.
"""

from dataclasses import dataclass
from typing import Any

import cramjam
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

MOST_PACKED = 1_000_000  # bytes of a body
MOST_UNPACKED = 8_000_000
Labels = tuple[tuple[str, str], ...]
Samples = tuple[tuple[float, int], ...]  # value, unix milliseconds


class Malformed(Exception):
    """The body is no remote write request, or is too large. The message says which."""


@dataclass(frozen=True)
class Written:
    """One series of a request."""

    labels: Labels
    samples: Samples


def unpack(body: bytes) -> list[Written]:
    """Read a request. Raises Malformed."""
    if len(body) > MOST_PACKED:
        raise Malformed(f"the body is larger than {MOST_PACKED:,} bytes")
    if _announced(body) > MOST_UNPACKED:
        raise Malformed(f"the body unpacks to more than {MOST_UNPACKED:,} bytes")
    request = _REQUEST()
    try:
        request.ParseFromString(bytes(cramjam.snappy.decompress_raw(body)))
    except (cramjam.DecompressionError, DecodeError, ValueError) as error:
        raise Malformed("the body is no snappy block with a write request in it") from error
    return [
        Written(
            tuple((label.name, label.value) for label in series.labels),
            tuple((sample.value, sample.timestamp) for sample in series.samples),
        )
        for series in request.timeseries
    ]


def pack(series: list[Written]) -> bytes:
    """Write a request."""
    request = _REQUEST()
    for one in series:
        row = request.timeseries.add()
        for name, value in one.labels:
            row.labels.add(name=name, value=value)
        for sample, at in one.samples:
            row.samples.add(value=sample, timestamp=at)
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))


def _announced(body: bytes) -> int:
    """Return the unpacked length that a snappy block announces: a varint at its beginning."""
    length = 0
    for place, byte in enumerate(body[:5]):
        length |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:  # the varint's last byte
            return length
    raise Malformed("the body is no snappy block")


def _request_class() -> Any:
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="gpu_fleet_remote_write.proto", package="gpu_fleet", syntax="proto3")
    shapes = {
        "Label": [("name", 1, kinds.TYPE_STRING), ("value", 2, kinds.TYPE_STRING)],
        "Sample": [("value", 1, kinds.TYPE_DOUBLE), ("timestamp", 2, kinds.TYPE_INT64)],
        "TimeSeries": [("labels", 1, "Label"), ("samples", 2, "Sample")],
        "WriteRequest": [("timeseries", 1, "TimeSeries")],
    }
    for name, fields in shapes.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            if isinstance(kind, str):
                message.field.add(
                    name=field,
                    number=number,
                    label=kinds.LABEL_REPEATED,
                    type=kinds.TYPE_MESSAGE,
                    type_name=f".gpu_fleet.{kind}",
                )
            else:
                message.field.add(name=field, number=number, label=kinds.LABEL_OPTIONAL, type=kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("gpu_fleet.WriteRequest"))


_REQUEST = _request_class()
