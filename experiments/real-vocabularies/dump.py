"""The tokenizer's metadata of a GGUF file as JSON: python3 dump.py MODEL.gguf FIELDS.json (needs the package gguf)."""
import json
import sys

import gguf

fields = gguf.GGUFReader(sys.argv[1]).fields
with open(sys.argv[2], "w", encoding="utf-8") as file:
    json.dump({name: field.contents() for name, field in fields.items() if name.startswith("tokenizer.")}, file)
