"""What each kind of normaliser, pre-tokenizer and decoder of Hugging Face's tokenizers makes of texts and tokens.

python3 tokenizer-parts.py > tokenizer-parts.json    (tokenizers 0.22.2, sentencepiece for its NFKC map)
"""
import base64
import io
import json
import struct

import sentencepiece
from tokenizers import Tokenizer

TEXTS = ["", "a", "Hello, World! it's 3 o'clock", "  two  spaces ", " x", "x  ", "na\u00efve cafe\u0301 \u00c5 \ufb01 \u2126", "\u0130 \u00df \u01c5",
         "\u1112\u1161\u11ab\uac00\u11a8 \uffa1\uffc2", "a\tb\nc\r\nd\u00a0e\u3000f", "\u00bd\u00b2\u2460 \uff21\uff22", "e\u0301\u0323 e\u0323\u0301",
         "12 345\u0661\u00bd", "\u2581x \u2581\u2581 y", "don't-stop_me $5 a+b=c", "\u4e2d\u6587\uff0c\u3002 \u304c\u3099", "\x01\x7f\u200bz\ufeff\u2028w",
         "\U0001f469\u200d\U0001f469\u200d\U0001f467 \u0939\u093f\u0928\u094d\u0926\u0940", "HTTPServer iPhone ABCdef", "a<s>b <s> c<s>", "\ufb1d\u0344\u0f73", "\u212b\u0327"]


def nmt_nfkc():
    """The character map of a SentencePiece model that is trained as most are."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["ab ba"] * 9), model_writer=model, vocab_size=7, model_type="char", normalization_rule_name="nmt_nfkc",
        minloglevel=2)
    data = model.getvalue()

    def fields(buffer):
        at = 0
        def varint():
            nonlocal at
            value = shift = 0
            while True:
                byte = buffer[at]
                at += 1
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    return value
        while at < len(buffer):
            key = varint()
            if key & 7 == 0:
                yield key >> 3, varint()
            elif key & 7 == 2:
                size = varint()
                at += size
                yield key >> 3, buffer[at - size:at]
            else:
                at += 4
                yield key >> 3, None
    return next(v for k, v in fields(next(v for k, v in fields(data) if k == 3)) if k == 2)


def shortened(data, keep):
    """The same map with a trie of some texts only, so that it is small enough to keep here."""
    size = struct.unpack("<I", data[:4])[0]
    units = struct.unpack(f"<{size // 4}I", data[4:4 + size])
    texts = data[4 + size:]
    def offset(unit):
        return (unit >> 10) << ((unit & 512) >> 6)
    def find(key):
        node = offset(units[0])
        for byte in key:
            node ^= byte
            unit = units[node]
            if unit & 0x800000FF != byte:
                return None
            node ^= offset(unit)
            if unit & 256:
                start = units[node] & 0x7FFFFFFF
                return texts[start:texts.index(0, start)]
        return None
    pairs = {}
    for text in keep:
        key = text.encode()
        value = find(key)
        if value is not None:
            pairs[key] = value
    # A double array, laid out anew: each node's children at the first free base.
    blob, values = b"", {}
    for key, value in sorted(pairs.items()):
        values[key] = len(blob)
        blob += value + b"\0"
    tree = {}
    for key in pairs:
        node = tree
        for byte in key:
            node = node.setdefault(byte, {})
        node[None] = values[key]
    array = {0: 0}
    used = {0}
    def place(node, at):
        base = 256
        while any((base ^ (b or 0)) in used for b in node) or base ^ at >= 1 << 21:
            base += 256
        for b in node:
            used.add(base ^ (b or 0))
        array[at] |= (base ^ at) << 10
        if None in node:
            array[at] |= 256
            array[base] = node[None] | 1 << 31
        for byte, child in node.items():
            if byte is not None:
                array[base ^ byte] = byte
                place(child, base ^ byte)
    place(tree, 0)
    units = [array.get(i, 0) for i in range((max(array) | 255) + 1)]
    return struct.pack(f"<I{len(units)}I", len(units) * 4, *units) + blob


def replace(pattern, content, kind="String"):
    return {"type": "Replace", "pattern": {kind: pattern}, "content": content}


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def sequence(member, *parts):
    return {"type": "Sequence", member: list(parts)}


def metaspace(scheme, cut=True):
    return {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": cut}


MAP = shortened(nmt_nfkc(), sorted({c for t in TEXTS for c in t if ord(c) > 127 or c < " "} | {"\x7f"}))
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
UPPER, LOWER, HEAD = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]", r"[^\r\n\p{L}\p{N}]?"
SHORT = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
NORMALIZERS = {name: {"type": name} for name in ["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt"]} | {
    "Strip": {"type": "Strip", "strip_left": True, "strip_right": True},
    "Strip right": {"type": "Strip", "strip_left": False, "strip_right": True},
    "Prepend": {"type": "Prepend", "prepend": "\u2581"},
    "Replace text": replace(" ", "\u2581"),
    "Replace expression": replace(" {2,}", " ", "Regex"),
    "Replace with nothing": replace(r"\s+|'", "", "Regex"),
    "Precompiled": {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(MAP).decode()},
    "Sequence": sequence("normalizers", {"type": "NFKD"}, {"type": "StripAccents"}, sequence("normalizers", {"type": "Lowercase"})),
    "T5": sequence("normalizers", {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(MAP).decode()},
                   {"type": "Strip", "strip_left": False, "strip_right": True}, replace(" {2,}", "\u2581", "Regex")),
}
PRE = {
    "Whitespace": {"type": "Whitespace"}, "WhitespaceSplit": {"type": "WhitespaceSplit"}, "BertPreTokenizer": {"type": "BertPreTokenizer"},
    "Punctuation": {"type": "Punctuation", "behavior": "Isolated"}, "Punctuation removed": {"type": "Punctuation", "behavior": "Removed"},
    "CharDelimiterSplit": {"type": "CharDelimiterSplit", "delimiter": "o"},
    "Digits": {"type": "Digits", "individual_digits": False}, "Digits alone": {"type": "Digits", "individual_digits": True},
    "Metaspace always": metaspace("always"), "Metaspace first": metaspace("first"), "Metaspace never": metaspace("never"),
    "Metaspace whole": metaspace("always", False), "Metaspace by default": {"type": "Metaspace", "replacement": "_", "prepend_scheme": "always"},
    "Digits then Metaspace": sequence("pretokenizers", {"type": "Digits", "individual_digits": True}, metaspace("first")),
    "Split text": split(" ", "MergedWithPrevious", kind="String"),
    "o200k": split(f"{HEAD}{UPPER}*{LOWER}+{SHORT}|{HEAD}{UPPER}+{LOWER}*{SHORT}|" + r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"),
    "deepseek": sequence("pretokenizers", split(r"\p{N}{1,3}"), split("[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"), split(
        r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")),
    "kimi": split(r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lo}&&[^\p{Han}]]*[\p{Ll}\p{Lo}&&[^\p{Han}]]+|\p{N}{1,3}|\s+(?!\S)|\s+"),
    "lazy": split(r"[a-z]+?o|\d{2}"), "possessive": split(r"[a-z]++o|l+o"), "groups": split(r"(?:ab|a)?(?:o|l{1,2})(?=[a-z])"),
    "lines": split(r"^\w+|\w+$"), "case": split(r"(?i)[a-h]+|wor"), "dot": split(r"l.|\x{6F}|\u0073"), "nested": split(r"(?:[a-z]{1,2}[ ,])+"),
    "not": split(r"[^\P{L}a-m]+|\W\D"), "classes": split(r"[\w&&[^\d]]+|[\]\[-]"),
} | {f"{behavior} {invert}": split(r"\s|[A-Z]", behavior, invert)
     for behavior in ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"] for invert in [False, True]}
MARKS = replace("\u2581", " ")
STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
DECODERS = {
    "none": None, "ByteLevel": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    "Metaspace": metaspace("always"), "Metaspace never": metaspace("never"), "Fuse": {"type": "Fuse"}, "ByteFallback": {"type": "ByteFallback"},
    "llama": sequence("decoders", MARKS, {"type": "ByteFallback"}, {"type": "Fuse"}, STRIP),
    "gemma": sequence("decoders", MARKS, {"type": "ByteFallback"}, {"type": "Fuse"}),
    "strip each": sequence("decoders", MARKS, STRIP), "strip each end": sequence("decoders", MARKS, {**STRIP, "start": 0, "stop": 1}),
    "strip whole": sequence("decoders", MARKS, {"type": "Fuse"}, {**STRIP, "start": 2}),
    "strip whole end": sequence("decoders", MARKS, {"type": "Fuse"}, {**STRIP, "start": 0, "stop": 2}),
    "expression": sequence("decoders", replace("\u2581+", "+", "Regex"), {"type": "ByteFallback"}),
}
TOKENS = ["\u2581Hello", "\u2581", "\u2581\u2581", "x\u2581", "<0xE4>", "<0xB8>", "<0xAD>", "<0x0A>", "<0xFF>", "<0x4>", "\u0120w", "\u00e9", "<s>", "\u0110", "a b"]
LISTS = [[], [0], [1], [2, 0], [0, 1, 3, 1, 1], [4, 5, 6], [0, 4, 5, 6, 7, 0], [4, 5, 0], [7, 8], [8, 0, 8], [4, 5, 12, 6], [9, 10, 11, 13],
         [1, 12, 1, 1, 1], [12, 0, 14, 3], [2, 1, 3, 2, 1], [6, 6, 7], [3, 3], [11, 4, 5, 6, 4]]


def tokenizer(vocabulary, **members):
    added = [{"id": vocabulary["<s>"], "content": "<s>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}]
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False,
             "byte_fallback": False, "ignore_merges": True, "vocab": vocabulary, "merges": []}
    whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None, "pre_tokenizer": None,
             "post_processor": None, "decoder": None, "model": model} | members
    return Tokenizer.from_str(json.dumps(whole))


def pieces(text, **members):
    """The pieces between the added tokens, each stretch by itself."""
    characters = {"<s>": 0, "a": 1}
    probe = tokenizer(characters, **members)
    result = []
    for part in text.split("<s>"):
        normal = probe.normalizer.normalize_str(part) if probe.normalizer else part
        result.append([p for p, _ in probe.pre_tokenizer.pre_tokenize_str(normal)] if probe.pre_tokenizer else [normal] * bool(normal))
    return result


def cases(kind, parts):
    result = []
    for name, part in parts.items():
        expected = []
        for text in TEXTS:
            # Metaspace's scheme "first" asks for the beginning of the whole text, so pieces are read off a tokenizer that knows them all.
            known = pieces(text, **{kind: part})
            vocabulary = {"<s>": 0}
            for piece in [p for one in known for p in one]:
                for variant in (piece, piece.lstrip("\u2581"), "\u2581" + piece):
                    if variant:
                        vocabulary.setdefault(variant, len(vocabulary))
            names = {i: p for p, i in vocabulary.items()}
            expected.append([names[i] for i in tokenizer(vocabulary, **{kind: part}).encode(text, add_special_tokens=False).ids])
        result.append({"name": name, kind: part, "pieces": expected})
    return result


def decode(reference, ids, skipping):
    """Null where the reference panics, as its Strip does at the end of texts that are too short."""
    try:
        return reference.decode(ids, skip_special_tokens=skipping)
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        return None


decoded = []
for name, decoder in DECODERS.items():
    reference = tokenizer({t: i for i, t in enumerate(TOKENS)}, decoder=decoder)
    decoded.append({"name": name, "decoder": decoder, "texts": [decode(reference, ids, False) for ids in LISTS],
                    "skipping": [decode(reference, ids, True) for ids in LISTS]})
print(json.dumps({"texts": TEXTS, "cases": cases("normalizer", NORMALIZERS) + cases("pre_tokenizer", PRE), "tokens": TOKENS, "lists": LISTS,
                  "decoders": decoded}, separators=(",", ":")))
