from radloop.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OrderRecorded(_message.Message):
    __slots__ = ("change", "order", "patient", "order_revision", "other_orders")
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    PATIENT_FIELD_NUMBER: _ClassVar[int]
    ORDER_REVISION_FIELD_NUMBER: _ClassVar[int]
    OTHER_ORDERS_FIELD_NUMBER: _ClassVar[int]
    change: str
    order: _common_pb2.Order
    patient: _common_pb2.Patient
    order_revision: int
    other_orders: _containers.RepeatedCompositeFieldContainer[_common_pb2.Order]
    def __init__(self, change: _Optional[str] = ..., order: _Optional[_Union[_common_pb2.Order, _Mapping]] = ..., patient: _Optional[_Union[_common_pb2.Patient, _Mapping]] = ..., order_revision: _Optional[int] = ..., other_orders: _Optional[_Iterable[_Union[_common_pb2.Order, _Mapping]]] = ...) -> None: ...

class CaseJoined(_message.Message):
    __slots__ = ("study_case", "order_case", "order", "patient", "undone", "order_revision", "other_orders")
    STUDY_CASE_FIELD_NUMBER: _ClassVar[int]
    ORDER_CASE_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    PATIENT_FIELD_NUMBER: _ClassVar[int]
    UNDONE_FIELD_NUMBER: _ClassVar[int]
    ORDER_REVISION_FIELD_NUMBER: _ClassVar[int]
    OTHER_ORDERS_FIELD_NUMBER: _ClassVar[int]
    study_case: str
    order_case: str
    order: _common_pb2.Order
    patient: _common_pb2.Patient
    undone: bool
    order_revision: int
    other_orders: _containers.RepeatedCompositeFieldContainer[_common_pb2.Order]
    def __init__(self, study_case: _Optional[str] = ..., order_case: _Optional[str] = ..., order: _Optional[_Union[_common_pb2.Order, _Mapping]] = ..., patient: _Optional[_Union[_common_pb2.Patient, _Mapping]] = ..., undone: _Optional[bool] = ..., order_revision: _Optional[int] = ..., other_orders: _Optional[_Iterable[_Union[_common_pb2.Order, _Mapping]]] = ...) -> None: ...
