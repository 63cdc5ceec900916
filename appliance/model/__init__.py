"""What exists: frozen typed values, and nothing that reads or writes.

A spec says what somebody wants, a status what was observed; no value mixes the two, and every value has one writer.
Sizes are bytes, CPU is thousandths of a core, durations are seconds, times are RFC 3339 strings in UTC.
"""
