"""Lexicons: documents parsed, and records checked against them. Pure; never resolves one.

A document is what `parse_lexicon` accepts. A `Catalog` compiles the definitions of documents once
and then checks records to all their faults. Source: https://atproto.com/specs/lexicon
"""
