"""A buf plugin that lets the protoc inside grpcio-tools do the work: `protoc_gen.py python|pyi|grpc_python`.

buf hands a CodeGeneratorRequest over standard input and takes a CodeGeneratorResponse from standard output; grpcio-tools
brings the generators, but no plugin programs of its own.
"""

import sys
import tempfile
from pathlib import Path

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorSet
from grpc_tools import protoc


def without_default_json_names(message: DescriptorProto) -> None:
    """Drop the JSON names that follow from the field's own: buf writes them, protoc does not, and the bytes are to be protoc's."""
    for field in message.field:
        first, *rest = field.name.split("_")
        if field.json_name == first + "".join(part[:1].upper() + part[1:] for part in rest):
            field.ClearField("json_name")
    for nested in message.nested_type:
        without_default_json_names(nested)


def generate(request: CodeGeneratorRequest, generator: str) -> CodeGeneratorResponse:
    """Run one of protoc's generators over the files that were asked for."""
    response = CodeGeneratorResponse(supported_features=CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL)
    for file in request.proto_file:
        for message in file.message_type:
            without_default_json_names(message)
    with tempfile.TemporaryDirectory() as folder:
        described, out = Path(folder, "described.pb"), Path(folder, "out")
        described.write_bytes(FileDescriptorSet(file=request.proto_file).SerializeToString())
        out.mkdir()
        arguments = ["protoc", f"--descriptor_set_in={described}", f"--{generator}_out={out}", *request.file_to_generate]
        if protoc.main(arguments) != 0:
            response.error = f"protoc's {generator} generator failed"
        for made in sorted(out.rglob("*")):
            if made.is_file():
                response.file.add(name=made.relative_to(out).as_posix(), content=made.read_text(encoding="utf-8"))
    return response


if __name__ == "__main__":
    asked = CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    sys.stdout.buffer.write(generate(asked, sys.argv[1]).SerializeToString())
