"""FHIR R4: what we tell the EHR of one case, and whether references are what they should be. Pure; no HTTP.

`results.transaction(result)` writes the resources of a case; `references.check` finds what does not resolve.
"""
