#!/usr/bin/env python3
"""Writes tokenizer-steps.json: what Hugging Face's `tokenizers` makes of byte-level tokenizers whose steps differ.

Each case is a set of changes to one small tokenizer (256 bytes and a few merges), with the ids of every text. Run with
tokenizers 0.23: python tokenizer-steps.py
"""
import json
from pathlib import Path

from tokenizers import Tokenizer

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
TEXTS = [
    "hello world", "Hello, world! It's 2024.", " leading", "trailing  ", "a\n\nb \r\n c", "x1y22z333 4444", "½Ⅷ٣٤ 12", "naïve café",
    "漢字 かな", "e\u0301 \u1100\u1161", "👍🏽 ok", "<m>", "a <m> b", "a<m>b", "a  <m>  b", "<m><m>", "pre<m>", "<w>", "a<w>", "a <w> b", "_<w>",
    "one|two|three", "||x|", "tab\tand nbsp\u00a0end", "\x00\x01\x1f", "don't DON'T", "", " ", "\n", "hello|hello 1",
]


def spelling():
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) if byte in printable else chr(0x100 + others.index(byte)) for byte in range(256)]


ALPHABET = spelling()
MERGES = ["h e", "l l", "he ll", "hell o", "Ġ w", "o r", "Ġw or", "Ġwor l", "Ġworl d", "2 0", "2 4", "3 3", "Ã ©", "Ġ 1"]
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


def base():
    vocabulary = {character: byte for byte, character in enumerate(ALPHABET)}
    for merge in MERGES:
        vocabulary[merge.replace(" ", "")] = len(vocabulary)
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": BYTE_LEVEL,
        "post_processor": None, "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "vocab": vocabulary, "merges": MERGES},
    }


def token(number, content, **flags):
    return {"id": number, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True,
            **flags}


def split(kind, pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


def level(**settings):
    return {**BYTE_LEVEL, **settings}


def digits(individual):
    return {"type": "Digits", "individual_digits": individual}


PLAIN = level(use_regex=False)
TEMPLATE = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<m>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                                                   {"SpecialToken": {"id": "<e>", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<m>": {"id": "<m>", "ids": [270], "tokens": ["<m>"]}, "<e>": {"id": "<e>", "ids": [271], "tokens": ["<e>"]}}}
M, E = token(270, "<m>"), token(271, "<e>")

# name → (members of the file, members of its model, characters without a token)
CASES = {
    "plain": ({}, {}, []),
    "no regex": ({"pre_tokenizer": PLAIN}, {}, []),
    "prefix space": ({"pre_tokenizer": level(add_prefix_space=True)}, {}, []),
    "prefix space without regex": ({"pre_tokenizer": level(add_prefix_space=True, use_regex=False), "added_tokens": [M]}, {}, []),
    "digits then byte level": ({"pre_tokenizer": sequence(digits(True), BYTE_LEVEL)}, {}, []),
    "digits together": ({"pre_tokenizer": sequence(digits(False), BYTE_LEVEL)}, {}, []),
    "digits after byte level": ({"pre_tokenizer": sequence(BYTE_LEVEL, digits(True))}, {}, []),
    "llama 3": ({"pre_tokenizer": sequence(split("Regex", LLAMA3), PLAIN)}, {}, []),
    "llama 3 possessive": ({"pre_tokenizer": sequence(split("Regex", LLAMA3.replace("]?\\p{L}+", "]?+\\p{L}+").replace("\\p{N}]+", "\\p{N}]++")), PLAIN)}, {}, []),
    "nested": ({"pre_tokenizer": sequence(sequence(split("Regex", LLAMA3), PLAIN))}, {}, []),
    "three splits": ({"pre_tokenizer": sequence(split("Regex", r"\p{N}{1,3}"), split("String", "|"), split("Regex", LLAMA3), PLAIN)}, {}, []),
    "digit runs": ({"pre_tokenizer": sequence(split("Regex", r"\p{N}"), split("Regex", r"[\r\n]"), PLAIN)}, {}, []),
    "text isolated": ({"pre_tokenizer": sequence(split("String", "|"), PLAIN)}, {}, []),
    "text removed": ({"pre_tokenizer": sequence(split("String", "|", "Removed"), PLAIN)}, {}, []),
    "text with previous": ({"pre_tokenizer": sequence(split("String", "|", "MergedWithPrevious"), PLAIN)}, {}, []),
    "text with next": ({"pre_tokenizer": sequence(split("String", "|", "MergedWithNext"), PLAIN)}, {}, []),
    "text contiguous": ({"pre_tokenizer": sequence(split("String", "|", "Contiguous"), PLAIN)}, {}, []),
    "space inverted": ({"pre_tokenizer": sequence(split("String", " ", "Removed", True), PLAIN)}, {}, []),
    "a pattern as text": ({"pre_tokenizer": sequence(split("String", LLAMA3), PLAIN)}, {}, []),
    "split before a prefix space": ({"pre_tokenizer": sequence(split("String", "|"), level(add_prefix_space=True))}, {}, []),
    "left strip": ({"added_tokens": [token(270, "<m>", lstrip=True)]}, {}, []),
    "right strip": ({"added_tokens": [token(270, "<m>", rstrip=True)]}, {}, []),
    "both strips": ({"added_tokens": [token(270, "<m>", lstrip=True, rstrip=True)]}, {}, []),
    "single word": ({"added_tokens": [token(270, "<w>", single_word=True), token(271, "world", single_word=True)]}, {}, []),
    "holes in ids": ({"added_tokens": [token(280, "<m>"), token(290, "<w>")]}, {}, []),
    "bytes without a token": ({}, {}, [0, 1, 0x1F, 0xC3, 0xF0, ord("|")]),
    "an unknown token": ({"added_tokens": [token(0, "<u>")]}, {"unk_token": "<u>"}, [0, 1, 0x1F, 0xC3, ord("|")]),
    "unknown tokens fused": ({"added_tokens": [token(0, "<u>")]}, {"unk_token": "<u>", "fuse_unk": True}, [0, 1, 0x1F, 0xC3, ord("|")]),
    "byte fallback with all bytes": ({}, {"byte_fallback": True}, []),
    "whole pieces": ({}, {"ignore_merges": True}, []),
    "composed": ({"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}]}}, {}, []),
    "decoder sequence": ({"decoder": {"type": "Sequence", "decoders": [{"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}, {"type": "Fuse"}]}}, {}, []),
    "template": ({"added_tokens": [M, E], "post_processor": TEMPLATE}, {}, []),
    "template after byte level": ({"added_tokens": [M, E], "post_processor": {"type": "Sequence", "processors": [BYTE_LEVEL, TEMPLATE]}}, {}, []),
    "roberta": ({"added_tokens": [M, E], "post_processor": {"type": "RobertaProcessing", "sep": ["<e>", 271], "cls": ["<m>", 270],
                                                          "trim_offsets": True, "add_prefix_space": False}}, {}, []),
}


def main():
    cases = []
    for name, (members, model, missing) in CASES.items():
        whole = base()
        whole.update(members)
        whole["model"].update(model)
        if "unk_token" in model:
            del whole["model"]["vocab"][ALPHABET[0]]
            whole["model"]["vocab"]["<u>"] = 0
        for byte in missing:
            whole["model"]["vocab"].pop(ALPHABET[byte], None)
        whole["model"]["merges"] = [merge for merge in MERGES if all(part in whole["model"]["vocab"] for part in merge.split())]
        tokenizer = Tokenizer.from_str(json.dumps(whole))
        ids = [tokenizer.encode(text).ids for text in TEXTS]
        cases.append({"name": name, "members": members, "model": model, "missing": missing, "ids": ids})
    golden = {"texts": TEXTS, "merges": MERGES, "cases": cases}
    Path(__file__).with_suffix(".json").write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n")


main()
