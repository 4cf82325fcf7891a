"""HL7 v2: reading what the hospital sends, answering it, writing what it should hear. Pure; no sockets.

`read(raw, origin)` yields an `OrderMessage`, `PatientMessage` or `ReportMessage`, or raises `Hl7Error`; `acknowledge`
builds the answer; `write` makes our own messages; `mllp` frames bytes.
"""
