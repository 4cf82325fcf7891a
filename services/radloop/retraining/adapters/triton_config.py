"""Triton's configuration of an ONNX file, read from its own inputs and outputs: for the CPU here, and for GPU nodes.

Both run the same file: here under the python backend with onnxruntime (the wheel's server has no other backend), there
under Triton's own onnxruntime backend.
"""

from re import fullmatch
from typing import Final

import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, ValueInfoProto

from radloop.kit.errors import Permanent

MOST_AT_ONCE: Final = 32
"""The largest batch that Triton puts together, of models whose first dimension is free."""
_TYPES: Final[dict[int, str]] = {
    TensorProto.FLOAT: "TYPE_FP32", TensorProto.FLOAT16: "TYPE_FP16", TensorProto.DOUBLE: "TYPE_FP64",
    TensorProto.INT64: "TYPE_INT64", TensorProto.INT32: "TYPE_INT32", TensorProto.UINT8: "TYPE_UINT8",
}
_DELAY_US: Final = 200
"""A lone request pays this delay in full, so it is short.

There is no default_queue_policy: with one, Triton 2.51 lets a request in twenty wait for half a second. Inference bounds what is
under way.
"""
_NAME: Final = r"[A-Za-z0-9_.:/-]{1,200}"
"""Names go into a configuration: one with a quotation mark in it could configure what it likes."""


def parsed(weights: bytes) -> onnx.ModelProto:
    """Return the graph of an ONNX file; raise Permanent where the bytes are none."""
    try:
        model = onnx.load_from_string(weights)
    except DecodeError as broken:
        raise Permanent("not an ONNX file") from broken
    if not model.graph.output:
        raise Permanent("not an ONNX file: it has no outputs")
    if any(one.data_location == TensorProto.EXTERNAL for one in model.graph.initializer):
        raise Permanent("the ONNX file keeps its weights in another file: save it as one file")
    return model


def types_of(model: onnx.ModelProto) -> dict[str, str]:
    """Return the types of the graph's inputs and outputs, as ONNX names them."""
    return {
        one.name: TensorProto.DataType.Name(one.type.tensor_type.elem_type)
        for one in (*model.graph.input, *model.graph.output)
    }


def inputs_of(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Return the graph's inputs with their shapes, -1 where a dimension is free."""
    held = {one.name for one in model.graph.initializer}
    return {one.name: _shape(one) for one in model.graph.input if one.name not in held}


def outputs_of(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Return the graph's outputs with their shapes, -1 where a dimension is free."""
    return {one.name: _shape(one) for one in model.graph.output}


def _shape(value: ValueInfoProto) -> tuple[int, ...]:
    return tuple(dim.dim_value if dim.HasField("dim_value") else -1 for dim in value.type.tensor_type.shape.dim)


def configurations(weights: bytes, name: str) -> tuple[str, str]:
    """Return `config.pbtxt` and `config.gpu.pbtxt` of a model by this name; raise Permanent where its file cannot be served."""
    model = parsed(weights)
    held = {one.name for one in model.graph.initializer}
    inputs = [one for one in model.graph.input if one.name not in held]
    # Triton batches what has a first dimension that is free, in every input and output.
    batched = all(_shape(one)[:1] == (-1,) for one in (*inputs, *model.graph.output))
    tensors = "\n".join((
        _listed("input", [_tensor(one, batched) for one in inputs]),
        _listed("output", [_tensor(one, batched) for one in model.graph.output]),
    ))
    head = f"max_batch_size: {MOST_AT_ONCE if batched else 0}\n{tensors}\n"
    here = (
        f'name: "{name}"\nbackend: "python"\n{head}' + (_batching() if batched else "")
        + "instance_group [ { count: 1 kind: KIND_CPU } ]\nversion_policy { all { } }\n"
        'parameters { key: "intra_op_threads" value { string_value: "1" } }\n'
    )
    there = (
        f'name: "{name}"\nplatform: "onnxruntime_onnx"\ndefault_model_filename: "model.onnx"\n{head}'
        + (_batching(" preferred_batch_size: [ 8, 16, 32 ]") if batched else "")
        + "instance_group [ { count: 1 kind: KIND_GPU } ]\nversion_policy { all { } }\n"
    )
    return here, there


def _tensor(value: ValueInfoProto, batched: bool) -> str:
    kind = value.type.tensor_type.elem_type
    if not fullmatch(_NAME, value.name):
        raise Permanent(f"a tensor's name is letters, digits and . : / _ -, not {value.name[:40]!r}")
    if kind not in _TYPES:
        raise Permanent(f"{value.name}: tensors of this type are not served: {TensorProto.DataType.Name(kind)}")
    dims = _shape(value)[1:] if batched else _shape(value)
    if not dims and not batched:
        raise Permanent(f"{value.name}: a single number without dimensions is not served")
    # One number an image (a label, say) has no dimensions beside the batch, and Triton wants one.
    told = ", ".join(map(str, dims)) if dims else "1"
    return f'  {{ name: "{value.name}" data_type: {_TYPES[kind]} dims: [ {told} ]{"" if dims else " reshape { shape: [ ] }"} }}'


def _batching(preferred: str = "") -> str:
    return f"dynamic_batching {{ max_queue_delay_microseconds: {_DELAY_US}{preferred} }}\n"


def _listed(what: str, tensors: list[str]) -> str:
    return f"{what} [\n" + ",\n".join(tensors) + "\n]"
