import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Identity(_message.Message):
    __slots__ = ("site", "issuer", "value")
    SITE_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    site: str
    issuer: str
    value: str
    def __init__(self, site: _Optional[str] = ..., issuer: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class Code(_message.Message):
    __slots__ = ("system", "value", "display")
    SYSTEM_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_FIELD_NUMBER: _ClassVar[int]
    system: str
    value: str
    display: str
    def __init__(self, system: _Optional[str] = ..., value: _Optional[str] = ..., display: _Optional[str] = ...) -> None: ...

class Patient(_message.Message):
    __slots__ = ("id", "family", "given", "birth_date", "sex", "key")
    ID_FIELD_NUMBER: _ClassVar[int]
    FAMILY_FIELD_NUMBER: _ClassVar[int]
    GIVEN_FIELD_NUMBER: _ClassVar[int]
    BIRTH_DATE_FIELD_NUMBER: _ClassVar[int]
    SEX_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    id: Identity
    family: str
    given: str
    birth_date: str
    sex: str
    key: str
    def __init__(self, id: _Optional[_Union[Identity, _Mapping]] = ..., family: _Optional[str] = ..., given: _Optional[str] = ..., birth_date: _Optional[str] = ..., sex: _Optional[str] = ..., key: _Optional[str] = ...) -> None: ...

class Blob(_message.Message):
    __slots__ = ("sha256", "size")
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    sha256: str
    size: int
    def __init__(self, sha256: _Optional[str] = ..., size: _Optional[int] = ...) -> None: ...

class Actor(_message.Message):
    __slots__ = ("kind", "id")
    KIND_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    kind: str
    id: str
    def __init__(self, kind: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class Order(_message.Message):
    __slots__ = ("patient", "placer", "filler", "accession", "priority", "procedure", "modality", "indication", "placed_at", "study_uid", "status")
    PATIENT_FIELD_NUMBER: _ClassVar[int]
    PLACER_FIELD_NUMBER: _ClassVar[int]
    FILLER_FIELD_NUMBER: _ClassVar[int]
    ACCESSION_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    PROCEDURE_FIELD_NUMBER: _ClassVar[int]
    MODALITY_FIELD_NUMBER: _ClassVar[int]
    INDICATION_FIELD_NUMBER: _ClassVar[int]
    PLACED_AT_FIELD_NUMBER: _ClassVar[int]
    STUDY_UID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    patient: Identity
    placer: Identity
    filler: Identity
    accession: Identity
    priority: str
    procedure: Code
    modality: str
    indication: str
    placed_at: _timestamp_pb2.Timestamp
    study_uid: str
    status: str
    def __init__(self, patient: _Optional[_Union[Identity, _Mapping]] = ..., placer: _Optional[_Union[Identity, _Mapping]] = ..., filler: _Optional[_Union[Identity, _Mapping]] = ..., accession: _Optional[_Union[Identity, _Mapping]] = ..., priority: _Optional[str] = ..., procedure: _Optional[_Union[Code, _Mapping]] = ..., modality: _Optional[str] = ..., indication: _Optional[str] = ..., placed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., study_uid: _Optional[str] = ..., status: _Optional[str] = ...) -> None: ...

class Instance(_message.Message):
    __slots__ = ("sop_instance_uid", "sop_class_uid", "series_uid", "blob", "modality", "body_part", "view", "rows", "columns", "frames", "acquired")
    SOP_INSTANCE_UID_FIELD_NUMBER: _ClassVar[int]
    SOP_CLASS_UID_FIELD_NUMBER: _ClassVar[int]
    SERIES_UID_FIELD_NUMBER: _ClassVar[int]
    BLOB_FIELD_NUMBER: _ClassVar[int]
    MODALITY_FIELD_NUMBER: _ClassVar[int]
    BODY_PART_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    ACQUIRED_FIELD_NUMBER: _ClassVar[int]
    sop_instance_uid: str
    sop_class_uid: str
    series_uid: str
    blob: Blob
    modality: str
    body_part: str
    view: str
    rows: int
    columns: int
    frames: int
    acquired: bool
    def __init__(self, sop_instance_uid: _Optional[str] = ..., sop_class_uid: _Optional[str] = ..., series_uid: _Optional[str] = ..., blob: _Optional[_Union[Blob, _Mapping]] = ..., modality: _Optional[str] = ..., body_part: _Optional[str] = ..., view: _Optional[str] = ..., rows: _Optional[int] = ..., columns: _Optional[int] = ..., frames: _Optional[int] = ..., acquired: _Optional[bool] = ...) -> None: ...

class Study(_message.Message):
    __slots__ = ("study_uid", "instances", "patient", "accession", "study_date", "age_years", "description", "arrived_at")
    STUDY_UID_FIELD_NUMBER: _ClassVar[int]
    INSTANCES_FIELD_NUMBER: _ClassVar[int]
    PATIENT_FIELD_NUMBER: _ClassVar[int]
    ACCESSION_FIELD_NUMBER: _ClassVar[int]
    STUDY_DATE_FIELD_NUMBER: _ClassVar[int]
    AGE_YEARS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    ARRIVED_AT_FIELD_NUMBER: _ClassVar[int]
    study_uid: str
    instances: _containers.RepeatedCompositeFieldContainer[Instance]
    patient: Patient
    accession: Identity
    study_date: str
    age_years: float
    description: str
    arrived_at: _timestamp_pb2.Timestamp
    def __init__(self, study_uid: _Optional[str] = ..., instances: _Optional[_Iterable[_Union[Instance, _Mapping]]] = ..., patient: _Optional[_Union[Patient, _Mapping]] = ..., accession: _Optional[_Union[Identity, _Mapping]] = ..., study_date: _Optional[str] = ..., age_years: _Optional[float] = ..., description: _Optional[str] = ..., arrived_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
