"""Kindred's services for a Python client, from the protos alone: no generated code is needed.

protoc writes a descriptor set, the messages are made from it at run time, and grpcio (Debian's python3-grpcio) does the
calls. Used by the interop tests only.
"""
import subprocess
import tempfile
from pathlib import Path

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PROTO = Path(__file__).resolve().parents[2] / "proto"


def load(*files):
    """Messages of these proto files and what they import, by full name."""
    with tempfile.NamedTemporaryFile(suffix=".pb") as out:
        subprocess.run(["protoc", f"-I{PROTO}", "-I/usr/include", "--include_imports",
                        f"--descriptor_set_out={out.name}", *files], check=True)
        described = descriptor_pb2.FileDescriptorSet.FromString(Path(out.name).read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in described.file:
        pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    messages = {}
    for file in described.file:
        for message in file.message_type:
            name = f"{file.package}.{message.name}"
            messages[name] = factory.GetPrototype(pool.FindMessageTypeByName(name))
    return pool, messages


class Service:
    """Calls the methods of one service: Service(channel, pool, messages, "kindred.v1.EventService").IngestEvents(...)"""

    def __init__(self, channel, pool, messages, name):
        for method in pool.FindServiceByName(name).methods:
            kind = {(False, False): channel.unary_unary, (False, True): channel.unary_stream,
                    (True, False): channel.stream_unary, (True, True): channel.stream_stream}[self.streams(pool, method)]
            answer = messages[method.output_type.full_name]
            setattr(self, method.name, kind(f"/{name}/{method.name}", request_serializer=lambda m: m.SerializeToString(),
                                            response_deserializer=answer.FromString))

    @staticmethod
    def streams(pool, method):
        described = descriptor_pb2.MethodDescriptorProto()
        method.CopyToProto(described)
        return described.client_streaming, described.server_streaming
