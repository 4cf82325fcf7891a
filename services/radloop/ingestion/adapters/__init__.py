"""What ingestion touches outside: MLLP, DICOM, gRPC, Postgres."""
